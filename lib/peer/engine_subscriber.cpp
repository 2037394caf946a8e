/// Subscriptions, at the subscriber: asking every peer for them, what the peers confirm, gaps.

#include <algorithm>

#include "base/assert.hpp"
#include "peer/engine.hpp"
#include "peer/engine_state.hpp"

namespace peermq::detail {
namespace {

std::string_view reason_text(wire::GapReason reason) {
    switch (reason) {
        case wire::GapReason::slow: return "it took them too slowly";
        case wire::GapReason::lag: return "they exceeded max_lag";
        case wire::GapReason::expired: return "the subscription had expired";
        case wire::GapReason::damage: return "they are damaged at the publisher";
        case wire::GapReason::gone: return "the publisher had forgotten them before it came back";
    }
    return "unknown";
}

}  // namespace

void Engine::add_subscriber(const std::shared_ptr<InStream>& stream, wire::Subscribe wanted) {
    auto consumer = std::make_unique<Consumer>();
    consumer->stream = stream;
    consumer->want = static_cast<std::uint32_t>(next_id_++);
    wanted.handle = consumer->want;
    wanted.version = 1;
    consumer->subscribe = std::move(wanted);
    consumers_.push_back(std::move(consumer));
    for (const auto& [channel, link] : links_) {
        if (link->up()) send_wants(*link, *consumers_.back());
    }
    tell_confirmed(*consumers_.back());
}

Consumer* Engine::find_consumer(const InStream& stream) const {
    const auto it = std::find_if(consumers_.begin(), consumers_.end(), [&](const auto& consumer) {
        return consumer->stream.get() == &stream;
    });
    return it == consumers_.end() ? nullptr : it->get();
}

wire::Subscribe Engine::subscription(const InStream& stream) const {
    const Consumer* consumer = find_consumer(stream);
    return consumer == nullptr ? wire::Subscribe{} : *consumer->subscribe;
}

std::uint32_t Engine::change_subscription(const InStream& stream, wire::Subscribe wanted) {
    Consumer* consumer = find_consumer(stream);
    if (consumer == nullptr) return 0;
    wanted.handle = consumer->want;
    wanted.version = consumer->subscribe->version + 1;
    consumer->subscribe = std::move(wanted);
    for (const auto& [channel, link] : links_) {
        if (link->up()) send_subscribe(*link, *consumer);
    }
    tell_confirmed(*consumer);
    return consumer->subscribe->version;
}

void Engine::send_subscribe(LinkState& link, const Consumer& consumer) {
    wire::Subscribe wanted = *consumer.subscribe;
    if (consumer.stream->live()) {
        const auto taken = consumer.stream->with_inbox(
            [](const delivery::Inbox& inbox) { return inbox.taken(); });
        for (const base::StreamId& stream : consumer.ended) {
            if (wanted.resume.size() == base::limits::kRunsPerFrameMax) break;
            wanted.resume.push_back({stream, base::kSeqMax});
        }
        for (const auto& [stream, seq] : taken) {
            if (wanted.resume.size() == base::limits::kRunsPerFrameMax) break;
            if (!consumer.ended.contains(stream)) wanted.resume.push_back({stream, seq});
        }
    }
    send(link, 0, wanted);
}

void Engine::on_subscribed(LinkState& link, const wire::Subscribed& subscribed) {
    for (const auto& consumer : consumers_) {
        if (consumer->want != subscribed.handle || !consumer->subscribe) continue;
        consumer->confirmed[link.channel] = subscribed;
        tell_confirmed(*consumer);
    }
}

/// Sums up what the linked peers have confirmed.
void Engine::tell_confirmed(Consumer& consumer) {
    SubscriptionState state;
    state.version = consumer.subscribe->version;
    for (const auto& [channel, link] : links_) {
        if (!link->up()) continue;
        ++state.peers;
        const auto told = consumer.confirmed.find(channel);
        if (told == consumer.confirmed.end()) {
            state.version = 0;
            continue;
        }
        state.version = std::min(state.version, told->second.version);
        state.publishers += told->second.publishers;
        if (!told->second.refusal.empty()) state.refusals.push_back(told->second.refusal);
    }
    consumer.stream->set_subscription(std::move(state));
}

void Engine::on_gap(LinkState& link, std::uint32_t handle, const wire::Gap& gap) {
    const auto it = link.incoming.find(handle);
    if (it == link.incoming.end()) return;
    InStream& stream = *it->second.consumer->stream;
    Session::Source& source = link.session->sources[{it->second.stream, &stream}];
    if (source.missed_consumer != gap.consumer) {
        source.missed_consumer = gap.consumer;
        source.missed = 0;
    }
    if (gap.missed <= source.missed) return;  // told before, over a link that was lost
    const std::uint64_t count = gap.missed - source.missed;
    source.missed = gap.missed;
    stream.count_missed(count);
    events_.emit({EventKind::gap, link.session->peer.hex(), stream.queue(), count,
                  "subscription \"" + stream.queue() + "\" has missed " + std::to_string(count) +
                      " message(s) before sequence " + std::to_string(gap.before) + ": " +
                      std::string(reason_text(gap.reason))});
}

}  // namespace peermq::detail
