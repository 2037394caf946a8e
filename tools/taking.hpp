#pragma once

/// How many messages a command takes, and when it is done.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "arguments.hpp"
#include "peermq/pull.hpp"

namespace peermq::tools {

struct TakeArguments {
    std::uint64_t count = 0;  ///< 0: no limit
    bool exit_at_end = false;
    std::optional<std::chrono::nanoseconds> timeout;
};

/// --count, --timeout, and --exit-at-end when there is an end.
void add_take_options(CLI::App& app, TakeArguments& arguments, bool has_end);

/// Where messages come from. The functions may be called by any number of threads.
struct Source {
    std::function<std::optional<Delivery>(std::chrono::nanoseconds)> receive;
    std::function<void()> stop;
    std::function<bool()> stopped;
    std::function<PullStats()> stats;  ///< empty when there is no end to see
};

/// Borrows `pull`.
[[nodiscard]] Source source_of(Pull& pull);

/// Takes messages until the first of: the count, the end of the queue, the time-out, Ctrl-C.
/// Threads: any.
class Taker {
public:
    enum class End { none, count, at_end, timeout, stopped };

    /// Borrows both.
    Taker(const Source& source, const TakeArguments& arguments);

    /// The next message, waiting for it; nothing at the end.
    [[nodiscard]] std::optional<Delivery> next();
    /// The same without waiting: nothing also when none is there now.
    [[nodiscard]] std::optional<Delivery> next_now();
    [[nodiscard]] End end() const noexcept { return end_.load(); }
    /// 0 when it ended as was asked for, 5 when the time was over first, 130 or 143 when Ctrl-C
    /// came before a count was reached.
    [[nodiscard]] int exit_code() const;

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] bool reserve();
    [[nodiscard]] bool at_end();
    void finish(End end);

    const Source& source_;
    const TakeArguments& arguments_;
    std::atomic<std::uint64_t> taken_{0};
    std::atomic<Clock::rep> last_message_;
    std::atomic<Clock::rep> idle_since_{0};
    std::atomic<bool> seen_producer_{false};
    std::atomic<End> end_{End::none};
};

}  // namespace peermq::tools
