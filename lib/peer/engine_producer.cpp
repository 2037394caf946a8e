/// The sending side: offers, hand-out, settlements, what must be stored.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "peer/dead_letter.hpp"
#include "peer/engine.hpp"
#include "peer/engine_state.hpp"

namespace peermq::detail {
namespace {

/// Bytes that one stream hands out before the next one has its turn.
constexpr std::size_t kQuantumBytes = 512 * base::limits::kKiB;
/// How much is read back from the spool at a time, and how many such pieces are kept.
constexpr std::size_t kReadBackBytes = 512 * base::limits::kKiB;
constexpr std::size_t kReadBacksKept = 4;
/// READY turns into IDLE only after this long without messages, so that a steady trickle does not
/// make every consumer move its credit about.
constexpr auto kIdleAfter = std::chrono::milliseconds(50);

wire::Level to_wire(Durability durability) {
    switch (durability) {
        case Durability::memory: return wire::Level::memory;
        case Durability::os: return wire::Level::os;
        case Durability::disk: return wire::Level::disk;
    }
    return wire::Level::memory;
}

spool::StateChange settled_change(const OutStream& stream, base::Run run) {
    spool::StateChange change;
    change.kind = spool::StateChange::Kind::settled;
    change.stream = stream.config().index;
    change.run = run;
    return change;
}

std::string dead_reason(delivery::DeadReason reason) {
    switch (reason) {
        case delivery::DeadReason::max_attempts: return "max_attempts";
        case delivery::DeadReason::rejected: return "rejected";
        case delivery::DeadReason::expired: return "expired";
    }
    return "unknown";
}

}  // namespace

/// Where Group finds records and room. Reads back from the spool what is no longer in memory.
class Engine::HandOut final : public delivery::HandOutContext {
public:
    HandOut(Engine& engine, Producer& producer) : engine_(engine), producer_(producer) {}

    delivery::Slice slice(base::Run wanted) override {
        const OutStream::Cached found = find(wanted.first);
        if (!found.chunk) return {};
        const base::Seq last = std::min(found.run.last, producer_.stream->handable_end());
        if (last < wanted.first) return {};
        held_ = found.chunk;
        return held_->slice(wanted.first, last);
    }

    std::size_t room(delivery::ConsumerId consumer) override {
        const auto it = producer_.consumers.find(consumer);
        if (it == producer_.consumers.end() || it->second.handle == 0) return 0;
        if (producer_.unanswered.size() >= base::limits::kSettledMemoryRunsMax) return 0;
        const LinkState* link = it->second.session->link;
        if (link == nullptr || link->closed || !link->pending.empty()) return 0;
        return link->machine.room();
    }

    /// The chunk with `seq`, from memory or read back; nothing when it is damaged (then noted as
    /// lost).
    OutStream::Cached find(base::Seq seq) {
        if (OutStream::Cached cached = producer_.stream->chunk_of(seq); cached.chunk) return cached;
        for (const auto& chunk : producer_.read_back) {
            if (chunk->run().contains(seq)) return {chunk, chunk->run()};
        }
        if (engine_.spool_ == nullptr || !producer_.stream->stored()) return {};
        spool::ReadResult read = engine_.spool_->read(producer_.stream->config().index, seq,
                                                      kReadBackBytes);
        if (!read.lost.empty()) lost_.push_back(read.lost);
        if (read.run.empty() || read.run.first != seq) return {};
        auto chunk = std::make_shared<const Chunk>(std::move(read));
        producer_.read_back.push_front(chunk);
        if (producer_.read_back.size() > kReadBacksKept) producer_.read_back.pop_back();
        return {chunk, chunk->run()};
    }

    [[nodiscard]] const std::vector<base::Run>& lost() const noexcept { return lost_; }

private:
    Engine& engine_;
    Producer& producer_;
    std::shared_ptr<const Chunk> held_;
    std::vector<base::Run> lost_;
};

void Engine::add_producer(const std::shared_ptr<OutStream>& stream, delivery::GroupOptions options,
                          const std::shared_ptr<OutStream>& dead_letters) {
    PEERMQ_ASSERT(find(*stream) == nullptr);
    options.durable = stream->stored();
    auto producer = std::make_unique<Producer>(
        Producer{stream,
                 delivery::Group(options, stream->config().epoch.counter, random_),
                 dead_letters,
                 {},
                 {},
                 {}});
    Producer& added = *producer;
    producers_.emplace(stream.get(), std::move(producer));
    producers_by_name_[stream->config().name] = &added;
    if (closing_) added.group.pause();
    for (const auto& [channel, link] : links_) {
        if (!link->up()) continue;
        for (const auto& [handle, name] : link->wants) {
            if (name == stream->config().name) offer(*link, handle, added);
        }
    }
}

void Engine::recover_producer(const OutStream& stream, const spool::RecoveredStream& recovered) {
    Producer& producer = *find(stream);
    std::vector<delivery::Facts::Retry> retries;
    base::RunSet settled;
    base::Seq mark = 0;
    for (const spool::GroupState& group : recovered.groups) {
        if (group.group != 0) continue;
        settled = group.settled;
        mark = group.mark;
        for (const spool::RetryRecord& retry : group.retries) {
            retries.push_back(
                {retry.seq,
                 {retry.nacks, retry.crashes, retry.suspicions, retry.due, retry.last_error}});
        }
    }
    producer.group.recover(std::move(settled), recovered.end, mark, std::move(retries), now_,
                           wall_now_);
    wake(producer);
}

void Engine::configure_producer(const OutStream& stream, delivery::GroupOptions options) {
    Producer& producer = *find(stream);
    options.durable = stream.stored();
    producer.group.configure(options);
    wake(producer);
}

// --- consumers of our streams

void Engine::on_want(LinkState& link, const wire::Want& want) {
    if (link.wants.size() >= base::limits::kStreamsPerLinkMax)
        return protocol_error(link, "too many WANTs");
    if (want.kind != wire::StreamKind::queue) return;  // patterns of later versions
    link.wants[want.handle] = want.name;
    const auto it = producers_by_name_.find(want.name);
    if (it != producers_by_name_.end()) offer(link, want.handle, *it->second);
}

void Engine::on_unwant(LinkState& link, const wire::Unwant& unwant) {
    link.wants.erase(unwant.handle);
    // It has nothing left to settle: whatever is still leased to it never came to it.
    std::erase_if(link.outgoing, [&](const auto& entry) {
        const Outgoing& outgoing = entry.second;
        if (outgoing.want != unwant.handle) return false;
        Producer& producer = *outgoing.producer;
        producer.group.remove_consumer(outgoing.consumer, false, now_);
        producer.consumers.erase(outgoing.consumer);
        link.session->consumes.erase({producer.stream.get(), unwant.handle});
        pump(producer);
        return true;
    });
}

void Engine::offer(LinkState& link, std::uint32_t want, Producer& producer) {
    for (const auto& [handle, outgoing] : link.outgoing) {
        if (outgoing.producer == &producer && outgoing.want == want) return;  // offered already
    }
    Session& session = *link.session;
    const std::uint32_t handle = link.next_handle++;
    auto [known, is_new] = session.consumes.try_emplace({producer.stream.get(), want}, 0);
    if (is_new || !producer.group.has_consumer(known->second)) {
        if (!is_new) producer.consumers.erase(known->second);
        known->second = next_id_++;
        producer.group.add_consumer(known->second, now_);
    } else {
        producer.group.resume_consumer(known->second, now_);
        // What it granted on the link before counts no more: the inbox starts anew with every link.
        producer.group.close_window(known->second);
    }
    // One that stands by is told IDLE: what it grants here could not be used, and may be all it
    // has.
    const bool ready = (producer.announced_ready || producer.group.ready()) &&
                       producer.group.active(known->second);
    producer.consumers[known->second] = {&session, handle, ready};
    link.outgoing[handle] = Outgoing{&producer, known->second, want, 0, {}, {}};
    send(link, handle,
         wire::Offer{want, producer.stream->config().id,
                     to_wire(producer.stream->config().durability), ready,
                     producer.group.stats().depth});
    wake(producer);
}

void Engine::on_grant(LinkState& link, std::uint32_t handle, const wire::Grant& grant) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end()) return protocol_error(link, "GRANT for an unknown stream");
    Outgoing& outgoing = it->second;
    const std::uint32_t messages = std::min(grant.messages, base::limits::kPrefetchMax);
    outgoing.producer->group.set_window(outgoing.consumer, messages, grant.bytes,
                                        grant.concurrency);
    if (messages < outgoing.grant_messages) send(link, handle, wire::Granted{grant.number});
    outgoing.grant_messages = messages;
    wake(*outgoing.producer);
}

void Engine::on_renew(LinkState& link, std::uint32_t handle, const wire::Renew& renew) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end()) return;
    it->second.producer->group.renew(it->second.consumer, renew.runs, now_);
}

// --- hand-out

void Engine::pump(Producer& producer) {
    store_facts(producer);
    wake(producer);
}

bool Engine::hand_out(Producer& producer) {
    // Nobody tells of records in memory while earlier ones wait; see took_all().
    if (!producer.stream->stored()) producer.group.append(producer.stream->handable_end());
    std::vector<delivery::Assignment> assignments;
    HandOut context(*this, producer);
    const bool more = producer.group.hand_out(context, kQuantumBytes, base::limits::kBatchBytesMax,
                                              now_, wall_now_, assignments);
    for (const base::Run run : context.lost()) producer.group.lose(run);
    base::Seq cursor = 0;
    for (const delivery::Assignment& assignment : assignments) {
        handed_out_ += assignment.run.count();
        cursor = std::max(cursor, assignment.run.last);
    }
    if (cursor != 0 && producer.stream->stored()) producer.stream->set_cursor(cursor);
    send_assignments(producer, assignments);
    store_facts(producer);
    store_mark(producer);
    announce_readiness(producer);
    return more || !context.lost().empty();
}

void Engine::send_assignments(Producer& producer, std::vector<delivery::Assignment>& assignments) {
    // Grouped by consumer, so that many small runs share a frame.
    std::stable_sort(assignments.begin(), assignments.end(),
                     [](const auto& a, const auto& b) { return a.consumer < b.consumer; });
    std::vector<delivery::Assignment> frame;
    std::size_t bytes = 0;
    const auto flush = [&] {
        if (frame.empty()) return;
        const Producer::Binding& binding = producer.consumers.at(frame.front().consumer);
        if (LinkState* link = binding.session->link; link != nullptr && !link->closed) {
            send_batch(*link, binding.handle, producer, frame);
        }
        frame.clear();
        bytes = 0;
    };
    for (const delivery::Assignment& assignment : assignments) {
        const bool full = bytes + assignment.bytes > base::limits::kBatchBytesMax ||
                          frame.size() == base::limits::kRunsPerFrameMax;
        if (!frame.empty() && (full || frame.front().consumer != assignment.consumer)) flush();
        frame.push_back(assignment);
        bytes += assignment.bytes;
    }
    flush();
}

void Engine::send_batch(LinkState& link, std::uint32_t handle, Producer& producer,
                        const std::vector<delivery::Assignment>& assignments) {
    struct Piece {
        base::ByteSpan bytes;
        std::shared_ptr<const Chunk> chunk;
    };
    HandOut source(*this, producer);
    std::vector<delivery::Assignment> unsent;
    wire::Batch batch;
    batch.lease_epoch = assignments.front().lease.epoch;
    std::vector<Piece> pieces;
    std::size_t bytes = 0;
    const auto send_now = [&] {
        if (pieces.empty()) return;
        std::vector<std::byte> head(wire::batch_head_bytes(batch.runs.size()));
        if (pieces.size() == 1) {
            batch.records = pieces.front().bytes;
            wire::encode_batch_head(handle, link.peer_nonce, batch, head);
            send_data(link, std::move(head), pieces.front().bytes, pieces.front().chunk);
        } else {
            wire::encode_batch_head(handle, link.peer_nonce, batch, head);
            head.reserve(head.size() + bytes);
            for (const Piece& piece : pieces)
                head.insert(head.end(), piece.bytes.begin(), piece.bytes.end());
            send_data(link, std::move(head), {}, nullptr);
        }
        batch.runs.clear();
        pieces.clear();
        bytes = 0;
    };
    for (const delivery::Assignment& assignment : assignments) {
        std::uint8_t flags = 0;
        if (assignment.redelivered) flags |= wire::kRedelivered;
        if (assignment.alone) flags |= wire::kAlone;
        for (base::Seq seq = assignment.run.first; seq <= assignment.run.last;) {
            const OutStream::Cached found = source.find(seq);
            if (!found.chunk) {  // since it was looked at it was damaged, or cannot be read now
                unsent.push_back(assignment);
                unsent.back().run.first = seq;
                break;
            }
            const base::Run part{seq, std::min(assignment.run.last, found.run.last)};
            if (!pieces.empty() && found.chunk->epoch() != batch.epoch) send_now();
            batch.epoch = found.chunk->epoch();
            const base::ByteSpan span = found.chunk->bytes(part);
            const wire::BatchRun run{part, assignment.lease.counter, assignment.attempt, flags};
            if (span.size() > base::limits::kBatchBytesMax) {
                send_now();
                delivery::Assignment single = assignment;
                single.run = part;
                send_fragments(link, handle, single, batch.epoch, span, found.chunk);
            } else {
                batch.runs.push_back(run);
                pieces.push_back({span, found.chunk});
                bytes += span.size();
            }
            seq = part.last + 1;
        }
    }
    send_now();
    for (const delivery::Assignment& assignment : unsent)
        producer.group.take_back(assignment.consumer, assignment.run, assignment.lease);
    for (const base::Run run : source.lost()) producer.group.lose(run);
}

void Engine::send_fragments(LinkState& link, std::uint32_t handle,
                            const delivery::Assignment& assignment, base::Epoch epoch,
                            base::ByteSpan record, const std::shared_ptr<const void>& pin) {
    wire::Fragment fragment;
    fragment.epoch = epoch;
    fragment.lease_epoch = assignment.lease.epoch;
    fragment.run = {assignment.run, assignment.lease.counter, assignment.attempt, 0};
    if (assignment.redelivered) fragment.run.flags |= wire::kRedelivered;
    if (assignment.alone) fragment.run.flags |= wire::kAlone;
    fragment.total = static_cast<std::uint32_t>(record.size());
    for (std::size_t offset = 0; offset < record.size(); offset += base::limits::kBatchBytesMax) {
        fragment.offset = static_cast<std::uint32_t>(offset);
        fragment.bytes = record.subspan(
            offset, std::min(base::limits::kBatchBytesMax, record.size() - offset));
        std::vector<std::byte> frame;
        wire::encode(handle, link.peer_nonce, fragment, frame);
        send_data(link, std::move(frame), {}, pin);
    }
}

void Engine::announce_readiness(Producer& producer) {
    const bool ready = producer.group.ready();
    if (ready) {
        producer.idle_since = base::kNever;
    } else if (producer.announced_ready && producer.idle_since == base::kNever) {
        producer.idle_since = now_;
    }
    const bool idle_long = producer.idle_since != base::kNever &&
                           now_ - producer.idle_since >= kIdleAfter;
    const bool announced = ready || (producer.announced_ready && !idle_long);
    const std::uint64_t activity = producer.group.activity();
    if (announced == producer.announced_ready && activity == producer.activity) return;
    producer.announced_ready = announced;
    producer.activity = activity;
    const std::uint64_t depth = producer.group.stats().depth;
    for (auto& [consumer, binding] : producer.consumers) {
        if (binding.handle == 0 || binding.session->link == nullptr) continue;
        const bool told = announced && producer.group.active(consumer);
        if (told == std::exchange(binding.told_ready, told)) continue;
        send(*binding.session->link, binding.handle, wire::State{told, depth});
    }
}

// --- what must be stored

void Engine::store_facts(Producer& producer) {
    delivery::Facts facts = producer.group.take_facts();
    if (facts.empty()) return;
    OutStream& stream = *producer.stream;
    const bool stored = commits_ != nullptr && stream.stored();
    std::vector<spool::StateChange> changes;
    for (const base::Run run : facts.settled) {
        stream.settle(run);
        if (stored) changes.push_back(settled_change(stream, run));
    }
    bool urgent = false;
    std::vector<base::Seq> retried;
    for (const delivery::Facts::Retry& retry : facts.retries) {
        if (!stored) {
            producer.group.retry_stored(retry.seq);
            continue;
        }
        spool::StateChange change;
        change.kind = spool::StateChange::Kind::retry;
        change.stream = stream.config().index;
        change.retry = {retry.seq,           retry.state.nacks,
                        retry.state.crashes, retry.state.suspicions,
                        retry.state.due,     retry.state.last_error};
        changes.push_back(std::move(change));
        retried.push_back(retry.seq);
        urgent = true;  // it is not handed out before this is stored
    }
    if (!changes.empty()) {
        const std::uint64_t ticket = commits_->add_changes(std::move(changes), {}, urgent);
        if (!retried.empty()) {
            when_stored(ticket, [this, &producer, retried = std::move(retried)] {
                for (const base::Seq seq : retried) producer.group.retry_stored(seq);
                pump(producer);
            });
        }
    }
    for (const delivery::Facts::Dead& dead : facts.dead) bury(producer, dead);
    wake(producer);
}

void Engine::bury(Producer& producer, const delivery::Facts::Dead& dead) {
    // There is no second grave: a dead letter ends only by a reject, which discards it.
    if (producer.dead_letters == nullptr) return drop_dead_letter(producer, dead);
    HandOut source(*this, producer);
    const OutStream::Cached found = source.find(dead.seq);
    if (found.chunk) {
        move_to_dead_letters(producer, dead, found.chunk->bytes({dead.seq, dead.seq}));
    } else if (source.lost().empty() && producer.stream->stored()) {
        producer.unburied.push_back(dead);  // it cannot be read now: again at the next tick
    } else {
        producer.group.dead_lost(dead.seq);
    }
}

void Engine::drop_dead_letter(Producer& producer, const delivery::Facts::Dead& dead) {
    OutStream& stream = *producer.stream;
    const auto finish = [this, &producer, seq = dead.seq] {
        producer.group.dead_stored(seq);
        ++producer.dropped;
        pump(producer);
    };
    if (commits_ != nullptr && stream.stored()) {
        when_stored(commits_->add_changes({settled_change(stream, {dead.seq, dead.seq})}, {}, true),
                    finish);
    } else {
        finish();
    }
    events_.emit({EventKind::dropped, "", stream.config().name, 1,
                  "dead letter " + std::to_string(dead.seq) + " of \"" + stream.config().name +
                      "\" is dropped: " + dead_reason(dead.reason) +
                      (dead.text.empty() ? "" : " (" + dead.text + ")")});
}

void Engine::move_to_dead_letters(Producer& producer, const delivery::Facts::Dead& dead,
                                  base::ByteSpan record) {
    const auto finish = [this, &producer, seq = dead.seq] {
        producer.group.dead_stored(seq);
        ++producer.dead;
        pump(producer);
    };
    OutStream& stream = *producer.stream;
    const bool stored = commits_ != nullptr && stream.stored();
    const std::string attempts = std::to_string(dead.state.nacks + dead.state.crashes);
    const std::string sequence = std::to_string(dead.seq);
    const std::string reason = dead_reason(dead.reason);
    const std::string& error = dead.text.empty() ? dead.state.last_error : dead.text;
    record::Record letter = record::parts(record);
    const std::string headers = dead_letter_headers(
        letter.headers, {stream.config().name, reason, error, attempts, sequence});
    letter.headers = base::as_bytes(headers);
    letter.flags = 0;
    try {
        (void)producer.dead_letters->append(letter, WhenFull::never_full);
    } catch (const Error& failure) {
        // The spool has failed or is closed: the message stays for the next opening.
        if (failure.code() == ErrorCode::closed || failure.code() == ErrorCode::io_error) return;
        throw;
    }
    if (stored) {
        const std::uint64_t ticket = commits_->add_changes(
            {settled_change(stream, {dead.seq, dead.seq})}, {producer.dead_letters}, true);
        when_stored(ticket, finish);
    } else {
        finish();
    }
    events_.emit({EventKind::dead_letter, "", stream.config().name, 1,
                  "message " + sequence + " of \"" + stream.config().name + "\" went to \"" +
                      producer.dead_letters->config().name + "\" after " + attempts +
                      " failures: " + reason + (error.empty() ? "" : " (" + error + ")")});
    if (Producer* letters = find(*producer.dead_letters)) limit_dead_letters(*letters);
}

void Engine::limit_dead_letters(Producer& producer) {
    const std::uint64_t bytes = spool_ != nullptr && producer.stream->stored()
                                    ? spool_->stats().dead_bytes
                                    : producer.stream->memory_bytes();
    if (bytes <= options_.dead_bytes_max) return;
    const std::uint64_t count = drop_oldest(*producer.stream, bytes - options_.dead_bytes_max);
    if (count == 0) return;
    events_.emit({EventKind::dropped, "", producer.stream->config().name, count,
                  "dead letters exceed dead_bytes_max: the oldest " + std::to_string(count) +
                      " are dropped"});
}

void Engine::store_mark(Producer& producer) {
    const base::Seq mark = producer.group.mark_wanted();
    if (mark == 0 || mark == producer.mark_asked) return;
    producer.mark_asked = mark;
    if (commits_ == nullptr || !producer.stream->stored()) {
        producer.group.mark_stored(mark);
        return;
    }
    spool::StateChange change;
    change.kind = spool::StateChange::Kind::mark;
    change.stream = producer.stream->config().index;
    change.mark = mark;
    when_stored(commits_->add_changes({std::move(change)}, {}, true), [this, &producer, mark] {
        producer.group.mark_stored(mark);
        wake(producer);
    });
}

void Engine::tick_producers() {
    for (const auto& [stream, producer] : producers_) {
        if (now_ >= producer->group.next_deadline()) producer->group.tick(now_, wall_now_);
        for (const delivery::Facts::Dead& dead : std::exchange(producer->unburied, {}))
            bury(*producer, dead);
        store_facts(*producer);
        answer_settlements(*producer);
        for (const delivery::Group::Recall& recall : producer->group.take_recalls(now_)) {
            const Producer::Binding& binding = producer->consumers.at(recall.consumer);
            if (binding.handle == 0 || binding.session->link == nullptr) continue;
            send(*binding.session->link, binding.handle, wire::Recall{recall.messages});
        }
        announce_readiness(*producer);
        if (producer->group.ready()) wake(*producer);
    }
}

base::WallTime Engine::enqueued_at(Producer& producer, base::Seq seq) {
    HandOut source(*this, producer);
    const OutStream::Cached found = source.find(seq);
    if (!found.chunk) return {};
    return record::parts(found.chunk->bytes({seq, seq})).enqueued;
}

std::uint64_t Engine::purge(const OutStream& stream) {
    Producer& producer = *find(stream);
    (void)catch_up(producer);
    const std::uint64_t count = producer.group.purge();
    pump(producer);
    return count;
}

void Engine::pause(const OutStream& stream, bool paused) {
    Producer& producer = *find(stream);
    paused ? producer.group.pause() : producer.group.resume();
    wake(producer);
}

std::uint64_t Engine::unsettled_bytes(const Producer& producer) const {
    OutStream& stream = *producer.stream;
    if (spool_ == nullptr || !stream.stored()) return stream.memory_bytes();
    return spool_->stream_bytes(stream.config().index) + stream.unwritten_bytes();
}

std::uint64_t Engine::drop_oldest(const OutStream& stream, std::uint64_t bytes) {
    Producer& producer = *find(stream);
    (void)catch_up(producer);
    const delivery::GroupStats stats = producer.group.stats();
    // Sizes of single messages are not known without reading them: their mean serves.
    const std::uint64_t mean = std::max<std::uint64_t>(
        1, unsettled_bytes(producer) / std::max<std::uint64_t>(1, stats.depth));
    const std::uint64_t dropped = producer.group.drop_oldest(bytes / mean + 1);
    producer.dropped += dropped;
    pump(producer);
    return dropped;
}

}  // namespace peermq::detail
