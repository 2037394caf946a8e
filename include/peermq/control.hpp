#pragma once

/// Looking at a running peer from another process of the same host and user.
///
/// A peer with a spool listens at the unix socket "control" in its spool directory, unless
/// PeerOptions::control is false. Only its user may enter the directory (mode 0700) and open the
/// socket (0600); who connects is checked once more. Others can neither look nor hand over.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "peermq/export.hpp"
#include "peermq/message.hpp"
#include "peermq/stats.hpp"

namespace peermq {

struct PeerInfo {
    std::string peer;     ///< id, 32 hexadecimal digits
    std::string version;  ///< of its library
    std::string spool;    ///< as its program gave it
    std::uint64_t pid = 0;
    std::chrono::nanoseconds uptime{};
    std::vector<std::string> endpoints;  ///< that it is bound to, as others connect to them
};

/// Threads: one at a time.
class PEERMQ_EXPORT Control {
public:
    /// Connects to the peer that has the spool `directory` open, or that listens at this socket.
    /// Waits at most `timeout` for it, and for each answer.
    /// Throws Error: not_found (no peer runs there), denied (of another user), unsupported (it does
    /// not take part: PeerOptions::control), version_mismatch, io_error.
    explicit Control(const std::string& directory,
                     std::chrono::nanoseconds timeout = std::chrono::seconds(5));
    Control(Control&&) noexcept;
    Control& operator=(Control&&) noexcept;
    ~Control();

    /// Each throws Error io_error when the peer ends or does not answer in time.
    [[nodiscard]] PeerInfo info();
    [[nodiscard]] PeerStats stats();

    /// Has the peer post a copy of `message` to a queue of its own, and returns its id once it is
    /// durable there: store-and-forward for those who will not live long. The queue is opened with
    /// default options if the peer has not opened it.
    /// Throws Error like Push::send(), unsupported for a queue in memory, quota when there is no
    /// room within the time-out; io_error when the answer is lost, then it may be stored.
    std::string push(std::string_view queue, const Message& message);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
