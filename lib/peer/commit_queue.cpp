#include "peer/commit_queue.hpp"

#include <algorithm>

#include "base/limits.hpp"

namespace peermq::detail {
namespace {

/// How long to wait before a batch is tried again on a full disk.
constexpr auto kFullRetryInterval = std::chrono::milliseconds(100);
/// Batches of level os alone are synced this often.
constexpr auto kLazySyncInterval = std::chrono::seconds(1);
/// After a batch of so many bytes more are coming: the committer lets them gather for a moment,
/// unless somebody waits, who then commits himself. Longer where they are spread over many streams:
/// each of them makes frames of its own and wakes threads of its own.
constexpr std::size_t kBusyRoundBytes = 64 * base::limits::kKiB;
constexpr auto kGatherTime = std::chrono::microseconds(250);
constexpr std::size_t kStreamsPerGatherTime = 8;
constexpr std::size_t kGatherTimesMax = 4;

/// Its records are moved from another stream: they belong into one batch with what settles the
/// original there.
bool moves_with_changes(const OutStream& stream) {
    return stream.config().kind == spool::StreamKind::dead ||
           stream.config().kind == spool::StreamKind::reply;
}

}  // namespace

CommitQueue::CommitQueue(spool::Spool& spool, base::Clock& clock, CommitListener& listener)
    : spool_(spool), clock_(clock), listener_(listener) {}

void CommitQueue::add_stream(const std::shared_ptr<OutStream>& stream) {
    const std::lock_guard lock(mutex_);
    if (failed_) return;
    dirty_.push_back(stream);
    wake_committer();
}

/// Whoever leaves work tells, also a caller of try_commit() that could not finish it: under mutex_.
void CommitQueue::wake_committer() {
    if (sleeping_until_ > next_due()) wanted_.notify_one();
}

std::uint64_t CommitQueue::add_changes(std::vector<spool::StateChange> changes,
                                       std::vector<std::shared_ptr<OutStream>> streams,
                                       bool urgent) {
    const std::lock_guard lock(mutex_);
    if (failed_) return next_ticket_++;
    std::move(changes.begin(), changes.end(), std::back_inserter(changes_));
    std::move(streams.begin(), streams.end(), std::back_inserter(bound_));
    const base::Time now = clock_.now();
    changes_due_ = std::min(changes_due_,
                            urgent ? now : base::after(now, base::limits::kSettlementDelayMax));
    wake_committer();
    return next_ticket_++;
}

bool CommitQueue::try_commit() {
    const std::unique_lock role(role_, std::try_to_lock);
    if (!role) return false;
    {
        // The disk is full: many who wait must not try it more often than one.
        const std::lock_guard lock(mutex_);
        if (clock_.now() < retry_at_) return false;
    }
    (void)commit_round();
    return true;
}

bool CommitQueue::commit() {
    const std::lock_guard role(role_);
    (void)commit_round();
    return !ended_;
}

void CommitQueue::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        const base::Time now = clock_.now();
        const base::Time wake_at = next_due();
        if (wake_at <= now || stopping_) {
            const bool last = stopping_;
            lock.unlock();
            base::Duration gather{};
            {
                const std::lock_guard role(role_);
                gather = commit_round();
                ended_ = last;
            }
            lock.lock();
            if (last) return;
            if (gather > base::Duration{}) gather_until_ = base::after(clock_.now(), gather);
            continue;
        }
        sleeping_until_ = wake_at;
        if (wake_at == base::kNever) {
            wanted_.wait(lock);
        } else {
            wanted_.wait_for(lock, wake_at - now);
        }
        sleeping_until_ = kAwake;
    }
}

base::Time CommitQueue::records_due() const { return std::max(gather_until_, retry_at_); }

base::Time CommitQueue::next_due() const {
    const base::Time changes = std::max(changes_due_, retry_at_);
    return dirty_.empty() ? changes : std::min(changes, records_due());
}

void CommitQueue::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wanted_.notify_all();
}

bool CommitQueue::idle() {
    const std::lock_guard lock(mutex_);
    return dirty_.empty() && changes_.empty();
}

base::Time CommitQueue::due() {
    const std::lock_guard lock(mutex_);
    return next_due();
}

CommitQueue::Round CommitQueue::gather() {
    Round round;
    std::vector<std::shared_ptr<OutStream>> dirty;
    std::vector<std::shared_ptr<OutStream>> bound;
    {
        const std::lock_guard lock(mutex_);
        dirty.swap(dirty_);
        bound.swap(bound_);
        round.batch.changes.swap(changes_);
        round.ticket = next_ticket_ - 1;
        changes_due_ = base::kNever;
        retry_at_ = {};
    }
    // What is only written (level os, and its settlements) is synced now and then, so that a power
    // cut costs little and the cache may forget.
    const base::Time now = clock_.now();
    round.sync = !round.batch.changes.empty() || now - last_sync_ >= kLazySyncInterval;
    std::size_t bytes = 0;
    // What changes refer to was appended before they were queued, so it is all here; no limit for
    // it, since a move between streams must not be torn apart.
    for (const auto& stream : bound) {
        stream->listed.store(false);
        take_records(stream, SIZE_MAX, round, bytes);
    }
    for (std::size_t i = 0; i < dirty.size(); ++i) {
        if (bytes >= round_bytes_max_) {
            const std::lock_guard lock(mutex_);
            dirty_.insert(dirty_.begin(), dirty.begin() + static_cast<std::ptrdiff_t>(i),
                          dirty.end());
            wake_committer();
            break;
        }
        // Cleared before the look, set again by the next append after it.
        dirty[i]->listed.store(false);
        take_records(dirty[i], round_bytes_max_ - bytes, round, bytes);
    }
    round.bytes = bytes;
    return round;
}

void CommitQueue::take_records(const std::shared_ptr<OutStream>& stream, std::size_t bytes_max,
                               Round& round, std::size_t& bytes) {
    if (std::find(round.streams.begin(), round.streams.end(), stream) != round.streams.end())
        return;
    std::optional<spool::StreamPart> part = stream->collect(bytes_max);
    if (!part) return;
    for (const base::ByteSpan span : part->bytes) bytes += span.size();
    if (stream->durability() == Durability::disk) round.sync = true;
    round.streams.push_back(stream);
    round.batch.parts.push_back(std::move(*part));
}

base::Duration CommitQueue::commit_round() {
    if (failed_ || ended_) return {};
    Round round = gather();
    if (round.batch.empty()) {
        if (round.ticket > 0) complete(round);
        return {};
    }
    switch (spool_.write(round.batch)) {
        case spool::CommitResult::ok: break;
        case spool::CommitResult::failed: fail(round); return {};
        case spool::CommitResult::no_space:
            if (!full_ && round_bytes_max_ == base::limits::kChunkBytes) {
                full_ = true;
                listener_.space_changed(
                    true, "the disk of the spool is full; messages wait until there is room");
            }
            // Little fits where much does not; and where even that fails, what was written on the
            // way (a checkpoint) may be all that keeps finished segments from going.
            round_bytes_max_ = base::limits::kChunkBytes;
            if (spool_.sync() == spool::CommitResult::ok) {
                give_back(std::move(round));
            } else {
                fail(round);
            }
            return {};
    }
    round_bytes_max_ = std::min(2 * round_bytes_max_, base::limits::kCommitBytesMax);
    if (full_) {
        full_ = false;
        listener_.space_changed(false, "the spool has room again");
    }
    std::vector<std::shared_ptr<OutStream>> more;
    for (std::size_t i = 0; i < round.streams.size(); ++i) {
        const bool pending = round.streams[i]->written(round.batch.parts[i].run);
        // Records beyond this batch: listed again, unless a new append has done so meanwhile.
        if (pending && !round.streams[i]->listed.exchange(true)) more.push_back(round.streams[i]);
    }
    if (!more.empty()) {
        const std::lock_guard lock(mutex_);
        dirty_.insert(dirty_.end(), more.begin(), more.end());
        wake_committer();
    }
    if (round.sync) {
        if (spool_.sync() != spool::CommitResult::ok) {
            fail(round);
            return {};
        }
        last_sync_ = clock_.now();
    }
    complete(round);
    if (round.bytes < kBusyRoundBytes) return {};
    return kGatherTime * std::clamp<std::size_t>(round.streams.size() / kStreamsPerGatherTime, 1,
                                                 kGatherTimesMax);
}

void CommitQueue::complete(const Round& round) {
    if (round.sync) {
        for (std::size_t i = 0; i < round.streams.size(); ++i) {
            round.streams[i]->durable(round.batch.parts[i].run.last);
        }
    }
    listener_.committed(round.streams, round.ticket);
}

void CommitQueue::give_back(Round&& round) {
    // A full disk refuses records; settlements are what makes room, so they are tried on their own.
    bool changes_stored = false;
    const bool bound_records = std::any_of(
        round.streams.begin(), round.streams.end(),
        [](const auto& stream) { return moves_with_changes(*stream); });
    if (!round.batch.changes.empty() && !round.batch.parts.empty()) {
        spool::Batch changes;
        changes.changes = round.batch.changes;
        Round drained;
        drained.ticket = round.ticket;
        drained.sync = true;
        if (bound_records) {
            // Dead letters and replies move with the change that settles the original.
            for (std::size_t i = 0; i < round.streams.size(); ++i) {
                if (!moves_with_changes(*round.streams[i])) continue;
                changes.parts.push_back(round.batch.parts[i]);
                drained.streams.push_back(round.streams[i]);
            }
        }
        drained.batch = std::move(changes);
        if (spool_.write(drained.batch) == spool::CommitResult::ok) {
            changes_stored = true;
            for (std::size_t i = 0; i < drained.streams.size(); ++i) {
                (void)drained.streams[i]->written(drained.batch.parts[i].run);
            }
            if (spool_.sync() != spool::CommitResult::ok) return fail(round);
            complete(drained);
        }
    }
    const std::lock_guard lock(mutex_);
    for (const auto& stream : round.streams) {
        if (changes_stored && moves_with_changes(*stream)) continue;
        if (!stream->listed.exchange(true)) dirty_.push_back(stream);
        if (!changes_stored && moves_with_changes(*stream)) bound_.push_back(stream);
    }
    if (!changes_stored) {
        changes_.insert(changes_.begin(), std::make_move_iterator(round.batch.changes.begin()),
                        std::make_move_iterator(round.batch.changes.end()));
        if (!changes_.empty()) changes_due_ = clock_.now();
    }
    retry_at_ = base::after(clock_.now(), kFullRetryInterval);
    wake_committer();
}

void CommitQueue::fail(const Round& round) {
    {
        // Nothing is stored any more: what waits would wait for ever, and be looked at for ever.
        const std::lock_guard lock(mutex_);
        failed_ = true;
        dirty_.clear();
        bound_.clear();
        changes_.clear();
        changes_due_ = base::kNever;
    }
    for (const auto& stream : round.streams) stream->fail(ErrorCode::io_error, spool_.failure());
    listener_.commit_failed(ErrorCode::io_error, spool_.failure());
}

}  // namespace peermq::detail
