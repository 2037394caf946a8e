#include "sim/transport.hpp"

#include <algorithm>

#include "base/limits.hpp"

namespace peermq::sim {
namespace {

namespace limits = base::limits;

/// As lib/net: an attempt that is not answered is given up.
constexpr auto kAttemptTimeout = std::chrono::seconds(7);
constexpr auto kFullRetry = std::chrono::milliseconds(1);
constexpr std::size_t kNonceAt = 8;

wire::FrameType type_of(base::ByteSpan head) {
    return head.empty() ? wire::FrameType{} : static_cast<wire::FrameType>(head.front());
}

std::string text_of(const std::vector<base::Run>& runs) {
    std::string text;
    for (const base::Run run : runs) {
        text += " " + std::to_string(run.first) + "-" + std::to_string(run.last);
    }
    return text;
}

/// What the trace shows of a frame; nothing for the endless sound of heartbeats.
std::string describe(const Frame& frame) {
    const wire::DecodedFrame decoded = frame.two_parts
                                           ? wire::decode_parts(frame.head, frame.records)
                                           : wire::decode(frame.head);
    if (!decoded.ok()) return "unreadable frame";
    const wire::FrameType type = decoded.frame.header.type;
    if (type == wire::FrameType::ping || type == wire::FrameType::pong) return {};
    std::string text(to_string(type));
    text += " of " + std::to_string(decoded.frame.header.stream);
    if (const auto* state = std::get_if<wire::State>(&decoded.frame.body)) {
        text += state->ready ? " ready" : " idle";
    } else if (const auto* grant = std::get_if<wire::Grant>(&decoded.frame.body)) {
        text += " number " + std::to_string(grant->number) + " messages " +
                std::to_string(grant->messages);
    } else if (const auto* granted = std::get_if<wire::Granted>(&decoded.frame.body)) {
        text += " number " + std::to_string(granted->number);
    } else if (const auto* offer = std::get_if<wire::Offer>(&decoded.frame.body)) {
        text += offer->ready ? " ready" : " idle";
    } else if (const auto* held = std::get_if<wire::Held>(&decoded.frame.body)) {
        for (const wire::HeldRun& run : held->runs) {
            text += text_of({run.run}) + " lease " + std::to_string(run.lease.epoch) + "." +
                    std::to_string(run.lease.counter) + (run.started ? " started" : "");
        }
    } else if (const auto* valid = std::get_if<wire::Valid>(&decoded.frame.body)) {
        text += " revoked" + text_of(valid->revoked);
    } else if (const auto* batch = std::get_if<wire::Batch>(&decoded.frame.body)) {
        for (const wire::BatchRun& run : batch->runs) {
            text += text_of({run.run}) + " lease " + std::to_string(batch->lease_epoch) + "." +
                    std::to_string(run.lease) +
                    ((run.flags & wire::kRedelivered) != 0 ? " again" : "");
        }
    } else if (const auto* settle = std::get_if<wire::Settle>(&decoded.frame.body)) {
        text += " number " + std::to_string(settle->number);
        for (const wire::SettleEntry& entry : settle->entries) {
            text += " kind " + std::to_string(static_cast<int>(entry.kind)) + text_of({entry.run}) +
                    " lease " + std::to_string(entry.lease.epoch) + "." +
                    std::to_string(entry.lease.counter);
        }
    } else if (const auto* confirm = std::get_if<wire::Confirm>(&decoded.frame.body)) {
        text += " number " + std::to_string(confirm->number);
        for (const wire::RefusedRun& run : confirm->refused)
            text += " refused" + text_of({run.run});
    }
    return text;
}

}  // namespace

HostTransport::HostTransport(Network& network, HostId host, test::SeededRandom random,
                             TransportWatcher& watcher, Canary canary)
    : network_(network), host_(host), random_(random), watcher_(watcher), canary_(canary) {}

net::TargetId HostTransport::connect(HostId remote, std::uint16_t port, Time now) {
    Target target;
    target.id = targets_.size() + 1;
    target.remote = remote;
    target.port = port;
    target.due = now;
    target.wait = limits::kReconnectWaitMin;
    targets_.push_back(target);
    return target.id;
}

HostTransport::Target* HostTransport::target_of(EndId end) {
    const auto at = std::find_if(targets_.begin(), targets_.end(),
                                 [&](const Target& each) { return each.end == end; });
    return at == targets_.end() ? nullptr : &*at;
}

void HostTransport::begin(Target& target) {
    target.end = network_.connect(host_, target.remote, target.port, now_);
    target.linked = false;
    target.due = base::after(now_, kAttemptTimeout);
}

void HostTransport::wait(Target& target) {
    target.end = 0;
    target.linked = false;
    const auto half = static_cast<std::uint64_t>(target.wait.count() / 2);
    target.due = base::after(now_,
                             Duration(static_cast<std::int64_t>(random_.between(half, 2 * half))));
    target.wait = std::min<Duration>(2 * target.wait, limits::kReconnectWaitMax);
}

void HostTransport::failed(Target& target, net::LossReason reason, net::TransportEvents& events) {
    const net::TargetId id = target.id;
    wait(target);
    events.attempt_failed(id, reason, "simulated attempt failed");
}

void HostTransport::tick(Time now, net::TransportEvents& events) {
    now_ = now;
    if (full_retry_at_ <= now) full_retry_at_ = base::kNever;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
        Target& target = targets_[i];
        if (target.linked || target.due > now) continue;
        if (target.end == 0) {
            begin(target);
        } else {
            network_.close(target.end, now);
            failed(target, net::LossReason::disconnected, events);
        }
    }
    std::vector<std::uint64_t> ended;
    std::erase_if(watches_, [&](const Watch& each) {
        if (watcher_.is_running(each.pid)) return false;
        ended.push_back(each.watch);
        return true;
    });
    for (const std::uint64_t watch : ended) events.process_ended(watch);
}

Time HostTransport::next_deadline() const {
    Time next = full_retry_at_;
    for (const Target& target : targets_) {
        if (!target.linked) next = std::min(next, target.due);
    }
    return next;
}

void HostTransport::take(NetworkEvent event, net::TransportEvents& events) {
    Target* target = target_of(event.end);
    switch (event.kind) {
        case NetworkEvent::Kind::accepted:
            channels_[event.end] = {0, event.remote, false, 0, {}};
            return;
        case NetworkEvent::Kind::connected:
            if (target == nullptr) return network_.close(event.end, now_);
            target->linked = true;
            channels_[event.end] = {target->id, event.remote, true, 0, {}};
            return events.opened(event.end, target->id, "sim://" + std::to_string(event.remote));
        case NetworkEvent::Kind::refused:
            if (target != nullptr) failed(*target, net::LossReason::refused, events);
            return;
        case NetworkEvent::Kind::failed:
            if (target != nullptr) failed(*target, net::LossReason::disconnected, events);
            return;
        case NetworkEvent::Kind::down: {
            if (target != nullptr) wait(*target);
            const auto at = channels_.find(event.end);
            if (at == channels_.end()) return;
            const bool opened = at->second.opened;
            channels_.erase(at);
            if (opened) events.lost(event.end, net::LossReason::disconnected, "simulated loss");
            return;
        }
        case NetworkEvent::Kind::frame: break;
    }
    const auto at = channels_.find(event.end);
    if (at == channels_.end()) return;
    if (!std::exchange(at->second.opened, true)) {
        events.opened(event.end, 0, "sim://" + std::to_string(event.remote));
    }
    const auto again = channels_.find(event.end);  // opened() may have closed it
    if (again == channels_.end()) return;
    look_at(again->second, event.frame);
    auto kept = std::make_shared<Frame>(std::move(event.frame));
    net::Received received{kept->head, kept->records, kept->two_parts, kept};
    events.received(event.end, std::move(received));
}

void HostTransport::look_at(Channel& channel, const Frame& frame) {
    const wire::FrameType type = type_of(frame.head);
    if (type == wire::FrameType::hello || type == wire::FrameType::reject) return;
    if (frame.head.size() < wire::kFrameHeaderBytes || channel.nonce == 0) return;
    // A late frame of an earlier connection says nothing about who is at the other end now.
    if (base::load<std::uint64_t>(frame.head.data() + kNonceAt) != channel.nonce) return;
    watcher_.heard(channel.remote);
    if (type != wire::FrameType::offer) return;
    const wire::DecodedFrame decoded = wire::decode(frame.head);
    if (const auto* offer = std::get_if<wire::Offer>(&decoded.frame.body)) {
        channel.offered[decoded.frame.header.stream] = offer->stream;
    }
}

net::SendResult HostTransport::put(net::ChannelId channel, Frame frame) {
    const auto at = channels_.find(channel);
    if (at == channels_.end()) return net::SendResult::gone;
    switch (type_of(frame.head)) {
        case wire::FrameType::hello: {
            const wire::DecodedFrame decoded = wire::decode(frame.head);
            if (const auto* hello = std::get_if<wire::Hello>(&decoded.frame.body)) {
                at->second.nonce = hello->nonce;
            }
            break;
        }
        case wire::FrameType::settle: {
            const wire::DecodedFrame decoded = wire::decode(frame.head);
            if (const auto* settle = std::get_if<wire::Settle>(&decoded.frame.body)) {
                const auto offered = at->second.offered.find(decoded.frame.header.stream);
                if (offered != at->second.offered.end())
                    watcher_.settling(offered->second, *settle);
            }
            break;
        }
        default: break;
    }
    if (watcher_.tracing()) watcher_.sending(at->second.remote, describe(frame));
    plant(frame);
    if (network_.send(channel, std::move(frame), now_)) return net::SendResult::sent;
    if (full_retry_at_ == base::kNever) full_retry_at_ = base::after(now_, kFullRetry);
    return net::SendResult::full;
}

void HostTransport::plant(Frame& frame) const {
    if (canary_ != Canary::forget_flag || type_of(frame.head) != wire::FrameType::batch) return;
    const wire::DecodedFrame decoded = frame.two_parts
                                           ? wire::decode_parts(frame.head, frame.records)
                                           : wire::decode(frame.head);
    if (!decoded.ok()) return;
    wire::Batch batch = std::get<wire::Batch>(decoded.frame.body);
    const std::vector<std::byte> records(batch.records.begin(), batch.records.end());
    for (wire::BatchRun& run : batch.runs) {
        run.flags &= static_cast<std::uint8_t>(~wire::kRedelivered);
    }
    batch.records = records;
    Frame altered;
    wire::encode(decoded.frame.header.stream, decoded.frame.header.nonce, batch, altered.head);
    frame = std::move(altered);
}

net::SendResult HostTransport::send(net::ChannelId channel, base::ByteSpan head) {
    return put(channel, {{head.begin(), head.end()}, {}, nullptr, false});
}

net::SendResult HostTransport::send(net::ChannelId channel, base::ByteSpan head,
                                    base::ByteSpan records, std::shared_ptr<const void> pin) {
    return put(channel, {{head.begin(), head.end()}, records, std::move(pin), true});
}

void HostTransport::close(net::ChannelId channel) {
    if (channels_.erase(channel) == 0) return;
    if (Target* target = target_of(channel)) wait(*target);
    network_.close(channel, now_);
}

void HostTransport::accept(net::ChannelId channel) {
    if (Target* target = target_of(channel)) target->wait = limits::kReconnectWaitMin;
}

bool HostTransport::watch_process(std::uint64_t watch, std::uint32_t pid, std::uint64_t) {
    watches_.push_back({watch, pid});
    return true;
}

void HostTransport::unwatch_process(std::uint64_t watch) {
    std::erase_if(watches_, [&](const Watch& each) { return each.watch == watch; });
}

}  // namespace peermq::sim
