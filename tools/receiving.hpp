#pragma once

/// What `pull` and `sub` have in common: messages are printed, or given to a command, then settled.

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "arguments.hpp"
#include "child.hpp"
#include "delivery_output.hpp"
#include "output.hpp"
#include "peermq/peer.hpp"
#include "taking.hpp"

namespace peermq::tools {

struct ReceiveArguments {
    TakeArguments take;
    FormatArguments format;
    std::string exec;
    std::uint64_t concurrency = 1;
    std::uint64_t reject_on = 0;  ///< exit code of a command; 0: none
    std::uint64_t prefetch = 0;   ///< 0: default
    std::uint64_t prefetch_bytes = std::uint64_t{64} << 20;
    std::optional<nanoseconds> max_processing;
};

/// The options of all that; without --exit-at-end when `has_end` is false.
void add_receive_options(CLI::App& app, ReceiveArguments& arguments, bool has_end);
/// Throws UsageError when they contradict each other.
void check(const ReceiveArguments& arguments);
/// How many messages to hold here.
[[nodiscard]] std::uint32_t prefetch_of(const ReceiveArguments& arguments);

class Receiver {
public:
    Receiver(const ReceiveArguments& arguments, Source source);

    /// Until the end; then closes `peer`. Returns the exit code; ends the process itself when the
    /// reader of standard output has left.
    [[nodiscard]] int run(Peer& peer);

private:
    void print();
    [[nodiscard]] bool write(const std::string& text, std::vector<Delivery>& printed);
    void execute();
    void work();
    void settle(Delivery& delivery, const ChildResult& result);

    const ReceiveArguments& arguments_;
    const Source source_;
    const DeliveryFormat format_;
    Taker taker_;
    Output output_;
    std::atomic<std::uint64_t> handled_{0};
    std::atomic<std::uint64_t> failed_{0};
};

}  // namespace peermq::tools
