#pragma once

/// What the application works on, of one stream: started and not settled, as runs of equal lease.
///
/// Starting in order extends the newest run and settling in order cuts the front of the oldest;
/// both without a map operation or an allocation. Threads: none.

#include <cstdint>
#include <map>
#include <optional>

#include "base/ids.hpp"
#include "base/run_set.hpp"
#include "delivery/inbox.hpp"
#include "delivery/inbox_pending.hpp"

namespace peermq::delivery::inbox {

/// What all messages of a started run have in common.
struct StartedTag {
    base::Epoch epoch;
    LeaseId lease;
    SourceId source = 0;          ///< under which the application got it
    std::int64_t second = 0;      ///< when, coarsely
    std::uint32_t announced = 0;  ///< the last HELD that named it under this lease; 0 = none
    bool alone = false;
    bool orphaned = false;  ///< the producer no longer counts it as ours
    friend bool operator==(const StartedTag&, const StartedTag&) = default;
};

struct StartedRun {
    Run run;
    StartedTag tag;
};

class StartedRuns {
public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    void add(Seq seq, const StartedTag& tag);
    /// Removes `seq` if it was started under `source`.
    [[nodiscard]] std::optional<StartedTag> remove(Seq seq, SourceId source);
    [[nodiscard]] bool contains(Seq seq) const;
    [[nodiscard]] base::RunSet overlap(Run run, const base::Epoch& epoch) const;

    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [key, started] : older_) visit(started);
        if (!tail_.run.empty()) visit(tail_);
    }
    template <typename Change>
    void change_each(Change&& change) {
        for (auto& [key, started] : older_) change(started.tag);
        if (!tail_.run.empty()) change(tail_.tag);
    }
    /// Calls `change(tag, count)` for the parts that lie inside `which`; false removes the part.
    template <typename Change>
    void change_inside(const base::RunSet& which, Change&& change) {
        if (which.empty()) return;
        const StartedRuns old = std::move(*this);
        *this = StartedRuns{};
        old.for_each([&](const StartedRun& started) {
            for_each_part(started.run, which, [&](Run run, bool inside) {
                StartedRun part{run, started.tag};
                if (inside && !change(part.tag, run.count())) return;
                size_ += run.count();
                store(part);
            });
        });
    }

    void check_invariants() const;

private:
    using Map = std::map<Seq, StartedRun>;

    void store(const StartedRun& started);
    [[nodiscard]] Map::const_iterator find(Seq seq) const;
    void cut(Map::iterator it, Seq seq);

    /// Keyed by a lower bound of the run's first seq: cutting the front does not move the node. The
    /// keys are in the order of the runs, and no run lies between a key and its run.
    Map older_;
    StartedRun tail_;  ///< the newest run; empty when all of it is settled
    std::uint64_t size_ = 0;
};

}  // namespace peermq::delivery::inbox
