#include "net/dialer.hpp"

#include <sys/epoll.h>

#include <utility>

#include "peermq/error.hpp"

namespace peermq::net {
namespace {

constexpr int kConnectTimeoutMs = 5000;
/// For a last word (REJECT, BYE) given to send() just before close().
constexpr int kCloseLingerMs = 100;

}  // namespace

Dialer::Dialer(Switchboard& board, DialerOwner& owner, TargetId target, std::string endpoint,
               std::string remote)
    : board_(board),
      owner_(owner),
      target_(target),
      endpoint_(std::move(endpoint)),
      remote_(std::move(remote)) {}

void Dialer::start(bool ipv6) {
    socket_ = ZmqSocket(board_.context, ZMQ_DEALER);
    board_.configure(socket_, ipv6);
    socket_.set(ZMQ_IMMEDIATE, 1);
    socket_.set(ZMQ_RECONNECT_IVL, -1);
    socket_.set(ZMQ_CONNECT_TIMEOUT, kConnectTimeoutMs);
    monitor_ = Monitor(board_.context, socket_, board_.next_id());
    monitor_descriptor_ = monitor_.descriptor();
    socket_descriptor_ = socket_.descriptor();
    const std::weak_ptr<Dialer> self = weak_from_this();
    monitor_key_ = board_.poller.add(monitor_descriptor_, EPOLLIN, [self] {
        if (const auto dialer = self.lock()) dialer->read_monitor();
    });
    socket_key_ = board_.poller.add(socket_descriptor_, EPOLLIN, [self] {
        const auto dialer = self.lock();
        if (dialer) dialer->board_.mark_ready(dialer, true);
    });
    if (zmq_connect(socket_.get(), endpoint_.c_str()) != 0) {
        throw Error(ErrorCode::io_error, zmq_error_text(zmq_errno()));
    }
}

void Dialer::abandon() { shut(channel_ != 0 ? kCloseLingerMs : 0); }

void Dialer::shut(int linger_ms) {
    if (!socket_) return;
    board_.poller.remove(monitor_key_, monitor_descriptor_);
    board_.poller.remove(socket_key_, socket_descriptor_);
    monitor_.stop(socket_);
    socket_.close(linger_ms);
    if (channel_ != 0) board_.remove_channel(channel_);
}

SendResult Dialer::send(ChannelId, const Outgoing& frame) {
    if (!socket_ || ending_) return SendResult::gone;
    const SendResult result = send_frame(socket_.get(), {}, frame);
    board_.mark_ready(shared_from_this(), false);
    if (result == SendResult::gone) lose(LossReason::disconnected, "the connection broke");
    return result;
}

void Dialer::close(ChannelId) {
    if (!socket_) return;
    shut(kCloseLingerMs);
    owner_.dialer_lost(target_);
}

bool Dialer::readable() { return socket_ && (socket_.events() & ZMQ_POLLIN) != 0; }

bool Dialer::receive(TransportEvents& events, std::size_t frames_max, std::size_t& count) {
    for (std::size_t turn = 0; turn < frames_max; ++turn) {
        if (!socket_) return false;
        if (channel_ == 0) {
            // Nothing can be here before the handshake; this takes note of libzmq's signals.
            static_cast<void>(socket_.events());
            return false;
        }
        auto holder = board_.take_holder();
        switch (holder->receive(socket_.get())) {
            case FrameHolder::Outcome::nothing:
                board_.keep_holder(std::move(holder));
                if (ending_) lose(LossReason::disconnected, "the connection ended");
                return false;
            case FrameHolder::Outcome::failed:
                lose(LossReason::disconnected, "the connection broke");
                return false;
            case FrameHolder::Outcome::too_many_parts:
                lose(LossReason::foreign, "it sent a frame of more than two parts");
                return false;
            case FrameHolder::Outcome::frame: break;
        }
        if (holder->bytes() > board_.options.frame_bytes_max) {
            lose(LossReason::oversized, "it sent a frame of " + std::to_string(holder->bytes()) +
                                            " bytes, the limit is " +
                                            std::to_string(board_.options.frame_bytes_max));
            return false;
        }
        Received frame = holder->view();
        frame.pin = std::move(holder);
        ++count;
        board_.reports.flush(events);
        if (socket_) events.received(channel_, std::move(frame));
    }
    return true;
}

void Dialer::read_monitor() {
    const auto self = shared_from_this();
    while (socket_) {
        const auto event = monitor_.next();
        if (!event) return;
        handle(*event);
    }
}

void Dialer::handle(const MonitorEvent& event) {
    if (event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        if (channel_ == 0) open();
    } else if (is_handshake_failure(event)) {
        if (channel_ != 0) return;
        foreign_ = !is_hang_up(event);
        failure_ = describe_handshake_failure(event);
    } else if (event.event == ZMQ_EVENT_DISCONNECTED) {
        if (channel_ != 0) {
            ending_ = true;
            board_.mark_ready(shared_from_this(), true);
        } else if (failure_.empty()) {
            fail(LossReason::foreign, true, "it broke the ZeroMQ protocol in the handshake");
        } else {
            fail(foreign_ ? LossReason::foreign : LossReason::disconnected, true, failure_);
        }
    } else if (event.event == ZMQ_EVENT_CLOSED && channel_ == 0) {
        fail(LossReason::disconnected, false, "the connection could not be made");
    }
}

void Dialer::open() {
    channel_ = board_.add_channel(shared_from_this());
    board_.reports.opened(channel_, target_, remote_);
    board_.mark_ready(shared_from_this(), true);
    owner_.dialer_opened(target_, channel_);
}

void Dialer::fail(LossReason reason, bool explained, const std::string& text) {
    shut(0);
    owner_.dialer_failed(target_, reason, explained, text);
}

void Dialer::lose(LossReason reason, const std::string& text) {
    if (!socket_) return;
    shut(0);
    board_.reports.lost(channel_, reason, remote_ + ": " + text);
    owner_.dialer_lost(target_);
}

}  // namespace peermq::net
