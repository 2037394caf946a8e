/// Handing out: what goes to whom becomes frames, and consumers hear whether there is more.

#include "peer/engine_hand_out.hpp"

#include <algorithm>
#include <utility>

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

}  // namespace

delivery::Slice Engine::HandOut::slice(base::Run wanted) {
    const OutStream::Cached found = find(wanted.first);
    if (!found.chunk) return {};
    const base::Seq last = std::min(found.run.last, producer_.stream->handable_end());
    if (last < wanted.first) return {};
    held_ = found.chunk;
    delivery::Slice slice = held_->slice(wanted.first, last);
    // There a key only says what supersedes what.
    if (producer_.subscription && producer_.subscription->live()) slice.keys = {};
    return slice;
}

std::size_t Engine::HandOut::room(delivery::ConsumerId consumer) {
    const auto it = producer_.consumers.find(consumer);
    if (it == producer_.consumers.end() || it->second.handle == 0) return 0;
    if (producer_.unanswered.size() >= base::limits::kSettledMemoryRunsMax) return 0;
    const LinkState* link = it->second.session->link;
    if (link == nullptr || link->closed || !link->pending.empty()) return 0;
    const std::size_t room = link->machine.room();
    return room - std::min(room, producer_.settling_bytes);
}

OutStream::Cached StreamReader::find(base::Seq seq) {
    if (OutStream::Cached cached = stream_.chunk_of(seq); cached.chunk) return cached;
    for (const auto& chunk : read_back_) {
        if (chunk->run().contains(seq)) return {chunk, chunk->run()};
    }
    if (spool_ == nullptr || !stream_.stored()) return {};
    spool::ReadResult read = spool_->read(stream_.config().index, seq, kReadBackBytes);
    if (!read.lost.empty()) lost_.push_back(read.lost);
    if (read.run.empty() || read.run.first != seq) return {};
    auto chunk = std::make_shared<const Chunk>(std::move(read));
    read_back_.push_front(chunk);
    if (read_back_.size() > kReadBacksKept) read_back_.pop_back();
    return {chunk, chunk->run()};
}

void Engine::lose(Producer& producer, base::Run run) {
    const std::uint64_t before = producer.group.stats().lost;
    producer.group.lose(run);
    if (!producer.subscription) return;
    const std::uint64_t lost = producer.group.stats().lost - before;
    count_missed(producer, lost, wire::GapReason::damage, run.last + 1);
}

bool Engine::hand_out(Producer& producer) {
    if (producer.ending) return false;
    // Nobody tells of records in memory while earlier ones wait; see took_all().
    const bool looking = take_in(producer);
    if (looking && producer.subscription->scanned < producer.subscription->scan_first) return true;
    if (producer.calls) flush_calls(producer);
    std::vector<delivery::Assignment> assignments;
    HandOut context(*this, producer);
    const bool more = producer.group.hand_out(context, kQuantumBytes, base::limits::kBatchBytesMax,
                                              now_, wall_now_, assignments);
    for (const base::Run run : context.lost()) lose(producer, run);
    base::Seq cursor = 0;
    for (const delivery::Assignment& assignment : assignments) {
        handed_out_ += assignment.run.count();
        cursor = std::max(cursor, assignment.run.last);
    }
    if (cursor != 0 && producer.stream->stored() && !producer.subscription)
        producer.stream->set_cursor(cursor);
    if (producer.stored() && commits_ != nullptr && !producer.group.ack_required()) {
        send_when_settled(producer, std::move(assignments));
    } else {
        send_assignments(producer, assignments);
    }
    store_facts(producer);
    store_mark(producer);
    announce_readiness(producer);
    return more || looking || !context.lost().empty();
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
    for (const base::Run run : source.lost()) lose(producer, run);
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

}  // namespace peermq::detail
