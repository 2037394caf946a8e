#include "spool/recovery.hpp"

#include <algorithm>
#include <cerrno>

#include "base/limits.hpp"
#include "peermq/error.hpp"
#include "spool/intake.hpp"
#include "spool/recovery_catalog.hpp"

namespace peermq::spool {

namespace limits = base::limits;

namespace {

std::string plural(std::uint64_t count, const std::string& word) {
    return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

class Recovery {
public:
    Recovery(Files& files, base::OpenMode mode) : files_(files), mode_(mode) {}

    Recovered go() {
        Intake intake = take_in(files_, mode_, out_);
        have_manifest_ = intake.have_manifest;
        headerless_ = std::move(intake.headerless);
        for (auto& [number, segment] : intake.segments) {
            segments_[number] = std::make_unique<Work>();
            segments_[number]->segment = std::move(segment);
        }
        for (auto it = segments_.rbegin(); it != segments_.rend(); ++it)
            recover_segment(*it->second);
        replay();
        find_missing();
        if (state_damaged_) distrust_state();
        out_.whole = !state_damaged_ && ends_with_footer();
        build_catalog(segments_, out_);
        out_.report.created = out_.created;
        return std::move(out_);
    }

private:
    using Work = SegmentWork;

    // --- one segment

    [[nodiscard]] const ChainEntry* chain_of(std::uint64_t number) const {
        for (const ChainEntry& entry : chain_) {
            if (entry.number == number) return &entry;
        }
        return nullptr;
    }

    void recover_segment(Work& work) {
        Segment& segment = *work.segment;
        const ChainEntry* chain = chain_of(segment.number());
        // The newest segment of a closed spool has no later one; the manifest stands in.
        ChainEntry from_manifest;
        const Manifest::Live* live = listed(out_.manifest, segment.number());
        if (chain == nullptr && live != nullptr && live->valid_end >= kSegmentDataAt) {
            from_manifest = {segment.number(), live->random_id, live->valid_end, true, {}};
            chain = &from_manifest;
        }
        if (segment.header.random_id == 0 && chain != nullptr) {
            segment.header.random_id = chain->random_id;
        }
        if (std::count(headerless_.begin(), headerless_.end(), segment.number()) != 0) {
            if (segment.header.random_id == 0) return give_up(segment);
            damage(segment, Damage::Kind::corrupt_records, 0, kSegmentHeaderBytes, 0,
                   "the header is damaged; the records are used");
        }
        if (chain != nullptr && chain->random_id != segment.header.random_id) {
            report(Damage::Kind::rolled_back, files_.path(segment.name), 0, segment.file_bytes, 0,
                   "is not the segment that later ones name; left alone");
            out_.aside.push_back(*segment_number(segment.name));
            work.segment = nullptr;
            return;
        }
        work.needs_state = !checkpoint_found_;
        if (chain == nullptr) segment.unproven_from = kSegmentDataAt;
        const bool footer = read_footer(work, chain);
        if (!footer && chain != nullptr && chain->sealed) {
            damage(segment, Damage::Kind::bad_footer, chain->valid_end, 0, 0,
                   "the footer is damaged; the segment was read through instead");
        }
        if (!footer) {
            scan_all(work, chain);
        } else if (work.needs_state) {
            scan_state(work);
        }
        ++out_.report.segments;
        if (work.needs_state) note_checkpoint(work);
    }

    void give_up(Segment& segment) {
        damage(segment, Damage::Kind::corrupt_records, 0, segment.file_bytes, 0,
               "no header can be read and nothing else says what this file is; left alone");
        out_.aside.push_back(*segment_number(segment.name));
        segments_[segment.number()]->segment = nullptr;  // `segment` ends here
    }

    bool read_footer(Work& work, const ChainEntry* chain) {
        Segment& segment = *work.segment;
        if (segment.file_bytes < kSegmentDataAt + kFooterTailBytes) return false;
        const std::uint64_t seed = segment.header.random_id;
        std::vector<std::byte> bytes(kFooterTailBytes);
        if (!read_exactly(*segment.file, bytes, segment.file_bytes - kFooterTailBytes))
            return false;
        const auto tail = decode_footer_tail(bytes, seed);
        if (!tail || tail->offset < kSegmentDataAt || tail->bytes > segment.file_bytes ||
            tail->offset != segment.file_bytes - tail->bytes ||
            (chain != nullptr && chain->valid_end != tail->offset)) {
            return false;
        }
        bytes.resize(tail->bytes);
        if (!read_exactly(*segment.file, bytes, tail->offset)) return false;
        auto footer = decode_footer(bytes, seed);
        if (!footer || footer->offset != tail->offset) return false;
        segment.sealed = true;
        segment.used = footer->offset;
        segment.batches = footer->batches;
        work.extents = std::move(footer->extents);
        return true;
    }

    /// Replays a sealed segment's state; falls back to the full scan when that finds damage.
    void scan_state(Work& work) {
        Segment& segment = *work.segment;
        Scan scan = scan_segment(*segment.file, segment.header.random_id,
                                 {.to = segment.used, .records = false});
        out_.report.bytes_scanned += scan.bytes_read;
        require_read(segment, scan);
        const bool good = scan.gaps.empty() && scan.end == segment.used &&
                          scan.batches.size() == segment.batches &&
                          std::all_of(scan.batches.begin(), scan.batches.end(),
                                      [](const ScannedBatch& b) {
                                          return b.state_ok && b.table_ok && b.complete;
                                      });
        if (good) {
            work.batches = std::move(scan.batches);
            return;
        }
        // The footer proves how far the batches went; only its index is not used.
        ChainEntry proof{segment.number(), segment.header.random_id, segment.used, true, {}};
        work.extents.clear();
        segment.sealed = false;
        scan_all(work, &proof);
    }

    void require_read(const Segment& segment, const Scan& scan) {
        if (!scan.failed) return;
        // A disk that does not answer now may answer later: nothing may be cut on such a ground.
        throw Error(ErrorCode::io_error, "cannot read " + files_.path(segment.name));
    }

    void scan_all(Work& work, const ChainEntry* chain) {
        Segment& segment = *work.segment;
        const std::uint64_t to = chain != nullptr ? std::min(chain->valid_end, segment.file_bytes)
                                                  : segment.file_bytes;
        Scan scan = scan_segment(*segment.file, segment.header.random_id,
                                 {.to = to, .keep_state = work.needs_state});
        out_.report.bytes_scanned += scan.bytes_read;
        require_read(segment, scan);
        if (chain != nullptr) segment.excluded = chain->excluded;
        const std::uint64_t proven = chain != nullptr ? ~std::uint64_t{0} : scan.proven;
        segment.used = accept_batches(work, scan, proven);
        if (chain != nullptr) {
            segment.used = chain->valid_end;
            check_end(segment, *chain, scan);
        } else {
            cut_tail(segment, scan);
        }
        segment.index = std::make_shared<SegmentIndex>();
        for (const ScannedBatch& batch : work.batches) {
            for (const ScannedPart& part : batch.parts) {
                segment.index->add(part.entry, batch.head.offset, batch.head.end());
            }
        }
    }

    [[nodiscard]] static bool is_excluded(const Segment& segment, std::uint64_t offset) {
        return std::any_of(segment.excluded.begin(), segment.excluded.end(),
                           [&](const auto& range) {
                               return range.offset <= offset && offset < range.offset + range.bytes;
                           });
    }

    /// Takes the batches that count; returns where the last one ends.
    std::uint64_t accept_batches(Work& work, Scan& scan, std::uint64_t proven) {
        Segment& segment = *work.segment;
        std::uint64_t end = kSegmentDataAt;
        for (const Scan::Gap& gap : scan.gaps) {
            if (is_excluded(segment, gap.offset)) continue;
            const auto next = std::find_if(scan.batches.begin(), scan.batches.end(),
                                           [&](const ScannedBatch& batch) {
                                               return batch.head.offset >= gap.offset + gap.bytes;
                                           });
            const bool was_durable = next == scan.batches.end() ? proven == ~std::uint64_t{0}
                                                                : next->head.number - 1 <= proven;
            lose_gap(work, gap, was_durable);
        }
        for (ScannedBatch& batch : scan.batches) {
            if (is_excluded(segment, batch.head.offset)) continue;
            if (!batch.complete && batch.head.number > proven) {
                torn_.push_back(
                    {segment.number(), batch.head.offset, batch.head.bytes, count(batch)});
                continue;
            }
            if (segment.unproven_from != 0 && batch.head.number <= proven) {
                segment.unproven_from = batch.head.end();
            }
            if (!batch.complete) salvage(work, batch);
            segment.batches = std::max(segment.batches, batch.head.number);
            end = batch.head.end();
            work.batches.push_back(std::move(batch));
        }
        // What was cut before a batch that counts stays cut, whatever later openings think of it.
        for (const Torn& torn : torn_) {
            if (torn.number != segment.number() || torn.offset >= end) continue;
            segment.excluded.push_back({torn.offset, torn.bytes});
            damage(segment, Damage::Kind::torn_tail, torn.offset, torn.bytes, torn.records,
                   "a batch was not wholly written; it was never durable and is left out");
        }
        return end;
    }

    static std::uint64_t count(const ScannedBatch& batch) {
        std::uint64_t sum = 0;
        for (const ScannedPart& part : batch.parts) sum += part.entry.count;
        return sum;
    }

    void lose_gap(Work& work, const Scan::Gap& gap, bool was_durable) {
        Segment& segment = *work.segment;
        if (was_durable) {
            if (work.needs_state) state_damaged_ = true;
            damage(segment, Damage::Kind::corrupt_records, gap.offset, gap.bytes, 0,
                   plural(gap.bytes, "byte") + " between batches cannot be read");
        } else {
            segment.excluded.push_back({gap.offset, gap.bytes});
            damage(segment, Damage::Kind::torn_tail, gap.offset, gap.bytes, 0,
                   "was not wholly written; it was never durable and is left out");
        }
    }

    /// A durable batch with damage inside: its good records count.
    void salvage(Work& work, ScannedBatch& batch) {
        const std::uint64_t lost = batch.table_ok ? batch.bad_records() : 0;
        const bool state_lost = !batch.state_ok && work.needs_state;
        state_damaged_ = state_damaged_ || state_lost || !batch.table_ok;
        std::string text = "batch " + std::to_string(batch.head.number) + " is damaged: ";
        text += batch.table_ok ? plural(lost, "record") + " lost"
                               : "its records cannot be told apart";
        if (state_lost)
            text += ", and so are changes of delivery state: some messages may be repeated";
        damage(*work.segment, Damage::Kind::corrupt_records, batch.head.offset, batch.head.bytes,
               lost, text);
    }

    void check_end(Segment& segment, const ChainEntry& chain, const Scan& scan) {
        const std::uint64_t end = std::max(scan.end, kSegmentDataAt);
        if (end >= chain.valid_end || is_excluded(segment, end)) return;
        const bool shorter = segment.file_bytes < chain.valid_end;
        if (!checkpoint_found_) state_damaged_ = true;
        damage(segment, shorter ? Damage::Kind::rolled_back : Damage::Kind::corrupt_records, end,
               chain.valid_end - end, 0,
               (shorter ? "ends early: it was truncated, or is an older copy; "
                        : "cannot be read to its end; ") +
                   plural(chain.valid_end - end, "byte") + " are missing");
    }

    void cut_tail(Segment& segment, const Scan& scan) {
        // Behind the end of a reused file lies an earlier life: only what bears the seed of this
        // one was ever written.
        const std::uint64_t tail_end = scan.end + (segment.header.reused ? 0 : scan.tail_bytes);
        std::uint64_t records = 0;
        for (const Torn& torn : torn_) {
            if (torn.number == segment.number() && torn.offset >= segment.used)
                records += torn.records;
        }
        if (tail_end <= segment.used) return;
        const std::uint64_t bytes = tail_end - segment.used;
        out_.keep.push_back(
            {segment.file, segment.used,
             std::min<std::uint64_t>(bytes, limits::kQuarantineTailBytesMax),
             "tail-" + segment.name.substr(4) + "-" + std::to_string(segment.used)});
        report(Damage::Kind::torn_tail, files_.path(segment.name), segment.used, bytes, records,
               "the end was not wholly written before a crash; it was never durable and is cut");
    }

    // --- state

    void note_checkpoint(Work& work) {
        std::uint64_t expected = 1;
        for (const ScannedBatch& batch : work.batches) {
            if (batch.head.number != expected++ || !(batch.head.flags & kCheckpoint) ||
                !batch.state_ok) {
                break;
            }
            if ((batch.head.flags & kCheckpointLast) == 0) continue;
            work.has_checkpoint = true;
            checkpoint_found_ = true;
        }
        // What a newer file says about older ones stands, even if its checkpoint is incomplete.
        for (const ScannedBatch& batch : work.batches) {
            if ((batch.head.flags & kCheckpoint) == 0 || !batch.state_ok) continue;
            (void)visit_state(batch.state, [&](const StateEntry& entry) {
                if (entry.kind == StateKind::chain && chain_of(entry.chain.number) == nullptr) {
                    chain_.push_back(entry.chain);
                }
            });
        }
    }

    void replay() {
        bool base_found = segments_.empty() || out_.created;
        for (auto& [number, work] : segments_) {
            if (!work->segment || !work->needs_state) continue;
            base_found = base_found || work->has_checkpoint;
            for (const ScannedBatch& batch : work->batches) {
                if (!batch.state_ok) continue;
                const bool good = visit_state(batch.state, [&](const StateEntry& entry) {
                    if (!out_.state.apply(entry)) orphans_.push_back(entry);
                });
                if (!good) state_damaged_ = true;
            }
        }
        if (!base_found) state_damaged_ = true;
        for (auto& [number, work] : segments_) note_ends(*work);
        // Changes of streams whose registration only came later.
        for (const StateEntry& entry : orphans_) {
            if (!out_.state.apply(entry)) state_damaged_ = true;
        }
    }

    void note_ends(Work& work) {
        if (!work.segment) return;
        for (const ScannedBatch& batch : work.batches) {
            for (const ScannedPart& part : batch.parts) note_end(part.entry, part.entry.run().last);
        }
        for (const ExtentEntry& extent : work.extents) {
            PartEntry part;
            part.stream = extent.stream;
            part.id = extent.id;
            if (!extent.runs.empty()) note_end(part, extent.runs.back().last);
        }
    }

    void note_end(const PartEntry& part, Seq last) {
        StreamData* stream = out_.state.find(part.stream);
        if (stream == nullptr) {
            if (part.stream > limits::kStreamsPerSpoolMax) return;
            // Its name is lost with its registrations; its records shall not be.
            state_damaged_ = true;
            StateEntry entry;
            entry.kind = StateKind::stream;
            entry.info = {part.stream, part.id, StreamKind::queue, "recovered-" + part.id.hex()};
            (void)out_.state.apply(entry);
            stream = out_.state.find(part.stream);
        }
        stream->end = std::max(stream->end, last);
    }

    /// Some state is lost: everything counts as handed out, and what is stored nowhere as settled.
    void distrust_state() {
        std::map<StreamIndex, base::RunSet> stored;
        for (auto& [number, work] : segments_) {
            if (!work->segment) continue;
            for (const ExtentEntry& extent : extents_of(*work)) {
                for (const Run run : extent.runs) stored[extent.stream].add(run);
            }
        }
        out_.state.for_each([&](StreamData& stream) {
            const std::vector<Run> absent = stored[stream.info.index].gaps({1, stream.end});
            for (auto& [index, group] : stream.groups) {
                group.mark = std::max(group.mark, stream.end);
                for (const Run run : absent) group.settle(run);
            }
        });
    }

    /// Only closing leaves a footer in the newest segment: a rotation has the next one ready.
    [[nodiscard]] bool ends_with_footer() const {
        if (segments_.empty()) return false;
        const std::shared_ptr<Segment>& newest = segments_.rbegin()->second->segment;
        return newest != nullptr && newest->sealed;
    }

    void find_missing() {
        std::vector<std::uint64_t> known;
        for (const Manifest::Live& live : out_.manifest.live) known.push_back(live.number);
        for (const ChainEntry& entry : chain_) {
            // A newer manifest may have let go of what a checkpoint still names.
            if (entry.number >= out_.manifest.next_number || !have_manifest_) {
                if (have_manifest_) known.push_back(entry.number);
            }
        }
        std::sort(known.begin(), known.end());
        known.erase(std::unique(known.begin(), known.end()), known.end());
        for (const std::uint64_t number : known) {
            out_.next_number = std::max(out_.next_number, number + 1);
            const auto it = segments_.find(number);
            if (it != segments_.end() && it->second->segment) continue;
            const bool newest = segments_.empty() || number > segments_.rbegin()->first;
            if (newest) state_damaged_ = true;
            report(Damage::Kind::missing_segment, files_.path(segment_name(number)), 0, 0, 0,
                   "segment " + std::to_string(number) + " is missing; its records are lost");
        }
    }

    // --- reports

    void report(Damage::Kind kind, const std::string& path, std::uint64_t offset,
                std::uint64_t bytes, std::uint64_t records, const std::string& text) {
        out_.report.damage.push_back({kind, path, offset, bytes, records, path + ": " + text});
    }

    /// Damage in a segment of ours: a copy is kept before anything changes.
    void damage(Segment& segment, Damage::Kind kind, std::uint64_t offset, std::uint64_t bytes,
                std::uint64_t records, const std::string& text) {
        if (!segment.quarantined) {
            segment.quarantined = true;
            out_.keep.push_back({segment.file, 0, segment.file_bytes, segment.name});
        }
        report(kind, files_.path(segment.name), offset, bytes, records, text);
    }

    struct Torn {
        std::uint64_t number = 0;
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;
        std::uint64_t records = 0;
    };

    Files& files_;
    base::OpenMode mode_;
    Recovered out_;
    bool have_manifest_ = false;
    SegmentWorks segments_;
    std::vector<std::uint64_t> headerless_;
    std::vector<ChainEntry> chain_;
    std::vector<Torn> torn_;
    std::vector<StateEntry> orphans_;
    bool checkpoint_found_ = false;
    bool state_damaged_ = false;
};

}  // namespace

Recovered recover(Files& files, base::OpenMode mode) { return Recovery(files, mode).go(); }

}  // namespace peermq::spool
