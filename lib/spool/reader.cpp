#include "spool/reader.hpp"

#include <algorithm>
#include <limits>

#include "base/limits.hpp"
#include "spool/records.hpp"
#include "spool/scan.hpp"

namespace peermq::spool {

namespace {

/// Enough for the head and the part table of most batches.
constexpr std::size_t kFrontBytes = 4 * base::limits::kKiB;
/// Read beyond what is asked for, so that the record that crosses the border is whole.
constexpr std::size_t kSlackBytes = 4 * base::limits::kKiB;
constexpr std::size_t kBytesMax = std::numeric_limits<std::uint32_t>::max() / 2;

bool matches(const PartEntry& entry, const PartQuery& query) {
    return entry.stream == query.stream && entry.id == query.id && entry.epoch == query.epoch &&
           entry.carried() == query.carried && entry.run().contains(query.seq);
}

/// As read_exactly, but returns what there is.
std::size_t read_some(base::File& file, std::span<std::byte> out, std::uint64_t offset,
                      bool& failed) {
    std::size_t done = 0;
    while (done < out.size()) {
        const base::IoResult got = file.read_at(out.subspan(done), offset + done);
        done += got.bytes;
        if (!got.ok()) failed = true;
        if (!got.ok() || got.bytes == 0) break;
    }
    return done;
}

std::optional<PartPlace> place_in(const BatchHead& head, const std::vector<PartEntry>& parts,
                                  const PartQuery& query) {
    std::uint64_t offset = head.records_at();
    for (const PartEntry& entry : parts) {
        if (matches(entry, query)) {
            return PartPlace{entry.run(), offset, offset + entry.bytes, head.end()};
        }
        offset += entry.bytes;
    }
    return std::nullopt;
}

/// Past damage: the thorough way, over the whole stretch.
std::optional<PartPlace> find_by_scan(base::File& file, std::uint64_t seed, std::uint64_t begin,
                                      std::uint64_t end, const PartQuery& query, bool& failed) {
    const Scan scan = scan_segment(
        file, seed, {.from = begin, .to = end, .records = false, .keep_state = false});
    failed = failed || scan.failed;
    for (const ScannedBatch& batch : scan.batches) {
        for (const ScannedPart& part : batch.parts) {
            if (!matches(part.entry, query)) continue;
            return PartPlace{part.entry.run(), part.offset, part.offset + part.entry.bytes,
                             batch.head.end()};
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<PartPlace> find_part(base::File& file, std::uint64_t seed, std::uint64_t begin,
                                   std::uint64_t end, const PartQuery& query, bool& failed) {
    std::vector<std::byte> front(kFrontBytes);
    for (std::uint64_t at = begin; at + kBatchHeadBytes <= end;) {
        front.resize(kFrontBytes);
        front.resize(read_some(file, front, at, failed));
        if (failed) return std::nullopt;
        const auto head = decode_batch_head(front, kBatchMagic, seed);
        if (!head || head->offset != at || head->end() > end) break;
        const std::size_t need = kBatchHeadBytes + head->table_bytes();
        if (need > front.size()) {
            front.resize(need);
            if (!read_exactly(file, front, at)) break;
        }
        const auto parts = decode_parts(
            *head, base::ByteSpan(front).subspan(kBatchHeadBytes, head->table_bytes()), seed);
        if (!parts) break;
        if (auto place = place_in(*head, *parts, query)) return place;
        at = head->end();
        if (at >= end) return std::nullopt;
    }
    return find_by_scan(file, seed, begin, end, query, failed);
}

PartRead read_part(base::File& file, const PartPlace& place, Run wanted, const PartQuery& query,
                   std::size_t bytes_max, std::vector<std::byte>& bytes,
                   std::vector<std::uint32_t>& offsets) {
    PartRead result;
    const record::Seed seed = record::Seed::of(query.id, query.epoch);
    bytes_max = std::min(bytes_max, kBytesMax);
    std::uint64_t at = place.offset;
    // Records before the wanted one are passed over by their lengths, a window at a time.
    const std::uint64_t part_bytes = place.end - place.offset;
    std::uint64_t want = std::min<std::uint64_t>(part_bytes, bytes_max + kSlackBytes);
    if (place.run.first != wanted.first) want = part_bytes;
    std::vector<std::byte> window(want);
    for (;;) {
        window.resize(read_some(file, window, at, result.failed));
        if (result.failed) return result;
        const bool whole_part = at + window.size() >= place.end || window.size() < want;
        Seq next = wanted.first;
        std::size_t behind = 0;  // where the record after the last one taken starts
        std::size_t first_at = 0;
        const auto visit = [&](std::size_t offset, std::size_t length,
                               const record::Record& record) {
            if (record.seq < wanted.first) return true;
            if (record.seq != next || record.seq > wanted.last) return false;
            const std::size_t taken = behind - first_at;
            if (next > wanted.first && taken + length > bytes_max) return false;
            if (next == wanted.first) first_at = offset;
            if (next > wanted.first && offset != behind) return false;  // damage in between
            offsets.push_back(static_cast<std::uint32_t>(bytes.size() + offset - first_at));
            behind = offset + length;
            ++next;
            return true;
        };
        const Run walked{place.run.first, std::min(place.run.last, wanted.last)};
        const std::vector<Run> missing = walk_records(window, walked, seed, visit);
        if (next > wanted.first) {
            bytes.insert(bytes.end(), window.begin() + static_cast<std::ptrdiff_t>(first_at),
                         window.begin() + static_cast<std::ptrdiff_t>(behind));
            result.run = {wanted.first, next - 1};
            if (next <= place.run.last) {
                result.rest = PartPlace{
                    {next, place.run.last}, at + behind, place.end, place.batch_end};
            }
            return result;
        }
        if (!whole_part) {
            // Not even one record fits: read on to the end of the part.
            want = part_bytes;
            window.resize(want);
            continue;
        }
        for (const Run run : missing) {
            if (!run.contains(wanted.first)) continue;
            result.lost = {wanted.first, std::min(run.last, wanted.last)};
        }
        if (result.lost.empty()) result.lost = {wanted.first, wanted.first};
        return result;
    }
}

}  // namespace peermq::spool
