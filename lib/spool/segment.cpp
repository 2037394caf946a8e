#include "spool/segment.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/limits.hpp"

namespace peermq::spool {

namespace {

/// An index entry grows until it covers this much of its stream, or of the file.
constexpr std::uint64_t kStretchBytes = 64 * base::limits::kKiB;
constexpr std::uint64_t kStretchFileBytes = 1 * base::limits::kMiB;

}  // namespace

std::uint64_t Extent::live_bytes() const noexcept {
    if (records == 0) return 0;
    // By the average record; the two terms keep clear of overflow.
    return bytes / records * live + bytes % records * live / records;
}

// --- SegmentIndex

SegmentIndex::SegmentIndex(const std::vector<IndexEntry>& entries) {
    for (const IndexEntry& entry : entries) {
        Lists& lists = lists_[entry.stream];
        (entry.carried ? lists.carried : lists.regular).push_back(entry);
    }
}

void SegmentIndex::add(const PartEntry& part, std::uint64_t begin, std::uint64_t end) {
    Lists& lists = lists_[part.stream];
    auto& list = part.carried() ? lists.carried : lists.regular;
    if (!list.empty()) {
        IndexEntry& last = list.back();
        const bool near = last.bytes < kStretchBytes && end - last.begin <= kStretchFileBytes;
        // Carried parts of different batches may come from anywhere in the stream.
        const bool grows = part.carried() ? last.end == end : near;
        if (grows && part.first > last.last) {
            last.last = part.run().last;
            last.end = end;
            last.bytes += part.bytes;
            return;
        }
    }
    list.push_back(
        {part.stream, part.carried(), part.first, part.run().last, begin, end, part.bytes});
}

std::vector<IndexEntry> SegmentIndex::candidates(StreamIndex stream, Seq seq) const {
    std::vector<IndexEntry> found;
    const auto it = lists_.find(stream);
    if (it == lists_.end()) return found;
    const auto& regular = it->second.regular;
    const auto entry = std::partition_point(regular.begin(), regular.end(),
                                            [&](const IndexEntry& e) { return e.last < seq; });
    if (entry != regular.end() && entry->first <= seq) found.push_back(*entry);
    for (const IndexEntry& carried : it->second.carried) {
        if (carried.first <= seq && seq <= carried.last) found.push_back(carried);
    }
    return found;
}

std::vector<IndexEntry> SegmentIndex::entries() const {
    std::vector<IndexEntry> all;
    for (const auto& [stream, lists] : lists_) {
        all.insert(all.end(), lists.regular.begin(), lists.regular.end());
        all.insert(all.end(), lists.carried.begin(), lists.carried.end());
    }
    // The map's order is arbitrary; the file's bytes shall not be.
    std::stable_sort(all.begin(), all.end(), [](const IndexEntry& a, const IndexEntry& b) {
        return std::pair(a.stream, a.carried) < std::pair(b.stream, b.carried);
    });
    return all;
}

// --- Segment

std::uint64_t Segment::live() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& extent : extents) sum += extent->live;
    return sum;
}

std::uint64_t Segment::live_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& extent : extents) sum += extent->live_bytes();
    return sum;
}

// --- Catalog

void Catalog::add_segment(std::shared_ptr<Segment> segment) {
    segments_.emplace(segment->number(), std::move(segment));
}

void Catalog::remove_segment(std::uint64_t number) {
    const auto it = segments_.find(number);
    PEERMQ_ASSERT(it != segments_.end());
    Segment* segment = it->second.get();
    for (const auto& extent : segment->extents) {
        StreamRefs& refs = streams_[extent->stream];
        change_live(refs, *extent, 0);
        auto& list = extent->carried ? refs.carried : refs.regular;
        std::erase_if(list, [&](const Ref& ref) { return ref.extent == extent.get(); });
    }
    segments_.erase(it);
}

std::shared_ptr<Segment> Catalog::find_segment(std::uint64_t number) const {
    const auto it = segments_.find(number);
    return it == segments_.end() ? nullptr : it->second;
}

void Catalog::change_live(const StreamRefs& refs, Extent& extent, std::uint64_t live) {
    std::uint64_t& total = refs.dead ? dead_bytes_ : live_bytes_;
    total -= extent.live_bytes();
    extent.live = live;
    total += extent.live_bytes();
}

Catalog::Ref Catalog::extent_for(Segment& segment, StreamRefs& refs, const PartEntry& part) {
    auto& list = part.carried() ? refs.carried : refs.regular;
    for (auto it = list.rbegin(); it != list.rend(); ++it) {
        if (it->segment == &segment && it->extent->epoch == part.epoch) return *it;
        if (!part.carried()) break;
    }
    segment.extents.push_back(std::make_unique<Extent>());
    Extent* extent = segment.extents.back().get();
    extent->stream = part.stream;
    extent->id = part.id;
    extent->epoch = part.epoch;
    extent->carried = part.carried();
    const Ref ref{&segment, extent};
    // Regular parts come in rising order, except while recovery goes through older segments.
    const auto at = part.carried()
                        ? list.end()
                        : std::partition_point(list.begin(), list.end(), [&](const Ref& r) {
                              return !r.extent->runs.empty() &&
                                     r.extent->runs.front().first < part.first;
                          });
    list.insert(at, ref);
    return ref;
}

void Catalog::add_part(Segment& segment, const PartEntry& part, bool dead, std::uint64_t live) {
    StreamRefs& refs = streams_[part.stream];
    refs.dead = dead;
    Extent& extent = *extent_for(segment, refs, part).extent;
    // Before the shares change, take the old one out of the total.
    const std::uint64_t live_before = extent.live;
    change_live(refs, extent, 0);
    extent.runs.add(part.run());
    extent.records += part.count;
    extent.bytes += part.bytes;
    change_live(refs, extent, live_before + live);
}

void Catalog::add_extent(Segment& segment, const ExtentEntry& entry, bool dead,
                         std::uint64_t live) {
    if (entry.runs.empty()) return;
    StreamRefs& refs = streams_[entry.stream];
    refs.dead = dead;
    PartEntry part;
    part.stream = entry.stream;
    part.flags = entry.carried ? kCarried : 0;
    part.id = entry.id;
    part.epoch = entry.epoch;
    part.first = entry.runs.front().first;
    Extent& extent = *extent_for(segment, refs, part).extent;
    for (const Run run : entry.runs) extent.runs.add(run);
    extent.records += entry.records;
    extent.bytes += entry.bytes;
    change_live(refs, extent, extent.live + live);
}

void Catalog::remove_run(Segment& segment, StreamIndex stream, const base::Epoch& epoch,
                         bool carried, Run run, std::uint64_t live) {
    StreamRefs& refs = streams_[stream];
    for (const Ref& ref : carried ? refs.carried : refs.regular) {
        if (ref.segment != &segment || ref.extent->epoch != epoch) continue;
        ref.extent->runs.remove(run);
        change_live(refs, *ref.extent, ref.extent->live - std::min(ref.extent->live, live));
    }
    // Empty extents stay until the segment goes, except that they must not confuse the search.
    std::erase_if(refs.regular, [](const Ref& ref) { return ref.extent->runs.empty(); });
    std::erase_if(refs.carried, [](const Ref& ref) { return ref.extent->runs.empty(); });
    std::erase_if(segment.extents, [](const auto& extent) { return extent->runs.empty(); });
}

std::size_t Catalog::first_ending_at(const std::vector<Ref>& refs, Seq seq) {
    const auto it = std::partition_point(refs.begin(), refs.end(), [&](const Ref& ref) {
        return ref.extent->runs.back().last < seq;
    });
    return static_cast<std::size_t>(it - refs.begin());
}

void Catalog::settle_in(StreamRefs& refs, const Ref& ref, Run run, std::uint64_t append,
                        base::Time now) {
    const std::uint64_t count = ref.extent->runs.count_in(run);
    if (count == 0) return;
    change_live(refs, *ref.extent, ref.extent->live - std::min(ref.extent->live, count));
    ref.segment->released_by = append;
    ref.segment->changed_at = now;
}

void Catalog::settle(StreamIndex stream, Run run, std::uint64_t append, base::Time now) {
    const auto it = streams_.find(stream);
    if (it == streams_.end()) return;
    StreamRefs& refs = it->second;
    for (std::size_t i = first_ending_at(refs.regular, run.first);
         i < refs.regular.size() && refs.regular[i].extent->runs.front().first <= run.last; ++i) {
        settle_in(refs, refs.regular[i], run, append, now);
    }
    for (const Ref& ref : refs.carried) settle_in(refs, ref, run, append, now);
}

std::optional<Catalog::Place> Catalog::find(StreamIndex stream, Seq seq) const {
    const auto it = streams_.find(stream);
    if (it == streams_.end()) return std::nullopt;
    const auto look = [&](const Ref& ref) -> std::optional<Place> {
        const auto run = ref.extent->runs.run_at(seq);
        if (!run) return std::nullopt;
        return Place{find_segment(ref.segment->number()), ref.extent, Run{seq, run->last}};
    };
    const StreamRefs& refs = it->second;
    const std::size_t at = first_ending_at(refs.regular, seq);
    if (at < refs.regular.size()) {
        if (auto place = look(refs.regular[at])) return place;
    }
    for (auto ref = refs.carried.rbegin(); ref != refs.carried.rend(); ++ref) {
        if (auto place = look(*ref)) return place;
    }
    return std::nullopt;
}

Seq Catalog::next_stored(StreamIndex stream, Seq seq) const {
    const auto it = streams_.find(stream);
    if (it == streams_.end()) return 0;
    Seq best = 0;
    const auto look = [&](const Ref& ref) {
        const auto run = ref.extent->runs.next_from(seq);
        if (run && (best == 0 || run->first < best)) best = run->first;
    };
    const StreamRefs& refs = it->second;
    const std::size_t at = first_ending_at(refs.regular, seq);
    if (at < refs.regular.size()) look(refs.regular[at]);
    for (const Ref& ref : refs.carried) look(ref);
    return best;
}

std::uint64_t Catalog::disk_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& [number, segment] : segments_) sum += segment->file_bytes;
    return sum;
}

std::uint64_t Catalog::live_bytes(StreamIndex stream) const {
    const auto it = streams_.find(stream);
    if (it == streams_.end()) return 0;
    std::uint64_t sum = 0;
    for (const Ref& ref : it->second.regular) sum += ref.extent->live_bytes();
    for (const Ref& ref : it->second.carried) sum += ref.extent->live_bytes();
    return sum;
}

}  // namespace peermq::spool
