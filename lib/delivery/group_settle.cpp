// Settlements: which are accepted, and what they do.

#include <algorithm>

#include "delivery/group_impl.hpp"

namespace peermq::delivery {

std::vector<RefusedRun> Group::Impl::settle(ConsumerId id, std::uint64_t number,
                                            std::uint64_t confirmed, const SettleEntry& entry,
                                            Time now, base::WallTime wall_now) {
    note_time(now, wall_now);
    std::vector<RefusedRun> refused;
    Run run = entry.run;
    if (run.empty()) return refused;
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr || run.first == 0 || run.first > end_) {
        refuse(refused, run, RefuseReason::unknown);
        return refused;
    }
    consumer->settled.begin(number, confirmed);
    consumer->overdue.remove(run);
    if (entry.kind == SettleKind::recalled) consumer->recall_after = {};
    const Run beyond{end_ + 1, run.last};
    run.last = std::min(run.last, end_);

    Seq next = run.first;
    auto it = spans_.ending_at_or_after(run.first);
    while (it != spans_.end() && it->first <= run.last) {
        const Run part{std::max(it->first, run.first), std::min(it->second.last, run.last)};
        settle_outside(*consumer, {next, part.first - 1}, entry.lease, refused);
        next = part.last + 1;
        const Verdict verdict = judge(it->second, id, entry.lease);
        if (!verdict.accepted) {
            for (const Run missing : consumer->settled.missing(entry.lease, part)) {
                refuse(refused, missing, verdict.reason);
            }
            ++it;
            continue;
        }
        it = spans_.isolate(it, part);
        const auto following = std::next(it);
        own(it, id, entry.lease);
        apply(it, entry);
        consumer->settled.remember(entry.lease, part);
        it = following;
    }
    settle_outside(*consumer, {next, run.last}, entry.lease, refused);
    refuse(refused, beyond, RefuseReason::unknown);
    return refused;
}

/// Seqs in no span: settled, or never handed out.
void Group::Impl::settle_outside(const Consumer& consumer, Run run, LeaseId lease,
                                 std::vector<RefusedRun>& refused) {
    if (run.empty()) return;
    const Seq looked_at = std::max(cursor_, floor_);
    const Run settled{run.first, std::min(run.last, looked_at)};
    // Settled by being handed out: what is said of it afterwards only frees its slots.
    if (!settled.empty() && options_.ack_required) {
        for (const Run missing : consumer.settled.missing(lease, settled)) {
            refuse_settled(missing, lease, refused);
        }
    }
    refuse(refused, {std::max(run.first, looked_at + 1), run.last}, RefuseReason::unknown);
}

/// Settlements that were stored just before the producer's process ended come again, unconfirmed as
/// they are; who made the stored one is not known any more, so they are no cause for alarm.
void Group::Impl::refuse_settled(Run run, LeaseId lease, std::vector<RefusedRun>& refused) {
    if (lease.epoch >= epoch_) return refuse(refused, run, RefuseReason::settled);
    for (const Run part : settled_at_start_.intersection(run)) {
        refused.push_back({part, RefuseReason::settled_before_start});
    }
    for (const Run part : settled_at_start_.gaps(run)) {
        refuse(refused, part, RefuseReason::settled);
    }
}

void Group::Impl::refuse(std::vector<RefusedRun>& refused, Run run, RefuseReason reason) {
    if (run.empty()) return;
    // A run far beyond the end is nonsense: it counts as one.
    counters_.refused += run.last <= end_ ? run.count() : 1;
    refused.push_back({run, reason});
}

Group::Impl::Verdict Group::Impl::judge(const Span& span, ConsumerId id, LeaseId lease) const {
    if (span.state == SpanState::dying) return {false, RefuseReason::settled};
    const LeaseId newest{epoch_, lease_counter_};
    if (lease.counter == 0 || lease > newest) return {false, RefuseReason::unknown};
    const bool known = span.lease.counter != 0 || span.open;  // else never handed out
    if (!known) return {false, RefuseReason::unknown};
    const bool running = span.state == SpanState::leased || span.open;
    if (running && span.holder == id && span.lease <= lease) return {true, {}};
    // From before the restart: of several holders the one with the newest lease is right.
    const bool old = (running || may_be_held(span)) && span.lease.epoch < epoch_ &&
                     lease.epoch < epoch_;
    if (old && (span.lease < lease || (span.holder == 0 && span.lease == lease))) return {true, {}};
    return {false, RefuseReason::newer_lease};
}

void Group::Impl::apply(SpanIt it, const SettleEntry& entry) {
    const Run run = SpanTable::run(it);
    switch (entry.kind) {
        case SettleKind::ack:
            counters_.acked += run.count();
            finish(it, std::nullopt);
            return;
        case SettleKind::release:
            counters_.released += run.count();
            come_back(it, true, false);
            return;
        case SettleKind::recalled:
            counters_.recalled += run.count();
            come_back(it, false, false);
            return;
        case SettleKind::nack:
        case SettleKind::reject: break;
    }
    const bool reject = entry.kind == SettleKind::reject;
    (reject ? counters_.rejected : counters_.nacked) += run.count();
    for (Seq seq = run.first; seq <= run.last; ++seq) {
        const SpanIt one = spans_.isolate(spans_.ending_at_or_after(seq), {seq, seq});
        if (reject) {
            finish(one, Death{DeadReason::rejected, entry.reason});
        } else {
            nack(one, entry);
        }
    }
}

void Group::Impl::nack(SpanIt it, const SettleEntry& entry) {
    RetryState& retry = message_of(it).retry;
    ++retry.nacks;
    const Duration wait = entry.delay ? std::max(*entry.delay, Duration::zero())
                                      : back_off(retry.nacks);
    retry.due = wait > base::WallTime::max() - wall_ ? base::WallTime::max() : wall_ + wait;
    failed(it, entry.reason);
}

Duration Group::Impl::back_off(std::uint32_t nacks) {
    Duration wait = options_.retry_wait_min;
    for (std::uint32_t n = 1; n < nacks && wait < options_.retry_wait_max; ++n) wait *= 2;
    wait = std::min(wait, Duration(options_.retry_wait_max));
    const Duration spread = wait / 5;
    const auto jitter = random_.below(static_cast<std::uint64_t>(2 * spread.count() + 1));
    return wait - spread + Duration(static_cast<Duration::rep>(jitter));
}

}  // namespace peermq::delivery
