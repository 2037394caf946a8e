#pragma once

/// Frames in and out of channels, as the peer sees them: libzmq behind Network, a model in tests.
///
/// A channel is one live connection to one remote socket. Frames on it arrive in order or the
/// channel is lost; a lost one never comes back. Nothing here knows what a frame means.
///
/// Threads: one at a time (the owner role).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/clock.hpp"

namespace peermq::net {

using ChannelId = std::uint64_t;  ///< never reused; 0 = none
using TargetId = std::uint64_t;   ///< one connect() of the user; 0 = the other side connected to us

/// A received frame. `records` is the second part when there was one. Both point into memory that
/// `pin` keeps alive; `pin` may be kept as long as needed.
struct Received {
    base::ByteSpan head;
    base::ByteSpan records;
    bool two_parts = false;
    std::shared_ptr<const void> pin;
};

enum class SendResult {
    sent,  ///< given to the transport; only the peer's answer proves arrival
    full,  ///< not now: try again after the next receive() or tick()
    gone,  ///< the channel is lost; lost() has been or will be reported
};

enum class LossReason {
    disconnected,  ///< connection ended or reset
    refused,       ///< nobody listens there any more: the process that did has ended
    foreign,       ///< the other end does not speak ZeroMQ, or not our mechanism
    oversized,     ///< it sent a frame above the limit
    closed,        ///< by us
};

class TransportEvents {
public:
    virtual ~TransportEvents() = default;
    /// A channel is there: `target` says which connect() made it. For an accepted one this comes
    /// just before its first frame. `remote` is for people, for example "tcp://127.0.0.1:7000".
    virtual void opened(ChannelId channel, TargetId target, std::string_view remote) = 0;
    virtual void received(ChannelId channel, Received frame) = 0;
    virtual void lost(ChannelId channel, LossReason reason, std::string_view text) = 0;
    /// An attempt to connect failed; it is tried again with back-off unless it is final.
    virtual void attempt_failed(TargetId target, LossReason reason, std::string_view text) = 0;
    /// A watched process has ended.
    virtual void process_ended(std::uint64_t watch) = 0;
};

class Transport {
public:
    virtual ~Transport() = default;
    /// Copies `head`.
    [[nodiscard]] virtual SendResult send(ChannelId channel, base::ByteSpan head) = 0;
    /// Sends one frame in two pieces; `records` is not copied when large, `pin` keeps it alive.
    [[nodiscard]] virtual SendResult send(ChannelId channel, base::ByteSpan head,
                                          base::ByteSpan records,
                                          std::shared_ptr<const void> pin) = 0;
    /// Closes at once; frames given to send() just before (REJECT, BYE) are still tried for a
    /// moment.
    virtual void close(ChannelId channel) = 0;
    /// The peer on this channel answered as expected: its target's back-off starts anew, and other
    /// attempts of the same target are dropped (first HELLO wins).
    virtual void accept(ChannelId channel) = 0;
    /// Reports process_ended(watch) once the process with this pid and start time is gone; at the
    /// next receive() when it is gone already. False when it cannot be watched (another host or
    /// namespace is the caller's to know; no pidfd).
    [[nodiscard]] virtual bool watch_process(std::uint64_t watch, std::uint32_t pid,
                                             std::uint64_t start_time) = 0;
    virtual void unwatch_process(std::uint64_t watch) = 0;
};

}  // namespace peermq::net
