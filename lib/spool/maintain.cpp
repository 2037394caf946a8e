#include <algorithm>
#include <cerrno>
#include <tuple>

#include "base/limits.hpp"
#include "spool/log_spool.hpp"
#include "spool/scan.hpp"

/// Upkeep, beside the committing thread: finished segments go, the next one is made ahead,
/// survivors of mostly finished ones move forward.

namespace peermq::spool {

namespace limits = base::limits;

namespace {

/// A segment is compacted when at most this share of it is live, in percent; the second when the
/// files take much more room than the quota allows for records.
constexpr std::uint64_t kCarryPercent = 25;
constexpr std::uint64_t kCarryPercentTight = 75;
/// How far one step of compaction looks through a segment.
constexpr std::uint64_t kCarryScanBytes = 8 * limits::kMiB;

using StreamEpoch = std::tuple<StreamIndex, base::Epoch, bool>;

}  // namespace

bool LogSpool::maintain() {
    Reporter reporter(*this);
    std::lock_guard guard(maintain_mutex_);
    {
        std::lock_guard append_lock(append_mutex_);
        if (closed_ || !failure().empty()) return false;
    }
    check_space();
    bool more = retire();
    keep_manifest_reserve();
    give_back_spares();
    more = prepare() || more;
    more = carry() || more;
    bool dirty = false;
    {
        std::lock_guard lock(mutex_);
        dirty = manifest_dirty_ && clock_.now() >= manifest_after_;
    }
    if (dirty) (void)store_manifest({});
    write_sync_record();
    return more;
}

bool LogSpool::maintenance_due() {
    check_space();
    std::lock_guard lock(mutex_);
    if (!failure_.empty()) return false;
    const base::Time now = clock_.now();
    const bool prepare_due = prepared_.empty() && now >= prepare_after_;
    const bool manifest_due = manifest_dirty_ && now >= manifest_after_;
    return prepare_due || manifest_due || sync_record_due() || !finished_segments().empty() ||
           carry_due();
}

// --- retiring

/// Segments whose records are all settled, which a later file proves durably (INV-7).
std::vector<std::uint64_t> LogSpool::finished_segments() const {
    std::vector<std::uint64_t> finished;
    if (checkpoint_append_ > synced_appends_ || clock_.now() < manifest_after_) return finished;
    for (const auto& [number, segment] : catalog_.segments()) {
        if (segment == active_ || segment->live() > 0 || segment->released_by > synced_appends_)
            continue;
        finished.push_back(number);
    }
    return finished;
}

bool LogSpool::retire() {
    std::vector<std::uint64_t> finished;
    bool failed_before = false;
    {
        std::lock_guard lock(mutex_);
        finished = finished_segments();
        failed_before = manifest_after_ != base::Time{};
    }
    if (finished.empty()) return false;
    int error = store_manifest(finished);
    if (is_full(error)) {
        // Room for a manifest is all that is missing to free whole segments.
        free_reserve();
        error = store_manifest(finished);
    }
    if (is_full(error) && files_->drop_reserve()) error = store_manifest(finished);
    if (error != 0) {
        if (failed_before) return false;
        report({Damage::Kind::io_error, files_->path(kManifestName), 0, 0, 0,
                "cannot write " + files_->path(kManifestName) + ": " + errno_text(error)});
        return false;
    }
    std::vector<std::shared_ptr<Segment>> retired;
    {
        std::lock_guard lock(mutex_);
        for (const std::uint64_t number : finished) {
            retired.push_back(catalog_.find_segment(number));
            catalog_.remove_segment(number);
            std::erase_if(indexes_, [&](const auto& entry) { return entry.first == number; });
        }
        stats_.segments_retired += finished.size();
        space_check_at_ = {};
        prepare_after_ = {};
    }
    std::vector<std::string> names;
    for (const auto& segment : retired) {
        if (!reuse(segment)) names.push_back(segment->name);
    }
    // Names that come back after a crash are removed at the next opening: the manifest says so.
    if (!names.empty()) (void)files_->remove(names);
    return false;
}

/// Makes a retired segment the next one to be written. Its blocks and their pages in the cache are
/// there already: on the development machine commits then take a third of the time of commits to
/// new files.
bool LogSpool::reuse(const std::shared_ptr<Segment>& retired) {
    std::uint64_t free = 0;
    if (files_->free_bytes(free) != 0 || free < 2 * limits::kSpareSegmentsMax * segment_bytes_) {
        return false;
    }
    {
        std::lock_guard lock(mutex_);
        // Only `retired` refers to it: whoever reads from it still would find other messages there.
        const bool unread = retired.use_count() == 1 && retired->file.use_count() == 1;
        const bool like_new = retired->sealed && retired->unproven_from == 0 &&
                              retired->excluded.empty() && !retired->quarantined &&
                              retired->file_bytes >= segment_bytes_ / 2 &&
                              retired->file_bytes <= 2 * segment_bytes_;
        if (!unread || !like_new || prepared_.size() >= limits::kSpareSegmentsMax) return false;
    }
    SegmentHeader header = new_header();
    header.reused = true;
    std::shared_ptr<Segment> segment;
    const int error = files_->reuse_segment(*retired, header, segment_bytes_, segment);
    std::lock_guard lock(mutex_);
    std::erase(creating_, header.number);
    if (error == 0) add_prepared(std::move(segment));
    return true;
}

/// One prepared segment is enough for a spool that rests.
void LogSpool::give_back_spares() {
    std::vector<std::string> names;
    {
        std::lock_guard lock(mutex_);
        if (clock_.now() < base::after(last_commit_, limits::kSpareSegmentsRest)) return;
        for (; prepared_.size() > 1; prepared_.pop_back()) names.push_back(prepared_.back()->name);
    }
    // First the manifest without them, or the next opening would miss them.
    if (!names.empty() && store_manifest({}) == 0) (void)files_->remove(names);
}

/// While the disk gets full: a last block must be left for the manifest, without which nothing
/// goes.
void LogSpool::keep_manifest_reserve() {
    {
        std::lock_guard lock(mutex_);
        const bool low = free_bytes_ < 4 * segment_bytes_;
        // At the very end what settles messages goes first.
        if (!low || free_bytes_ < 2 * limits::kManifestReserveBytes) return;
    }
    (void)files_->keep_reserve(limits::kManifestReserveBytes);
}

void LogSpool::free_reserve() {
    std::lock_guard append_lock(append_mutex_);
    std::vector<std::string> names;
    {
        std::lock_guard lock(mutex_);
        for (const auto& segment : prepared_) names.push_back(segment->name);
        prepared_.clear();
        prepare_after_ = base::after(clock_.now(), limits::kFreeSpaceCheckInterval);
    }
    if (!names.empty()) {
        (void)files_->remove(names);
        return;
    }
    if (active_->file_bytes > active_->used && active_->file->truncate(active_->used) == 0) {
        std::lock_guard lock(mutex_);
        active_->file_bytes = active_->used;
    }
}

// --- preparing

bool LogSpool::prepare() {
    {
        std::lock_guard lock(mutex_);
        if (!prepared_.empty() || clock_.now() < prepare_after_) return false;
    }
    const int error = create_prepared(segment_bytes_);
    if (error == 0) return false;
    std::lock_guard lock(mutex_);
    prepare_after_ = base::after(clock_.now(), limits::kFreeSpaceCheckInterval);
    return false;
}

// --- compaction

std::uint64_t LogSpool::rewrite(const std::vector<std::uint64_t>& segments) {
    std::vector<std::shared_ptr<Segment>> found;
    {
        std::lock_guard lock(mutex_);
        for (const std::uint64_t number : segments) {
            auto segment = catalog_.find_segment(number);
            if (!segment || segment == active_) continue;
            rewrite_.push_back(number);
            found.push_back(std::move(segment));
        }
    }
    for (const auto& segment : found) keep_copy(*segment);
    return found.size();
}

/// One that is to be written again, else the one with the smallest share of live bytes, if that is
/// small enough.
std::shared_ptr<Segment> LogSpool::pick_victim() const {
    const bool tight = catalog_.disk_bytes() > options_.max_bytes + 2 * segment_bytes_;
    const std::uint64_t percent = tight ? kCarryPercentTight : kCarryPercent;
    const base::Time now = clock_.now();
    std::shared_ptr<Segment> best;
    std::uint64_t best_share = percent + 1;
    for (const auto& [number, segment] : catalog_.segments()) {
        if (segment == active_ || segment->data_bytes() == 0 || segment->live() == 0) continue;
        if (std::count(unreadable_.begin(), unreadable_.end(), number) != 0) continue;
        if (std::count(rewrite_.begin(), rewrite_.end(), number) != 0) return segment;
        const bool rests = segment->changed_at != base::Time{} &&
                           now < base::after(segment->changed_at, limits::kCompactionRest);
        if (rests && !tight) continue;
        const std::uint64_t share = segment->live_bytes() / (segment->data_bytes() / 100 + 1);
        if (share >= best_share) continue;
        best = segment;
        best_share = share;
    }
    return best;
}

bool LogSpool::carry_due() const { return pick_victim() != nullptr; }

bool LogSpool::carry() {
    std::shared_ptr<Segment> victim;
    std::map<StreamEpoch, base::RunSet> wanted;
    {
        std::lock_guard lock(mutex_);
        victim = victim_ != 0 ? catalog_.find_segment(victim_) : nullptr;
        if (!victim || victim == active_ || victim->live() == 0) {
            victim = pick_victim();
            victim_ = victim ? victim->number() : 0;
            victim_at_ = kSegmentDataAt;
        }
        if (!victim) return false;
        for (const auto& extent : victim->extents) {
            const base::RunSet& finished = state_.find(extent->stream)->finished();
            base::RunSet& runs = wanted[{extent->stream, extent->epoch, extent->carried}];
            extent->runs.for_each([&](Run run) {
                for (const Run live : finished.gaps(run)) runs.add(live);
            });
        }
    }

    PendingBatch pending;
    auto bytes = std::make_shared<std::vector<std::byte>>();
    std::vector<bool> was_carried;  // of each part, in the victim
    std::uint64_t at = victim_at_;
    const auto visit = [&](const ScannedRecord& record) {
        const auto it = wanted.find({record.part.stream, record.part.epoch, record.part.carried()});
        if (it == wanted.end() || !it->second.contains(record.record.seq)) return;
        PartEntry* last = pending.parts.empty() ? nullptr : &pending.parts.back();
        const bool grows = last != nullptr && last->stream == record.part.stream &&
                           last->epoch == record.part.epoch &&
                           last->run().last + 1 == record.record.seq &&
                           was_carried.back() == record.part.carried();
        if (!grows) {
            PartEntry entry = record.part;
            entry.flags |= kCarried;
            entry.first = record.record.seq;
            entry.count = 0;
            entry.bytes = 0;
            pending.parts.push_back(entry);
            was_carried.push_back(record.part.carried());
            last = &pending.parts.back();
        }
        ++last->count;
        last->bytes += record.bytes.size();
        bytes->insert(bytes->end(), record.bytes.begin(), record.bytes.end());
    };
    const auto stop = [&] {
        return bytes->size() + pending.parts.size() * kPartEntryBytes >= limits::kCarryBytesMax / 2;
    };
    const std::uint64_t to = victim->used;
    const Scan scan = scan_segment(*victim->file, victim->header.random_id,
                                   {.from = at,
                                    .to = to,
                                    .keep_state = false,
                                    .visit = visit,
                                    .stop = stop,
                                    .budget = kCarryScanBytes});
    if (scan.failed) {
        victim_ = 0;
        {
            std::lock_guard lock(mutex_);
            unreadable_.push_back(victim->number());
        }
        report({Damage::Kind::io_error, files_->path(victim->name), at, 0, 0,
                "cannot read " + files_->path(victim->name) + " to compact it; it stays as it is"});
        return false;
    }
    if (!pending.parts.empty()) {
        pending.record_bytes = bytes->size();
        pending.pieces.emplace_back(*bytes);
        pending.pins.push_back(bytes);
        const std::vector<PartEntry> parts = pending.parts;
        std::lock_guard append_lock(append_mutex_);
        if (closed_ || !failure().empty()) return false;
        if (place(std::move(pending), true) != CommitResult::ok) return false;
        std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const PartEntry& part = parts[i];
            const std::uint64_t live = part.count -
                                       state_.find(part.stream)->finished().count_in(part.run());
            catalog_.remove_run(*victim, part.stream, part.epoch, was_carried[i], part.run(), live);
            stats_.records_carried += part.count;
        }
        victim->released_by = appends_;
    }
    victim_at_ = scan.end;
    if (scan.stopped) return true;
    return finish_victim(victim);
}

/// At the end of a victim: what is still live in it could not be read.
bool LogSpool::finish_victim(const std::shared_ptr<Segment>& victim) {
    victim_ = 0;
    std::uint64_t lost = 0;
    {
        std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < victim->extents.size();) {
            const Extent& extent = *victim->extents[i];
            const base::RunSet& finished = state_.find(extent.stream)->finished();
            const base::RunSet runs = extent.runs;
            std::uint64_t here = 0;
            runs.for_each([&](Run run) { here += run.count() - finished.count_in(run); });
            if (here == 0) {
                ++i;
                continue;
            }
            lost += here;
            const StreamIndex stream = extent.stream;
            const base::Epoch epoch = extent.epoch;
            const bool carried = extent.carried;
            runs.for_each([&](Run run) {
                catalog_.remove_run(*victim, stream, epoch, carried, run,
                                    run.count() - finished.count_in(run));
            });
            i = 0;  // removing may have changed the list
        }
    }
    if (lost > 0) {
        keep_copy(*victim);
        const std::string path = files_->path(victim->name);
        report({Damage::Kind::corrupt_records, path, 0, 0, lost,
                path + ": " + std::to_string(lost) + " records are damaged and lost"});
    }
    // Nothing of it is live now; it may go once what was carried is durable.
    std::lock_guard append_lock(append_mutex_);
    if (closed_ || !failure().empty()) return false;
    if (!unsynced_.empty() && sync_active() != CommitResult::ok) return false;
    return true;
}

// --- the watermark

bool LogSpool::sync_record_due() const {
    return record_due_ && clock_.now() >= base::after(last_commit_, limits::kSyncRecordWait);
}

/// After a quiet while: says in the log how far it is durable, so that later damage is known for
/// what it is.
void LogSpool::write_sync_record() {
    {
        std::lock_guard lock(mutex_);
        if (!sync_record_due()) return;
    }
    std::lock_guard append_lock(append_mutex_);
    if (closed_ || !failure().empty() || checkpoint_pending_) return;
    if (active_->used + batch_bytes(0, 0, 0) > active_->file_bytes) {
        std::lock_guard lock(mutex_);
        record_due_ = false;
        return;
    }
    if (append(PendingBatch{}) != 0 && !cut_back()) (void)relocate("write", EIO, nullptr);
}

}  // namespace peermq::spool
