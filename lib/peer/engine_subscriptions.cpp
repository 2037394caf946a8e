/// Subscriptions, at the publisher: how they come, change and end.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "delivery/topic_pattern.hpp"
#include "peer/engine_hand_out.hpp"

namespace peermq::detail {
namespace {

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
    // What ends is told before what begins, or the subscriber would take one for the other.
    end_subscriptions();
    link.subscribes[wanted.handle] = wanted;
    std::uint64_t ticket = 0;
    for (const auto& [name, topic] : topics_)
        ticket = std::max(ticket, subscribe(link, *topic, wanted));
    confirm_subscription(link, wanted, ticket);
}

/// Once what is new of it is stored.
void Engine::confirm_subscription(LinkState& link, const wire::Subscribe& wanted,
                                  std::uint64_t ticket) {
    const auto count = std::count_if(topics_.begin(), topics_.end(), [&](const auto& entry) {
        return std::any_of(wanted.patterns.begin(), wanted.patterns.end(),
                           [&](const std::string& pattern) {
                               return delivery::can_match_of(pattern, entry.first);
                           });
    });
    const wire::Subscribed answer{
        wanted.handle, wanted.version, static_cast<std::uint32_t>(count), {}};
    if (ticket == 0) return send(link, 0, answer);
    when_stored(ticket, [this, channel = link.channel, answer] {
        const auto it = links_.find(channel);
        if (it != links_.end() && it->second->up()) send(*it->second, 0, answer);
    });
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

/// Returns the ticket under which it is stored, 0 when there is nothing to wait for.
std::uint64_t Engine::subscribe(LinkState& link, Topic& topic, const wire::Subscribe& wanted) {
    TopicFilter filter(wanted, topic.stream->config().name);
    Producer* producer = known_subscription(link, topic, wanted);
    if (filter.takes_nothing()) {
        if (producer != nullptr) leave_subscription(link, wanted.handle, *producer);
        return 0;
    }
    if (producer == nullptr) {
        if (topic.groups.size() >= base::limits::kSubscriptionsPerTopicMax) {
            send(link, 0,
                 wire::Subscribed{wanted.handle, wanted.version, 0,
                                  "publisher \"" + topic.stream->config().name +
                                      "\" has 16,384 subscriptions: no more are possible"});
            return 0;
        }
        producer = &make_subscription(topic, wanted, begin_of(topic, wanted));
    } else {
        change_filter(*producer, wanted, std::move(filter));
    }
    offer(link, wanted.handle, *producer);
    note_members(*producer);
    store_subscription(*producer);
    const bool waits = commits_ != nullptr && producer->stored();
    return waits ? producer->subscription->record_ticket : 0;
}

void Engine::change_filter(Producer& producer, const wire::Subscribe& wanted,
                           TopicFilter&& filter) {
    Subscription& subscription = *producer.subscription;
    if (std::exchange(subscription.draining, false)) count_subscribers(*subscription.topic);
    const wire::Subscribe& before = subscription.wanted;
    const bool same = before.patterns == wanted.patterns && before.headers == wanted.headers &&
                      before.any_header == wanted.any_header && before.max_lag == wanted.max_lag &&
                      before.expires_after == wanted.expires_after;
    subscription.wanted = wanted;
    subscription.wanted.resume.clear();
    if (same) return;
    subscription.filter = std::move(filter);
    subscription.record_due = true;
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
        case wire::From::time: return {seq_at(topic, wanted.from_value), false};
        case wire::From::last: return {seq_of_last(topic, wanted, wanted.from_value), false};
    }
    return {next, false};
}

std::unique_ptr<Producer> Engine::new_group(Topic& topic, const wire::Subscribe& wanted,
                                            spool::GroupIndex index) {
    const OutStreamConfig& config = topic.stream->config();
    const bool live = wanted.name.empty();
    delivery::GroupOptions options;
    if (live) {
        options.max_attempts = 0;  // received is settled: nothing ever fails
    } else {
        options = topic.options.durable;
        options.durable = topic.stream->stored();
    }
    auto made = std::make_unique<Producer>(
        Producer{topic.stream, delivery::Group(options, config.epoch.counter, random_),
                 live ? nullptr : topic.dead_letters});
    made->index = index;
    made->subscription = std::make_unique<Subscription>(
        Subscription{&topic, wanted, TopicFilter(wanted, config.name)});
    made->subscription->wanted.resume.clear();
    made->subscription->seen = wall_now_;
    return made;
}

void Engine::add_group(Topic& topic, std::unique_ptr<Producer> made) {
    Producer& producer = *made;
    producers_.emplace(producer.key(), std::move(made));
    topic.groups.push_back(&producer);
    const Subscription& subscription = *producer.subscription;
    if (!subscription.live()) topic.durable[subscription.wanted.name] = &producer;
    if (closing_ || subscription.paused) producer.group.pause();
    note_progress(topic);
    wake(producer);
}

Producer& Engine::make_subscription(Topic& topic, const wire::Subscribe& wanted,
                                    const Beginning& beginning) {
    const bool live = wanted.name.empty();
    const base::Seq begin = beginning.first;
    auto made = new_group(topic, wanted, live ? topic.next_live++ : topic.next_durable++);
    Producer& producer = *made;
    Subscription& subscription = *producer.subscription;
    subscription.scanned = begin - 1;
    base::RunSet before;
    if (begin > 1) before.add({1, begin - 1});
    producer.group.recover(std::move(before), begin - 1, 0, {}, now_, wall_now_);
    add_group(topic, std::move(made));
    if (beginning.exact) {
        const base::Seq end = topic.stream->accepted_end();
        const std::uint64_t gone = topic.finished.count_in({begin, end});
        count_missed(producer, gone, wire::GapReason::gone, begin + gone);
    }
    if (!live) {
        subscription.record_due = true;
        store_subscription(producer);
    }
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
    Subscription& subscription = *producer.subscription;
    count_subscribers(*subscription.topic);
    if (!subscription.live()) {
        subscription.seen = wall_now_;
        subscription.record_due = true;
        return;
    }
    if (producer.ending) return;
    producer.ending = true;
    ending_.push_back(&producer);
}

/// Ends what its members have of it, over their links and in their sessions.
void Engine::release_members(Producer& producer, const std::string& why) {
    tell_missed(producer);
    for (const auto& [consumer, binding] : producer.consumers) {
        auto& consumes = binding.session->consumes;
        std::erase_if(consumes, [&](const auto& entry) { return entry.first.first == &producer; });
        LinkState* link = binding.session->link;
        if (link == nullptr || binding.handle == 0) continue;
        send(*link, binding.handle, wire::Unoffer{why});
        link->outgoing.erase(binding.handle);
    }
    producer.consumers.clear();
}

void Engine::end_subscription(Producer& producer) {
    Subscription& subscription = *producer.subscription;
    Topic& topic = *subscription.topic;
    hold(subscription, false);
    producer.ending = true;
    std::erase(topic.groups, &producer);
    if (const auto named = topic.durable.find(subscription.wanted.name);
        named != topic.durable.end() && named->second == &producer) {
        topic.durable.erase(named);
    }
    std::erase(active_, &producer);
    std::erase(ending_, &producer);
    count_subscribers(topic);
    note_progress(topic);
    const auto it = producers_.find(producer.key());
    // What waits to be stored of it may still refer to it.
    if (commits_ != nullptr && producer.stored()) {
        when_stored(commits_->add_changes({}, {}, false),
                    [kept = std::shared_ptr<Producer>(std::move(it->second))] {});
    }
    producers_.erase(it);
}

void Engine::end_subscriptions() {
    for (Producer* producer : std::exchange(ending_, {})) {
        if (producer->only != nullptr) {
            std::erase(active_, producer);
            producers_.erase(producer->key());
            continue;
        }
        release_members(*producer, "the subscription fell too far behind");
        end_subscription(*producer);
    }
}

}  // namespace peermq::detail
