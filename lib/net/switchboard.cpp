#include "net/switchboard.hpp"

#include <algorithm>
#include <utility>

#include "base/limits.hpp"

namespace peermq::net {
namespace {

/// Frames per pipe. A bound on memory, not on flow: the caller's byte windows are far below. A full
/// window of 16 MiB in frames of 16 KiB fits; smaller frames in such number make send() say `full`.
constexpr int kFramesPerPipeMax = 1024;
/// One carrier hands out at most this many frames before the next one has its turn.
constexpr std::size_t kTurnFramesMax = 32;
constexpr int kHeartbeatMs = 5000;
constexpr int kHeartbeatTimeoutMs = 10000;
/// A frame that is a little too large is received, so that its sender can be told why it is cut
/// off; beyond that libzmq drops the connection without a word.
constexpr std::size_t kOversizeFactor = 4;

NetworkOptions with_defaults(NetworkOptions options) {
    namespace limits = base::limits;
    if (options.frame_bytes_max == 0) options.frame_bytes_max = limits::kFrameBytesMax;
    if (options.reconnect_wait_min <= base::Duration::zero()) {
        options.reconnect_wait_min = limits::kReconnectWaitMin;
    }
    if (options.reconnect_wait_max <= base::Duration::zero()) {
        options.reconnect_wait_max = limits::kReconnectWaitMax;
    }
    if (options.handshake_timeout <= base::Duration::zero()) {
        options.handshake_timeout = limits::kHelloTimeout;
    }
    return options;
}

}  // namespace

void Reports::opened(ChannelId channel, TargetId target, std::string remote) {
    queue_.push_back({Report::Kind::opened, channel, target, {}, std::move(remote)});
}

void Reports::lost(ChannelId channel, LossReason reason, std::string text) {
    queue_.push_back({Report::Kind::lost, channel, 0, reason, std::move(text)});
}

void Reports::attempt_failed(TargetId target, LossReason reason, std::string text) {
    queue_.push_back({Report::Kind::attempt_failed, 0, target, reason, std::move(text)});
}

void Reports::process_ended(std::uint64_t watch) {
    queue_.push_back({Report::Kind::process_ended, watch, 0, {}, {}});
}

void Reports::flush(TransportEvents& events) {
    while (!queue_.empty()) {
        // Taken out first: the callback may add and withdraw reports.
        const Report report = std::move(queue_.front());
        queue_.pop_front();
        switch (report.kind) {
            case Report::Kind::opened:
                events.opened(report.subject, report.target, report.text);
                break;
            case Report::Kind::lost: events.lost(report.subject, report.reason, report.text); break;
            case Report::Kind::attempt_failed:
                events.attempt_failed(report.target, report.reason, report.text);
                break;
            case Report::Kind::process_ended: events.process_ended(report.subject); break;
        }
    }
}

void Reports::forget_channel(ChannelId channel) {
    std::erase_if(queue_, [channel](const Report& report) {
        return report.subject == channel &&
               (report.kind == Report::Kind::opened || report.kind == Report::Kind::lost);
    });
}

void Reports::forget_watch(std::uint64_t watch) {
    std::erase_if(queue_, [watch](const Report& report) {
        return report.subject == watch && report.kind == Report::Kind::process_ended;
    });
}

Timers::Token Timers::add(base::Time at, std::function<void()> action) {
    const Token token{at, ++last_};
    waiting_.emplace(token, std::move(action));
    return token;
}

void Timers::run(base::Time now) {
    const std::uint64_t newest = last_;
    while (!waiting_.empty() && waiting_.begin()->first.first <= now) {
        if (waiting_.begin()->first.second > newest) break;
        const auto action = std::move(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
        action();
    }
}

base::Time Timers::next() const noexcept {
    return waiting_.empty() ? base::kNever : waiting_.begin()->first.first;
}

Switchboard::Switchboard(const NetworkOptions& given, base::Clock& the_clock,
                         base::Random& the_random)
    : options(with_defaults(given)),
      clock(the_clock),
      random(the_random),
      wakeup(std::make_shared<Wakeup>()),
      poller(wakeup),
      context(options.io_threads, base::limits::kLinksPerPeerMax) {}

ChannelId Switchboard::add_channel(std::shared_ptr<Carrier> carrier) {
    channels_.emplace(++last_channel_, std::move(carrier));
    return last_channel_;
}

std::shared_ptr<Carrier> Switchboard::carrier_of(ChannelId channel) const {
    const auto found = channels_.find(channel);
    return found == channels_.end() ? nullptr : found->second;
}

void Switchboard::mark_ready(const std::shared_ptr<Carrier>& carrier, bool certain) {
    carrier->checked_ |= certain;
    if (std::exchange(carrier->queued_, true)) return;
    ready_.push_back(carrier);
}

bool Switchboard::anything_ready() {
    if (!reports.empty()) return true;
    std::erase_if(ready_, [](const std::shared_ptr<Carrier>& carrier) {
        if (carrier->checked_ || carrier->readable()) return false;
        carrier->queued_ = false;
        return true;
    });
    return !ready_.empty();
}

std::size_t Switchboard::receive(TransportEvents& events, std::size_t frames_max) {
    std::size_t count = 0;
    reports.flush(events);
    while (count < frames_max && !ready_.empty()) {
        const std::shared_ptr<Carrier> carrier = std::move(ready_.front());
        ready_.pop_front();
        carrier->queued_ = false;
        carrier->checked_ = false;
        const std::size_t turn = std::min(kTurnFramesMax, frames_max - count);
        if (carrier->receive(events, turn, count)) mark_ready(carrier, true);
    }
    reports.flush(events);
    return count;
}

std::shared_ptr<FrameHolder> Switchboard::take_holder() {
    if (spare_) return std::exchange(spare_, nullptr);
    return std::make_shared<FrameHolder>();
}

void Switchboard::configure(ZmqSocket& socket, bool ipv6) const {
    socket.set_bytes_max(static_cast<std::int64_t>(options.frame_bytes_max * kOversizeFactor));
    socket.set(ZMQ_SNDHWM, kFramesPerPipeMax);
    socket.set(ZMQ_RCVHWM, kFramesPerPipeMax);
    const auto handshake = std::chrono::duration_cast<std::chrono::milliseconds>(
        options.handshake_timeout);
    socket.set(ZMQ_HANDSHAKE_IVL, static_cast<int>(handshake.count()));
    // Backstop only: it proves that the connection carries bytes, nothing about the peer.
    socket.set(ZMQ_HEARTBEAT_IVL, kHeartbeatMs);
    socket.set(ZMQ_HEARTBEAT_TIMEOUT, kHeartbeatTimeoutMs);
    socket.set(ZMQ_TCP_KEEPALIVE, 1);
    socket.set(ZMQ_TCP_KEEPALIVE_IDLE, 30);
    socket.set(ZMQ_TCP_KEEPALIVE_INTVL, 10);
    socket.set(ZMQ_TCP_KEEPALIVE_CNT, 3);
    socket.set(ZMQ_IPV6, ipv6 ? 1 : 0);
}

}  // namespace peermq::net
