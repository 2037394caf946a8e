#include "delivery/inbox_started.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace peermq::delivery::inbox {

void StartedRuns::add(Seq seq, const StartedTag& tag) {
    ++size_;
    if (tail_.run.empty()) {
        tail_ = {{seq, seq}, tag};
    } else if (tail_.run.last + 1 == seq && tail_.tag == tag) {
        tail_.run.last = seq;
    } else {
        store(tail_);
        tail_ = {{seq, seq}, tag};
    }
}

void StartedRuns::store(const StartedRun& started) {
    // A key may lag behind its run so far that `started` lies between the two: bring it up.
    auto next = older_.upper_bound(started.run.first);
    const auto lags = [&](Map::iterator it) {
        return it->first <= started.run.last && it->second.run.first > started.run.last;
    };
    auto lagging = next != older_.begin() && lags(std::prev(next)) ? std::prev(next) : next;
    if (lagging != older_.end() && lags(lagging)) {
        auto node = older_.extract(lagging);
        node.key() = node.mapped().run.first;
        older_.insert(std::move(node));
    }
    older_.emplace(started.run.first, started);
}

StartedRuns::Map::const_iterator StartedRuns::find(Seq seq) const {
    auto it = older_.upper_bound(seq);
    if (it == older_.begin()) return older_.end();
    --it;
    return it->second.run.contains(seq) ? it : older_.end();
}

std::optional<StartedTag> StartedRuns::remove(Seq seq, SourceId source) {
    if (tail_.run.contains(seq)) {
        if (tail_.tag.source != source) return std::nullopt;
        if (seq == tail_.run.last && seq != tail_.run.first) {
            tail_.run.last = seq - 1;
        } else {
            if (seq != tail_.run.first) store({{tail_.run.first, seq - 1}, tail_.tag});
            tail_.run.first = seq + 1;
        }
        --size_;
        return tail_.tag;
    }
    if (older_.empty()) return std::nullopt;
    auto it = older_.begin();
    if (it->second.run.first != seq) {
        const auto found = find(seq);
        if (found == older_.end()) return std::nullopt;
        it = older_.erase(found, found);  // an empty erase turns the iterator into a mutable one
    }
    const StartedTag tag = it->second.tag;
    if (tag.source != source) return std::nullopt;
    cut(it, seq);
    --size_;
    return tag;
}

void StartedRuns::cut(Map::iterator it, Seq seq) {
    Run& run = it->second.run;
    const Run upper{seq + 1, run.last};
    if (seq == run.first) {
        run.first = seq + 1;
        if (run.empty()) older_.erase(it);
        return;
    }
    run.last = seq - 1;
    if (!upper.empty())
        older_.emplace_hint(std::next(it), upper.first, StartedRun{upper, it->second.tag});
}

bool StartedRuns::contains(Seq seq) const {
    return tail_.run.contains(seq) || find(seq) != older_.end();
}

base::RunSet StartedRuns::overlap(Run run, const base::Epoch& epoch) const {
    base::RunSet found;
    const auto note = [&](const StartedRun& started) {
        if (started.tag.epoch != epoch) return;
        found.add({std::max(run.first, started.run.first), std::min(run.last, started.run.last)});
    };
    note(tail_);
    auto it = older_.upper_bound(run.first);
    if (it != older_.begin()) --it;
    for (; it != older_.end() && it->first <= run.last; ++it) note(it->second);
    return found;
}

void StartedRuns::check_invariants() const {
    base::RunSet all;
    Seq last = 0;
    for (const auto& [key, started] : older_) {
        PEERMQ_ASSERT(key > last && key <= started.run.first && !started.run.empty());
        last = started.run.last;
        all.add(started.run);
    }
    if (!tail_.run.empty()) PEERMQ_ASSERT(all.add(tail_.run) == tail_.run.count());
    PEERMQ_ASSERT(all.size() == size_);
}

}  // namespace peermq::delivery::inbox
