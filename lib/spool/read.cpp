#include <algorithm>

#include "base/limits.hpp"
#include "spool/log_spool.hpp"
#include "spool/scan.hpp"

/// Reading: which segment, which part, and what to do about damage.

namespace peermq::spool {

namespace limits = base::limits;

namespace {

/// Places where readers left off: as many groups as read back at a time.
constexpr std::size_t kCursorsMax = 128;

}  // namespace

ReadResult LogSpool::read(StreamIndex index, Seq first, std::size_t bytes_max) {
    Reporter reporter(*this);
    ReadResult result;
    std::optional<Catalog::Place> place;
    PartQuery query;
    {
        std::lock_guard lock(mutex_);
        const StreamData* stream = state_.find(index);
        if (stream == nullptr || first == 0) return result;
        place = catalog_.find(index, first);
        if (!place) return nothing_at(*stream, first);
        query = {index, place->extent->id, place->extent->epoch, place->extent->carried, first};
    }
    result.epoch = query.epoch;
    const std::shared_ptr<Segment> segment = place->segment;
    std::optional<PartPlace> part = take_cursor(index, first, segment->number());
    std::uint64_t from = 0;
    while (query.seq <= place->run.last &&
           (result.run.empty() || result.bytes.size() < bytes_max)) {
        bool failed = false;
        if (!part) part = locate(segment, query, from, failed);
        if (failed || !part) {
            if (!result.run.empty()) break;
            if (failed) {
                report({Damage::Kind::io_error, files_->path(segment->name), 0, 0, 0,
                        "cannot read " + files_->path(segment->name) + "; nothing is given up"});
                return {};
            }
            result.lost = {first, first};
            lose(segment, query, result.lost, 0);
            return result;
        }
        const std::size_t room = result.run.empty() ? bytes_max : bytes_max - result.bytes.size();
        std::vector<std::byte> bytes;
        std::vector<std::uint32_t> offsets;
        PartRead got = read_part(*segment->file, *part, {query.seq, place->run.last}, query, room,
                                 bytes, offsets);
        if (got.failed && result.run.empty()) {
            report({Damage::Kind::io_error, files_->path(segment->name), part->offset, 0, 0,
                    "cannot read " + files_->path(segment->name) + "; nothing is given up"});
            return {};
        }
        if (got.run.empty()) {
            if (!result.run.empty() || got.failed) break;
            result.lost = got.lost;
            lose(segment, query, got.lost, part->offset);
            return result;
        }
        // A record beyond the first that is larger than the room left waits for the next call.
        if (!result.run.empty() && result.bytes.size() + bytes.size() > bytes_max) break;
        for (const std::uint32_t offset : offsets) {
            result.offsets.push_back(static_cast<std::uint32_t>(result.bytes.size()) + offset);
        }
        if (result.bytes.empty()) {
            result.bytes = std::move(bytes);
        } else {
            result.bytes.insert(result.bytes.end(), bytes.begin(), bytes.end());
        }
        result.run = {first, got.run.last};
        query.seq = got.run.last + 1;
        from = part->batch_end;
        if (got.rest) {
            keep_cursor({index, query.seq, segment->number(), *got.rest});
            break;
        }
        part.reset();
    }
    result.offsets.push_back(static_cast<std::uint32_t>(result.bytes.size()));
    return result;
}

std::optional<Spool::StoredRun> LogSpool::stored_from(StreamIndex stream, Seq seq) const {
    const std::lock_guard lock(mutex_);
    const Seq first = catalog_.next_stored(stream, seq);
    if (first == 0) return std::nullopt;
    const std::optional<Catalog::Place> place = catalog_.find(stream, first);
    if (!place) return std::nullopt;
    return StoredRun{place->run, place->extent->epoch};
}

/// What to say where no segment has the record: lost when it should be there.
ReadResult LogSpool::nothing_at(const StreamData& stream, Seq first) const {
    ReadResult result;
    if (first > stream.end || !failure_.empty() || stream.finished().contains(first)) return result;
    Seq last = stream.end;
    const Seq stored = catalog_.next_stored(stream.info.index, first);
    if (stored != 0) last = std::min(last, stored - 1);
    const auto settled = stream.finished().next_from(first);
    if (settled) last = std::min(last, settled->first - 1);
    result.lost = {first, last};
    return result;
}

std::optional<PartPlace> LogSpool::locate(const std::shared_ptr<Segment>& segment,
                                          const PartQuery& query, std::uint64_t from,
                                          bool& failed) {
    for (int attempt = 0; attempt < 2; ++attempt) {
        const std::shared_ptr<SegmentIndex> index = index_of(segment);
        std::vector<IndexEntry> candidates;
        {
            std::lock_guard lock(mutex_);
            candidates = index->candidates(query.stream, query.seq);
        }
        for (const IndexEntry& entry : candidates) {
            if (entry.carried != query.carried) continue;
            // Behind the part read last, if that lies in the same stretch.
            const std::uint64_t begin = from > entry.begin && from < entry.end && !query.carried
                                            ? from
                                            : entry.begin;
            auto place = find_part(*segment->file, segment->header.random_id, begin, entry.end,
                                   query, failed);
            if (place || failed) return place;
        }
        if (from == 0) break;
        from = 0;
    }
    return std::nullopt;
}

// --- indexes

std::shared_ptr<SegmentIndex> LogSpool::index_of(const std::shared_ptr<Segment>& segment) {
    {
        std::lock_guard lock(mutex_);
        if (segment->index) return segment->index;
        for (auto it = indexes_.begin(); it != indexes_.end(); ++it) {
            if (it->first != segment->number()) continue;
            auto entry = *it;
            indexes_.erase(it);
            indexes_.push_front(entry);
            return entry.second;
        }
    }
    std::shared_ptr<SegmentIndex> index = load_index(*segment);
    std::lock_guard lock(mutex_);
    indexes_.emplace_front(segment->number(), index);
    if (indexes_.size() > limits::kSegmentIndexesCachedMax) indexes_.pop_back();
    return index;
}

std::shared_ptr<SegmentIndex> LogSpool::load_index(Segment& segment) {
    const std::uint64_t seed = segment.header.random_id;
    std::uint64_t size = 0;
    if (segment.file->size(size) == 0 && size > segment.used) {
        std::vector<std::byte> bytes(size - segment.used);
        if (read_exactly(*segment.file, bytes, segment.used)) {
            if (const auto footer = decode_footer(bytes, seed)) {
                return std::make_shared<SegmentIndex>(footer->index);
            }
        }
    }
    report(
        {Damage::Kind::bad_footer, files_->path(segment.name), segment.used, 0, 0,
         files_->path(segment.name) + ": the footer cannot be read; the segment is read through"});
    keep_copy(segment);
    auto index = std::make_shared<SegmentIndex>();
    const Scan scan = scan_segment(*segment.file, seed,
                                   {.to = segment.used, .records = false, .keep_state = false});
    for (const ScannedBatch& batch : scan.batches) {
        for (const ScannedPart& part : batch.parts) {
            index->add(part.entry, batch.head.offset, batch.head.end());
        }
    }
    return index;
}

// --- cursors

std::optional<PartPlace> LogSpool::take_cursor(StreamIndex stream, Seq first,
                                               std::uint64_t segment) {
    std::lock_guard lock(mutex_);
    for (Cursor& cursor : cursors_) {
        if (cursor.stream != stream || cursor.next != first || cursor.segment != segment) continue;
        return cursor.place;
    }
    return std::nullopt;
}

void LogSpool::keep_cursor(const Cursor& cursor) {
    std::lock_guard lock(mutex_);
    if (cursors_.size() < kCursorsMax) {
        cursors_.push_back(cursor);
        return;
    }
    cursors_[cursor_next_] = cursor;
    cursor_next_ = (cursor_next_ + 1) % kCursorsMax;
}

// --- damage

void LogSpool::lose(const std::shared_ptr<Segment>& segment, const PartQuery& query, Run lost,
                    std::uint64_t offset) {
    keep_copy(*segment);
    std::string name;
    {
        std::lock_guard lock(mutex_);
        const StreamData* stream = state_.find(query.stream);
        name = stream->info.name;
        const std::uint64_t live = lost.count() - stream->finished().count_in(lost);
        catalog_.remove_run(*segment, query.stream, query.epoch, query.carried, lost, live);
    }
    const std::string path = files_->path(segment->name);
    report({Damage::Kind::corrupt_records, path, offset, 0, lost.count(),
            path + ": records " + std::to_string(lost.first) + " to " + std::to_string(lost.last) +
                " of \"" + name + "\" are damaged and lost"});
}

void LogSpool::keep_copy(Segment& segment) {
    {
        std::lock_guard lock(mutex_);
        if (segment.quarantined) return;
        segment.quarantined = true;
    }
    std::uint64_t size = 0;
    if (segment.file->size(size) == 0) {
        (void)files_->quarantine(*segment.file, 0, size, segment.name);
    }
}

}  // namespace peermq::spool
