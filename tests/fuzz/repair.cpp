#include "fuzz/repair.hpp"

#include <xxhash.h>

#include <algorithm>

#include "spool/format.hpp"

namespace peermq::test {
namespace {

using base::load;
using base::store;
using spool::kBatchHeadBytes;
using spool::kPartEntryBytes;

constexpr std::uint64_t kFooterHeadBytes = 64;

void repair_header(std::span<std::byte> file) {
    const auto header = file.first(spool::kSegmentHeaderBytes);
    repair_block(header, 0);
    std::copy(header.begin(), header.end(), file.begin() + spool::kSegmentHeaderCopyAt);
}

void repair_head(std::span<std::byte> head, std::uint64_t seed) {
    store(head.data(), spool::checksum(head.subspan(8), seed));
}

/// The records of the parts in `table`, which lie in `bytes` in their order.
void repair_records(base::ByteSpan table, std::span<std::byte> bytes) {
    for (; table.size() >= kPartEntryBytes; table = table.subspan(kPartEntryBytes)) {
        base::StreamId id;
        std::copy_n(table.begin() + 8, id.bytes.size(), id.bytes.begin());
        const base::Epoch epoch{load<std::uint32_t>(table.data() + 32),
                                load<std::uint64_t>(table.data() + 24)};
        for (auto count = load<std::uint32_t>(table.data() + 36); count > 0; --count) {
            if (bytes.size() < record::kHeaderBytes) return;
            const std::size_t length = record::peek_length(bytes.data());
            if (length < record::kHeaderBytes || length > bytes.size()) return;
            repair_record(bytes.first(length), record::Seed::of(id, epoch));
            bytes = bytes.subspan(length);
        }
    }
}

/// The batch at `offset`; where it ends, or 0 when its lengths lead nowhere.
std::uint64_t repair_batch(std::span<std::byte> file, std::uint64_t offset, std::uint64_t seed,
                           bool records) {
    const auto head = file.subspan(offset, kBatchHeadBytes);
    const auto number = load<std::uint64_t>(head.data() + 16);
    const auto bytes = load<std::uint64_t>(head.data() + 32);
    const std::uint64_t table_bytes = kPartEntryBytes * load<std::uint32_t>(head.data() + 48);
    const std::uint64_t state_bytes = load<std::uint32_t>(head.data() + 52);
    const std::uint64_t rest = 2 * kBatchHeadBytes + 2 * table_bytes + state_bytes;
    if (bytes > file.size() - offset || bytes < rest) return 0;

    const auto batch = file.subspan(offset, bytes);
    const auto table = batch.subspan(kBatchHeadBytes, table_bytes);
    const auto state = batch.subspan(kBatchHeadBytes + table_bytes, state_bytes);
    store(head.data() + 56, spool::checksum(table, seed + number));
    store(head.data() + 64, spool::checksum(state, seed + number));
    repair_head(head, seed);
    if (records) {
        repair_records(table,
                       batch.subspan(kBatchHeadBytes + table_bytes + state_bytes, bytes - rest));
    }
    const auto back = batch.last(kBatchHeadBytes + table_bytes);
    std::copy(table.begin(), table.end(), back.begin());
    const auto trailer = back.last(kBatchHeadBytes);
    std::copy(head.begin() + 12, head.end(), trailer.begin() + 12);
    store(trailer.data() + 8, spool::kTrailerMagic);
    repair_head(trailer, seed);
    return offset + bytes;
}

void repair_footer(std::span<std::byte> file, std::uint64_t seed) {
    if (file.size() < spool::kSegmentDataAt + kFooterHeadBytes + spool::kFooterTailBytes) return;
    const auto tail = file.last(spool::kFooterTailBytes);
    const auto bytes = load<std::uint64_t>(tail.data() + 16);
    repair_block(tail, seed);
    if (bytes < kFooterHeadBytes + spool::kFooterTailBytes || bytes > file.size()) return;
    const auto footer = file.last(bytes);
    const auto covered = footer.first(bytes - spool::kFooterTailBytes).subspan(8);
    store(footer.data(), spool::checksum(covered, seed));
}

}  // namespace

void repair_record(std::span<std::byte> record, record::Seed seed) {
    std::byte* const at = record.data();
    store(at + 8, static_cast<std::uint32_t>(record.size()));
    const std::uint64_t fixed = XXH3_64bits_withSeed(at + 8, record::kHeaderBytes - 8, seed.value);
    store<std::uint64_t>(at, XXH3_64bits_withSeed(at + record::kHeaderBytes,
                                                  record.size() - record::kHeaderBytes, fixed));
}

void repair_block(std::span<std::byte> block, std::uint64_t seed) {
    if (block.size() < 8) return;
    const auto covered = block.first(block.size() - 8);
    store(block.data() + covered.size(), spool::checksum(covered, seed));
}

void repair_segment(std::span<std::byte> file, bool records) {
    if (file.size() < spool::kSegmentDataAt) return;
    repair_header(file);
    const auto seed = load<std::uint64_t>(file.data() + 56);
    std::uint64_t at = spool::kSegmentDataAt;
    while (at + kBatchHeadBytes <= file.size()) {
        const bool is_head = load<std::uint32_t>(file.data() + at + 8) == spool::kBatchMagic;
        const std::uint64_t end = is_head ? repair_batch(file, at, seed, records) : 0;
        at = end > at ? end : at + 8;
    }
    repair_footer(file, seed);
}

}  // namespace peermq::test
