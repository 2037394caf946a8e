#include <algorithm>

#include "base/assert.hpp"
#include "delivery/inbox_impl.hpp"

namespace peermq::delivery {

namespace limits = base::limits;

std::uint64_t Inbox::Impl::flush_threshold() const noexcept {
    return std::max<std::uint64_t>(1, options_.prefetch / 4);
}

InboxActions Inbox::Impl::take_actions(Time now) {
    InboxActions actions;
    if (heard_due_ || now >= next_deadline()) tick(now);
    if (held_due_) {
        held_due_ = false;
        for (const auto& stream : streams_) {
            if (stream->up && stream->gate.held_due) send_held(*stream, now, actions);
        }
    }
    if (unsent_up_ > 0) {
        for (const auto& stream : streams_) {
            if (stream->up) stream->account_freed(now);
        }
    }
    if (plan_due_) plan_windows(now, actions);
    if (unsent_up_ > 0) {
        for (const auto& stream : streams_) {
            if (!stream->up || stream->settlements.unsent() == 0) continue;
            stream->settlements.flush(stream->source, actions.settles);
            stream->window.unsent_slots = 0;
        }
        unsent_up_ = 0;
    }
    if (now >= next_deadline()) {
        for (const auto& stream : streams_) {
            if (stream->up && now >= stream->timer) send_renewals(*stream, now, actions);
        }
    }
    return actions;
}

void Inbox::Impl::send_held(Stream& stream, Time now, InboxActions& actions) {
    inbox::Gate& gate = stream.gate;
    gate.held_due = false;
    gate.awaiting = true;
    gate.held_sent_at = now;
    InboxActions::Held held;
    held.source = stream.source;
    held.number = ++gate.held_number;
    const auto add = [&](const base::Epoch& epoch, Run run, const LeaseId& lease, bool started) {
        if (!held.runs.empty()) {
            auto& last = held.runs.back();
            if (last.epoch == epoch && last.held.lease == lease && last.held.started == started &&
                last.held.run.last + 1 == run.first) {
                last.held.run.last = run.last;
                return;
            }
        }
        held.runs.push_back({epoch, {run, lease, started}});
    };
    stream.pending.announce(gate.held_number);
    stream.started.change_each([&](inbox::StartedTag& tag) {
        if (!tag.orphaned) tag.announced = gate.held_number;
    });
    // What is settled is still leased to us as far as the producer knows, until it gets the SETTLE
    // that follows. What was sent over this link before comes first, and must not be taken up
    // again.
    stream.settlements.for_each_unsent([&](const inbox::Settled& settled) {
        add(settled.epoch, settled.entry.run, settled.entry.lease, true);
    });
    stream.started.for_each([&](const inbox::StartedRun& started) {
        if (!started.tag.orphaned) add(started.tag.epoch, started.run, started.tag.lease, true);
    });
    stream.pending.for_each([&](const inbox::PendingRun& pending) {
        add(pending.epoch, pending.run, pending.lease, false);
    });
    actions.helds.push_back(std::move(held));
}

void Inbox::Impl::orphan_overdue(Stream& stream, Time now) {
    const auto overdue = [&](const inbox::StartedTag& tag) {
        const Time started_before = Time(std::chrono::seconds(tag.second + 1));
        return !tag.orphaned && now >= base::after(started_before, options_.max_processing);
    };
    base::RunSet which;
    stream.started.for_each([&](const inbox::StartedRun& started) {
        if (overdue(started.tag)) which.add(started.run);
    });
    stream.started.change_inside(which, [&](inbox::StartedTag& tag, std::uint64_t count) {
        tag.orphaned = true;
        stream.held -= count;
        return true;
    });
    plan_due_ = plan_due_ || !which.empty();
}

void Inbox::Impl::send_renewals(Stream& stream, Time now, InboxActions& actions) {
    stream.timer = base::after(now, options_.lease_duration / 3);
    deadline_known_ = false;
    orphan_overdue(stream, now);
    base::RunSet held;
    stream.started.for_each([&](const inbox::StartedRun& started) {
        if (!started.tag.orphaned) held.add(started.run);
    });
    stream.pending.for_each([&](const inbox::PendingRun& pending) { held.add(pending.run); });
    InboxActions::Renew renew{stream.source, {}};
    const auto push = [&] {
        if (!renew.runs.empty()) actions.renews.push_back(renew);
        renew.runs.clear();
    };
    held.for_each([&](Run run) {
        renew.runs.push_back(run);
        if (renew.runs.size() == limits::kRunsPerFrameMax) push();
    });
    push();
}

void Inbox::Impl::tick(Time now) {
    if (heard_due_) judge_all(now);
    std::vector<Stream*> due;
    for (const auto& stream : streams_) {
        if (!stream->up && now >= stream->timer) due.push_back(stream.get());
        if (stream->claim_until != inbox::kNotHeard && now >= stream->claim_until) plan_due_ = true;
    }
    for (Stream* stream : due) check_gone(*stream, now);
    deadline_known_ = false;
}

Time Inbox::Impl::next_deadline() const {
    if (plan_due_ || heard_due_ || held_due_) return Time::min();
    if (deadline_known_) return deadline_;
    Time next = base::kNever;
    for (const auto& stream : streams_) {
        next = std::min(next, stream->timer);
        if (stream->claim_until != inbox::kNotHeard) next = std::min(next, stream->claim_until);
    }
    deadline_ = next;
    deadline_known_ = true;
    return next;
}

void Inbox::Impl::set_prefetch(std::uint32_t messages, std::uint64_t bytes) {
    options_.prefetch = std::clamp<std::uint32_t>(messages, 1, limits::kPrefetchMax);
    options_.prefetch_bytes = std::max<std::uint64_t>(bytes, 1);
    ceiling_ = std::max<std::uint64_t>(ceiling_, options_.prefetch);
    ceiling_bytes_ = std::max(ceiling_bytes_, options_.prefetch_bytes);
    for (const auto& stream : streams_) stream->window.regrant = true;
    plan_due_ = true;
}

void Inbox::Impl::set_concurrency(std::uint32_t concurrency) {
    options_.concurrency = std::max<std::uint32_t>(concurrency, 1);
    for (const auto& stream : streams_) stream->window.regrant = true;
    plan_due_ = true;
}

std::vector<std::pair<base::StreamId, Seq>> Inbox::Impl::taken() const {
    std::vector<std::pair<base::StreamId, Seq>> all;
    for (const auto& stream : streams_) {
        if (stream->taken != 0) all.emplace_back(stream->id, stream->taken);
    }
    return all;
}

InboxStats Inbox::Impl::stats() const {
    InboxStats stats = counters_;
    for (const auto& stream : streams_) {
        stats.ready += stream->pending.size();
        stats.started += stream->started.size();
        stats.unconfirmed += stream->settlements.unconfirmed();
        stats.sources += stream->up ? 1 : 0;
        stats.sources_ready += stream->up && stream->ready ? 1 : 0;
    }
    return stats;
}

bool Inbox::Impl::drained() const {
    return started_total_ == 0 &&
           std::all_of(streams_.begin(), streams_.end(),
                       [](const auto& stream) { return stream->settlements.unconfirmed() == 0; });
}

void Inbox::Impl::check_invariants() const {
    std::uint64_t started_sum = 0;
    std::uint64_t unsent_sum = 0;
    for (const auto& stream : streams_) {
        stream->pending.check_invariants();
        stream->started.check_invariants();
        stream->settlements.check_invariants();
        std::uint64_t held = stream->pending.size();
        stream->started.for_each([&](const inbox::StartedRun& started) {
            if (!started.tag.orphaned) held += started.run.count();
            stream->pending.for_each([&](const inbox::PendingRun& pending) {
                PEERMQ_ASSERT(pending.run.last < started.run.first ||
                              started.run.last < pending.run.first);
            });
        });
        PEERMQ_ASSERT(held == stream->held);
        PEERMQ_ASSERT(held <= stream->exposure());
        PEERMQ_ASSERT(stream->up || stream->window.granted == 0);
        PEERMQ_ASSERT(stream->pending.empty() || stream->in_ring);
        started_sum += stream->started.size();
        if (stream->up) unsent_sum += stream->settlements.unsent();
    }
    PEERMQ_ASSERT(started_sum == started_total_);
    PEERMQ_ASSERT(unsent_sum == unsent_up_);
    PEERMQ_ASSERT(exposure_sum() <= ceiling_);
}

}  // namespace peermq::delivery
