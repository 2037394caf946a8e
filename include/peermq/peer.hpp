#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "peermq/export.hpp"
#include "peermq/options.hpp"
#include "peermq/pull.hpp"
#include "peermq/push.hpp"
#include "peermq/stats.hpp"

namespace peermq {

/// A process taking part: owns endpoints, identity, queues and at most one spool directory.
///
/// Threads: any number of callers at once. Starts threads of its own; they take no signals.
/// Fork: a child must not use a Peer made before the fork; every call there throws Error
/// invalid_state.
class PEERMQ_EXPORT Peer {
public:
    /// Opens the spool, if any, and recovers what it holds: queues with messages left are handed
    /// out again as soon as consumers connect, also before push() is called for them. Throws Error:
    /// locked (another process has it; text names its pid), version_mismatch, corrupt, denied,
    /// no_space, io_error, invalid_argument.
    explicit Peer(PeerOptions options = {});
    Peer(Peer&&) noexcept;
    Peer& operator=(Peer&&) noexcept;
    /// Like close() with PeerOptions::close_timeout. Never hangs.
    ~Peer();

    /// Listens on "tcp://HOST:PORT", "ipc://PATH" or "inproc://NAME"; port "*" or 0 picks a free
    /// one. One port carries everything. Returns the endpoint as others must connect to it. Throws
    /// Error: invalid_argument, unsupported (scheme), address_in_use, denied (others can reach it
    /// and `insecure` is not set).
    std::string bind(std::string_view endpoint);
    /// Connects now or as soon as someone listens there, and again whenever the link is lost.
    /// Throws Error: invalid_argument, unsupported.
    void connect(std::string_view endpoint);

    /// The sending side of a queue: 1 to 255 printable ASCII characters without space; names ending
    /// in
    /// ".dead" are reserved for dead letters.
    /// Throws Error: invalid_argument, invalid_state (options differ from a living Push of it),
    /// unsupported (durability without a spool).
    Push push(std::string_view queue, PushOptions options = {});
    /// The receiving side of a queue; "<queue>.dead" reads dead letters.
    /// Throws Error: invalid_argument, invalid_state (this peer pulls it already).
    Pull pull(std::string_view queue, PullOptions options = {});

    /// Stops taking messages, lets handlers finish, sends what is settled, says BYE, closes the
    /// spool. True when all of that was done within `deadline`; what was durable stays so in any
    /// case.
    bool close(std::chrono::nanoseconds deadline);

    /// 32 hexadecimal digits; kept in the spool, else new per Peer.
    [[nodiscard]] std::string id() const;
    [[nodiscard]] PeerStats stats() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
