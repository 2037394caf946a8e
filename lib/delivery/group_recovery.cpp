// The time after a restart in which holders from before it come back. Leases of the earlier process
// are not known, so that of several who held a message one after the other any may be heard first.
// What one of them ends stays "settling" until all had their time: its key is not free (INV-4), the
// record stays on the disk, and the settlement is neither stored nor confirmed, so that another
// restart finds the message as this one did. A later holder who is heard by then overrules
// (INV-16).

#include <algorithm>

#include "delivery/group_impl.hpp"

namespace peermq::delivery {

/// A peer that may be a holder was heard: it has as long to announce as one whose link was lost.
void Group::Impl::expect_holders(Time now) {
    now_ = std::max(now_, now);
    if (recovered_at_ == base::kNever) return;
    const Time until = std::min(base::after(now, options_.resume_grace), recovered_latest_);
    recovered_at_ = std::max(recovered_at_, until);
}

/// Who has come but has not said yet what it holds is waited for while its link may live, though
/// not for longer than a lease lasts.
Time Group::Impl::recovery_end() const {
    if (recovered_at_ == base::kNever) return base::kNever;
    for (const Consumer* consumer : consumers_.all()) {
        const bool silent = consumer->link == ConsumerLink::lapsed;
        if (!consumer->announced_once && !silent) return recovered_latest_;
    }
    return recovered_at_;
}

void Group::Impl::end_recovery() {
    recovered_at_ = base::kNever;
    for (auto it = spans_.begin(); it != spans_.end();) {
        const auto following = std::next(it);
        if (it->second.state == SpanState::unclear) {
            give_up(it, true);
        } else if (it->second.state == SpanState::settling) {
            std::optional<Death> death;
            if (it->second.special) death = std::move(messages_.at(it->first).death);
            finish(it, std::move(death));
        }
        it = following;
    }
}

void Group::Impl::own(SpanIt it, ConsumerId id, LeaseId lease) {
    if (!may_be_held(it->second)) return;
    overrule(it, id);
    detach(it);
    Span& span = it->second;
    span.state = SpanState::unclear;
    span.open = false;
    span.bytes = 0;
    span.holder = id;
    span.lease = std::max(span.lease, lease);
    attach(it);
}

void Group::Impl::finish(SpanIt it, std::optional<Death> death) {
    if (may_be_held(it->second)) {
        if (death) message_of(it).death = std::move(death);
        detach(it);
        it->second.state = SpanState::settling;
        it->second.open = false;
        it->second.bytes = 0;
        attach(it);
    } else if (death) {
        die(it, death->reason, std::move(death->text));
    } else {
        retire(it);
    }
}

void Group::Impl::overrule(SpanIt it, ConsumerId by) {
    if (it->second.state != SpanState::settling) return;
    const Run run = SpanTable::run(it);
    if (it->second.special) messages_.at(it->first).death.reset();
    Consumer* before = consumers_.find(it->second.holder);
    if (before == nullptr || before->id == by) return;
    before->settled.forget(run);
    before->overruled.add(run);
    counters_.refused += run.count();
}

bool Group::Impl::settling(Run run) const {
    if (spans_.count(SpanState::settling) == 0) return false;
    const SpanTable::Map& map = spans_.map();
    auto it = map.upper_bound(run.first);
    if (it != map.begin()) --it;
    for (; it != map.end() && it->first <= run.last; ++it) {
        if (it->second.state == SpanState::settling && it->second.last >= run.first) return true;
    }
    return false;
}

std::vector<Run> Group::Impl::overruled(ConsumerId id, Run run) const {
    const Consumer* consumer = consumers_.find(id);
    return consumer == nullptr ? std::vector<Run>{} : consumer->overruled.intersection(run);
}

}  // namespace peermq::delivery
