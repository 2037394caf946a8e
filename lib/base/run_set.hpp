#pragma once

/// A set of seqs kept as disjoint, non-adjacent runs: the working currency of spool and delivery.
///
/// Memory and time follow the number of runs, not of messages. Adding at the end, removing at the
/// front and asking about either end are O(1); all else is O(log runs + runs touched).

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/ids.hpp"

namespace peermq::base {

class RunSet {
public:
    RunSet() = default;
    explicit RunSet(Run run) { add(run); }

    /// Adds `run`; returns how many of its seqs were not in the set before.
    std::uint64_t add(Run run);
    std::uint64_t add(Seq seq) { return add(Run{seq, seq}); }

    /// Removes `run`; returns how many of its seqs were in the set.
    std::uint64_t remove(Run run);
    std::uint64_t remove(Seq seq) { return remove(Run{seq, seq}); }

    [[nodiscard]] bool contains(Seq seq) const;
    /// How many seqs of `run` are in the set.
    [[nodiscard]] std::uint64_t count_in(Run run) const;
    /// The parts of `run` that are in the set, in order.
    [[nodiscard]] std::vector<Run> intersection(Run run) const;
    /// The parts of `run` that are not in the set, in order.
    [[nodiscard]] std::vector<Run> gaps(Run run) const;
    /// The stored run that holds `seq`, whole.
    [[nodiscard]] std::optional<Run> run_at(Seq seq) const;
    /// The part from `seq` on of the first stored run that ends at or after `seq`.
    [[nodiscard]] std::optional<Run> next_from(Seq seq) const;

    [[nodiscard]] bool empty() const noexcept { return runs_.empty(); }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t run_count() const noexcept { return runs_.size(); }
    [[nodiscard]] Run front() const { return {runs_.begin()->first, runs_.begin()->second}; }
    [[nodiscard]] Run back() const { return {runs_.rbegin()->first, runs_.rbegin()->second}; }
    [[nodiscard]] std::vector<Run> runs() const;
    void clear() noexcept;

    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [first, last] : runs_) visit(Run{first, last});
    }

    friend bool operator==(const RunSet& a, const RunSet& b) { return a.runs_ == b.runs_; }

private:
    using Map = std::map<Seq, Seq>;  // first -> last

    /// The first stored run that ends at or after `seq`.
    [[nodiscard]] Map::const_iterator ending_at_or_after(Seq seq) const;

    Map runs_;
    std::uint64_t size_ = 0;
};

}  // namespace peermq::base
