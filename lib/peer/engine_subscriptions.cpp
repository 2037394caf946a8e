/// Subscriptions, at the publisher: how they come, change and end.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "delivery/topic_pattern.hpp"
#include "peer/engine_hand_out.hpp"

namespace peermq::detail {
namespace {

delivery::GroupOptions live_options() {
    delivery::GroupOptions options;
    options.max_attempts = 0;  // received is settled: nothing ever fails
    return options;
}

/// Why this cannot be subscribed; empty when it can.
std::string refusal_of(const wire::Subscribe& wanted) {
    for (const std::string& pattern : wanted.patterns) {
        if (const auto problem = delivery::pattern_problem(pattern))
            return "pattern \"" + pattern.substr(0, 64) + "\": " + *problem;
    }
    if (wanted.buffer == 0 || wanted.buffer > base::limits::kBufferMax)
        return "a buffer of 1 to 16,777,216 messages is possible";
    return {};
}

}  // namespace

void Engine::on_subscribe(LinkState& link, const wire::Subscribe& wanted) {
    if (link.subscribes.size() >= base::limits::kStreamsPerLinkMax)
        return protocol_error(link, "too many SUBSCRIBEs");
    if (const std::string refusal = refusal_of(wanted); !refusal.empty())
        return send(link, 0, wire::Subscribed{wanted.handle, wanted.version, 0, refusal});
    link.subscribes[wanted.handle] = wanted;
    for (const auto& [name, topic] : topics_) subscribe(link, *topic, wanted);
    confirm_subscription(link, wanted);
}

void Engine::confirm_subscription(LinkState& link, const wire::Subscribe& wanted) {
    const auto count = std::count_if(topics_.begin(), topics_.end(), [&](const auto& entry) {
        return std::any_of(wanted.patterns.begin(), wanted.patterns.end(),
                           [&](const std::string& pattern) {
                               return delivery::can_match_of(pattern, entry.first);
                           });
    });
    send(link, 0,
         wire::Subscribed{wanted.handle, wanted.version, static_cast<std::uint32_t>(count), {}});
}

/// The subscription that this link's handle has, or that has its name.
Producer* Engine::known_subscription(const LinkState& link, Topic& topic,
                                     const wire::Subscribe& wanted) const {
    if (!wanted.name.empty()) {
        const auto it = topic.durable.find(wanted.name);
        return it == topic.durable.end() ? nullptr : it->second;
    }
    for (const auto& [key, consumer] : link.session->consumes) {
        const Producer* producer = key.first;
        if (key.second == wanted.handle && producer->subscription && !producer->ending &&
            producer->subscription->topic == &topic) {
            return key.first;
        }
    }
    return nullptr;
}

void Engine::subscribe(LinkState& link, Topic& topic, const wire::Subscribe& wanted) {
    TopicFilter filter(wanted, topic.stream->config().name);
    Producer* producer = known_subscription(link, topic, wanted);
    if (filter.takes_nothing()) {
        if (producer != nullptr) leave_subscription(link, wanted.handle, *producer);
        return;
    }
    if (producer == nullptr) {
        if (topic.groups.size() >= base::limits::kSubscriptionsPerTopicMax) {
            return send(link, 0,
                        wire::Subscribed{wanted.handle, wanted.version, 0,
                                         "publisher \"" + topic.stream->config().name +
                                             "\" has 16,384 subscriptions: no more are possible"});
        }
        producer = &make_subscription(topic, wanted, begin_of(topic, wanted));
    } else {
        producer->subscription->wanted = wanted;
        producer->subscription->draining = false;
        producer->subscription->filter = std::move(filter);
    }
    offer(link, wanted.handle, *producer);
}

Beginning Engine::begin_of(Topic& topic, const wire::Subscribe& wanted) {
    const base::Seq next = topic.stream->accepted_end() + 1;
    if (wanted.name.empty()) {
        for (const wire::ResumePoint& point : wanted.resume) {
            if (point.stream != topic.stream->config().id) continue;
            return {std::min(point.seq + 1, next), true};
        }
    }
    switch (wanted.from) {
        case wire::From::now: break;
        case wire::From::start: return {1, false};
        case wire::From::sequence: return {std::clamp<base::Seq>(wanted.from_value, 1, next), true};
        case wire::From::time:
        case wire::From::last: break;
    }
    return {next, false};
}

Producer& Engine::make_subscription(Topic& topic, const wire::Subscribe& wanted,
                                    const Beginning& beginning) {
    const base::Seq begin = beginning.first;
    const bool live = wanted.name.empty();
    OutStream& stream = *topic.stream;
    delivery::GroupOptions options = live_options();
    auto made = std::make_unique<Producer>(
        Producer{topic.stream, delivery::Group(options, stream.config().epoch.counter, random_),
                 live ? nullptr : topic.dead_letters});
    Producer& producer = *made;
    producer.index = live ? topic.next_live++ : topic.next_durable++;
    producer.subscription = std::make_unique<Subscription>(
        Subscription{&topic, wanted, TopicFilter(wanted, stream.config().name)});
    Subscription& subscription = *producer.subscription;
    subscription.scanned = begin - 1;
    base::RunSet before;
    if (begin > 1) before.add({1, begin - 1});
    producer.group.recover(std::move(before), begin - 1, 0, {}, now_, wall_now_);
    producers_.emplace(producer.key(), std::move(made));
    topic.groups.push_back(&producer);
    if (!live) topic.durable[wanted.name] = &producer;
    if (closing_) producer.group.pause();
    if (beginning.exact) {
        const std::uint64_t gone = topic.finished.count_in({begin, stream.accepted_end()});
        count_missed(producer, gone, wire::GapReason::gone, begin + gone);
    }
    wake(producer);
    return producer;
}

/// The patterns of this member match no topic of the publisher any more.
void Engine::leave_subscription(LinkState& link, std::uint32_t handle, Producer& producer) {
    const auto outgoing = std::find_if(
        link.outgoing.begin(), link.outgoing.end(), [&](const auto& entry) {
            return entry.second.producer == &producer && entry.second.want == handle;
        });
    if (outgoing == link.outgoing.end()) return;
    send(link, outgoing->first, wire::Unoffer{"no longer subscribed"});
    const delivery::ConsumerId consumer = outgoing->second.consumer;
    producer.group.remove_consumer(consumer, false, now_);
    producer.consumers.erase(consumer);
    link.session->consumes.erase({&producer, handle});
    link.outgoing.erase(outgoing);
    pump(producer);
    member_left(producer);
}

void Engine::member_left(Producer& producer) {
    count_subscribers(*producer.subscription->topic);
    if (!producer.subscription->live() || producer.ending) return;
    producer.ending = true;
    ending_.push_back(&producer);
}

void Engine::end_subscriptions() {
    for (Producer* producer : std::exchange(ending_, {})) {
        if (producer->only != nullptr) {
            std::erase(active_, producer);
            producers_.erase(producer->key());
            continue;
        }
        Subscription& subscription = *producer->subscription;
        Topic& topic = *subscription.topic;
        hold(subscription, false);
        tell_missed(*producer);
        for (const auto& [consumer, binding] : producer->consumers) {
            for (auto it = binding.session->consumes.begin();
                 it != binding.session->consumes.end();) {
                it = it->first.first == producer ? binding.session->consumes.erase(it)
                                                 : std::next(it);
            }
            LinkState* link = binding.session->link;
            if (link == nullptr || binding.handle == 0) continue;
            send(*link, binding.handle, wire::Unoffer{"the subscription fell too far behind"});
            link->outgoing.erase(binding.handle);
        }
        std::erase(topic.groups, producer);
        if (!subscription.live()) topic.durable.erase(subscription.wanted.name);
        std::erase(active_, producer);
        count_subscribers(topic);
        note_progress(topic);
        producers_.erase(producer->key());
    }
}

}  // namespace peermq::detail
