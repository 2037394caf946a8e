#include "delivery/inbox_pending.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace peermq::delivery::inbox {

PendingRun part_of(const PendingRun& whole, Run run) {
    PendingRun part = whole;
    part.run = run;
    part.payload_index += static_cast<std::uint32_t>(run.first - whole.run.first);
    part.bytes = static_cast<std::size_t>(whole.bytes / whole.run.count() * run.count());
    part.indexed_first = run.first;
    return part;
}

void PendingRuns::push(const Arrival& arrival, Run run) {
    PendingRun pending;
    pending.epoch = arrival.epoch;
    pending.run = arrival.run;
    pending.lease = arrival.lease;
    pending.attempt = arrival.attempt;
    pending.redelivered = arrival.redelivered;
    pending.alone = arrival.alone;
    pending.payload = arrival.payload;
    pending.payload_index = arrival.payload_index;
    pending.bytes = arrival.bytes;
    pending.indexed_first = run.first;
    if (run == arrival.run) {
        append(std::move(pending));
    } else {
        append(part_of(pending, run));
    }
}

void PendingRuns::append(PendingRun pending) {
    size_ += pending.run.count();
    bytes_ += pending.bytes;
    index_.add(pending.run);
    queue_.push_back(std::move(pending));
}

bool PendingRuns::pop_one() {
    PendingRun& front = queue_.front();
    bytes_ -= std::exchange(front.bytes, 0);
    ++front.run.first;
    ++front.payload_index;
    --size_;
    if (!front.run.empty()) return false;
    index_.remove({front.indexed_first, front.run.last});
    queue_.pop_front();
    return true;
}

std::vector<PendingRun> PendingRuns::pop_back(std::uint64_t count) {
    std::vector<PendingRun> pieces;
    sync_index();
    while (count > 0 && !queue_.empty()) {
        PendingRun& back = queue_.back();
        const std::uint64_t some = std::min(count, back.run.count());
        PendingRun piece = part_of(back, {back.run.last - some + 1, back.run.last});
        back.run.last -= some;
        back.bytes -= piece.bytes;
        bytes_ -= piece.bytes;
        size_ -= some;
        count -= some;
        index_.remove(piece.run);
        if (back.run.empty()) {
            bytes_ -= back.bytes;
            queue_.pop_back();
        }
        pieces.push_back(std::move(piece));
    }
    return pieces;
}

std::uint64_t PendingRuns::clear() {
    const std::uint64_t dropped = size_;
    *this = PendingRuns{};
    return dropped;
}

void PendingRuns::sync_index() {
    if (queue_.empty()) return;
    PendingRun& front = queue_.front();  // only the front run is ever begun
    if (front.indexed_first == front.run.first) return;
    index_.remove({front.indexed_first, front.run.first - 1});
    front.indexed_first = front.run.first;
}

base::RunSet PendingRuns::overlap(Run run, const base::Epoch& epoch) {
    sync_index();
    base::RunSet found;
    if (index_.count_in(run) == 0) return found;
    for (const PendingRun& pending : queue_) {
        if (pending.epoch != epoch) continue;
        found.add({std::max(run.first, pending.run.first), std::min(run.last, pending.run.last)});
    }
    return found;
}

template <typename Rewrite>
void PendingRuns::rewrite(Rewrite&& rewrite) {
    std::deque<PendingRun> old = std::move(queue_);
    *this = PendingRuns{};
    for (PendingRun& pending : old) rewrite(pending);
}

void PendingRuns::adopt(const base::RunSet& which, const Arrival& arrival) {
    if (which.empty()) return;
    rewrite([&](const PendingRun& pending) {
        for_each_part(pending.run, which, [&](Run run, bool inside) {
            PendingRun part = part_of(pending, run);
            if (inside && part.epoch == arrival.epoch && part.lease < arrival.lease) {
                part.lease = arrival.lease;
                part.attempt = arrival.attempt;
                part.redelivered = part.redelivered || arrival.redelivered;
                part.alone = arrival.alone;
                part.announced = 0;
            }
            append(std::move(part));
        });
    });
}

std::uint64_t PendingRuns::remove(const base::RunSet& which) {
    std::uint64_t removed = 0;
    rewrite([&](const PendingRun& pending) {
        for_each_part(pending.run, which, [&](Run run, bool inside) {
            if (inside) {
                removed += run.count();
            } else {
                append(part_of(pending, run));
            }
        });
    });
    return removed;
}

std::uint64_t PendingRuns::remove_announced(const base::RunSet& which, std::uint32_t announced) {
    base::RunSet named;
    for (const PendingRun& pending : queue_) {
        if (pending.announced != announced) continue;
        for (const Run run : which.intersection(pending.run)) named.add(run);
    }
    return named.empty() ? 0 : remove(named);
}

std::vector<PendingRun> PendingRuns::remove_unannounced(std::uint32_t announced) {
    std::vector<PendingRun> removed;
    rewrite([&](PendingRun& pending) {
        if (pending.announced == announced) {
            append(part_of(pending, pending.run));
        } else {
            removed.push_back(std::move(pending));
        }
    });
    return removed;
}

void PendingRuns::announce(std::uint32_t number) {
    for (PendingRun& pending : queue_) pending.announced = number;
}

void PendingRuns::check_invariants() const {
    base::RunSet all;
    std::size_t bytes = 0;
    for (const PendingRun& pending : queue_) {
        PEERMQ_ASSERT(!pending.run.empty());
        PEERMQ_ASSERT(all.add(pending.run) == pending.run.count());
        PEERMQ_ASSERT(index_.count_in(pending.run) == pending.run.count());
        bytes += pending.bytes;
    }
    PEERMQ_ASSERT(all.size() == size_);
    PEERMQ_ASSERT(bytes == bytes_);
}

}  // namespace peermq::delivery::inbox
