#pragma once

/// libzmq, tamed: the only folder that includes its headers. Stable API of 4.3.4 only.
///
/// One ROUTER per bound endpoint with ids that the ROUTER assigns, MANDATORY, non-blocking; one
/// DEALER per connection attempt, never reconnected by libzmq: attempts, back-off with jitter and
/// name resolution are ours. LINGER 0, MAXMSGSIZE, HWM, IMMEDIATE, keep-alive and heartbeats are
/// set before bind or connect. A private context. Sockets are watched by monitors, so that a lost
/// connection is known at once. What libzmq gets wrong, and what is done about it, is listed in
/// network.cpp.
///
/// Records below 16 KiB travel in one part with the head, which then arrives as Received::head
/// alone. After close() nothing more is reported about that channel; disconnect() reports its
/// channel lost as `closed`. A connection accepted without a frame is no channel; what fails there
/// is reported as an attempt of target 0. Callbacks may call everything but receive() and
/// shut_down().
///
/// Threads: everything but wake() and wait_unowned() is for the holder of the owner role, one at a
/// time with a full fence between holders; wake() is for any thread and signal-safe.

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "net/endpoint.hpp"
#include "net/transport.hpp"

namespace peermq::net {

struct NetworkOptions {
    int io_threads = 1;
    std::size_t frame_bytes_max = 0;  ///< MAXMSGSIZE of every socket
    base::Duration reconnect_wait_min{};
    base::Duration reconnect_wait_max{};
    base::Duration handshake_timeout{};  ///< of ZMTP, on both sides; 0: limits::kHelloTimeout
};

class Network final : public Transport {
public:
    Network(NetworkOptions options, base::Clock& clock, base::Random& random);
    ~Network() override;

    /// Listens; returns the endpoint with the real port or name. Throws Error: address_in_use,
    /// denied, invalid_argument, unsupported (text names the endpoint and errno). An ipc path left
    /// behind by a dead process is taken over, one in use is refused; an ipc endpoint is refused
    /// when the limit on open files is below 4,096 and cannot be raised, since libzmq aborts there.
    std::string bind(const Endpoint& endpoint);
    /// Starts connecting, in the background and for ever, until disconnect(). Names are resolved by
    /// a thread of its own at each attempt, all addresses in turn.
    TargetId connect(const Endpoint& endpoint);
    void disconnect(TargetId target);

    /// Waits until something may be received, `deadline` passes, or wake(), without the owner role:
    /// one thread may wait here while others, one after another in the role, send and receive. To
    /// be called when anything_ready() has said no since the last change that this thread knows of.
    /// Touches no socket. Spurious returns happen.
    void wait_unowned(base::Time deadline);
    /// True when receive() has something to give already.
    [[nodiscard]] bool anything_ready();
    /// Receives up to `frames_max` frames and all other events without waiting; returns how many
    /// frames.
    std::size_t receive(TransportEvents& events, std::size_t frames_max);
    /// Work that is due (connection attempts); call when next_deadline() has come.
    void tick();
    [[nodiscard]] base::Time next_deadline() const;
    /// Makes the wait that is under way, or else the next one, return.
    void wake() noexcept;

    [[nodiscard]] SendResult send(ChannelId channel, base::ByteSpan head) override;
    [[nodiscard]] SendResult send(ChannelId channel, base::ByteSpan head, base::ByteSpan records,
                                  std::shared_ptr<const void> pin) override;
    void close(ChannelId channel) override;
    void accept(ChannelId channel) override;
    [[nodiscard]] bool watch_process(std::uint64_t watch, std::uint32_t pid,
                                     std::uint64_t start_time) override;
    void unwatch_process(std::uint64_t watch) override;

    /// Closes all sockets within `deadline`, trying for up to that long to send what was given to
    /// send(); never hangs.
    void shut_down(base::Time deadline);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq::net
