#include <algorithm>

#include "base/limits.hpp"
#include "spool/log_spool.hpp"

/// Syncing, and what happens when the disk is full or refuses (C9, C10). All of it runs under
/// append_mutex_.

namespace peermq::spool {

/// After a write that failed for lack of space: the file ends where the last good batch does.
bool LogSpool::cut_back() {
    if (active_->file->truncate(active_->used) != 0) return false;
    std::uint64_t size = 0;
    // The cut gave the preallocated blocks back; what can be had of them is asked for again.
    const std::uint64_t wanted = std::max(segment_bytes_, active_->used);
    if (wanted > active_->used)
        (void)active_->file->allocate(active_->used, wanted - active_->used);
    if (active_->file->size(size) == 0) {
        std::lock_guard lock(mutex_);
        active_->file_bytes = size;
    }
    return true;
}

CommitResult LogSpool::sync_active() {
    const base::Time before = clock_.now();
    const int error = active_->file->sync_data();
    const auto took = static_cast<std::uint64_t>((clock_.now() - before).count());
    {
        std::lock_guard lock(mutex_);
        ++stats_.syncs;
        stats_.sync_ns_total += took;
        stats_.sync_ns_max = std::max(stats_.sync_ns_max, took);
    }
    if (error != 0) return relocate("sync of " + active_->name, error, nullptr);
    note_synced();
    return CommitResult::ok;
}

void LogSpool::note_synced() {
    synced_batch_ = active_->batches;
    synced_offset_ = active_->used;
    // A record that only repeats the watermark needs no other one to repeat it.
    const bool content = std::any_of(
        unsynced_.begin(), unsynced_.end(),
        [](const PendingBatch& batch) { return !batch.parts.empty() || !batch.state.empty(); });
    unsynced_.clear();
    unsynced_bytes_ = 0;
    std::lock_guard lock(mutex_);
    synced_appends_ = appends_;
    record_due_ = content && proven_batch_ < synced_batch_;
}

/// C10: the active file is never synced again; what it may lack goes to a new one, once.
CommitResult LogSpool::relocate(const std::string& what, int error, PendingBatch* extra) {
    const std::string reason = what + " in " + files_->path() + " failed: " + errno_text(error);
    std::deque<PendingBatch> batches = std::move(unsynced_);
    unsynced_.clear();
    unsynced_bytes_ = 0;
    forget_unsynced(batches);
    int create_error = 0;
    std::shared_ptr<Segment> next = take_prepared(true, create_error);
    if (!next) return fail(reason + "; a new file failed too: " + errno_text(create_error));
    poisoned_ = active_;
    make_active(std::move(next));
    std::uint64_t count = 0;
    if (const int again = write_again(batches, extra, count); again != 0)
        return fail(reason + "; writing to " + active_->name + " failed too: " + errno_text(again));
    note_synced();
    report({Damage::Kind::io_error, files_->path(poisoned_->name), 0, 0, 0,
            reason + "; " + std::to_string(count) + " batches were written again to " +
                active_->name});
    poisoned_.reset();
    return CommitResult::ok;
}

/// The active segment ends where it was last synced.
void LogSpool::forget_unsynced(const std::deque<PendingBatch>& batches) {
    std::lock_guard lock(mutex_);
    Segment& segment = *active_;
    for (const PendingBatch& batch : batches) {
        for (const PartEntry& part : batch.parts) {
            const StreamData& stream = *state_.find(part.stream);
            const std::uint64_t live = part.count - stream.finished().count_in(part.run());
            catalog_.remove_run(segment, part.stream, part.epoch, part.carried(), part.run(), live);
        }
    }
    segment.used = synced_offset_;
    segment.batches = synced_batch_;
    segment.sealed = false;
}

/// Fills the new file. That the poisoned one ends early is said last: until then a process that
/// dies leaves it as it is, and what was written to it is found there. Of records in both the ones
/// that are marked as carried count.
int LogSpool::write_again(std::deque<PendingBatch>& batches, PendingBatch* extra,
                          std::uint64_t& count) {
    int error = write_checkpoint();
    for (PendingBatch& batch : batches) {
        if ((batch.flags & kCheckpoint) != 0) continue;
        ++count;
        for (PartEntry& part : batch.parts) part.flags |= kCarried;
        if (error == 0) error = append(std::move(batch));
    }
    if (error == 0 && extra != nullptr) error = append(std::move(*extra));
    if (error != 0) return error;
    PendingBatch end;
    end.flags = kCheckpoint;
    {
        std::lock_guard lock(mutex_);
        append_chain(end.state, chain_entry(*poisoned_));
    }
    error = append(std::move(end));
    return error != 0 ? error : active_->file->sync_data();
}

CommitResult LogSpool::fail(const std::string& text) {
    {
        std::lock_guard lock(mutex_);
        failure_ = text;
    }
    report({Damage::Kind::io_error, files_->path(), 0, 0, 0, text});
    return CommitResult::failed;
}

}  // namespace peermq::spool
