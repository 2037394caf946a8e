/// Durable subscriptions, at the publisher: what the spool keeps of them, how far they may lag, and
/// what their publisher may do to them.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "peer/engine_hand_out.hpp"
#include "peer/subscription_record.hpp"

namespace peermq::detail {
namespace {

/// While members are there, the spool is told so no more often than this.
constexpr auto kSeenInterval = std::chrono::hours(1);

}  // namespace

// --- the spool

void Engine::recover_topic(const OutStream& stream, const spool::RecoveredStream& recovered) {
    Topic& topic = *find_topic(stream);
    for (const spool::GroupState& group : recovered.groups) {
        if (group.group == 0) topic.finished = group.settled;
    }
    if (!topic.finished.empty() && topic.finished.front().first == 1)
        topic.settled = topic.finished.front().last;
    for (const spool::GroupState& group : recovered.groups) {
        topic.next_durable = std::max(topic.next_durable, group.group + 1);
        if (group.group != 0 && !group.info.empty()) recover_subscription(topic, group, recovered);
    }
    note_progress(topic);
}

void Engine::recover_subscription(Topic& topic, const spool::GroupState& group,
                                  const spool::RecoveredStream& recovered) {
    const std::optional<SubscriptionRecord> record = decode_subscription(group.info);
    if (!record) {
        events_.emit({EventKind::damage, "", topic.stream->config().name, 1,
                      "what the spool keeps of a subscription of \"" + topic.stream->config().name +
                          "\" cannot be read: it is left out"});
        return;
    }
    auto made = new_group(topic, record->wanted, group.group);
    Producer& producer = *made;
    Subscription& subscription = *producer.subscription;
    subscription.paused = record->paused;
    subscription.expired = record->expired;
    subscription.seen = record->seen;
    subscription.missed = record->untold;
    base::RunSet settled = group.settled;
    if (!settled.empty() && settled.front().first == 1)
        subscription.stored_floor = settled.front().last;
    topic.finished.for_each([&](base::Run run) { settled.add(run); });
    // The group takes up what may have been handed out; the filter looks at it before anybody gets
    // it again, and brings in the rest.
    base::Seq end = std::min(group.mark, recovered.end);
    if (!settled.empty()) end = std::max(end, settled.back().last);
    std::vector<delivery::Facts::Retry> retries;
    for (const spool::RetryRecord& retry : group.retries) {
        end = std::max(end, retry.seq);
        retries.push_back(
            {retry.seq,
             {retry.nacks, retry.crashes, retry.suspicions, retry.due, retry.last_error}});
    }
    const bool from_one = !settled.empty() && settled.front().first == 1;
    subscription.scanned = from_one ? settled.front().last : 0;
    subscription.scan_first = end;
    producer.group.recover(std::move(settled), end, group.mark, std::move(retries), now_,
                           wall_now_);
    add_group(topic, std::move(made));
}

void Engine::configure_topic(const OutStream& stream, TopicOptions options) {
    Topic& topic = *find_topic(stream);
    topic.options = options;
    topic.retain_after = {};
    options.durable.durable = stream.stored();
    for (const auto& [name, producer] : topic.durable) producer->group.configure(options.durable);
    note_progress(topic);
}

void Engine::add_subscription_changes(Producer& producer,
                                      std::vector<spool::StateChange>& changes) {
    Subscription& subscription = *producer.subscription;
    spool::StateChange change;
    change.stream = producer.stream->config().index;
    change.group = producer.index;
    if (std::exchange(subscription.record_due, false)) {
        change.kind = spool::StateChange::Kind::group;
        change.info = encode(SubscriptionRecord{subscription.wanted, subscription.paused,
                                                subscription.expired, subscription.seen,
                                                subscription.missed - subscription.told});
        changes.push_back(change);
        change.info.clear();
    }
    const base::Seq floor = producer.group.settled_floor();
    if (floor <= subscription.stored_floor) return;
    change.kind = spool::StateChange::Kind::settled;
    change.run = {subscription.stored_floor + 1, floor};
    changes.push_back(std::move(change));
    subscription.stored_floor = floor;
}

void Engine::store_subscription(Producer& producer) {
    Subscription& subscription = *producer.subscription;
    if (commits_ == nullptr || !producer.stored() || producer.ending) return;
    const bool record = subscription.record_due;
    std::vector<spool::StateChange> changes;
    add_subscription_changes(producer, changes);
    if (changes.empty()) return;
    const std::uint64_t ticket = commits_->add_changes(std::move(changes), {}, record);
    if (record) subscription.record_ticket = ticket;
}

// --- how far it may lag

/// Who is there, and whether nobody was for so long that it expires.
void Engine::note_members(Producer& producer) {
    Subscription& subscription = *producer.subscription;
    if (subscription.live()) return;
    const base::Duration expires{subscription.wanted.expires_after};
    if (!producer.consumers.empty()) {
        if (!subscription.expired && wall_now_ - subscription.seen < kSeenInterval) return;
        subscription.expired = false;
        subscription.seen = wall_now_;
        subscription.record_due = true;
    } else if (expires.count() > 0 && !subscription.expired &&
               wall_now_ - subscription.seen > expires) {
        subscription.expired = true;
        subscription.record_due = true;
        const std::string& topic = producer.stream->config().name;
        events_.emit({EventKind::gap, "", topic, producer.group.stats().depth,
                      "subscription \"" + subscription.wanted.name + "\" of \"" + topic +
                          "\" has expired: what it has not had is kept no longer"});
        wake(producer);
    }
}

void Engine::limit_lag(Producer& producer) {
    const Subscription& subscription = *producer.subscription;
    const std::uint64_t most = subscription.expired ? 0 : subscription.wanted.max_lag;
    if (most == 0 && !subscription.expired) return;
    const std::uint64_t depth = producer.group.stats().depth;
    if (depth <= most) return;
    const std::uint64_t dropped = producer.group.drop_oldest(depth - most);
    if (dropped == 0) return;
    count_missed(producer, dropped,
                 subscription.expired ? wire::GapReason::expired : wire::GapReason::lag,
                 subscription.scanned + 1);
    store_facts(producer);
}

// --- what its publisher may do

Producer& Engine::durable_named(Topic& topic, std::string_view name) const {
    const auto it = topic.durable.find(name);
    if (it != topic.durable.end()) return *it->second;
    throw Error(ErrorCode::not_found,
                "publisher \"" + topic.stream->config().name + "\" has no durable subscription \"" +
                    std::string(name.substr(0, 64)) + "\": see Publisher::subscriptions()");
}

std::vector<SubscriptionStats> Engine::subscriptions(const OutStream& stream) {
    Topic& topic = *find_topic(stream);
    advance(topic);
    const base::Seq end = topic.stream->accepted_end();
    std::vector<SubscriptionStats> all;
    for (const Producer* producer : topic.groups) {
        const Subscription& subscription = *producer->subscription;
        const delivery::GroupStats group = producer->group.stats();
        SubscriptionStats stats;
        stats.name = subscription.wanted.name;
        stats.patterns = subscription.wanted.patterns;
        for (const auto& [consumer, binding] : producer->consumers) {
            if (binding.handle != 0) stats.members.push_back(binding.session->peer.hex());
        }
        stats.lag = group.depth + (end - std::min(end, subscription.scanned));
        stats.in_flight = group.in_flight;
        stats.waiting = group.waiting;
        stats.acked = group.acked;
        stats.nacked = group.nacked;
        stats.rejected = group.rejected;
        stats.redelivered = group.redelivered;
        stats.missed = subscription.missed;
        stats.settled_up_to = std::min(producer->group.settled_floor(), end);
        stats.paused = subscription.paused;
        stats.expired = subscription.expired;
        all.push_back(std::move(stats));
    }
    return all;
}

void Engine::pause_subscription(const OutStream& stream, std::string_view name, bool paused) {
    Producer& producer = durable_named(*find_topic(stream), name);
    producer.subscription->paused = paused;
    producer.subscription->record_due = true;
    if (paused) {
        producer.group.pause();
    } else if (!closing_) {
        producer.group.resume();
    }
    store_subscription(producer);
    wake(producer);
}

base::Seq Engine::seek_target(Topic& topic, const wire::Subscribe& wanted, wire::From from,
                              std::uint64_t value) {
    const auto [first, last] = kept(*topic.stream);
    const base::Seq next = last + 1;
    switch (from) {
        case wire::From::now: return next;
        case wire::From::start: return first;
        case wire::From::time: return seq_at(topic, value);
        case wire::From::last: return seq_of_last(topic, wanted, value);
        case wire::From::sequence: break;
    }
    if (value < first || value > next) {
        throw Error(ErrorCode::invalid_argument, "seek to sequence " + std::to_string(value) +
                                                     " of \"" + topic.stream->config().name +
                                                     "\": " + std::to_string(first) + " to " +
                                                     std::to_string(next) + " are possible");
    }
    return value;
}

/// Its place can only go forward in the spool, so a new group takes the old one's name.
void Engine::seek_subscription(const OutStream& stream, std::string_view name, wire::From from,
                               std::uint64_t value) {
    Topic& topic = *find_topic(stream);
    Producer& old = durable_named(topic, name);
    const Subscription& before = *old.subscription;
    const base::Seq begin = seek_target(topic, before.wanted, from, value);
    struct Member {
        LinkState* link;
        std::uint32_t want;
    };
    std::vector<Member> members;
    for (const auto& [consumer, binding] : old.consumers) {
        if (binding.handle == 0 || binding.session->link == nullptr) continue;
        LinkState* link = binding.session->link;
        members.push_back({link, link->outgoing.at(binding.handle).want});
    }
    wire::Subscribe wanted = before.wanted;
    const bool paused = before.paused;
    const std::uint64_t missed = before.missed - before.told;
    erase_group(old, "its place was changed");
    Producer& producer = make_subscription(topic, wanted, {begin, false});
    Subscription& subscription = *producer.subscription;
    subscription.paused = paused;
    subscription.missed = missed;
    subscription.record_due = true;
    if (paused) producer.group.pause();
    for (const Member& member : members) offer(*member.link, member.want, producer);
    store_subscription(producer);
}

void Engine::erase_subscription(const OutStream& stream, std::string_view name) {
    erase_group(durable_named(*find_topic(stream), name), "the publisher has erased it");
}

void Engine::erase_group(Producer& producer, const std::string& why) {
    if (commits_ != nullptr && producer.stored()) {
        spool::StateChange change;
        change.kind = spool::StateChange::Kind::group;
        change.stream = producer.stream->config().index;
        change.group = producer.index;
        (void)commits_->add_changes({std::move(change)}, {}, true);
    }
    release_members(producer, why);
    end_subscription(producer);
}

}  // namespace peermq::detail
