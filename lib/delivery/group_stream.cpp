// What a group knows of its stream: recovery, growth, loss, purge; facts, mark and figures.

#include <algorithm>

#include "base/assert.hpp"
#include "delivery/group_impl.hpp"

namespace peermq::delivery {

namespace {

/// The first `count` seqs of `run`, or all of it.
Run first_of(Run run, std::uint64_t count) {
    if (run.count() > count) run.last = run.first + count - 1;
    return run;
}

}  // namespace

void Group::Impl::recover(base::RunSet settled, Seq end, Seq mark,
                          std::vector<Facts::Retry> retries, Time now, base::WallTime wall_now) {
    note_time(now, wall_now);
    end_ = end;
    mark_ = mark;
    settled_at_start_ = settled;
    above_ = std::move(settled);
    if (!above_.empty() && above_.back().last > end) above_.remove({end + 1, above_.back().last});
    if (!above_.empty() && above_.front().first <= 1) {
        floor_ = above_.front().last;
        above_.remove(above_.front());
    }
    cursor_ = std::min(mark, end);
    for (const Facts::Retry& retry : retries) {  // what has failed has been handed out
        if (retry.seq <= end) cursor_ = std::max(cursor_, retry.seq);
    }
    cursor_ = std::max(cursor_, floor_);
    Span span;
    span.state = options_.ack_required ? SpanState::unclear : SpanState::available;
    span.redelivered = true;
    span.open = true;
    for (const Run run : above_.gaps({floor_ + 1, cursor_})) {
        span.last = run.last;
        attach(spans_.insert(run.first, span));
        unscanned_.add(run);
    }
    for (Facts::Retry& retry : retries) {
        auto it = spans_.ending_at_or_after(retry.seq);
        if (retry.seq == 0 || it == spans_.end() || it->first > retry.seq) continue;
        it = spans_.isolate(it, {retry.seq, retry.seq});
        RetryState& state = message_of(it).retry;
        state = std::move(retry.state);
        detach(it);
        it->second.alone = state.crashes > 0 || state.suspicions >= 2;
        const std::uint64_t attempt = std::uint64_t{1} + state.nacks + state.crashes;
        it->second.attempt = static_cast<std::uint16_t>(std::min<std::uint64_t>(attempt, 0xFFFF));
        if (it->second.state != SpanState::unclear) it->second.state = resting_state(it);
        attach(it);
    }
    if (spans_.count(SpanState::unclear) > 0) {
        recovered_at_ = base::after(now, options_.recover_grace);
        recovered_latest_ = std::max(recovered_at_, base::after(now, options_.lease_duration));
    }
}

void Group::Impl::configure(GroupOptions options) {
    PEERMQ_ASSERT(options.durable == options_.durable);
    options_ = options;
    consumers_.set_active_max(options.max_consumers);
}

bool Group::Impl::append(Seq end) {
    if (end <= end_) return false;
    if (options_.repeat_percent > 0) {
        repeat_budget_ = std::min(repeat_budget_ + (end - end_) * options_.repeat_percent,
                                  std::uint64_t{100} * options_.repeat_burst);
    }
    end_ = end;
    return true;
}

std::uint64_t Group::Impl::purge() {
    std::uint64_t purged = 0;
    for (auto it = spans_.begin(); it != spans_.end();) {
        const auto following = std::next(it);
        if (!has_owner(it->second.state) && may_be_held(it->second)) {
            purged += SpanTable::run(it).count();
            finish(it, std::nullopt);
        }
        it = following;
    }
    purged += drop_oldest(UINT64_MAX);
    counters_.purged += purged;
    return purged;
}

std::uint64_t Group::Impl::drop_oldest(std::uint64_t count) {
    std::uint64_t dropped = 0;
    auto it = spans_.begin();
    while (it != spans_.end() && dropped < count) {
        const bool leave = has_owner(it->second.state) || may_be_held(it->second);
        if (!leave) {
            const Run part = first_of(SpanTable::run(it), count - dropped);
            it = spans_.isolate(it, part);
            dropped += part.count();
        }
        const auto following = std::next(it);
        if (!leave) retire(it);
        it = following;
    }
    const Seq fresh_first = std::max(cursor_, floor_) + 1;
    if (fresh_first > end_ || dropped == count) return dropped;
    for (const Run gap : above_.gaps({fresh_first, end_})) {
        if (dropped == count) break;
        const Run part = first_of(gap, count - dropped);
        dropped += part.count();
        mark_settled(part);
        cursor_ = part.last;
    }
    return dropped;
}

void Group::Impl::retry_stored(Seq seq) {
    const auto found = messages_.find(seq);
    if (found == messages_.end() || found->second.retries_unstored == 0) return;
    --found->second.retries_unstored;
    const SpanIt it = spans_.find(seq);
    if (it->second.state == SpanState::storing) settle_down(it);
}

void Group::Impl::dead_stored(Seq seq) {
    const SpanIt it = spans_.find(seq);
    if (it != spans_.end() && it->second.state == SpanState::dying) retire(it);
}

void Group::Impl::dead_lost(Seq seq) {
    const SpanIt it = spans_.find(seq);
    if (it == spans_.end() || it->second.state != SpanState::dying) return;
    retire(it);
    ++counters_.lost;
}

Seq Group::Impl::mark_wanted() const {
    if (mark_asked_ > mark_) return mark_asked_;
    if (!options_.durable || paused_ || cursor_ + mark_block_ / 2 <= mark_) return 0;
    for (const Consumer* consumer : consumers_.all()) {
        if (consumer->serving() && consumer->free() > 0) {
            adapt_mark_block();
            mark_asked_ = cursor_ + mark_block_;
            return mark_asked_;
        }
    }
    return 0;
}

void Group::Impl::adapt_mark_block() const {
    const Duration since = now_ - mark_asked_at_;
    if (mark_asked_ != 0 && since < base::limits::kHandoutMarkSoon) mark_block_ *= 2;
    if (since > base::limits::kHandoutMarkLate) mark_block_ /= 2;
    mark_block_ = std::clamp(mark_block_, base::limits::kHandoutMarkBlockMin,
                             base::limits::kHandoutMarkBlockMax);
    mark_asked_at_ = now_;
}

void Group::Impl::mark_stored(Seq mark) { mark_ = std::max(mark_, mark); }

Seq Group::Impl::fresh_last() const { return options_.durable ? std::min(end_, mark_) : end_; }

std::uint64_t Group::Impl::fresh_count() const {
    const Run fresh{std::max(cursor_, floor_) + 1, end_};
    if (fresh.empty()) return 0;
    const bool holes = !above_.empty() && above_.back().last >= fresh.first;
    return fresh.count() - (holes ? above_.count_in(fresh) : 0);
}

bool Group::Impl::has_work() const {
    if (!spans_.ordinary().empty() || !spans_.alone().empty()) return true;
    if (!delayed_.empty() && delayed_.begin()->first <= wall_) return true;
    const bool stalled = spans_.count(SpanState::blocked) >= options_.key_lookahead_max;
    return !stalled && fresh_count() > 0;
}

GroupStats Group::Impl::stats() const {
    GroupStats stats = counters_;
    stats.fresh = fresh_count();
    stats.in_flight = spans_.count(SpanState::leased);
    for (const SpanState state : {SpanState::available, SpanState::blocked, SpanState::delayed,
                                  SpanState::storing, SpanState::unclear}) {
        stats.waiting += spans_.count(state);
    }
    stats.depth = stats.fresh + stats.in_flight + stats.waiting +
                  spans_.count(SpanState::settling) + spans_.count(SpanState::dying);
    for (const Consumer* consumer : consumers_.all()) {
        ++stats.consumers;
        if (!consumer->active) ++stats.standby;
    }
    if (floor_ < end_) stats.oldest_unsettled = floor_ + 1;
    return stats;
}

}  // namespace peermq::delivery
