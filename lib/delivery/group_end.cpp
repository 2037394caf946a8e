// Messages that end without being settled: nobody wants them any more, or nobody knows what became
// of them and they must not run twice.

#include <algorithm>

#include "delivery/group_impl.hpp"

namespace peermq::delivery {

template <typename VisitHeld>
std::uint64_t Group::Impl::drop_unheld(Run run, VisitHeld&& held) {
    std::uint64_t dropped = 0;
    auto it = spans_.ending_at_or_after(run.first);
    while (it != spans_.end() && it->first <= run.last) {
        const bool leave = has_owner(it->second.state);
        const Run part{std::max(it->first, run.first), std::min(it->second.last, run.last)};
        if (!leave) it = spans_.isolate(it, part);
        const auto following = std::next(it);
        if (leave) {
            held(it, part);
        } else {
            retire(it);
            dropped += part.count();
        }
        it = following;
    }
    const Run fresh{std::max(run.first, std::max(cursor_, floor_) + 1), run.last};
    if (fresh.empty()) return dropped;
    for (const Run part : above_.gaps(fresh)) {
        mark_settled(part);
        dropped += part.count();
    }
    return dropped;
}

void Group::Impl::lose(Run run) {
    run.first = std::max<Seq>(run.first, 1);
    run.last = std::min(run.last, end_);
    if (run.empty()) return;
    unscanned_.remove(run);
    counters_.lost += drop_unheld(run, [](SpanIt, Run) {});
}

void Group::Impl::skip(Run run) {
    run.first = std::max<Seq>(run.first, 1);
    run.last = std::min(run.last, end_);
    if (run.empty()) return;
    unscanned_.remove(run);
    skipping_ = true;
    (void)drop_unheld(run, [](SpanIt, Run) {});
    skipping_ = false;
}

std::vector<Group::Held> Group::Impl::abandon(Run run) {
    std::vector<Held> held;
    run.first = std::max<Seq>(run.first, 1);
    run.last = std::min(run.last, end_);
    if (run.empty()) return held;
    counters_.abandoned += drop_unheld(run, [&](SpanIt it, Run part) {
        if (it->second.state == SpanState::leased) held.push_back({it->second.holder, part});
    });
    for (const Held& one : held) unwanted_.add(one.run);
    return held;
}

void Group::Impl::drop_unwanted() {
    if (!unwanted_back_) return;
    unwanted_back_ = false;
    const base::RunSet unwanted = unwanted_;
    unwanted.for_each(
        [&](Run run) { counters_.abandoned += drop_unheld(run, [](SpanIt, Run) {}); });
}

void Group::Impl::repeatable(Run run) {
    if (options_.repeat == Repeat::if_told) repeatable_.add(run);
}

bool Group::Impl::may_repeat(Seq seq) const {
    return options_.repeat == Repeat::always || repeatable_.contains(seq);
}

bool Group::Impl::spend_repeat(Seq seq) {
    if (options_.repeat == Repeat::always) return true;
    if (!repeatable_.contains(seq)) return false;
    if (options_.repeat_burst == 0) return true;
    if (repeat_budget_ < 100) return false;
    repeat_budget_ -= 100;
    return true;
}

void Group::Impl::give_up(SpanIt it, bool open) {
    if (options_.repeat == Repeat::always) return come_back(it, true, open);
    const Run run = SpanTable::run(it);
    for (Seq seq = run.first; seq <= run.last; ++seq) {
        const SpanIt one = spans_.isolate(spans_.ending_at_or_after(seq), {seq, seq});
        if (spend_repeat(seq)) {
            come_back(one, true, open);
        } else {
            end_unclear(one);
        }
    }
}

void Group::Impl::end_unclear(SpanIt it) {
    die(it, DeadReason::unclear,
        may_repeat(it->first) ? "it was lost by whoever had it, and the budget for handing out "
                                "again is used up"
                              : "it was handed out, and whoever had it will not say any more what "
                                "became of it");
}

void Group::Impl::give_up_all(ConsumerId id) {
    for (auto it = spans_.begin(); it != spans_.end(); ++it) {
        if (it->second.state == SpanState::leased && it->second.holder == id) give_up(it, true);
    }
}

}  // namespace peermq::delivery
