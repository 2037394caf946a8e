#include "spool/recovery_catalog.hpp"

#include <tuple>

namespace peermq::spool {
namespace {

using ExtentKey = std::tuple<StreamIndex, bool, base::Epoch>;

void append_part(std::map<ExtentKey, ExtentEntry>& extents, const ScannedPart& part) {
    base::RunSet good{part.entry.run()};
    for (const Run run : part.bad) good.remove(run);
    if (good.empty()) return;
    const PartEntry& entry = part.entry;
    ExtentEntry& extent = extents[{entry.stream, entry.carried(), entry.epoch}];
    extent.stream = entry.stream;
    extent.carried = entry.carried();
    extent.id = entry.id;
    extent.epoch = entry.epoch;
    extent.records += good.size();
    extent.bytes += good.size() == entry.count ? entry.bytes
                                               : entry.bytes / entry.count * good.size();
    good.for_each([&](Run run) {
        if (!extent.runs.empty() && extent.runs.back().last + 1 == run.first) {
            extent.runs.back().last = run.last;
        } else {
            extent.runs.push_back(run);
        }
    });
}

}  // namespace

std::vector<ExtentEntry> extents_of(const SegmentWork& work) {
    if (work.segment->sealed) return work.extents;
    std::map<ExtentKey, ExtentEntry> extents;
    for (const ScannedBatch& batch : work.batches) {
        for (const ScannedPart& part : batch.parts) append_part(extents, part);
    }
    std::vector<ExtentEntry> list;
    list.reserve(extents.size());
    for (auto& [key, extent] : extents) list.push_back(std::move(extent));
    return list;
}

void build_catalog(const SegmentWorks& segments, Recovered& out) {
    // Newest first, so that of two copies of a record the carried, later one is live.
    std::map<StreamIndex, base::RunSet> covered;
    std::map<std::uint64_t, std::vector<ExtentEntry>> kept;
    for (auto it = segments.rbegin(); it != segments.rend(); ++it) {
        if (!it->second->segment) continue;
        std::vector<ExtentEntry> extents = extents_of(*it->second);
        for (ExtentEntry& extent : extents) {
            base::RunSet runs;
            for (const Run run : extent.runs) runs.add(run);
            base::RunSet& hidden = covered[extent.stream];
            for (const Run run : extent.runs) {
                for (const Run part : hidden.intersection(run)) runs.remove(part);
            }
            extent.runs = runs.runs();
        }
        for (const ExtentEntry& extent : extents) {
            if (!extent.carried) continue;
            for (const Run run : extent.runs) covered[extent.stream].add(run);
        }
        kept[it->first] = std::move(extents);
    }
    for (auto& [number, extents] : kept) {
        Segment& segment = *segments.at(number)->segment;
        out.catalog.add_segment(segments.at(number)->segment);
        for (const ExtentEntry& extent : extents) {
            const StreamData* stream = out.state.find(extent.stream);
            if (stream == nullptr || stream->info.id != extent.id) continue;
            std::uint64_t live = 0;
            for (const Run run : extent.runs) {
                live += run.count() - stream->finished().count_in(run);
            }
            out.catalog.add_extent(segment, extent, stream->info.kind == StreamKind::dead, live);
            out.report.records_unsettled += live;
        }
    }
}

}  // namespace peermq::spool
