#include <algorithm>
#include <utility>

#include "delivery/inbox_impl.hpp"

namespace peermq::delivery {

namespace limits = base::limits;

namespace {

/// More earlier sources than this are kept only while something started under them is unsettled.
constexpr std::size_t kAliasesKept = 16;

/// `options` with every field in its range.
InboxOptions bounded(InboxOptions options) {
    options.prefetch = std::clamp<std::uint32_t>(options.prefetch, 1, limits::kPrefetchMax);
    options.prefetch_bytes = std::max<std::uint64_t>(options.prefetch_bytes, 1);
    options.concurrency = std::max<std::uint32_t>(options.concurrency, 1);
    return options;
}

base::RunSet set_of(std::span<const Run> runs) {
    base::RunSet set;
    for (const Run run : runs) set.add(base::bounded(run));
    return set;
}

}  // namespace

Inbox::Impl::Impl(InboxOptions options)
    : options_(bounded(options)),
      ceiling_(options_.prefetch),
      ceiling_bytes_(options_.prefetch_bytes) {}

Inbox::Impl::Stream* Inbox::Impl::find(SourceId source) const {
    if (last_stream_ != nullptr && last_source_ == source) return last_stream_;
    const auto it = by_source_.find(source);
    if (it == by_source_.end()) return nullptr;
    last_source_ = source;
    last_stream_ = it->second;
    return it->second;
}

Inbox::Impl::Stream* Inbox::Impl::find_live(SourceId source) const {
    Stream* stream = find(source);
    return stream != nullptr && stream->up && stream->source == source ? stream : nullptr;
}

Inbox::Impl::Stream& Inbox::Impl::stream_of(const base::StreamId& id) {
    Stream*& stream = by_id_[id];
    if (stream == nullptr) {
        stream = streams_.emplace_back(std::make_unique<Stream>()).get();
        stream->id = id;
    }
    return *stream;
}

void Inbox::Impl::source_up(SourceId source, const base::StreamId& id, bool persistent, bool ready,
                            Time now) {
    Stream& stream = stream_of(id);
    if (stream.up) lose_link(stream, now);
    if (stream.source != source) {
        // A restarted producer knows no leases. After so long the process before it may have given
        // to others what we have not started, and had their acks: we must not claim it.
        if (now >= stream.sure_until) drop_pending(stream);
        move_to_source(stream, source);
    }
    stream.persistent = persistent;
    stream.up = true;
    stream.ended = false;
    stream.refused = false;
    stream.ready = ready;
    stream.was_ready = false;
    stream.claim_until = inbox::kNotHeard;
    stream.timer = base::after(now, options_.lease_duration / 3);
    stream.window.unsent_slots = 0;
    stream.settlements.resend(false);
    unsent_up_ += stream.settlements.unsent();
    // The producer gives nothing over the new link before our first GRANT, hence HELD, reached it:
    // what it heard is as fresh as now, and only what is held from before needs its word.
    stream.gate = {.heard_at = now,
                   .validated = stream.pending.empty(),
                   .held_due = true,
                   .held_number = stream.gate.held_number};
    held_due_ = true;
    plan_due_ = true;
    deadline_known_ = false;
}

void Inbox::Impl::move_to_source(Stream& stream, SourceId source) {
    if (stream.source != 0) stream.aliases.push_back(stream.source);
    stream.source = source;
    by_source_[source] = &stream;
    last_stream_ = nullptr;
    stream.settlements.resend(true);
    stream.gate.held_number = 0;
    stream.window.number = 0;
    prune_aliases(stream);
}

void Inbox::Impl::prune_aliases(Stream& stream) {
    if (stream.aliases.size() <= kAliasesKept) return;
    const auto in_use = [&](SourceId alias) {
        bool found = false;
        stream.started.for_each(
            [&](const inbox::StartedRun& started) { found |= started.tag.source == alias; });
        return found;
    };
    const auto unused = std::find_if_not(stream.aliases.begin(), stream.aliases.end(), in_use);
    if (unused == stream.aliases.end()) return;
    by_source_.erase(*unused);
    stream.aliases.erase(unused);
}

void Inbox::Impl::source_ready(SourceId source, bool ready) {
    Stream* stream = find_live(source);
    if (stream == nullptr || stream->ready == ready) return;
    stream->ready = ready;
    stream->was_ready = !ready;
    plan_due_ = true;
}

void Inbox::Impl::lose_link(Stream& stream, Time now) {
    unsent_up_ -= stream.settlements.unsent();
    stream.gate.judge(now);
    stream.sure_until = stream.gate.validated ? stream.gate.deadline() : inbox::kNotHeard;
    stream.up = false;
    stream.down_since = now;
    stream.ready = false;
    stream.gate.validated = false;
    stream.gate.held_due = false;
    stream.gate.fresh = inbox::kNotHeard;
    // What was under way is lost with the link; the producer learns so from the next HELD.
    const std::uint32_t number = stream.window.number;
    const std::uint64_t served = stream.window.served;
    stream.window = {.number = number, .served = served};
    stream.overrun = 0;
    stream.timer = timer_when_gone(stream, now);
}

void Inbox::Impl::source_down(SourceId source, bool ended, Time now) {
    Stream* stream = find(source);
    if (stream == nullptr || stream->source != source) return;
    if (stream->up) lose_link(*stream, now);
    if (ended && !stream->ended) {
        stream->ended = true;
        // It may have lived until now, and given to others what it thought lost with us.
        stream->unsure = now >= stream->sure_until;
    }
    if (stream->ended && !stream->persistent) stream->settlements.abandon();
    if (stopped_) drop_pending(*stream);
    plan_due_ = true;
    deadline_known_ = false;
    forget_idle_gone();
}

void Inbox::Impl::source_ended(SourceId source, Time now) {
    Stream* stream = find(source);
    if (stream == nullptr || stream->source != source) return;
    drop_pending(*stream);
    if (stream->up) lose_link(*stream, now);
    stream->settlements.abandon();
    plan_due_ = true;
    deadline_known_ = false;
    forget_idle_gone();
}

void Inbox::Impl::stream_refused(const base::StreamId& id) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || found->second->up) return;
    Stream& stream = *found->second;
    stream.refused = true;
    drop_pending(stream);
    stream.settlements.abandon();
    plan_due_ = true;
    deadline_known_ = false;
}

/// The next moment at which something changes for a stream without a link: others may have its
/// place, its messages may be handed out although their producer may live, it is forgotten.
Time Inbox::Impl::timer_when_gone(const Stream& stream, Time now) const {
    for (const Duration wait :
         {Duration(limits::kResumeGrace), options_.lease_duration, options_.max_processing}) {
        const Time when = base::after(stream.down_since, wait);
        if (when > now) return when;
    }
    return base::after(now, options_.max_processing);
}

void Inbox::Impl::check_gone(Stream& stream, Time now) {
    plan_due_ = true;
    stream.timer = timer_when_gone(stream, now);
    if (now < base::after(stream.down_since, options_.max_processing)) return;
    // What came from memory exists nowhere else: it waits for the application as long as need be.
    const bool last_copy = !stream.persistent &&
                           !(stream.pending.empty() && stream.started.empty());
    if (!last_copy) forget(stream);
}

void Inbox::Impl::source_heard(SourceId source, Time heard_at) {
    Stream* stream = find_live(source);
    if (stream == nullptr || heard_at <= stream->gate.heard_at) return;
    stream->gate.fresh = std::max(stream->gate.fresh, heard_at);
    heard_due_ = true;
    deadline_known_ = false;
}

void Inbox::Impl::judge_all(Time now) {
    heard_due_ = false;
    deadline_known_ = false;
    for (const auto& stream : streams_) {
        if (!stream->up) continue;
        stream->gate.judge(now);
        held_due_ = held_due_ || stream->gate.held_due;
    }
}

void Inbox::Impl::validated(SourceId source, std::uint32_t number, std::span<const Run> revoked,
                            bool done, Time now) {
    Stream* stream = find_live(source);
    if (stream == nullptr || !stream->gate.awaiting || number != stream->gate.held_number) return;
    const base::RunSet which = set_of(revoked);
    // What came again under a newer lease since that HELD is not what it spoke of.
    const std::uint64_t dropped = stream->pending.remove_announced(which, number);
    stream->held -= dropped;
    counters_.revoked += dropped;
    stream->started.change_inside(which, [&](inbox::StartedTag& tag, std::uint64_t count) {
        if (tag.announced == number && !tag.orphaned) {
            tag.orphaned = true;
            stream->held -= count;
        }
        return true;
    });
    plan_due_ = true;
    if (!done) return;
    const bool live = stream->gate.live;
    stream->gate.answered(now);
    if (live) {
        // These were under way when HELD said that we do not have them: the producer took them
        // back.
        for (const auto& piece : stream->pending.remove_unannounced(number)) {
            // So their slots were free before, and may have been used again.
            stream->overrun -= std::min(stream->overrun, piece.run.count());
            give_back(*stream, piece);
            stream->window.unsent_slots -= piece.run.count();
        }
    }
    const std::uint64_t granted = stream->window.granted;
    const std::uint64_t beyond = stream->held - std::min(stream->held, granted);
    for (const auto& piece :
         stream->pending.pop_back(std::min(beyond, std::exchange(stream->overrun, 0)))) {
        give_back(*stream, piece);
    }
    judge_all(now);
}

void Inbox::Impl::granted(SourceId source, std::uint32_t number) {
    Stream* stream = find_live(source);
    if (stream == nullptr || !stream->window.shrinking) return;
    if (number < stream->window.shrink_number || number > stream->window.number) return;
    stream->window.shrinking = false;
    plan_due_ = true;
}

void Inbox::Impl::forget(Stream& stream) {
    started_total_ -= stream.started.size();
    stream.started.for_each([&](const inbox::StartedRun& started) {
        if (started.tag.alone) alone_running_ = false;
    });
    std::erase(ring_, &stream);
    by_source_.erase(stream.source);
    for (const SourceId alias : stream.aliases) by_source_.erase(alias);
    by_id_.erase(stream.id);
    last_stream_ = nullptr;
    plan_due_ = true;
    deadline_known_ = false;
    std::erase_if(streams_, [&](const auto& one) { return one.get() == &stream; });
}

void Inbox::Impl::forget_idle_gone() {
    const auto idle_gone = [](const auto& stream) {
        return !stream->up && stream->holds_nothing();
    };
    const auto count = std::count_if(streams_.begin(), streams_.end(), idle_gone);
    if (count <= static_cast<std::ptrdiff_t>(limits::kGoneSourcesMax)) return;
    Stream* oldest = nullptr;
    for (const auto& stream : streams_) {
        if (idle_gone(stream) && (oldest == nullptr || stream->down_since < oldest->down_since))
            oldest = stream.get();
    }
    forget(*oldest);
}

}  // namespace peermq::delivery
