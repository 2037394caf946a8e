// Consumers come, fall silent, come back and die; what they hold follows them.

#include <algorithm>

#include "base/assert.hpp"
#include "delivery/group_impl.hpp"

namespace peermq::delivery {

void Group::Impl::add_consumer(ConsumerId id) {
    PEERMQ_ASSERT(id != 0);
    consumers_.add(id);
}

void Group::Impl::set_window(ConsumerId id, std::uint32_t messages, std::uint64_t bytes,
                             std::uint32_t concurrency) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;
    consumer->window_messages = messages;
    consumer->window_bytes = bytes;
    consumer->concurrency = std::max<std::uint32_t>(concurrency, 1);
}

void Group::Impl::suspect_consumer(ConsumerId id, Time now) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;
    if (consumer->link == ConsumerLink::lapsed) return;
    consumer->link = ConsumerLink::suspect;
    consumer->deadline = base::after(now, options_.resume_grace);
    consumer->announcing = false;
}

void Group::Impl::lapse(Consumer& consumer, Time now) {
    // What must not run twice waits on for its holder, until his lease ends.
    for (auto it = spans_.begin(); it != spans_.end(); ++it) {
        if (it->second.state != SpanState::leased || it->second.holder != consumer.id) continue;
        const Run run = SpanTable::run(it);
        if (options_.repeat == Repeat::always) {
            come_back(it, true, true);
            continue;
        }
        for (const Run part : repeatable_.intersection(run)) {
            give_up(spans_.isolate(spans_.ending_at_or_after(part.first), part), true);
        }
    }
    consumer.overdue.clear();
    consumer.link = ConsumerLink::lapsed;
    consumer.deadline = base::after(now, options_.lease_duration);
    consumers_.requeue(consumer.id);
}

void Group::Impl::resume_consumer(ConsumerId id) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;
    const bool lapsed = consumer->link == ConsumerLink::lapsed;
    consumer->link = ConsumerLink::resuming;
    consumer->deadline = base::kNever;
    consumer->announcing = false;
    if (lapsed) consumers_.requeue(id);
}

void Group::Impl::close_window(ConsumerId id) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;
    consumer->window_messages = 0;
    consumer->window_bytes = 0;
}

std::vector<Seq> Group::Impl::held_in_hand_out_order(ConsumerId id) {
    std::vector<std::pair<LeaseId, Seq>> held;
    for (const auto& [first, span] : spans_.map()) {
        if (span.holder != id) continue;
        if (span.state == SpanState::leased || span.open) held.push_back({span.lease, first});
    }
    std::sort(held.begin(), held.end());
    std::vector<Seq> firsts;
    firsts.reserve(held.size());
    for (const auto& [lease, first] : held) firsts.push_back(first);
    return firsts;
}

void Group::Impl::remove_consumer(ConsumerId id, bool crashed, Time now) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;
    now_ = std::max(now_, now);
    std::uint64_t budget = crashed ? consumer->concurrency : 0;
    for (const Seq first : held_in_hand_out_order(id)) {
        SpanIt it = spans_.find(first);
        const Seq last = it->second.last;
        const std::uint64_t charged = charge(it, budget);
        budget -= charged;
        if (first + charged > last) continue;
        it = spans_.find(first + charged);
        if (it->second.state == SpanState::leased) {
            give_up(it, false);
        } else {
            it->second.open = false;
        }
    }
    if (reserved_ == id) reserved_ = 0;
    consumers_.remove(id);
}

std::uint64_t Group::Impl::charge(SpanIt it, std::uint64_t budget) {
    const Run run = SpanTable::run(it);
    const std::uint64_t charged = std::min(budget, run.count());
    for (Seq seq = run.first; seq < run.first + charged; ++seq) {
        const SpanIt one = spans_.isolate(spans_.ending_at_or_after(seq), {seq, seq});
        if (!spend_repeat(seq)) {
            end_unclear(one);
            continue;
        }
        const bool certain = one->second.alone;
        RetryState& retry = message_of(one).retry;
        retry.due = {};
        ++(certain ? retry.crashes : retry.suspicions);
        ++(certain ? counters_.crashes : counters_.suspicions);
        failed(one, certain ? "the consumer died while it worked on this message alone"
                            : "the consumer died while it may have worked on this message");
    }
    // The rest begins at a span of its own, so that the caller finds it.
    if (charged > 0 && charged < run.count()) {
        PEERMQ_ASSERT(spans_.find(run.first + charged) != spans_.end());
    }
    return charged;
}

bool Group::Impl::adoptable(const Span& span, ConsumerId id, LeaseId lease) const {
    if (lease.counter == 0) return false;
    const bool holder_here = span.holder != 0 && consumers_.find(span.holder) != nullptr;
    if (span.state == SpanState::leased && span.holder == id) return span.lease == lease;
    const bool older = span.lease.epoch < epoch_ && lease.epoch < epoch_;
    if (span.state == SpanState::leased) return older && span.lease < lease;
    const bool waiting = span.state == SpanState::available || span.state == SpanState::blocked ||
                         span.state == SpanState::delayed || span.state == SpanState::unclear;
    // What one gave back while others were not heard may be in the hands of a later one.
    const bool later = older && span.lease < lease;
    if (later && span.state != SpanState::dying && may_be_held(span)) return true;
    if (!waiting || !span.open) return false;
    if (later) return true;
    return span.lease == lease && (span.holder == id || !holder_here);
}

/// Another consumer is inside the key of a waiting message.
bool Group::Impl::key_taken(SpanIt it, ConsumerId id, bool started) {
    const std::uint64_t key = key_of(it);
    if (key == 0 || it->second.state == SpanState::leased || !keys_.leased(key)) return false;
    // It was inside before the restart, so that the other one was not any more: whatever that one
    // says of an earlier message of the key had reached the process before, but not the disk.
    if (started && may_be_held(it->second)) return false;
    const std::set<Seq>& seqs = keys_.find(key)->seqs;
    return std::any_of(seqs.begin(), seqs.end(), [&](Seq seq) {
        const Span& other = spans_.find(seq)->second;
        return other.state == SpanState::leased && other.holder != id;
    });
}

void Group::Impl::adopt(SpanIt it, Consumer& consumer, LeaseId lease, Time now) {
    overrule(it, consumer.id);
    const std::uint64_t key = key_of(it);
    detach(it);
    Span& span = it->second;
    span.state = SpanState::leased;
    span.open = false;
    span.lease = lease;
    span.holder = consumer.id;
    span.expires = base::after(now, options_.lease_duration);
    attach(it);
    if (span.special) messages_.at(it->first).retry.due = {};
    consumer.overdue.remove(SpanTable::run(it));
    if (key != 0) refresh_key(key);
}

void Group::Impl::announce_run(Consumer& consumer, const HeldRun& held, Time now,
                               std::vector<Run>& revoked) {
    const auto revoke = [&](Run run) {
        if (!options_.ack_required && run.last <= end_) {
            consumer.overdue.add(run);  // given to it and to nobody else
            return;
        }
        for (const Run missing : consumer.settled.missing(held.lease, run)) {
            revoked.push_back(missing);
            // A handler that runs fills its slot until it ends; what did not start is dropped.
            if (missing.last > end_) continue;
            const bool room = consumer.overdue.run_count() < base::limits::kSettledMemoryRunsMax;
            if (held.started && room) consumer.overdue.add(missing);
        }
    };
    Seq next = held.run.first;
    auto it = spans_.ending_at_or_after(held.run.first);
    while (it != spans_.end() && it->first <= held.run.last) {
        const Run part{std::max(it->first, held.run.first),
                       std::min(it->second.last, held.run.last)};
        if (next < part.first) revoke({next, part.first - 1});
        next = part.last + 1;
        const Span& span = it->second;
        const bool mine = span.state == SpanState::leased && span.holder == consumer.id;
        if (key_taken(it, consumer.id, held.started) || !adoptable(span, consumer.id, held.lease)) {
            if (!mine || !consumer.announced.contains(part.first)) revoke(part);
            ++it;
            continue;
        }
        it = spans_.isolate(it, part);
        const auto following = std::next(it);
        adopt(it, consumer, held.lease, now);
        consumer.announced.add(part);
        it = following;
    }
    if (next <= held.run.last && next != 0) revoke({next, held.run.last});
}

std::vector<Run> Group::Impl::announce(ConsumerId id, std::span<const HeldRun> held, bool complete,
                                       Time now) {
    now_ = std::max(now_, now);
    std::vector<Run> revoked;
    Consumer* consumer = consumers_.find(id);
    if (consumer != nullptr && !consumer->announcing) {
        consumer->announcing = true;
        consumer->announced.clear();
        consumer->overdue.clear();  // what still fills its slots is said now
    }
    for (const HeldRun& one : held) {
        if (one.run.empty()) continue;
        if (consumer == nullptr) {
            revoked.push_back(one.run);
        } else {
            announce_run(*consumer, one, now, revoked);
        }
    }
    if (consumer == nullptr || !complete) return revoked;
    for (auto it = spans_.begin(); it != spans_.end();) {
        if (it->second.state != SpanState::leased || it->second.holder != id) {
            ++it;
            continue;
        }
        const Run run = SpanTable::run(it);
        const auto following = std::next(it);
        for (const Run lost : consumer->announced.gaps(run)) {
            it = spans_.isolate(spans_.ending_at_or_after(lost.first), lost);
            come_back(it, false, false);
        }
        it = following;
    }
    consumer->announced.clear();
    consumer->announcing = false;
    consumer->announced_once = true;
    if (consumer->link == ConsumerLink::resuming) consumer->link = ConsumerLink::up;
    return revoked;
}

void Group::Impl::take_back(ConsumerId id, Run run, LeaseId lease) {
    auto it = spans_.ending_at_or_after(run.first);
    while (it != spans_.end() && it->first <= run.last) {
        const Run part{std::max(it->first, run.first), std::min(it->second.last, run.last)};
        const Span& span = it->second;
        if (span.state == SpanState::leased && span.holder == id && span.lease == lease) {
            it = spans_.isolate(it, part);
            come_back(it, false, false);
        }
        ++it;
    }
}

void Group::Impl::renew(ConsumerId id, std::span<const Run> runs, Time now) {
    now_ = std::max(now_, now);
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;
    for (const Run& run : runs) {
        if (run.empty()) continue;
        auto it = spans_.ending_at_or_after(run.first);
        while (it != spans_.end() && it->first <= run.last) {
            const Run part{std::max(it->first, run.first), std::min(it->second.last, run.last)};
            const bool mine = it->second.holder == id;
            const bool leased = mine && it->second.state == SpanState::leased;
            const std::uint64_t key = key_of(it);
            // Late, but nobody else was given it: the lease lives on.
            const bool late = mine && it->second.open && !(key != 0 && keys_.leased(key));
            if (leased || late) {
                it = spans_.isolate(it, part);
                adopt(it, *consumer, it->second.lease, now);
            }
            ++it;
        }
    }
}

}  // namespace peermq::delivery
