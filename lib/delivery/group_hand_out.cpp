// Who gets what: credit, fair shares, returned before fresh, suspects alone, one message per key.

#include <algorithm>

#include "delivery/group_impl.hpp"

namespace peermq::delivery {

bool Group::Impl::hand_out(HandOutContext& context, std::size_t bytes_max,
                           std::size_t batch_bytes_max, Time now, base::WallTime wall_now,
                           std::vector<Assignment>& out) {
    note_time(now, wall_now);
    wake_due();
    drop_unwanted();
    if (paused_ || bytes_max == 0) return false;
    if (!has_work()) return false;
    for (Consumer* consumer : consumers_.all()) {
        const bool asks = consumer->serving() && consumer->free() > 0;
        consumer->room = asks ? context.room(consumer->id) : 0;
        consumer->passed_over = false;
        consumer->given_now = false;
    }
    reserve_for_alone();
    Pass pass{context, bytes_max, batch_bytes_max, out};
    for (;;) {
        const Step done = step(pass);
        if (done == Step::nothing) return false;
        if (done == Step::budget) return true;
    }
}

Group::Impl::Step Group::Impl::step(Pass& pass) {
    if (!spans_.alone().empty()) {
        const Step done = give_alone(pass);
        if (done != Step::nothing) return done;
    }
    std::uint64_t eligible = 0;
    Consumer* consumer = pick(eligible);
    if (consumer == nullptr) return Step::nothing;
    // When little is there, each gets a share of it.
    const Run fresh{cursor_ + 1, fresh_last()};
    const std::uint64_t there = spans_.ordinary_count() + fresh.count();
    if (there == 0) return Step::nothing;
    const std::uint64_t limit = std::min(consumer->free(), (there + eligible - 1) / eligible);
    Step done = give_returned(pass, *consumer, limit);
    if (done == Step::nothing) done = give_fresh(pass, *consumer, limit);
    if (done != Step::passed_over) return done;
    consumer->passed_over = true;
    return Step::given;
}

bool Group::Impl::can_take(const Consumer& consumer) const {
    return consumer.serving() && !consumer.passed_over && consumer.room > 0 &&
           consumer.leased_alone == 0 && consumer.free() > 0;
}

Consumer* Group::Impl::pick(std::uint64_t& eligible) {
    Consumer* best = nullptr;
    for (Consumer* one : consumers_.all()) {
        if (!can_take(*one) || one->id == reserved_) continue;
        ++eligible;
        if (best == nullptr) {
            best = one;
            continue;
        }
        // The largest free share of its window; then who waited longest.
        const std::uint64_t share = one->free() * best->window_messages;
        const std::uint64_t best_share = best->free() * one->window_messages;
        if (share > best_share || (share == best_share && one->picked < best->picked)) best = one;
    }
    return best;
}

/// A message that goes alone needs an empty consumer. When all are busy, one is emptied for it, so
/// that a steady load cannot keep it waiting for ever.
void Group::Impl::reserve_for_alone() {
    const Consumer* reserved = consumers_.find(reserved_);
    const bool useful = reserved != nullptr && reserved->serving() &&
                        reserved->window_messages > 0 && reserved->leased_alone == 0;
    if (spans_.alone().empty()) {
        reserved_ = 0;
        return;
    }
    if (useful) return;
    reserved_ = 0;
    const Consumer* best = nullptr;
    for (const Consumer* one : consumers_.all()) {
        const bool fits = one->serving() && one->window_messages > 0 && one->leased_alone == 0;
        if (fits && (best == nullptr || one->used() < best->used())) best = one;
    }
    if (best != nullptr) reserved_ = best->id;
}

Group::Impl::Step Group::Impl::give_alone(Pass& pass) {
    Consumer* chosen = nullptr;
    for (Consumer* one : consumers_.all()) {
        if (!can_take(*one) || !one->idle()) continue;
        if (chosen == nullptr || one->id == reserved_) chosen = one;
    }
    if (chosen == nullptr || pass.returned_stopped) return Step::nothing;
    const Seq seq = *spans_.alone().begin();
    const Run run{seq, seq};
    if (!unscanned_.empty() && !scan_all(pass.context)) {
        pass.returned_stopped = true;
        return Step::nothing;
    }
    const SpanIt it = spans_.find(seq);
    if (it->second.state != SpanState::available) return Step::given;
    const Slice slice = read(pass.context, run);
    if (slice.count() == 0) {
        pass.returned_stopped = true;
        return Step::nothing;
    }
    const Fit found = fit(pass, *chosen, slice, 1);
    if (found.step == Step::budget) return Step::budget;
    if (found.step != Step::given) {
        chosen->passed_over = true;
        return Step::given;
    }
    lease_returned(run, slice, give(pass, *chosen, run, found, it->second));
    reserved_ = 0;
    reserve_for_alone();
    return Step::given;
}

/// The longest run of ordinary available messages from the first on that share their annotations.
Run Group::Impl::next_returned(std::uint64_t limit) {
    SpanIt it = spans_.find(*spans_.ordinary().begin());
    const Span& head = it->second;
    Run run{it->first, std::min(head.last, it->first + limit - 1)};
    while (run.count() < limit) {
        ++it;
        if (it == spans_.end() || it->first != run.last + 1) break;
        const Span& span = it->second;
        const bool alike = span.state == SpanState::available && !span.alone &&
                           span.attempt == head.attempt && span.redelivered == head.redelivered;
        if (!alike) break;
        run.last = std::min(span.last, run.first + limit - 1);
    }
    return run;
}

Group::Impl::Step Group::Impl::give_returned(Pass& pass, Consumer& consumer, std::uint64_t limit) {
    if (spans_.ordinary().empty() || pass.returned_stopped) return Step::nothing;
    Run run = next_returned(limit);
    if (!unscanned_.empty()) {
        // Keys are not known yet: of these first, and of all when one of these has a key.
        const bool unknown = unscanned_.count_in(run) > 0;
        const bool keyed = !keys_.all().empty();
        if (unknown || keyed) {
            const bool read_all = keyed ? scan_all(pass.context) : scan(pass.context, run);
            if (read_all) return Step::given;
            pass.returned_stopped = true;
            return Step::nothing;
        }
    }
    const Slice slice = read(pass.context, run);
    if (slice.count() == 0) {
        pass.returned_stopped = true;
        return Step::nothing;
    }
    // The slice may be shorter than the run: what was not read is not handed out.
    const Fit found = fit(pass, consumer, slice, std::min<std::uint64_t>(limit, slice.count()));
    if (found.step != Step::given) return found.step;
    run.last = run.first + found.count - 1;
    const Span& like = spans_.find(run.first)->second;
    lease_returned(run, slice, give(pass, consumer, run, found, like));
    return Step::given;
}

void Group::Impl::skip_settled_fresh() {
    cursor_ = std::max(cursor_, floor_);
    if (above_.empty() || above_.back().last <= cursor_) return;
    if (const auto settled = above_.run_at(cursor_ + 1)) cursor_ = settled->last;
}

Group::Impl::Step Group::Impl::give_fresh(Pass& pass, Consumer& consumer, std::uint64_t limit) {
    skip_settled_fresh();
    const Seq last = fresh_last();
    if (cursor_ >= last || pass.fresh_stopped) return Step::nothing;
    Run run{cursor_ + 1, std::min(last, cursor_ + limit)};
    if (!above_.empty() && above_.back().last >= run.first) {
        const auto settled = above_.next_from(run.first);
        if (settled && settled->first <= run.last) run.last = settled->first - 1;
    }
    const Slice slice = read(pass.context, run);
    if (slice.count() == 0) {
        pass.fresh_stopped = true;
        return Step::nothing;
    }
    std::uint64_t count = std::min<std::uint64_t>(run.count(), slice.count());
    const bool keyed = options_.ack_required && !slice.keys.empty();
    if (keyed && !unscanned_.empty()) {
        if (scan_all(pass.context)) return Step::given;
        pass.fresh_stopped = true;
        return Step::nothing;
    }
    if (keyed) count = keys_free(slice, count);
    if (count == 0) {
        pass.fresh_stopped = !park(slice, std::min<std::uint64_t>(run.count(), slice.count()));
        return Step::given;
    }
    const Fit found = fit(pass, consumer, slice, count);
    if (found.step != Step::given) return found.step;
    run.last = run.first + found.count - 1;
    cursor_ = run.last;
    lease_fresh(run, slice, give(pass, consumer, run, found, Span{}));
    return Step::given;
}

/// How many from the start of the slice may go at once as far as keys are concerned.
std::uint64_t Group::Impl::keys_free(const Slice& slice, std::uint64_t limit) const {
    std::set<std::uint64_t> taken;
    for (std::uint64_t i = 0; i < limit; ++i) {
        const std::uint64_t key = slice.keys[i];
        if (key == 0) continue;
        if (keys_.find(key) != nullptr || !taken.insert(key).second) return i;
    }
    return limit;
}

/// Sets messages at the cursor aside whose keys are taken; false when no more may wait.
bool Group::Impl::park(const Slice& slice, std::uint64_t limit) {
    Span span;
    span.state = SpanState::blocked;
    for (std::uint64_t i = 0; i < limit; ++i) {
        const std::uint64_t key = slice.keys[i];
        if (key == 0 || keys_.find(key) == nullptr) return true;
        if (spans_.count(SpanState::blocked) >= options_.key_lookahead_max) return false;
        attach(insert_keyed(slice.first + i, key, span));
        ++cursor_;
    }
    return true;
}

Group::Impl::SpanIt Group::Impl::insert_keyed(Seq seq, std::uint64_t key, Span span) {
    span.last = seq;
    span.special = true;
    messages_[seq].key = key;
    keys_.insert(key, seq);
    return spans_.insert(seq, span);
}

Slice Group::Impl::read(HandOutContext& context, Run wanted) {
    Slice slice = context.slice(wanted);
    const bool usable = slice.first <= wanted.first && wanted.first - slice.first < slice.count();
    if (!usable) return {};
    const auto skip = static_cast<std::size_t>(wanted.first - slice.first);
    const std::size_t count = std::min<std::uint64_t>(slice.count() - skip, wanted.count());
    slice.first = wanted.first;
    slice.offsets = slice.offsets.subspan(skip, count + 1);
    if (!slice.keys.empty()) slice.keys = slice.keys.subspan(skip, count);
    const auto keyed = [](std::uint64_t key) { return key != 0; };
    if (std::none_of(slice.keys.begin(), slice.keys.end(), keyed)) slice.keys = {};
    return slice;
}

Group::Impl::Fit Group::Impl::fit(const Pass& pass, const Consumer& consumer, const Slice& slice,
                                  std::uint64_t limit) const {
    const std::size_t budget = pass.bytes_max > pass.used ? pass.bytes_max - pass.used : 0;
    const std::uint64_t window = consumer.window_bytes > consumer.leased_bytes
                                     ? consumer.window_bytes - consumer.leased_bytes
                                     : 0;
    const auto size_of = [&](std::uint64_t count) -> std::uint64_t {
        return slice.offsets[count] - slice.offsets.front();
    };
    const std::uint64_t first = size_of(1);
    // One message always goes: through an unused budget or link, to a consumer that holds none.
    if (first > budget && pass.used > 0) return {0, 0, Step::budget};
    if (first > window && consumer.leased > 0) return {0, 0, Step::passed_over};
    if (first > consumer.room && consumer.given_now) return {0, 0, Step::passed_over};
    const std::uint64_t bytes = std::min({std::uint64_t{pass.batch_bytes_max},
                                          std::uint64_t{budget}, window,
                                          std::uint64_t{consumer.room}});
    const std::uint64_t most = slice.offsets.front() + bytes;
    const auto offsets = slice.offsets.subspan(1, limit);
    const auto beyond = std::upper_bound(offsets.begin(), offsets.end(), most);
    const auto count = std::max<std::uint64_t>(static_cast<std::uint64_t>(beyond - offsets.begin()),
                                               1);
    return {count, static_cast<std::size_t>(size_of(count)), Step::given};
}

Span Group::Impl::give(Pass& pass, Consumer& consumer, Run run, const Fit& fit, const Span& like) {
    Span leased = like;
    leased.state = SpanState::leased;
    leased.open = false;
    leased.special = false;
    leased.lease = {epoch_, ++lease_counter_};
    leased.holder = consumer.id;
    leased.expires = base::after(now_, options_.lease_duration);
    pass.out.push_back(
        {consumer.id, run, leased.lease, like.attempt, like.redelivered, like.alone, fit.bytes});
    pass.used += fit.bytes;
    consumer.room -= std::min(consumer.room, fit.bytes);
    consumer.given_now = true;
    consumer.picked = ++turn_;
    consumer.granted_at = now_;
    consumer.overdue.remove(run);
    counters_.handed_out += run.count();
    if (like.redelivered) counters_.redelivered += run.count();
    return leased;
}

/// Takes the waiting spans of `run`, which it covers whole, under the lease in `leased`.
void Group::Impl::lease_returned(Run run, const Slice& slice, const Span& leased) {
    auto it = spans_.ending_at_or_after(run.first);
    while (it != spans_.end() && it->first <= run.last) {
        it = spans_.isolate(it, {it->first, std::min(it->second.last, run.last)});
        const Run part = SpanTable::run(it);
        const auto following = std::next(it);
        if (!options_.ack_required) {
            consumers_.find(leased.holder)->overdue.add(part);
            retire(it);
        } else {
            detach(it);
            const bool special = it->second.special;
            it->second = leased;
            it->second.special = special;
            it->second.last = part.last;
            it->second.bytes = slice.offsets[part.last - run.first + 1] -
                               slice.offsets[part.first - run.first];
            if (special) messages_.at(part.first).retry.due = {};
            attach(it);
        }
        it = following;
    }
}

void Group::Impl::lease_fresh(Run run, const Slice& slice, const Span& leased) {
    if (!options_.ack_required) {
        consumers_.find(leased.holder)->overdue.add(run);
        mark_settled(run);
        return;
    }
    const auto offset = [&](Seq seq) { return slice.offsets[seq - run.first]; };
    Seq plain = run.first;  // first of the keyless ones not yet entered
    const auto enter_plain = [&](Seq before) {
        if (plain >= before) return;
        Span span = leased;
        span.last = before - 1;
        span.bytes = offset(before) - offset(plain);
        attach(spans_.insert(plain, span));
    };
    for (Seq seq = run.first; !slice.keys.empty() && seq <= run.last; ++seq) {
        const std::uint64_t key = slice.keys[seq - run.first];
        if (key == 0) continue;
        enter_plain(seq);
        plain = seq + 1;
        Span span = leased;
        span.bytes = offset(seq + 1) - offset(seq);
        attach(insert_keyed(seq, key, span));
    }
    enter_plain(run.last + 1);
}

}  // namespace peermq::delivery
