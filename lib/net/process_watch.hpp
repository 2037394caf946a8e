#pragma once

/// Learns at once when another process of this host ends, through pidfds.

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "net/poller.hpp"

namespace peermq::net {

/// Field 22 of /proc/PID/stat, in clock ticks since boot: with the pid, it names one process for as
/// long as the host runs. Nothing when there is no such process, or it may not be seen.
[[nodiscard]] std::optional<std::uint64_t> process_start_time(std::uint32_t pid);

class ProcessWatch {
public:
    using Ended = std::function<void(std::uint64_t watch)>;

    /// `ended` is called from the poller, or from watch() for a process that is gone already.
    ProcessWatch(Poller& poller, Ended ended) : poller_(poller), ended_(std::move(ended)) {}
    ~ProcessWatch();
    ProcessWatch(const ProcessWatch&) = delete;
    ProcessWatch& operator=(const ProcessWatch&) = delete;

    /// False: it cannot be watched (no pidfd, out of descriptors, hidden).
    [[nodiscard]] bool watch(std::uint64_t watch, std::uint32_t pid, std::uint64_t start_time);
    void unwatch(std::uint64_t watch) noexcept;

private:
    struct Entry {
        Descriptor process;
        Poller::Key key = 0;
    };

    Poller& poller_;
    Ended ended_;
    std::unordered_map<std::uint64_t, Entry> entries_;
};

}  // namespace peermq::net
