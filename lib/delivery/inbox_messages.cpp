#include <algorithm>

#include "delivery/inbox_impl.hpp"

namespace peermq::delivery {

bool Inbox::Impl::arrived(SourceId source, const Arrival& arrival, Time now) {
    if (heard_due_) judge_all(now);
    Stream* stream = find_live(source);
    if (stream == nullptr) return find(source) != nullptr;  // late, of a link that is gone
    if (arrival.run.empty() || arrival.run.first == 0) return false;
    const std::uint64_t count = arrival.run.count();
    if (arrival.run.first > stream->top) {
        if (!fits(*stream, count, arrival.bytes, now)) return false;
        take_new(*stream, arrival, arrival.run);
        return true;
    }
    // Nothing longer than what could be held is compared message by message.
    if (count > 2 * (stream->exposure() + stream->settlements.unconfirmed() + ceiling_))
        return false;
    const Known found = known(*stream, arrival);
    if (!fits(*stream, count - found.size(), arrival.bytes, now)) return false;
    adopt(*stream, arrival, found);
    base::RunSet fresh(arrival.run);
    for (const base::RunSet* set : {&found.pending, &found.started, &found.settled}) {
        set->for_each([&](Run run) { fresh.remove(run); });
    }
    fresh.for_each([&](Run run) {
        evict(*stream, run);
        take_new(*stream, arrival, run);
    });
    return true;
}

Inbox::Impl::Known Inbox::Impl::known(Stream& stream, const Arrival& arrival) const {
    Known found;
    found.pending = stream.pending.overlap(arrival.run, arrival.epoch);
    found.started = stream.started.overlap(arrival.run, arrival.epoch);
    found.settled = stream.settlements.final_overlap(arrival.run, arrival.epoch);
    return found;
}

bool Inbox::Impl::fits(Stream& stream, std::uint64_t count, std::size_t bytes, Time now) {
    const std::uint64_t bound = stream.exposure();
    // Sizes are known per run only, so the byte limit leaves room for an error of that kind.
    const bool bytes_fit = stream.pending.empty() ||
                           stream.pending.bytes() + bytes <= 2 * ceiling_bytes_;
    if (!bytes_fit || count > 2 * bound) return false;
    if (stream.held + count <= bound) return true;
    // After a silence the producer may rightly have taken back what we still hold: until it has
    // validated our holdings we take up to twice the window and then give back what is too much.
    const bool unclear = !stream.gate.open(now) || stream.gate.awaiting || stream.gate.held_due;
    if (!unclear || stream.held + count > 2 * bound) return false;
    const std::uint64_t beyond = stream.held + count - bound;
    stream.overrun += beyond;
    ceiling_ += beyond;
    if (stream.window.shrinking)
        stream.window.bound = std::max(stream.window.bound, stream.held + count);
    plan_due_ = true;
    return true;
}

void Inbox::Impl::adopt(Stream& stream, const Arrival& arrival, const Known& known) {
    if (known.size() == 0) return;
    counters_.duplicates += known.size();
    stream.pending.adopt(known.pending, arrival);
    stream.started.change_inside(known.started, [&](inbox::StartedTag& tag, std::uint64_t count) {
        if (tag.epoch != arrival.epoch || arrival.lease <= tag.lease) return true;
        tag.lease = arrival.lease;
        tag.announced = 0;
        if (tag.orphaned) {
            // Ours again, and on top of what the windows allow: it was given up before.
            tag.orphaned = false;
            stream.held += count;
            stream.window.bound = std::max(stream.window.bound, stream.held);
            ceiling_ += count;
            plan_due_ = true;
        }
        return true;
    });
    const std::uint64_t before = stream.settlements.unsent();
    stream.settlements.reissue(known.settled, arrival.lease);
    unsent_up_ += stream.settlements.unsent() - before;
}

void Inbox::Impl::take_new(Stream& stream, const Arrival& arrival, Run run) {
    stream.top = std::max(stream.top, run.last);
    stream.held += run.count();
    counters_.received += run.count();
    if (arrival.redelivered) counters_.redelivered += run.count();
    stream.pending.push(arrival, run);
    if (stopped_) {
        for (const auto& piece : stream.pending.pop_back(run.count())) give_back(stream, piece);
        return;
    }
    if (!stream.in_ring) {
        stream.in_ring = true;
        ring_.push_back(&stream);
    }
}

/// Makes room for new messages at seqs where something else may be: of another epoch (a spool that
/// went back in time, whose old message nobody can ask for any more), or settled and given again.
void Inbox::Impl::evict(Stream& stream, Run run) {
    const base::RunSet which(run);
    const std::uint64_t unsent_before = stream.settlements.unsent();
    stream.settlements.supersede(run);
    unsent_up_ -= unsent_before - stream.settlements.unsent();
    const std::uint64_t dropped = stream.pending.remove(which);
    stream.held -= dropped;
    counters_.revoked += dropped;
    stream.started.change_inside(which, [&](const inbox::StartedTag& tag, std::uint64_t count) {
        if (!tag.orphaned) stream.held -= count;
        if (tag.alone) alone_running_ = false;
        started_total_ -= count;
        counters_.revoked += count;
        return false;
    });
}

Inbox::Impl::Stream* Inbox::Impl::next_stream(Time now) {
    for (std::size_t tries = ring_.size(); tries > 0; --tries) {
        Stream* stream = ring_.front();
        if (!stream->pending.empty() && stream->may_hand_out(now, options_.lease_duration))
            return stream;
        ring_.pop_front();
        if (stream->pending.empty()) {
            stream->in_ring = false;
        } else {
            ring_.push_back(stream);
        }
    }
    return nullptr;
}

bool Inbox::Impl::take_into(Time now, Item& item) {
    if (heard_due_) judge_all(now);
    if (alone_running_ || ring_.empty()) return false;
    Stream* stream = next_stream(now);
    if (stream == nullptr) return false;
    // The turn stays with a message that must run alone, else the others would never leave it room.
    if (stream->pending.front().alone && started_total_ > 0) return false;
    start_front(*stream, now, item);
    return true;
}

void Inbox::Impl::start_front(Stream& stream, Time now, Item& item) {
    if (now >= second_end_) {
        const auto second = std::chrono::floor<std::chrono::seconds>(now);
        second_ = second.time_since_epoch().count();
        second_end_ = second + std::chrono::seconds(1);
    }
    const inbox::PendingRun& run = stream.pending.front();
    item.source = stream.source;
    item.epoch = run.epoch;
    item.seq = run.run.first;
    stream.taken = std::max(stream.taken, item.seq);
    item.lease = run.lease;
    item.attempt = run.attempt;
    item.redelivered = run.redelivered || stream.doubtful();
    if (item.payload != run.payload) item.payload = run.payload;
    item.payload_index = run.payload_index;
    stream.started.add(item.seq, {.epoch = run.epoch,
                                  .lease = run.lease,
                                  .source = stream.source,
                                  .second = second_,
                                  .announced = run.announced,
                                  .alone = run.alone});
    ++started_total_;
    alone_running_ = run.alone;
    if (stream.pending.pop_one()) {
        ring_.pop_front();
        stream.in_ring = !stream.pending.empty();
        if (stream.in_ring) ring_.push_back(&stream);
    }
}

bool Inbox::Impl::has_ready(Time now) const {
    if (alone_running_ || stopped_) return false;
    for (const Stream* stream : ring_) {
        if (stream->pending.empty() || !stream->may_hand_out(now, options_.lease_duration))
            continue;
        return !stream->pending.front().alone || started_total_ == 0;
    }
    return false;
}

bool Inbox::Impl::settle(SourceId source, Seq seq, SettleKind kind, std::optional<Duration> delay,
                         std::string_view reason) {
    Stream* stream = find(source);
    if (stream == nullptr) return false;
    const std::optional<inbox::StartedTag> tag = stream->started.remove(seq, source);
    if (!tag) return false;
    --started_total_;
    if (tag->alone) alone_running_ = false;
    if (!tag->orphaned) stream->slots_freed(1);
    count(kind, 1);
    note_settled(*stream, kind, {seq, seq}, tag->lease, tag->epoch, delay, reason);
    return true;
}

void Inbox::Impl::note_settled(Stream& stream, SettleKind kind, Run run, const LeaseId& lease,
                               const base::Epoch& epoch, std::optional<Duration> delay,
                               std::string_view reason) {
    stream.settlements.add(kind, run, lease, epoch, delay, reason);
    if (stream.up) {
        unsent_up_ += run.count();
    } else if (stream.refused || (stream.ended && !stream.persistent)) {
        stream.settlements.abandon();
    }
    plan_due_ = plan_due_ || short_;
}

void Inbox::Impl::count(SettleKind kind, std::uint64_t messages) noexcept {
    switch (kind) {
        case SettleKind::ack: counters_.acked += messages; break;
        case SettleKind::nack: counters_.nacked += messages; break;
        case SettleKind::release: counters_.released += messages; break;
        case SettleKind::reject: counters_.rejected += messages; break;
        case SettleKind::recalled: counters_.recalled += messages; break;
    }
}

void Inbox::Impl::give_back(Stream& stream, const inbox::PendingRun& piece) {
    stream.slots_freed(piece.run.count());
    count(SettleKind::recalled, piece.run.count());
    note_settled(stream, SettleKind::recalled, piece.run, piece.lease, piece.epoch, std::nullopt,
                 {});
}

void Inbox::Impl::drop_pending(Stream& stream) {
    const std::uint64_t dropped = stream.pending.clear();
    stream.held -= dropped;
    count(SettleKind::recalled, dropped);
}

void Inbox::Impl::recall(SourceId source, std::uint32_t messages) {
    Stream* stream = find_live(source);
    if (stream == nullptr) return;
    for (const auto& piece : stream->pending.pop_back(messages)) give_back(*stream, piece);
}

void Inbox::Impl::stop() {
    stopped_ = true;
    plan_due_ = true;
    for (const auto& stream : streams_) {
        if (stream->up) {
            for (const auto& piece : stream->pending.pop_back(stream->pending.size()))
                give_back(*stream, piece);
        } else {
            drop_pending(*stream);
        }
    }
}

std::vector<RefusedSettlement> Inbox::Impl::confirmed(SourceId source, std::uint64_t number,
                                                      std::span<const RefusedRun> refused) {
    Stream* stream = find_live(source);
    if (stream == nullptr) return {};
    std::vector<RefusedSettlement> marked = stream->settlements.confirm(number, refused);
    for (const RefusedSettlement& settlement : marked) counters_.refused += settlement.run.count();
    return marked;
}

Outcome Inbox::Impl::outcome(SourceId source, Seq seq) const {
    const Stream* stream = find(source);
    if (stream == nullptr) return Outcome::unknown;
    if (stream->started.contains(seq)) return Outcome::pending;
    return stream->settlements.outcome(seq);
}

}  // namespace peermq::delivery
