#include "net/monitor.hpp"

#include <cerrno>
#include <cstdio>

#include "peermq/error.hpp"

namespace peermq::net {
namespace {

constexpr int kWanted = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED |
                        ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

std::string describe_protocol_error(std::uint32_t value) {
    switch (value) {
        case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            return "the two sides use different security mechanisms";
        case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
            return "a cryptographic check failed: is the server key right?";
        case ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA:
            return "it is a ZeroMQ socket of a kind that peermq does not use";
        case ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR:
            return "it refused us with a malformed error";
        default: {
            char number[16];
            std::snprintf(number, sizeof number, "0x%08x", value);
            return std::string("it broke the ZeroMQ protocol, error ") + number;
        }
    }
}

}  // namespace

std::optional<MonitorEvent> decode_monitor_event(base::ByteSpan first, base::ByteSpan second) {
    if (first.size() != 6) return std::nullopt;
    MonitorEvent event;
    event.event = base::load<std::uint16_t>(first.data());
    event.value = base::load<std::uint32_t>(first.data() + 2);
    event.endpoint = std::string(base::as_text(second));
    return event;
}

bool is_handshake_failure(const MonitorEvent& event) noexcept {
    return event.event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL ||
           event.event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
           event.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
}

bool is_hang_up(const MonitorEvent& event) noexcept {
    return event.event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL &&
           (event.value == EPIPE || event.value == ECONNRESET);
}

std::string describe_handshake_failure(const MonitorEvent& event) {
    if (event.event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
        return describe_protocol_error(event.value);
    }
    if (event.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        return "authentication was refused with status " + std::to_string(event.value);
    }
    if (is_hang_up(event)) {
        return "the connection ended during the ZeroMQ handshake; is the other end no peermq?";
    }
    // libzmq's handshake timer leaves EAGAIN or whatever errno was.
    return "no ZeroMQ handshake in time; is the other end no peermq (HTTP, TLS?) or stuck?";
}

Monitor::Monitor(const ZmqContext& context, const ZmqSocket& socket, std::uint64_t id)
    : receiver_(context, ZMQ_PAIR) {
    const std::string name = "inproc://monitor-" + std::to_string(id);
    receiver_.set(ZMQ_RCVHWM, 0);
    if (zmq_socket_monitor(socket.get(), name.c_str(), kWanted) != 0 ||
        zmq_connect(receiver_.get(), name.c_str()) != 0) {
        throw Error(ErrorCode::io_error,
                    "cannot monitor a ZeroMQ socket: " + zmq_error_text(zmq_errno()));
    }
    // A pipe signals only once its reader has found it empty; before bind or connect it is.
    static_cast<void>(next());
}

std::optional<MonitorEvent> Monitor::next() {
    while (receiver_) {
        FrameHolder holder;
        const auto outcome = holder.receive(receiver_.get());
        if (outcome == FrameHolder::Outcome::nothing || outcome == FrameHolder::Outcome::failed) {
            return std::nullopt;
        }
        if (outcome != FrameHolder::Outcome::frame) continue;
        const Received frame = holder.view();
        if (auto event = decode_monitor_event(frame.head, frame.records)) return event;
    }
    return std::nullopt;
}

void Monitor::stop(const ZmqSocket& socket) noexcept {
    if (!receiver_) return;
    zmq_socket_monitor(socket.get(), nullptr, 0);
    receiver_.close(0);
}

}  // namespace peermq::net
