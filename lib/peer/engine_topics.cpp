/// Topics, at the publisher: records come in, filters look at them, slow subscriptions meet their
/// policy, what everybody has had is forgotten.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "peer/engine_hand_out.hpp"

namespace peermq::detail {
namespace {

/// Records that a filter looks at before others have their turn.
constexpr std::uint64_t kLookMax = 8192;
/// With fewer messages behind the oldest that is held, nobody looks for settled ones among them.
constexpr std::uint64_t kSparseMin = 1024;
constexpr auto kSparseInterval = std::chrono::milliseconds(10);

/// One turn of a subscription's filter: what it does not take, and what finds no room.
struct Look {
    TopicFilter& filter;
    bool bounded = false;    ///< new ones are dropped when there is no room
    std::uint64_t room = 0;  ///< for messages that it takes
    std::uint64_t left = kLookMax;
    std::uint64_t dropped = 0;
    std::vector<base::Run> unwanted{};

    void leave_out(base::Run run) {
        if (!unwanted.empty() && unwanted.back().last + 1 == run.first) {
            unwanted.back().last = run.last;
        } else {
            unwanted.push_back(run);
        }
    }
    void take_all(base::Run run) {
        const std::uint64_t taken = std::min(room, run.count());
        if (bounded) room -= taken;
        const base::Run rest{run.first + taken, run.last};
        if (rest.empty()) return;
        dropped += rest.count();
        leave_out(rest);
    }
    /// Returns how far it came.
    base::Seq look_at(const Chunk& chunk, base::Run run) {
        base::Seq at = run.first;
        for (; at <= run.last && left > 0; ++at, --left) {
            const record::Record record = record::parts(chunk.bytes({at, at}));
            const bool wanted = filter.takes(record.topic, record.headers);
            if (!wanted || room == 0) leave_out({at, at});
            if (wanted && room == 0) ++dropped;
            if (wanted && room > 0 && bounded) --room;
        }
        return at - 1;
    }
};

}  // namespace

void Engine::add_topic(const std::shared_ptr<OutStream>& stream, TopicOptions options,
                       const std::shared_ptr<OutStream>& dead_letters) {
    PEERMQ_ASSERT(find_topic(*stream) == nullptr);
    auto added = std::make_unique<Topic>();
    added->stream = stream;
    added->options = options;
    added->dead_letters = dead_letters;
    Topic& topic = *added;
    topics_.emplace(stream->config().name, std::move(added));
    note_progress(topic);
    for (const auto& [channel, link] : links_) {
        if (!link->up()) continue;
        for (const auto& [handle, wanted] : link->subscribes) {
            const std::uint64_t ticket = subscribe(*link, topic, wanted);
            confirm_subscription(*link, wanted, ticket);
        }
    }
}

Topic* Engine::find_topic(const OutStream& stream) const {
    if (stream.config().kind != spool::StreamKind::topic) return nullptr;
    const auto it = topics_.find(stream.config().name);
    return it == topics_.end() ? nullptr : it->second.get();
}

void Engine::advance(Topic& topic) {
    for (Producer* producer : topic.groups) {
        (void)take_in(*producer);
        wake(*producer);
    }
    // While nobody subscribes, nobody else asks to be told of the next record; see took_all().
    if (topic.groups.empty() && !topic.stream->stored()) topic.stream->listed.store(false);
    note_progress(topic);
}

bool Engine::take_in(Producer& producer) {
    const base::Seq end = producer.stream->handable_end();
    if (!producer.subscription) {
        if (!producer.stream->stored()) producer.group.append(end);
        return false;
    }
    Subscription& subscription = *producer.subscription;
    const base::Seq before = subscription.scanned;
    if (before < end) look_through(producer, end);
    if (subscription.live()) {
        limit_backlog(producer);
    } else {
        limit_lag(producer);
    }
    return subscription.scanned > before && subscription.scanned < end;
}

/// The filter looks at records up to `end`, or as many as one turn allows; the group gets those
/// that it takes.
void Engine::look_through(Producer& producer, base::Seq end) {
    Subscription& subscription = *producer.subscription;
    const base::RunSet& finished = subscription.topic->finished;
    const bool bounded = subscription.live() && subscription.wanted.slow == wire::Slow::drop_newest;
    const std::uint64_t buffer = subscription.wanted.buffer;
    const std::uint64_t fresh = producer.group.fresh();
    const std::uint64_t ahead = std::max(base::limits::kFilterAheadMax,
                                         subscription.wanted.max_lag);
    if (!subscription.live() && !subscription.filter.takes_all() && fresh > ahead) return;
    Look look{subscription.filter, bounded,
              bounded ? buffer - std::min(buffer, fresh) : std::uint64_t{UINT64_MAX}};
    HandOut source(*this, producer);
    base::Seq at = subscription.scanned + 1;
    while (at <= end && look.left > 0) {
        base::Run run{at, end};
        const auto gone = finished.next_from(at);
        if (gone && gone->first == at) {
            run.last = std::min(gone->last, end);
            look.leave_out(run);
        } else {
            if (gone) run.last = std::min(end, gone->first - 1);
            if (subscription.draining) {
                look.leave_out(run);
            } else if (subscription.filter.takes_all()) {
                look.take_all(run);
            } else if (const OutStream::Cached found = source.find(at); found.chunk) {
                run.last = look.look_at(*found.chunk, {at, std::min(run.last, found.run.last)});
            } else if (source.lost().empty()) {
                break;  // cannot be read now: again at the next turn
            } else {
                run.last = std::clamp(source.lost().back().last, at, end);
                look.leave_out(run);
                count_missed(producer, run.count(), wire::GapReason::damage, run.last + 1);
            }
        }
        at = run.last + 1;
    }
    subscription.scanned = at - 1;
    producer.group.append(subscription.scanned);
    for (const base::Run run : look.unwanted) producer.group.skip(run);
    if (!look.unwanted.empty()) note_progress(*subscription.topic);
    count_missed(producer, look.dropped, wire::GapReason::slow, at);
}

void Engine::limit_backlog(Producer& producer) {
    Subscription& subscription = *producer.subscription;
    const std::uint64_t waiting = producer.group.fresh();
    const std::uint64_t buffer = subscription.wanted.buffer;
    switch (subscription.wanted.slow) {
        case wire::Slow::drop_newest: return;  // met when the filter looked
        case wire::Slow::block: return hold(subscription, waiting >= buffer);
        case wire::Slow::drop_oldest: {
            if (waiting <= buffer) return;
            const std::uint64_t dropped = producer.group.drop_oldest(waiting - buffer);
            count_missed(producer, dropped, wire::GapReason::slow, subscription.scanned + 1);
            note_progress(*subscription.topic);
            return;
        }
        case wire::Slow::disconnect: break;
    }
    if (waiting > buffer && !subscription.draining) {
        subscription.draining = true;
        const std::uint64_t dropped = producer.group.drop_oldest(UINT64_MAX);
        count_missed(producer, dropped, wire::GapReason::slow, subscription.scanned + 1);
        count_subscribers(*subscription.topic);
    }
    if (!subscription.draining || producer.ending || producer.group.stats().depth > 0) return;
    producer.ending = true;
    ending_.push_back(&producer);
}

void Engine::hold(Subscription& subscription, bool held) {
    if (subscription.holding == held) return;
    subscription.holding = held;
    Topic& topic = *subscription.topic;
    topic.holding += held ? 1 : std::size_t{0} - 1;
    topic.stream->hold(topic.holding > 0);
}

void Engine::count_missed(Producer& producer, std::uint64_t messages, wire::GapReason reason,
                          base::Seq before) {
    if (messages == 0) return;
    Subscription& subscription = *producer.subscription;
    subscription.missed += messages;
    subscription.missed_before = before;
    subscription.missed_reason = reason;
    subscription.record_due = !subscription.live();
}

/// Tells all members what the subscription has missed since they came and were not told yet.
void Engine::tell_missed(Producer& producer) {
    Subscription& subscription = *producer.subscription;
    for (auto& [consumer, binding] : producer.consumers) {
        const std::uint64_t missed = subscription.missed - binding.missed_base;
        if (missed == binding.missed_told || binding.handle == 0) continue;
        LinkState* link = binding.session->link;
        if (link == nullptr || link->closed) continue;
        binding.missed_told = missed;
        if (subscription.told != subscription.missed) {
            subscription.told = subscription.missed;
            subscription.record_due = !subscription.live();
        }
        send(*link, binding.handle,
             wire::Gap{consumer, missed, subscription.missed_before, subscription.missed_reason});
    }
}

void Engine::note_progress(Topic& topic) {
    if (std::exchange(topic.dirty, true)) return;
    dirty_topics_.push_back(&topic);
}

void Engine::finish_topics() {
    for (Topic* topic : std::exchange(dirty_topics_, {})) {
        topic->dirty = false;
        finish(*topic);
    }
}

/// Forgets what every subscription has settled.
void Engine::finish(Topic& topic) {
    OutStream& stream = *topic.stream;
    base::Seq settled = stream.handable_end();
    for (const Producer* producer : topic.groups)
        settled = std::min(settled, producer->group.settled_floor());
    if (settled > topic.settled) {
        stream.settled_by_all({topic.settled + 1, settled});
        topic.settled = settled;
        if (stream.stored()) stream.set_cursor(settled);
    }
    if (topic.options.retain) {
        const bool more = note_values(topic);
        retain(topic);
        if (more) wake_topic(topic);
    }
    const base::Seq kept_from = topic.options.retain ? topic.kept_from : base::kSeqMax;
    forget(topic, topic.finished.gaps({1, std::min(topic.settled, kept_from - 1)}));
    forget_superseded(topic);
    // Somebody holds an old message: what all have settled behind it need not stay with it.
    if (now_ < topic.sparse_after) return;
    const bool many = stream.handable_end() - topic.settled >= kSparseMin;
    const bool tight = !stream.stored() &&
                       stream.memory_bytes() > stream.config().memory_bytes_max / 4;
    if (!many && !tight) return;
    topic.sparse_after = base::after(now_, kSparseInterval);
    forget_sparse(topic);
}

/// What every group has settled above the floor of the slowest.
void Engine::forget_sparse(Topic& topic) {
    base::Seq last = topic.stream->handable_end();
    if (topic.options.retain) last = std::min(last, topic.kept_from - 1);
    std::vector<base::Run> common = topic.finished.gaps({topic.settled + 1, last});
    for (const Producer* producer : topic.groups) {
        const base::Seq floor = producer->group.settled_floor();
        std::vector<base::Run> kept;
        for (const base::Run run : common) {
            if (run.first <= floor) kept.push_back({run.first, std::min(run.last, floor)});
            const base::Run above{std::max(run.first, floor + 1), run.last};
            if (above.empty()) continue;
            const auto parts = producer->group.settled_above_floor().intersection(above);
            kept.insert(kept.end(), parts.begin(), parts.end());
        }
        common = std::move(kept);
    }
    forget(topic, common);
}

/// Nobody can ask for these any more.
void Engine::forget(Topic& topic, const std::vector<base::Run>& runs) {
    OutStream& stream = *topic.stream;
    std::vector<spool::StateChange> changes;
    for (const base::Run run : runs) {
        stream.forget(run);
        topic.finished.add(run);
        if (commits_ == nullptr || !stream.stored()) continue;
        spool::StateChange change;
        change.kind = spool::StateChange::Kind::settled;
        change.stream = stream.config().index;
        change.run = run;
        changes.push_back(std::move(change));
    }
    if (changes.empty()) return;
    const std::uint64_t ticket = commits_->add_changes(std::move(changes), {}, false);
    if (std::exchange(topic.retain_storing, true)) return;
    when_stored(ticket, [&topic] { topic.retain_storing = false; });
}

bool Engine::relieve(const OutStream& stream, bool drop_oldest) {
    Topic& topic = *find_topic(stream);
    const std::uint64_t before = topic.finished.size();
    advance(topic);
    let_go(topic);
    Producer* last = nullptr;
    for (Producer* producer : topic.groups) {
        const Subscription& subscription = *producer->subscription;
        const bool blocks = subscription.wanted.slow == wire::Slow::block;
        if (subscription.live() ? blocks : !drop_oldest) continue;
        if (producer->group.fresh() == 0) continue;
        if (last == nullptr || producer->group.settled_floor() < last->group.settled_floor())
            last = producer;
    }
    if (last != nullptr) {
        // Half of what waits, so that this is not needed for every message.
        const std::uint64_t dropped = last->group.drop_oldest(last->group.fresh() / 2 + 1);
        count_missed(*last, dropped, wire::GapReason::slow, last->subscription->scanned + 1);
        store_facts(*last);
    }
    finish(topic);
    forget_sparse(topic);
    return topic.finished.size() > before;
}

void Engine::count_subscribers(Topic& topic) {
    const auto connected = [](const Producer* producer) {
        return !producer->ending && !producer->subscription->draining &&
               std::any_of(producer->consumers.begin(), producer->consumers.end(),
                           [](const auto& entry) { return entry.second.handle != 0; });
    };
    const auto count = std::count_if(topic.groups.begin(), topic.groups.end(), connected);
    topic.stream->set_subscribers(static_cast<std::size_t>(count));
}

bool Engine::published(const OutStream& stream) {
    const Topic* topic = find_topic(stream);
    const base::Seq end = topic->stream->accepted_end();
    return std::all_of(topic->groups.begin(), topic->groups.end(), [&](const Producer* producer) {
        const bool connected = std::any_of(
            producer->consumers.begin(), producer->consumers.end(),
            [](const auto& entry) { return entry.second.handle != 0; });
        return !connected ||
               (producer->subscription->scanned >= end && producer->group.settled_floor() >= end);
    });
}

}  // namespace peermq::detail
