#include "spool/inspect.hpp"

#include <algorithm>
#include <map>

#include "base/limits.hpp"
#include "peermq/error.hpp"
#include "spool/files.hpp"
#include "spool/recovery.hpp"
#include "spool/scan.hpp"

namespace peermq::spool {

namespace {

std::string runs_text(const std::vector<Run>& runs) {
    std::string text;
    for (const Run run : runs) {
        text += (text.empty() ? "" : " ") + std::to_string(run.first);
        if (run.last != run.first) text += ".." + std::to_string(run.last);
        if (text.size() > 120) return text + " ...";
    }
    return text;
}

/// One line for people.
std::string describe(const StateEntry& entry) {
    const std::string group = entry.group == 0 ? "" : " group " + std::to_string(entry.group);
    switch (entry.kind) {
        case StateKind::stream:
            return "stream \"" + entry.info.name + "\" end " + std::to_string(entry.end);
        case StateKind::settled:
        case StateKind::runs: return "settled" + group + " " + runs_text(entry.runs);
        case StateKind::mark: return "mark" + group + " " + std::to_string(entry.mark);
        case StateKind::retry:
            return "retry" + group + " " + std::to_string(entry.retry.seq) + " nacks " +
                   std::to_string(entry.retry.nacks) + " crashes " +
                   std::to_string(entry.retry.crashes) +
                   (entry.retry.last_error.empty() ? "" : ": " + entry.retry.last_error);
        case StateKind::group: return (entry.group_info.empty() ? "erased" : "described") + group;
        case StateKind::chain:
            return "segment " + std::to_string(entry.chain.number) + " ends at " +
                   std::to_string(entry.chain.valid_end);
    }
    return "unknown";
}

class Inspector {
public:
    Inspector(Files& files, const std::function<void(const LogEntry&)>& visit)
        : files_(files), visit_(visit) {}

    Inspection go() {
        recovered_ = recover(files_, base::OpenMode::read);
        if (recovered_.created) {
            throw Error(ErrorCode::not_found, files_.path() + " holds no spool");
        }
        out_.id = recovered_.manifest.spool;
        out_.format_version = kFormatVersion;
        out_.epoch = recovered_.epoch;
        out_.owner = files_.owner();
        out_.damage = recovered_.report.damage;
        recovered_.state.for_each([&](const StreamData& stream) { add_stream(stream); });
        for (const auto& [number, segment] : recovered_.catalog.segments()) look_through(*segment);
        std::sort(out_.streams.begin(), out_.streams.end(),
                  [](const auto& a, const auto& b) { return a.info.index < b.info.index; });
        return std::move(out_);
    }

private:
    void add_stream(const StreamData& data) {
        StreamSummary stream;
        stream.info = data.info;
        stream.end = data.end;
        const std::vector<Run> open = data.finished().gaps({1, data.end});
        stream.first_unsettled = open.empty() ? 0 : open.front().first;
        for (const auto& [index, group] : data.groups) stream.retries += group.retries.size();
        out_.streams.push_back(std::move(stream));
        by_index_[data.info.index] = out_.streams.size() - 1;
    }

    StreamSummary* find(StreamIndex index) {
        const auto it = by_index_.find(index);
        return it == by_index_.end() ? nullptr : &out_.streams[it->second];
    }

    static LogEntry entry_of(LogEntry::Kind kind, const std::string& path, std::uint64_t offset,
                             std::uint64_t bytes) {
        LogEntry entry;
        entry.kind = kind;
        entry.path = path;
        entry.offset = offset;
        entry.bytes = bytes;
        return entry;
    }

    void say(const LogEntry& entry) const {
        if (visit_) visit_(entry);
    }

    void look_through(const Segment& segment) {
        SegmentSummary summary;
        summary.path = files_.path(segment.name);
        summary.number = segment.number();
        summary.file_bytes = segment.file_bytes;
        summary.used_bytes = segment.used;
        summary.sealed = segment.sealed;
        LogEntry head = entry_of(LogEntry::Kind::segment, summary.path, 0, kSegmentDataAt);
        head.text = "segment " + std::to_string(segment.number()) + " epoch " +
                    std::to_string(segment.header.epoch.counter) +
                    (segment.sealed ? " sealed" : "");
        say(head);

        ScanOptions options;
        options.to = segment.used;
        options.visit = [&](const ScannedRecord& record) {
            visit_record(segment, summary, record);
        };
        options.each = [&](const ScannedBatch& batch) { visit_batch(segment, summary, batch); };
        const Scan scan = scan_segment(*segment.file, segment.header.random_id, options);
        for (const Scan::Gap& gap : scan.gaps) {
            if (excluded(segment, gap.offset)) continue;
            damage(segment, gap.offset, gap.bytes, 0, "bytes between batches cannot be read");
        }
        if (scan.end < segment.used && !excluded(segment, scan.end)) {
            damage(segment, scan.end, segment.used - scan.end, 0, "the end cannot be read");
        }
        if (segment.sealed) {
            LogEntry footer = entry_of(LogEntry::Kind::footer, summary.path, segment.used,
                                       segment.file_bytes - segment.used);
            footer.text = std::to_string(segment.extents.size()) + " extents";
            say(footer);
        }
        out_.segments.push_back(summary);
    }

    static bool excluded(const Segment& segment, std::uint64_t offset) {
        return std::any_of(segment.excluded.begin(), segment.excluded.end(),
                           [&](const auto& range) {
                               return range.offset <= offset && offset < range.offset + range.bytes;
                           });
    }

    void visit_batch(const Segment& segment, SegmentSummary& summary, const ScannedBatch& batch) {
        if (excluded(segment, batch.head.offset)) return;
        ++summary.batches;
        LogEntry entry = entry_of(LogEntry::Kind::batch, summary.path, batch.head.offset,
                                  batch.head.bytes);
        entry.text = "batch " + std::to_string(batch.head.number) + ", synced " +
                     std::to_string(batch.head.synced) +
                     ((batch.head.flags & kCheckpoint) != 0 ? ", checkpoint" : "");
        say(entry);
        (void)visit_state(batch.state, [&](const StateEntry& state) {
            const StreamSummary* stream = find(state.stream);
            LogEntry line = entry_of(LogEntry::Kind::state, summary.path, batch.head.offset, 0);
            line.stream = stream != nullptr ? &stream->info : nullptr;
            line.text = describe(state);
            say(line);
        });
        if (batch.complete) return;
        damage(segment, batch.head.offset, batch.head.bytes, batch.bad_records(),
               "batch " + std::to_string(batch.head.number) +
                   " is damaged: " + std::to_string(batch.bad_records()) + " records lost");
    }

    void visit_record(const Segment& segment, SegmentSummary& summary,
                      const ScannedRecord& record) {
        StreamSummary* stream = find(record.part.stream);
        if (stream == nullptr || excluded(segment, record.offset)) return;
        ++summary.records;
        const StreamData* data = recovered_.state.find(record.part.stream);
        const Seq seq = record.record.seq;
        LogEntry entry = entry_of(LogEntry::Kind::record, summary.path, record.offset,
                                  record.bytes.size());
        entry.stream = &stream->info;
        entry.record = &record.record;
        entry.settled = data->finished().contains(seq);
        // Of two copies of a record, the one that the spool would read counts.
        const auto place = recovered_.catalog.find(record.part.stream, seq);
        entry.epoch = record.part.epoch;
        entry.superseded = place && place->segment.get() != &segment;
        if (!entry.settled && place && !entry.superseded) {
            ++summary.unsettled;
            ++stream->unsettled;
            stream->unsettled_bytes += record.bytes.size();
        }
        say(entry);
    }

    void damage(const Segment& segment, std::uint64_t offset, std::uint64_t bytes,
                std::uint64_t records, const std::string& text) {
        const std::string path = files_.path(segment.name);
        LogEntry entry = entry_of(LogEntry::Kind::damage, path, offset, bytes);
        entry.text = text;
        say(entry);
        // Recovery itself finds most of it; only what it need not look at is new.
        const bool known = std::any_of(
            out_.damage.begin(), out_.damage.end(),
            [&](const Damage& d) { return d.path == path && d.offset == offset; });
        if (!known) {
            out_.damage.push_back(
                {Damage::Kind::corrupt_records, path, offset, bytes, records, path + ": " + text});
        }
    }

    Files& files_;
    const std::function<void(const LogEntry&)>& visit_;
    Recovered recovered_;
    Inspection out_;
    std::map<StreamIndex, std::size_t> by_index_;
};

}  // namespace

Inspection inspect(base::FileSystem& file_system, const std::string& path,
                   const std::function<void(const LogEntry&)>& visit) {
    Files files(file_system.open(path, false));
    std::vector<base::DirectoryEntry> entries;
    if (const int error = files.list(entries); error != 0) {
        throw Error(ErrorCode::io_error, "cannot list " + path + ": " + errno_text(error));
    }
    refuse_foreign(files, entries);
    return Inspector(files, visit).go();
}

}  // namespace peermq::spool
