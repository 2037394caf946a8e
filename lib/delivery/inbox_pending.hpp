#pragma once

/// What arrived of one stream and was not yet handed to the application: a queue of runs.
///
/// Taking a message moves a position within the front run; the index by seq is brought up to date
/// only when a run is used up, or when something out of order asks. Threads: none.

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/ids.hpp"
#include "base/run_set.hpp"
#include "delivery/inbox.hpp"

namespace peermq::delivery::inbox {

struct PendingRun {
    base::Epoch epoch;
    Run run;
    LeaseId lease;
    std::uint16_t attempt = 1;
    bool redelivered = false;
    bool alone = false;
    std::uint32_t announced = 0;  ///< the last HELD that named it under this lease; 0 = none
    std::shared_ptr<const void> payload;
    std::uint32_t payload_index = 0;
    std::size_t bytes = 0;  ///< 0 once its first message was taken: not counted any more
    Seq indexed_first = 0;  ///< the index still holds [indexed_first, run.last]
};

class PendingRuns {
public:
    [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
    /// Messages, not runs.
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// Bytes of the runs that were not begun.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

    /// Adds the part `run` of `arrival`. Nothing of it may be in here.
    void push(const Arrival& arrival, Run run);

    [[nodiscard]] const PendingRun& front() const noexcept { return queue_.front(); }
    /// Removes the first message; true when its run is used up.
    bool pop_one();
    /// Removes up to `count` messages from the back; the pieces, last one first.
    [[nodiscard]] std::vector<PendingRun> pop_back(std::uint64_t count);
    std::uint64_t clear();

    /// Which seqs of `run` wait here under `epoch`.
    [[nodiscard]] base::RunSet overlap(Run run, const base::Epoch& epoch);
    /// Seqs in `which` get the lease and annotations of `arrival`, where its lease is newer.
    void adopt(const base::RunSet& which, const Arrival& arrival);
    /// Removes the seqs in `which`, whatever their epoch; returns how many there were.
    std::uint64_t remove(const base::RunSet& which);
    /// The same, of those that HELD `announced` named.
    std::uint64_t remove_announced(const base::RunSet& which, std::uint32_t announced);
    /// Removes and returns what HELD `announced` did not name.
    [[nodiscard]] std::vector<PendingRun> remove_unannounced(std::uint32_t announced);

    void announce(std::uint32_t number);
    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const PendingRun& pending : queue_) visit(pending);
    }

    void check_invariants() const;

private:
    void sync_index();
    void append(PendingRun pending);
    template <typename Rewrite>
    void rewrite(Rewrite&& rewrite);

    std::deque<PendingRun> queue_;
    base::RunSet index_;
    std::uint64_t size_ = 0;
    std::size_t bytes_ = 0;
};

/// The part `run` of `whole`, with its share of the bytes.
[[nodiscard]] PendingRun part_of(const PendingRun& whole, Run run);

/// Calls `visit(part, inside)` for the maximal parts of `run` that lie inside and outside of
/// `which`.
template <typename Visit>
void for_each_part(Run run, const base::RunSet& which, Visit&& visit) {
    Seq next = run.first;
    for (const Run inside : which.intersection(run)) {
        if (next < inside.first) visit(Run{next, inside.first - 1}, false);
        visit(inside, true);
        next = inside.last + 1;
    }
    if (next <= run.last) visit(Run{next, run.last}, false);
}

}  // namespace peermq::delivery::inbox
