#include "base/run_set.hpp"

#include <algorithm>

namespace peermq::base {

RunSet::Map::const_iterator RunSet::ending_at_or_after(Seq seq) const {
    auto it = runs_.upper_bound(seq);
    if (it != runs_.begin()) {
        auto previous = std::prev(it);
        if (previous->second >= seq) return previous;
    }
    return it;
}

std::uint64_t RunSet::add(Run run) {
    if (run.empty()) return 0;
    if (!runs_.empty()) {
        auto last = std::prev(runs_.end());
        if (run.first > last->second) {
            if (run.first == last->second + 1) {
                last->second = run.last;
            } else {
                runs_.emplace_hint(runs_.end(), run.first, run.last);
            }
            size_ += run.count();
            return run.count();
        }
    }
    // Runs that overlap or touch [first, last] melt into one.
    auto it = ending_at_or_after(run.first > 0 ? run.first - 1 : 0);
    Run merged = run;
    std::uint64_t covered = 0;
    while (it != runs_.end() && (it->first <= run.last || it->first == run.last + 1)) {
        const Run old{it->first, it->second};
        const Run overlap{std::max(old.first, run.first), std::min(old.last, run.last)};
        covered += overlap.count();
        merged.first = std::min(merged.first, old.first);
        merged.last = std::max(merged.last, old.last);
        it = runs_.erase(it);
    }
    runs_.emplace_hint(it, merged.first, merged.last);
    const std::uint64_t added = run.count() - covered;
    size_ += added;
    return added;
}

std::uint64_t RunSet::remove(Run run) {
    if (run.empty() || runs_.empty()) return 0;
    std::uint64_t removed = 0;
    auto it = ending_at_or_after(run.first);
    while (it != runs_.end() && it->first <= run.last) {
        const Run old{it->first, it->second};
        const Run cut{std::max(old.first, run.first), std::min(old.last, run.last)};
        removed += cut.count();
        if (old.first < cut.first) {
            runs_[old.first] = cut.first - 1;
            if (cut.last < old.last) runs_.emplace(cut.last + 1, old.last);
            it = runs_.upper_bound(cut.last);
        } else if (cut.last < old.last) {
            // The front is cut away: reuse the node, since this is the common case.
            auto node = runs_.extract(it);
            node.key() = cut.last + 1;
            it = std::next(runs_.insert(std::move(node)).position);
        } else {
            it = runs_.erase(it);
        }
    }
    size_ -= removed;
    return removed;
}

bool RunSet::contains(Seq seq) const {
    auto it = ending_at_or_after(seq);
    return it != runs_.end() && it->first <= seq;
}

std::uint64_t RunSet::count_in(Run run) const {
    std::uint64_t count = 0;
    if (run.empty()) return 0;
    for (auto it = ending_at_or_after(run.first); it != runs_.end() && it->first <= run.last;
         ++it) {
        count += Run{std::max(it->first, run.first), std::min(it->second, run.last)}.count();
    }
    return count;
}

std::vector<Run> RunSet::intersection(Run run) const {
    std::vector<Run> parts;
    if (run.empty()) return parts;
    for (auto it = ending_at_or_after(run.first); it != runs_.end() && it->first <= run.last;
         ++it) {
        parts.push_back({std::max(it->first, run.first), std::min(it->second, run.last)});
    }
    return parts;
}

std::vector<Run> RunSet::gaps(Run run) const {
    std::vector<Run> parts;
    if (run.empty()) return parts;
    Seq next = run.first;
    for (const Run part : intersection(run)) {
        if (next < part.first) parts.push_back({next, part.first - 1});
        if (part.last == run.last) return parts;  // part.last + 1 may not exist
        next = part.last + 1;
    }
    if (next <= run.last) parts.push_back({next, run.last});
    return parts;
}

std::optional<Run> RunSet::run_at(Seq seq) const {
    auto it = ending_at_or_after(seq);
    if (it == runs_.end() || it->first > seq) return std::nullopt;
    return Run{it->first, it->second};
}

std::optional<Run> RunSet::next_from(Seq seq) const {
    auto it = ending_at_or_after(seq);
    if (it == runs_.end()) return std::nullopt;
    return Run{std::max(it->first, seq), it->second};
}

std::vector<Run> RunSet::runs() const {
    std::vector<Run> all;
    all.reserve(runs_.size());
    for_each([&](Run run) { all.push_back(run); });
    return all;
}

void RunSet::clear() noexcept {
    runs_.clear();
    size_ = 0;
}

}  // namespace peermq::base
