// What the passing of time does to a group: retries fall due, leases and graces end, recalls.

#include <algorithm>

#include "delivery/group_impl.hpp"

namespace peermq::delivery {

void Group::Impl::tick(Time now, base::WallTime wall_now) {
    note_time(now, wall_now);
    wake_due();
    if (now >= recovery_end()) end_recovery();
    std::vector<ConsumerId> over;
    for (const Consumer* consumer : consumers_.all()) {
        if (now >= consumer->deadline) over.push_back(consumer->id);
    }
    for (const ConsumerId id : over) {
        Consumer& consumer = *consumers_.find(id);
        if (consumer.link == ConsumerLink::suspect) {
            lapse(consumer, now);
        } else {
            // What it held stays open: the same session may come back as a new consumer.
            give_up_all(id);
            consumers_.remove(id);
        }
    }
    if (now >= next_scan_) expire_leases(now);
}

void Group::Impl::wake_due() {
    while (!delayed_.empty() && delayed_.begin()->first <= wall_) {
        settle_down(spans_.find(delayed_.begin()->second));
    }
}

/// Leases are looked through as one, at most 30 times per lease duration.
void Group::Impl::expire_leases(Time now) {
    Time earliest = base::kNever;
    for (auto it = spans_.begin(); it != spans_.end(); ++it) {
        const Span& span = it->second;
        if (span.state != SpanState::leased) continue;
        if (span.expires > now) {
            earliest = std::min(earliest, span.expires);
            continue;
        }
        Consumer& holder = *consumers_.find(span.holder);
        const Run run = SpanTable::run(it);
        counters_.lease_expired += run.count();
        if (holder.link == ConsumerLink::up) holder.overdue.add(run);
        give_up(it, true);
    }
    next_scan_ = earliest == base::kNever
                     ? earliest
                     : std::max(earliest, base::after(now, options_.lease_duration / 30));
}

Time Group::Impl::next_deadline() const {
    Time next = std::min(recovery_end(), next_scan_);
    const std::uint64_t need = recall_need();
    for (const Consumer* consumer : consumers_.all()) {
        next = std::min(next, consumer->deadline);
        if (need > 0 && excess(*consumer) > 0) next = std::min(next, recall_time(*consumer));
    }
    if (!delayed_.empty()) {
        const base::WallTime due = delayed_.begin()->first;
        next = std::min(next, due <= wall_ ? now_ : base::after(now_, due - wall_));
    }
    return next;
}

/// Free slots of consumers that hold nothing, when there is nothing to give them.
std::uint64_t Group::Impl::recall_need() const {
    if (paused_ || has_work()) return 0;
    std::uint64_t need = 0;
    for (const Consumer* consumer : consumers_.all()) {
        if (consumer->serving() && consumer->idle()) need += consumer->free();
    }
    return need;
}

/// What a consumer holds beyond what it can work on.
std::uint64_t Group::Impl::excess(const Consumer& consumer) {
    if (consumer.link != ConsumerLink::up || consumer.leased_alone > 0) return 0;
    return consumer.leased > consumer.concurrency ? consumer.leased - consumer.concurrency : 0;
}

Time Group::Impl::recall_time(const Consumer& consumer) const {
    return std::max(base::after(consumer.granted_at, options_.recall_after), consumer.recall_after);
}

std::vector<Group::Recall> Group::Impl::take_recalls(Time now) {
    now_ = std::max(now_, now);
    std::vector<Recall> recalls;
    std::uint64_t need = recall_need();
    if (need == 0) return recalls;
    std::vector<Consumer*> rich;
    for (Consumer* consumer : consumers_.all()) {
        if (excess(*consumer) > 0 && now >= recall_time(*consumer)) rich.push_back(consumer);
    }
    std::stable_sort(rich.begin(), rich.end(),
                     [](const Consumer* a, const Consumer* b) { return excess(*a) > excess(*b); });
    for (Consumer* consumer : rich) {
        if (need == 0) break;
        const std::uint64_t half = std::max<std::uint64_t>(excess(*consumer) / 2, 1);
        const std::uint64_t asked = std::min(half, need);
        need -= asked;
        consumer->recall_after = base::after(now, base::limits::kRecallWait);
        recalls.push_back({consumer->id, static_cast<std::uint32_t>(asked)});
    }
    return recalls;
}

}  // namespace peermq::delivery
