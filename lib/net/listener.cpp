#include "net/listener.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/limits.hpp"

namespace peermq::net {
namespace {

constexpr std::size_t kGoneMax = 4096;
/// How long a last word may take to leave before a channel that we closed is cut off.
constexpr auto kCloseLinger = std::chrono::milliseconds(100);
/// How long frames that came before the end of a connection may hold up the report of it.
constexpr auto kEndingMax = std::chrono::milliseconds(250);
constexpr std::size_t kOwnRouteBytes = 5;
/// Who hangs up sooner than this, without a handshake, is a probe or a health check, and not worth
/// a report.
constexpr auto kProbeMax = std::chrono::milliseconds(250);

/// Routing ids that a ROUTER draws itself: a zero byte and a number.
bool is_drawn(const std::string& route) {
    return route.size() == kOwnRouteBytes && route.front() == '\0';
}

/// The routing id in front of a frame; false when nothing waits.
bool receive_route(void* socket, std::string& route) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    int rc;
    do {
        rc = zmq_msg_recv(&message, socket, ZMQ_DONTWAIT);
    } while (rc < 0 && zmq_errno() == EINTR);
    if (rc >= 0) {
        route.assign(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
    }
    zmq_msg_close(&message);
    return rc >= 0;
}

}  // namespace

SendResult Listener::send(ChannelId channel, const Outgoing& frame) {
    const auto found = peers_.find(channel);
    if (!socket_ || found == peers_.end() || found->second.ending) return SendResult::gone;
    const auto result = send_frame(socket_.get(), base::as_bytes(found->second.route), frame);
    board_.mark_ready(shared_from_this(), false);
    if (result == SendResult::gone) begin_ending(channel);
    return result;
}

void Listener::close(ChannelId channel) {
    const auto found = peers_.find(channel);
    if (found == peers_.end()) return;
    const AcceptedSocket socket = found->second.socket;
    forget(channel);
    end_soon(channel, socket);
}

void Listener::end_soon(ChannelId channel, const AcceptedSocket& socket) {
    const std::weak_ptr<Listener> self = weak_from_this();
    const base::Time due = base::after(board_.clock.now(), kCloseLinger);
    board_.timers.add(due, [self, channel, socket] {
        const auto listener = self.lock();
        if (!listener || !listener->socket_) return;
        listener->read_monitor();
        if (listener->owners_.owner(socket.fd) == channel) socket.end();
    });
}

bool Listener::readable() { return socket_ && (socket_.events() & ZMQ_POLLIN) != 0; }

bool Listener::receive(TransportEvents& events, std::size_t frames_max, std::size_t& count) {
    if (!endings_.empty() && board_.clock.now() >= endings_due_) finish_endings();
    std::string route;
    for (std::size_t turn = 0; turn < frames_max; ++turn) {
        if (!socket_) return false;
        if (!receive_route(socket_.get(), route)) {
            finish_endings();
            return false;
        }
        auto holder = board_.take_holder();
        const auto outcome = holder->receive(socket_.get());
        const ChannelId channel = channel_of(route, *holder);
        if (channel == 0) continue;
        if (outcome != FrameHolder::Outcome::frame) {
            lose(channel, LossReason::foreign, "it sent a frame of more than two parts");
            continue;
        }
        if (holder->bytes() > board_.options.frame_bytes_max) {
            lose(channel, LossReason::oversized,
                 "it sent a frame of " + std::to_string(holder->bytes()) + " bytes, the limit is " +
                     std::to_string(board_.options.frame_bytes_max));
            continue;
        }
        Received frame = holder->view();
        frame.pin = std::move(holder);
        ++count;
        board_.reports.flush(events);
        if (peers_.contains(channel)) events.received(channel, std::move(frame));
    }
    return true;
}

ChannelId Listener::channel_of(const std::string& route, FrameHolder& frame) {
    const auto found = routes_.find(route);
    if (found != routes_.end()) return found->second;
    if (gone_.contains(route)) return 0;
    return admit(route, frame);
}

ChannelId Listener::admit(const std::string& route, FrameHolder& frame) {
    // First all that the monitor knows: then the descriptor below means this connection and no
    // earlier one, since libzmq told of the end before it closed that.
    read_monitor();
    const int fd = zmq_msg_get(frame.first(), ZMQ_SRCFD);
    AcceptedSocket socket = AcceptedSocket::look_at(fd);
    // Bytes that are no greeting count as ZMTP 1.0 for libzmq, and become frames without metadata.
    if (!is_drawn(route) || fd < 0) {
        if (fd < 0) ++strangers_count_;
        reject(route, socket, LossReason::foreign, "it does not speak ZMTP 3 (HTTP, TLS?)");
        return 0;
    }
    if (board_.channel_count() >= base::limits::kLinksPerPeerMax) {
        reject(route, socket, LossReason::disconnected,
               "refused: there are " + std::to_string(board_.channel_count()) + " links already");
        return 0;
    }
    const ChannelId channel = board_.add_channel(shared_from_this());
    Peer peer{route, std::move(socket), {}, false};
    peer.remote = peer.socket.remote.empty() ? "a peer at " + shown_ : peer.socket.remote;
    board_.reports.opened(channel, 0, peer.remote);
    routes_.emplace(route, channel);
    peers_.emplace(channel, std::move(peer));
    const FdOwners::Seen seen = owners_.seen(fd, channel);
    accepted_at_.erase(fd);
    if (seen.displaced != 0) begin_ending(seen.displaced);
    if (seen.ended) {
        begin_ending(channel);
    } else if (quiet_count_ > 0) {
        --quiet_count_;
    }
    return channel;
}

void Listener::reject(const std::string& route, const AcceptedSocket& socket, LossReason reason,
                      const std::string& text) {
    bury(route);
    socket.end();
    report_stranger(reason, socket.remote, text);
}

void Listener::report_stranger(LossReason reason, const std::string& who, const std::string& text) {
    board_.reports.attempt_failed(0, reason,
                                  (who.empty() ? "somebody" : who) + " at " + shown_ + ": " + text);
}

void Listener::read_monitor() {
    while (socket_) {
        const auto event = monitor_.next();
        if (!event) return;
        handle(*event);
    }
}

void Listener::handle(const MonitorEvent& event) {
    const auto value = static_cast<int>(event.value);
    if (event.event == ZMQ_EVENT_ACCEPTED) {
        if (const ChannelId before = owners_.accepted(value)) begin_ending(before);
        accepted_at_[value] = board_.clock.now();
    } else if (event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        ++quiet_count_;
    } else if (event.event == ZMQ_EVENT_DISCONNECTED) {
        connection_ended(value);
    } else if (event.event == ZMQ_EVENT_ACCEPT_FAILED) {
        report_stranger(LossReason::disconnected, {}, "not accepted, " + zmq_error_text(value));
    } else if (is_handshake_failure(event)) {
        // Says nothing of whose handshake it was, but the end of that connection is reported next.
        failure_ = describe_handshake_failure(event);
        failure_hung_up_ = is_hang_up(event);
    }
}

void Listener::connection_ended(int fd) {
    const ChannelId channel = owners_.disconnected(fd);
    const std::string failure = std::exchange(failure_, {});
    const bool hung_up = std::exchange(failure_hung_up_, false);
    const auto accepted = accepted_at_.find(fd);
    const bool brief = accepted == accepted_at_.end() ||
                       board_.clock.now() < base::after(accepted->second, kProbeMax);
    accepted_at_.erase(fd);
    if (channel != 0) {
        begin_ending(channel);
    } else if (!failure.empty()) {
        if (strangers_count_ > 0) {
            --strangers_count_;
        } else if (!hung_up) {
            report_stranger(LossReason::foreign, {}, failure);
        } else if (!brief) {
            report_stranger(LossReason::disconnected, {}, failure);
        }
    } else if (quiet_count_ > 0) {
        --quiet_count_;  // completed its handshake and left before its first frame
    } else {
        report_stranger(LossReason::foreign, {}, "it broke the ZeroMQ protocol in the handshake");
    }
}

void Listener::begin_ending(ChannelId channel) {
    const auto found = peers_.find(channel);
    if (found == peers_.end() || std::exchange(found->second.ending, true)) return;
    if (endings_.empty()) endings_due_ = base::after(board_.clock.now(), kEndingMax);
    endings_.push_back(channel);
    board_.mark_ready(shared_from_this(), true);
}

void Listener::finish_endings() {
    const auto endings = std::exchange(endings_, {});
    for (const ChannelId channel : endings) {
        const auto found = peers_.find(channel);
        if (found == peers_.end()) continue;
        board_.reports.lost(channel, LossReason::disconnected,
                            found->second.remote + ": the connection ended");
        forget(channel);
    }
}

void Listener::lose(ChannelId channel, LossReason reason, const std::string& text) {
    const auto found = peers_.find(channel);
    if (found == peers_.end()) return;
    const Peer peer = found->second;
    board_.reports.lost(channel, reason, peer.remote + ": " + text);
    forget(channel);
    peer.socket.end();
}

void Listener::forget(ChannelId channel) {
    const auto found = peers_.find(channel);
    if (found == peers_.end()) return;
    routes_.erase(found->second.route);
    bury(found->second.route);
    peers_.erase(found);
    board_.remove_channel(channel);
}

void Listener::bury(const std::string& route) {
    if (!gone_.insert(route).second) return;
    gone_order_.push_back(route);
    if (gone_order_.size() <= kGoneMax) return;
    gone_.erase(gone_order_.front());
    gone_order_.pop_front();
}

}  // namespace peermq::net
