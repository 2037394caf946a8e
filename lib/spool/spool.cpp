#include "spool/spool.hpp"

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "peermq/error.hpp"
#include "spool/log_spool.hpp"
#include "spool/scan.hpp"

/// Opening, closing, streams and quota.

namespace peermq::spool {

namespace limits = base::limits;

namespace {

std::uint64_t segment_bytes_for(const SpoolOptions& options) {
    // A small quota must not sit in one segment that can never be reclaimed.
    const std::uint64_t bytes = std::min<std::uint64_t>(options.segment_bytes,
                                                        options.max_bytes / 4);
    return base::padded(std::max<std::uint64_t>(bytes, limits::kSegmentBytesMin));
}

[[noreturn]] void cannot(const std::string& what, const std::string& path, int error) {
    throw Error(is_full(error) ? ErrorCode::no_space : ErrorCode::io_error,
                "cannot " + what + " " + path + ": " + errno_text(error));
}

}  // namespace

std::unique_ptr<Spool> Spool::open(base::FileSystem& file_system, base::Clock& clock,
                                   base::Random& random, const std::string& path,
                                   SpoolOptions options, Report report) {
    auto files = std::make_unique<Files>(file_system.open(path, true));
    std::vector<base::DirectoryEntry> entries;
    if (const int error = files->list(entries); error != 0) cannot("list", path, error);
    refuse_foreign(*files, entries);
    files->lock();
    Recovered recovered = recover(*files, base::OpenMode::read_write);
    if (recovered.manifest.spool.is_zero()) {
        recovered.manifest.spool = random.id<base::SpoolId>();
        recovered.manifest.peer = random.id<base::PeerId>();
        recovered.manifest.generation = 1;
        // First of all, so that a directory with segments always has one.
        if (const int error = files->store_manifest(recovered.manifest); error != 0) {
            cannot("create", files->path(kManifestName), error);
        }
    }
    auto spool = std::make_unique<LogSpool>(clock, random, options, std::move(report),
                                            std::move(files), std::move(recovered));
    spool->start();
    return spool;
}

LogSpool::LogSpool(base::Clock& clock, base::Random& random, SpoolOptions options, Report report,
                   std::unique_ptr<Files> files, Recovered recovered)
    : clock_(clock),
      random_(random),
      options_(options),
      segment_bytes_(segment_bytes_for(options)),
      report_(std::move(report)),
      files_(std::move(files)),
      recovery_(recovered.report),
      recovered_(std::make_unique<Recovered>(std::move(recovered))) {
    manifest_ = recovered_->manifest;
    aside_ = recovered_->aside;
    state_ = std::move(recovered_->state);
    catalog_ = std::move(recovered_->catalog);
    next_number_ = recovered_->next_number;
    epoch_ = {recovered_->epoch + 1, random.next()};
    state_.join_ends_and_marks(recovered_->whole);
}

LogSpool::~LogSpool() {
    try {
        close();
    } catch (...) {
        // Nothing depends on a clean close; recovery does without.
    }
}

void LogSpool::start() {
    std::lock_guard append_lock(append_mutex_);
    for (const Recovered::Keep& keep : recovered_->keep) {
        // Keeping a copy is a kindness: without room for it, opening goes on.
        (void)files_->quarantine(*keep.file, keep.offset, keep.bytes, keep.name);
    }
    (void)files_->remove(recovered_->stale);
    // The new segment will say how far the earlier ones are valid, and what they hold will be
    // handed out: it must not live in the page cache alone, as after the death of a process that
    // had not synced it.
    for (const auto& [number, segment] : catalog_.segments()) {
        if (const int failed = make_durable(*segment); failed != 0) {
            closed_ = true;
            cannot("make durable what was found in", files_->path(segment->name), failed);
        }
    }
    std::vector<std::byte> front;
    int error = create_first_segment(true, front);
    // A full disk must open too, or it could never be drained.
    if (is_full(error)) error = create_first_segment(false, front);
    if (is_full(error)) {
        // What was preallocated before and never written is room. The next opening finds the same
        // ends without it.
        cut_unused();
        error = create_first_segment(false, front);
    }
    if (error != 0) {
        closed_ = true;
        cannot("create a segment in", files_->path(), error);
    }
    tidy();
    recovered_.reset();
}

/// The new segment and its checkpoint become durable together, under a name that is new too.
int LogSpool::create_first_segment(bool preallocate, std::vector<std::byte>& front) {
    const SegmentHeader header = new_header();
    std::vector<std::vector<std::byte>> blocks;
    {
        std::lock_guard lock(mutex_);
        std::erase(creating_, header.number);
        blocks = state_.checkpoint(chain());
    }
    front.clear();
    std::uint64_t batches = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        BatchHead head;
        head.flags = kCheckpoint | (i + 1 == blocks.size() ? kCheckpointLast : 0);
        head.number = ++batches;
        head.offset = kSegmentDataAt + front.size();
        head.bytes = batch_bytes(0, blocks[i].size(), 0);
        head.state_bytes = static_cast<std::uint32_t>(blocks[i].size());
        const auto begin = encode_batch_front(head, {}, blocks[i], header.random_id);
        const auto end = encode_batch_back(head, {}, header.random_id);
        front.insert(front.end(), begin.begin(), begin.end());
        front.insert(front.end(), end.begin(), end.end());
    }
    std::shared_ptr<Segment> segment;
    const int error = files_->create_segment(header, front, preallocate ? segment_bytes_ : 0,
                                             segment);
    if (error != 0) return error;
    segment->used = kSegmentDataAt + front.size();
    segment->batches = batches;
    segment->index = std::make_shared<SegmentIndex>();
    synced_batch_ = batches;
    synced_offset_ = segment->used;
    content_at_ = segment->used;
    active_limit_ = std::max(segment_bytes_, 2 * content_at_);
    std::lock_guard lock(mutex_);
    active_ = segment;
    catalog_.add_segment(std::move(segment));
    state_.for_each([](StreamData& stream) { stream.registrations_due = 1; });
    last_commit_ = clock_.now();
    return 0;
}

/// Syncs what recovery read but nothing proves to be on the disk. It is written once more before,
/// the same bytes in the same place: had a sync failed in the process before us, its pages would
/// count as clean, and ours would answer 0 without a look at them.
int LogSpool::make_durable(Segment& segment) {
    const std::uint64_t end = segment.sealed ? segment.file_bytes : segment.used;
    if (segment.unproven_from == 0 || segment.unproven_from >= end) return 0;
    std::vector<std::byte> bytes;
    for (std::uint64_t at = segment.unproven_from; at < end; at += bytes.size()) {
        bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(limits::kMiB, end - at)));
        if (!read_exactly(*segment.file, bytes, at)) return EIO;
        base::ByteSpan left(bytes);
        while (!left.empty()) {
            const base::IoResult written = segment.file->write_at(std::span(&left, 1),
                                                                  at + bytes.size() - left.size());
            left = left.subspan(written.bytes);
            // Where blocks cannot be written in place for want of room, the sync alone must do.
            if (is_full(written.error)) break;
            if (written.error != 0) return written.error;
            if (written.bytes == 0) return EIO;
        }
    }
    const int error = segment.file->sync_data();
    if (error == 0) segment.unproven_from = 0;
    return error;
}

/// Cuts earlier segments behind what is valid in them.
void LogSpool::cut_unused() {
    for (const auto& [number, segment] : catalog_.segments()) {
        if (segment == active_ || segment->sealed || segment->file_bytes <= segment->used) continue;
        if (segment->file->truncate(segment->used) == 0) segment->file_bytes = segment->used;
    }
}

/// What recovery decided, now that the decision is durable in the new segment.
void LogSpool::tidy() {
    cut_unused();
    // Without a manifest the next opening finds the same by looking: it is not needed to go on.
    if (store_manifest({}) != 0) manifest_dirty_ = true;
}

SegmentHeader LogSpool::new_header() {
    SegmentHeader header;
    {
        std::lock_guard lock(random_mutex_);
        do {
            header.random_id = random_.next();
        } while (header.random_id == 0);
    }
    std::lock_guard lock(mutex_);
    header.spool = manifest_.spool;
    header.peer = manifest_.peer;
    header.epoch = epoch_;
    header.number = next_number_++;
    creating_.push_back(header.number);
    return header;
}

int LogSpool::store_manifest(const std::vector<std::uint64_t>& without) {
    std::lock_guard order(manifest_mutex_);
    Manifest manifest;
    {
        std::lock_guard lock(mutex_);
        manifest = manifest_;
        ++manifest.generation;
        manifest.epoch = epoch_.counter;
        manifest.live.clear();
        for (const auto& [number, segment] : catalog_.segments()) {
            if (std::count(without.begin(), without.end(), number) != 0) continue;
            manifest.live.push_back(
                {number, segment->header.random_id, segment->sealed ? segment->used : 0});
        }
        if (taken_) manifest.live.push_back({taken_->number(), taken_->header.random_id, 0});
        for (const auto& segment : prepared_) {
            manifest.live.push_back({segment->number(), segment->header.random_id, 0});
        }
        for (const std::uint64_t number : aside_) manifest.live.push_back({number, 0, 0});
        // A segment that is just being made must not look reclaimed after a crash.
        manifest.next_number = next_number_;
        for (const std::uint64_t number : creating_) {
            manifest.next_number = std::min(manifest.next_number, number);
        }
        manifest.reclaimed_below = manifest.next_number;
        for (const auto& live : manifest.live) {
            if (live.random_id == 0) continue;
            manifest.reclaimed_below = std::min(manifest.reclaimed_below, live.number);
        }
        manifest_dirty_ = false;
    }
    const int error = files_->store_manifest(manifest);
    std::lock_guard lock(mutex_);
    // After a failure the generation moves on too: which of the two is on disk is not known.
    manifest_.generation = manifest.generation;
    if (error != 0) manifest_dirty_ = true;
    manifest_after_ = error == 0 ? base::Time{}
                                 : base::after(clock_.now(), limits::kFreeSpaceCheckInterval);
    return error;
}

std::vector<RecoveredStream> LogSpool::take_recovered() {
    std::lock_guard lock(mutex_);
    return state_.recovered();
}

StreamInfo LogSpool::stream(StreamKind kind, std::string_view name) {
    if (name.empty() || name.size() > limits::kStreamNameBytesMax) {
        throw Error(ErrorCode::invalid_argument,
                    "a stream's name has 1 to " + std::to_string(limits::kStreamNameBytesMax) +
                        " bytes, this one " + std::to_string(name.size()));
    }
    base::StreamId id;
    {
        std::lock_guard lock(random_mutex_);
        id = random_.id<base::StreamId>();
    }
    std::lock_guard lock(mutex_);
    if (const StreamData* stream = state_.find(kind, name)) return stream->info;
    StreamData* stream = state_.add(kind, name, id);
    if (stream == nullptr) {
        throw Error(ErrorCode::quota, "the spool " + files_->path() + " has its limit of " +
                                          std::to_string(limits::kStreamsPerSpoolMax) +
                                          " streams already");
    }
    stream->unregistered = true;
    unregistered_.push_back(stream->info.index);
    return stream->info;
}

// --- quota

void LogSpool::check_space() {
    {
        std::lock_guard lock(mutex_);
        const base::Time now = clock_.now();
        // A small disk can be full sooner than the clock says.
        const std::uint64_t margin = free_bytes_ - std::min(free_bytes_, options_.free_bytes_min);
        const std::uint64_t written = stats_.bytes_written - written_when_checked_;
        if (now < space_check_at_ && written <= margin / 4) return;
    }
    std::uint64_t free = 0;
    if (files_->try_free_bytes(free) != 0) return;  // at the next call, then
    std::lock_guard lock(mutex_);
    space_check_at_ = base::after(clock_.now(), limits::kFreeSpaceCheckInterval);
    written_when_checked_ = stats_.bytes_written;
    free_bytes_ = free;
    stats_.space_low = free < options_.free_bytes_min;
}

bool LogSpool::reserve(StreamIndex index, std::uint64_t bytes) {
    std::lock_guard lock(mutex_);
    const StreamData* stream = state_.find(index);
    PEERMQ_ASSERT(stream != nullptr);
    if (stream->info.kind == StreamKind::dead) {
        const std::uint64_t used = reserved_dead_ + catalog_.dead_bytes();
        if (used > options_.dead_bytes_max || bytes > options_.dead_bytes_max - used) return false;
        reserved_dead_ += bytes;
        return true;
    }
    const std::uint64_t used = reserved_ + catalog_.live_bytes();
    if (stats_.space_low || used > options_.max_bytes || bytes > options_.max_bytes - used) {
        return false;
    }
    reserved_ += bytes;
    return true;
}

void LogSpool::unreserve(StreamIndex index, std::uint64_t bytes) {
    std::lock_guard lock(mutex_);
    const StreamData* stream = state_.find(index);
    PEERMQ_ASSERT(stream != nullptr);
    std::uint64_t& reserved = stream->info.kind == StreamKind::dead ? reserved_dead_ : reserved_;
    reserved -= std::min(reserved, bytes);
}

// --- the rest

std::string LogSpool::failure() const {
    std::lock_guard lock(mutex_);
    return failure_;
}

std::uint64_t LogSpool::stream_bytes(StreamIndex stream) const {
    std::lock_guard lock(mutex_);
    return catalog_.live_bytes(stream);
}

SpoolStats LogSpool::stats() const {
    std::lock_guard lock(mutex_);
    SpoolStats stats = stats_;
    stats.live_bytes = catalog_.live_bytes();
    stats.dead_bytes = catalog_.dead_bytes();
    stats.disk_bytes = catalog_.disk_bytes();
    stats.segments = catalog_.segments().size() + prepared_.size();
    for (const auto& segment : prepared_) stats.disk_bytes += segment->file_bytes;
    return stats;
}

void LogSpool::report(Damage damage) {
    std::lock_guard lock(reports_mutex_);
    reports_.push_back(std::move(damage));
}

void LogSpool::deliver_reports() {
    std::vector<Damage> reports;
    {
        std::lock_guard lock(reports_mutex_);
        reports.swap(reports_);
    }
    if (!report_) return;
    for (const Damage& damage : reports) report_(damage);
}

void LogSpool::close() {
    Reporter reporter(*this);
    std::lock_guard maintain_lock(maintain_mutex_);
    std::lock_guard append_lock(append_mutex_);
    if (closed_) return;
    closed_ = true;
    if (!active_) return;
    if (failure().empty() && !checkpoint_pending_) {
        if (const int error = seal(); error != 0) {
            (void)relocate("sync of " + active_->name, error, nullptr);
        }
    }
    close_files();
}

void LogSpool::close_files() {
    std::vector<std::string> unused;
    {
        std::lock_guard lock(mutex_);
        for (const auto& segment : prepared_) unused.push_back(segment->name);
        prepared_.clear();
    }
    (void)files_->drop_reserve();
    if (failure().empty() && store_manifest({}) == 0 && !unused.empty()) {
        (void)files_->remove(unused);
    }
    files_->unlock();
}

}  // namespace peermq::spool
