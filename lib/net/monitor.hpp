#pragma once

/// Events of a monitored libzmq socket: decoded, and put into words.
///
/// Threads: the owner's. A Monitor is read to the end whenever its descriptor is readable; its
/// queue has no limit, since a full one would block libzmq's I/O thread.

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "net/zmq_handles.hpp"

namespace peermq::net {

struct MonitorEvent {
    std::uint16_t event = 0;  ///< one of ZMQ_EVENT_*
    std::uint32_t value = 0;  ///< descriptor, errno, or protocol error, by event
    std::string endpoint;
};

/// The two parts of an event message; nothing when they are no event.
[[nodiscard]] std::optional<MonitorEvent> decode_monitor_event(base::ByteSpan first,
                                                               base::ByteSpan second);

/// True for the three ways in which a handshake fails.
[[nodiscard]] bool is_handshake_failure(const MonitorEvent& event) noexcept;

/// True when the other end left before the handshake was complete: a probe, or a peer that ended.
[[nodiscard]] bool is_hang_up(const MonitorEvent& event) noexcept;

/// What a failed handshake says about the other end, for people.
[[nodiscard]] std::string describe_handshake_failure(const MonitorEvent& event);

class Monitor {
public:
    Monitor() = default;
    /// Watches `socket` from now on; throws Error io_error.
    Monitor(const ZmqContext& context, const ZmqSocket& socket, std::uint64_t id);

    [[nodiscard]] int descriptor() const { return receiver_.descriptor(); }
    /// The next event, without waiting.
    [[nodiscard]] std::optional<MonitorEvent> next();
    /// Ends watching; to be called before the watched socket is closed.
    void stop(const ZmqSocket& socket) noexcept;

private:
    ZmqSocket receiver_;
};

}  // namespace peermq::net
