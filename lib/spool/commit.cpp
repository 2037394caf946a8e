#include <algorithm>
#include <cerrno>
#include <set>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "spool/log_spool.hpp"

/// Writing: batches, checkpoints and rotation. All of it runs under append_mutex_.

namespace peermq::spool {

namespace limits = base::limits;

namespace {

/// The last part of a segment is for what frees space: settlements, dead letters, carried records.
std::uint64_t reserve_tail(std::uint64_t segment_bytes) { return segment_bytes / 8; }

}  // namespace

CommitResult LogSpool::write(const Batch& batch) {
    Reporter reporter(*this);
    std::lock_guard append_lock(append_mutex_);
    if (!failure().empty() || closed_) return CommitResult::failed;
    if (batch.empty()) return CommitResult::ok;
    bool reserve_use = true;
    PendingBatch pending = make_pending(batch, reserve_use);
    const CommitResult result = place(std::move(pending), reserve_use);
    if (result != CommitResult::ok) return result;
    {
        std::lock_guard lock(mutex_);
        ++stats_.commits;
        last_commit_ = clock_.now();
    }
    return unsynced_bytes_ > limits::kUnsyncedBytesMax ? sync_active() : CommitResult::ok;
}

CommitResult LogSpool::sync() {
    Reporter reporter(*this);
    std::lock_guard append_lock(append_mutex_);
    if (!failure().empty() || closed_) return CommitResult::failed;
    return unsynced_.empty() ? CommitResult::ok : sync_active();
}

PendingBatch LogSpool::make_pending(const Batch& batch, bool& reserve_use) {
    PendingBatch pending;
    std::lock_guard lock(mutex_);
    for (const StreamIndex index : unregistered_) {
        const StreamData* stream = state_.find(index);
        append_stream(pending.state, stream->info, stream->end);
    }
    std::set<StreamIndex> repeated;
    const auto touch = [&](StreamIndex index) -> const StreamData& {
        const StreamData* stream = state_.find(index);
        PEERMQ_ASSERT(stream != nullptr);
        if (stream->registrations_due > 0 && !stream->unregistered &&
            repeated.insert(index).second) {
            append_stream(pending.state, stream->info, stream->end);
        }
        return *stream;
    };
    for (const StreamPart& part : batch.parts) {
        const StreamData& stream = touch(part.stream);
        PEERMQ_ASSERT(!part.run.empty() && part.run.first > stream.end);
        reserve_use = reserve_use && stream.info.kind == StreamKind::dead;
        PartEntry entry;
        entry.stream = part.stream;
        entry.id = stream.info.id;
        entry.epoch = epoch_;
        entry.first = part.run.first;
        entry.count = static_cast<std::uint32_t>(part.run.count());
        for (const base::ByteSpan piece : part.bytes) entry.bytes += piece.size();
        PEERMQ_ASSERT(entry.bytes % 8 == 0);
        pending.record_bytes += entry.bytes;
        pending.parts.push_back(entry);
        pending.pieces.insert(pending.pieces.end(), part.bytes.begin(), part.bytes.end());
        pending.pins.insert(pending.pins.end(), part.pins.begin(), part.pins.end());
    }
    for (const StateChange& change : batch.changes) {
        (void)touch(change.stream);
        append_change(pending.state, change);
    }
    pending.change_count = static_cast<std::uint32_t>(batch.changes.size());
    return pending;
}

bool LogSpool::fits(std::uint64_t bytes, bool reserve_use) const {
    const std::uint64_t limit = reserve_use ? active_limit_
                                            : active_limit_ - reserve_tail(segment_bytes_);
    // A batch longer than a segment gets a segment of its own.
    return active_->used + bytes <= limit || active_->used == content_at_;
}

/// Messages never take the last room for what frees space: either the next segment is there
/// already, or half of this one stays free.
bool LogSpool::keep_reserve(std::uint64_t bytes) {
    if (has_prepared() || active_->used + bytes <= active_limit_ / 2) return true;
    return !is_full(create_prepared(segment_bytes_));
}

bool LogSpool::has_prepared() const {
    std::lock_guard lock(mutex_);
    return !prepared_.empty();
}

CommitResult LogSpool::place(PendingBatch&& pending, bool reserve_use) {
    if (checkpoint_pending_) {
        if (const int error = write_checkpoint(); error != 0) {
            return is_full(error) ? CommitResult::no_space
                                  : relocate("write to " + active_->name, error, &pending);
        }
    }
    if (!fits(pending.bytes(), reserve_use)) {
        const CommitResult result = rotate(reserve_use);
        if (result != CommitResult::ok) return result;
    }
    if (!reserve_use && !keep_reserve(pending.bytes())) return CommitResult::no_space;
    const std::uint64_t end = active_->used + pending.bytes();
    if (end > active_->file_bytes) {
        // Beyond what is preallocated: ask first, so that a full disk leaves nothing half written.
        const int error = active_->file->allocate(active_->file_bytes, end - active_->file_bytes);
        if (is_full(error)) {
            // What frees space goes on in the prepared segment, which has its room already.
            if (!reserve_use || !has_prepared()) return CommitResult::no_space;
            if (const CommitResult result = rotate(true); result != CommitResult::ok) return result;
        }
    }
    const int error = append(std::move(pending));
    if (error == 0) return CommitResult::ok;
    if (is_full(error) && cut_back()) return CommitResult::no_space;
    return relocate("write to " + active_->name, error, &pending);
}

int LogSpool::append(PendingBatch&& pending) {
    Segment& segment = *active_;
    BatchHead head;
    head.flags = pending.flags;
    head.number = segment.batches + 1;
    head.offset = segment.used;
    head.bytes = pending.bytes();
    head.synced = synced_batch_;
    head.part_count = static_cast<std::uint32_t>(pending.parts.size());
    head.state_bytes = static_cast<std::uint32_t>(pending.state.size());
    head.change_count = pending.change_count;
    const std::uint64_t seed = segment.header.random_id;
    const std::vector<std::byte> front = encode_batch_front(head, pending.parts, pending.state,
                                                            seed);
    const std::vector<std::byte> back = encode_batch_back(head, pending.parts, seed);
    std::vector<base::ByteSpan> pieces;
    pieces.reserve(pending.pieces.size() + 2);
    pieces.emplace_back(front);
    pieces.insert(pieces.end(), pending.pieces.begin(), pending.pieces.end());
    pieces.emplace_back(back);
    if (const int error = write_fully(*segment.file, pieces, segment.used); error != 0)
        return error;
    proven_batch_ = synced_batch_;
    note_appended(pending, head);
    unsynced_bytes_ += head.bytes;
    unsynced_.push_back(std::move(pending));
    return 0;
}

void LogSpool::note_appended(const PendingBatch& pending, const BatchHead& head) {
    std::lock_guard lock(mutex_);
    Segment& segment = *active_;
    segment.used = head.end();
    segment.batches = head.number;
    segment.file_bytes = std::max(segment.file_bytes, segment.used);
    ++appends_;
    stats_.bytes_written += head.bytes;
    record_due_ = false;
    for (const PartEntry& part : pending.parts) {
        StreamData& stream = *state_.find(part.stream);
        const bool dead = stream.info.kind == StreamKind::dead;
        const std::uint64_t settled = part.carried() ? stream.finished().count_in(part.run()) : 0;
        catalog_.add_part(segment, part, dead, part.count - settled);
        segment.index->add(part, head.offset, head.end());
        stream.end = std::max(stream.end, part.run().last);
        if (part.carried()) continue;
        std::uint64_t& reserved = dead ? reserved_dead_ : reserved_;
        reserved -= std::min(reserved, part.bytes);
    }
    if ((pending.flags & kCheckpoint) == 0) note_changes(pending);
}

/// Takes over what the state block says: exactly what a recovery would.
void LogSpool::note_changes(const PendingBatch& pending) {
    const base::Time now = clock_.now();
    const bool good = visit_state(pending.state, [&](const StateEntry& entry) {
        if (entry.kind == StateKind::stream) {
            StreamData& stream = *state_.find(entry.stream);
            if (stream.registrations_due > 0) --stream.registrations_due;
            return;
        }
        if (entry.kind == StateKind::settled && entry.group == 0) {
            const Run run = entry.runs.front();
            for (const Run part : state_.find(entry.stream)->finished().gaps(run)) {
                catalog_.settle(entry.stream, part, appends_, now);
            }
        }
        (void)state_.apply(entry);
    });
    PEERMQ_ASSERT(good);
    note_registered();
}

void LogSpool::note_registered() {
    for (const StreamIndex index : unregistered_) state_.find(index)->unregistered = false;
    unregistered_.clear();
}

// --- rotation

bool LogSpool::reserve_affordable() {
    if (has_prepared()) return true;
    std::uint64_t free = 0;
    if (files_->free_bytes(free) == 0 && free >= 2 * segment_bytes_) return true;
    return create_prepared(segment_bytes_) == 0;
}

CommitResult LogSpool::rotate(bool reserve_use) {
    int error = 0;
    std::shared_ptr<Segment> next = take_prepared(reserve_use, error);
    if (!next) {
        // What frees space may go on in the segment at hand as long as the disk takes it.
        if (reserve_use) return CommitResult::ok;
        if (!is_full(error)) {
            report({Damage::Kind::io_error, files_->path(), 0, 0, 0,
                    "cannot create a segment in " + files_->path() + ": " + errno_text(error)});
        }
        return CommitResult::no_space;
    }
    if (!reserve_use && !reserve_affordable()) {
        std::lock_guard lock(mutex_);
        prepared_.insert(prepared_.begin(), std::move(next));
        taken_.reset();
        return CommitResult::no_space;
    }
    error = seal();
    if (error != 0) {
        {
            std::lock_guard lock(mutex_);
            prepared_.insert(prepared_.begin(), std::move(next));
            taken_.reset();
        }
        return relocate("sync of " + active_->name, error, nullptr);
    }
    return activate(std::move(next));
}

std::shared_ptr<Segment> LogSpool::take_prepared(bool reserve_use, int& error) {
    for (;;) {
        std::shared_ptr<Segment> next;
        {
            std::lock_guard lock(mutex_);
            if (!prepared_.empty()) {
                next = prepared_.front();
                prepared_.erase(prepared_.begin());
                taken_ = next;
            }
        }
        if (next && next->number() > active_->number()) return next;
        if (next) {
            // Finished late: a newer one is in use already, and order is by number.
            {
                std::lock_guard lock(mutex_);
                taken_.reset();
            }
            (void)files_->remove({next->name});
            continue;
        }
        error = create_prepared(segment_bytes_);
        if (is_full(error) && reserve_use) error = create_prepared(limits::kSegmentBytesMin);
        if (error != 0) return nullptr;
    }
}

int LogSpool::create_prepared(std::uint64_t bytes) {
    const SegmentHeader header = new_header();
    std::shared_ptr<Segment> segment;
    const int error = files_->create_segment(header, {}, bytes, segment);
    std::lock_guard lock(mutex_);
    std::erase(creating_, header.number);
    if (error == 0) add_prepared(std::move(segment));
    return error;
}

/// Under mutex_. They are used in the order of their numbers.
void LogSpool::add_prepared(std::shared_ptr<Segment> segment) {
    const auto at = std::find_if(prepared_.begin(), prepared_.end(), [&](const auto& other) {
        return other->number() > segment->number();
    });
    prepared_.insert(at, std::move(segment));
    manifest_dirty_ = true;
}

/// Footer, cut, sync: C3. After it nothing is written to the segment again.
int LogSpool::seal() {
    Segment& segment = *active_;
    if (!unsynced_.empty()) {
        // A footer says that all before it was durable, so it may not come to the disk first.
        if (const int error = segment.file->sync_data(); error != 0) return error;
        note_synced();
    }
    Footer footer;
    {
        std::lock_guard lock(mutex_);
        footer.offset = segment.used;
        footer.batches = segment.batches;
        for (const auto& extent : segment.extents) {
            ExtentEntry entry{extent->stream,     extent->carried,     extent->id,
                              extent->epoch,      extent->runs.size(), 0,
                              extent->runs.runs()};
            entry.bytes = extent->records == 0 ? 0
                                               : extent->bytes / extent->records * entry.records +
                                                     extent->bytes % extent->records *
                                                         entry.records / extent->records;
            footer.extents.push_back(std::move(entry));
        }
        footer.index = segment.index->entries();
    }
    const std::vector<std::byte> bytes = encode_footer(footer, segment.header.random_id);
    const base::ByteSpan parts[] = {bytes};
    const bool written = write_fully(*segment.file, parts, segment.used) == 0;
    // A footer saves time at opening, no more: without room for it the segment goes without.
    const std::uint64_t end = segment.used + (written ? bytes.size() : 0);
    const bool cut = segment.file->truncate(end) == 0;
    const base::Time before = clock_.now();
    if (const int error = segment.file->sync_data(); error != 0) return error;
    const auto took = static_cast<std::uint64_t>((clock_.now() - before).count());
    note_synced();
    std::lock_guard lock(mutex_);
    ++stats_.syncs;
    stats_.sync_ns_total += took;
    stats_.sync_ns_max = std::max(stats_.sync_ns_max, took);
    if (cut) segment.file_bytes = end;
    segment.sealed = written && cut;
    if (segment.sealed) {
        segment.changed_at = clock_.now();
        indexes_.emplace_front(segment.number(), segment.index);
        if (indexes_.size() > limits::kSegmentIndexesCachedMax) indexes_.pop_back();
        segment.index.reset();
    }
    return 0;
}

void LogSpool::make_active(std::shared_ptr<Segment> next) {
    {
        std::lock_guard lock(mutex_);
        active_ = std::move(next);
        active_->index = std::make_shared<SegmentIndex>();
        catalog_.add_segment(active_);
        taken_.reset();
        manifest_dirty_ = true;
    }
    synced_batch_ = 0;
    synced_offset_ = kSegmentDataAt;
    proven_batch_ = 0;
}

CommitResult LogSpool::activate(std::shared_ptr<Segment> next) {
    make_active(std::move(next));
    checkpoint_pending_ = true;
    const int error = write_checkpoint();
    if (error == 0) return CommitResult::ok;
    if (is_full(error)) return CommitResult::no_space;
    return relocate("write to " + active_->name, error, nullptr);
}

ChainEntry LogSpool::chain_entry(const Segment& segment) {
    return {segment.number(), segment.header.random_id, segment.used, segment.sealed,
            segment.excluded};
}

/// What the next checkpoint says of the segments before it.
std::vector<ChainEntry> LogSpool::chain() const {
    std::vector<ChainEntry> entries;
    for (const auto& [number, segment] : catalog_.segments()) {
        if (segment != active_ && segment != poisoned_) entries.push_back(chain_entry(*segment));
    }
    return entries;
}

int LogSpool::write_checkpoint() {
    std::vector<std::vector<std::byte>> blocks;
    {
        std::lock_guard lock(mutex_);
        blocks = state_.checkpoint(chain());
    }
    int error = 0;
    for (std::size_t i = 0; i < blocks.size() && error == 0; ++i) {
        PendingBatch pending;
        pending.flags = kCheckpoint | (i + 1 == blocks.size() ? kCheckpointLast : 0);
        pending.state = std::move(blocks[i]);
        error = append(std::move(pending));
    }
    if (error != 0) {
        // Begin again from an empty segment; nobody has seen these batches.
        std::lock_guard lock(mutex_);
        active_->used = kSegmentDataAt;
        active_->batches = 0;
        unsynced_.clear();
        unsynced_bytes_ = 0;
        if (!is_full(error) || active_->file->truncate(kSegmentDataAt) != 0) return EIO;
        return error;
    }
    checkpoint_pending_ = false;
    content_at_ = active_->used;
    active_limit_ = std::max(segment_bytes_, 2 * content_at_);
    std::lock_guard lock(mutex_);
    checkpoint_append_ = appends_;
    state_.for_each([](StreamData& stream) { stream.registrations_due = 1; });
    note_registered();
    return 0;
}

}  // namespace peermq::spool
