#include "spool/format.hpp"

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <algorithm>
#include <limits>

#include "base/assert.hpp"
#include "spool/byte_stream.hpp"

namespace peermq::spool {

namespace {

constexpr std::uint64_t kSegmentMagic = 0x3130474553514D50;   // "PMQSEG01"
constexpr std::uint64_t kManifestMagic = 0x3130464D53514D50;  // "PMQSMF01"
constexpr std::uint64_t kFooterMagic = 0x3130544F46514D50;    // "PMQFOT01"
constexpr std::uint32_t kReused = 0x1;                        ///< of a segment header's flags
constexpr std::size_t kFooterHeadBytes = 64;
constexpr std::size_t kExtentBytes = 64;
constexpr std::size_t kRunBytes = 16;
constexpr std::size_t kIndexBytes = 48;
constexpr std::size_t kManifestHeadBytes = 96;
constexpr std::size_t kLiveBytes = 24;

/// Seeds of blocks that belong to no segment.
constexpr std::uint64_t kNoSeed = 0;

bool all_zero(base::ByteSpan bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// Magic, version, length in front and checksum in the last 8 bytes: the frame of blocks that later
/// versions must be able to recognise.
BlockState check_frame(base::ByteSpan bytes, std::uint64_t magic, std::size_t bytes_min,
                       std::size_t& length) {
    if (bytes.size() < bytes_min || base::load<std::uint64_t>(bytes.data()) != magic) {
        return all_zero(bytes) ? BlockState::zero : BlockState::bad;
    }
    length = base::load<std::uint32_t>(bytes.data() + 12);
    if (length < bytes_min || length > bytes.size() || length % 8 != 0) return BlockState::bad;
    if (checksum(bytes.first(length - 8), kNoSeed) !=
        base::load<std::uint64_t>(bytes.data() + length - 8)) {
        return BlockState::bad;
    }
    return block_version(bytes) == kFormatVersion ? BlockState::ok : BlockState::newer;
}

void append_checksum(std::vector<std::byte>& bytes, std::uint64_t seed) {
    const std::uint64_t sum = checksum(bytes, seed);
    ByteWriter(bytes).number(sum);
}

void encode_parts(ByteWriter& out, const std::vector<PartEntry>& parts) {
    for (const PartEntry& part : parts) {
        out.number(part.stream);
        out.number(part.flags);
        out.bytes(part.id.bytes);
        out.number(part.epoch.nonce);
        out.number(part.epoch.counter);
        out.number(part.count);
        out.number(part.first);
        out.number(part.bytes);
        out.number(std::uint64_t{0});
    }
}

void encode_head(std::vector<std::byte>& bytes, const BatchHead& head, std::uint32_t magic,
                 std::uint64_t seed) {
    const std::size_t at = bytes.size();
    ByteWriter out(bytes);
    out.number(std::uint64_t{0});
    out.number(magic);
    out.number(head.flags);
    out.number(head.number);
    out.number(head.offset);
    out.number(head.bytes);
    out.number(head.synced);
    out.number(head.part_count);
    out.number(head.state_bytes);
    out.number(head.table_checksum);
    out.number(head.state_checksum);
    out.number(head.change_count);
    out.number(std::uint32_t{0});
    PEERMQ_ASSERT(bytes.size() - at == kBatchHeadBytes);
    base::store(bytes.data() + at,
                checksum(base::ByteSpan(bytes).subspan(at + 8, kBatchHeadBytes - 8), seed));
}

}  // namespace

std::uint64_t checksum(base::ByteSpan bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// --- segment header

std::vector<std::byte> encode_segment_header(const SegmentHeader& header) {
    std::vector<std::byte> bytes;
    ByteWriter out(bytes);
    out.number(kSegmentMagic);
    out.number(kFormatVersion);
    out.number(static_cast<std::uint32_t>(kSegmentHeaderBytes));
    out.bytes(header.spool.bytes);
    out.bytes(header.peer.bytes);
    out.number(header.number);
    out.number(header.random_id);
    out.number(header.epoch.nonce);
    out.number(header.epoch.counter);
    out.number(header.reused ? kReused : std::uint32_t{0});
    bytes.resize(kSegmentHeaderBytes - 8);
    append_checksum(bytes, kNoSeed);
    return bytes;
}

BlockState decode_segment_header(base::ByteSpan bytes, SegmentHeader& out) {
    std::size_t length = 0;
    const BlockState state = check_frame(bytes, kSegmentMagic, kSegmentHeaderBytes, length);
    if (state != BlockState::ok) return state;
    ByteReader in(bytes.subspan(16));
    out.spool = in.id<base::SpoolId>();
    out.peer = in.id<base::PeerId>();
    out.number = in.number<std::uint64_t>();
    out.random_id = in.number<std::uint64_t>();
    out.epoch.nonce = in.number<std::uint64_t>();
    out.epoch.counter = in.number<std::uint32_t>();
    out.reused = (in.number<std::uint32_t>() & kReused) != 0;
    return BlockState::ok;
}

// --- batches

std::optional<std::uint64_t> BatchHead::record_bytes() const noexcept {
    const std::uint64_t rest = 2 * kBatchHeadBytes + 2 * table_bytes() + state_bytes;
    if (bytes < rest) return std::nullopt;
    return bytes - rest;
}

std::uint64_t batch_bytes(std::size_t parts, std::size_t state_bytes, std::uint64_t record_bytes) {
    return 2 * kBatchHeadBytes + 2 * parts * kPartEntryBytes + state_bytes + record_bytes;
}

std::vector<std::byte> encode_batch_front(BatchHead& head, const std::vector<PartEntry>& parts,
                                          base::ByteSpan state, std::uint64_t seed) {
    std::vector<std::byte> rest;
    rest.reserve(parts.size() * kPartEntryBytes);
    ByteWriter table(rest);
    encode_parts(table, parts);
    head.table_checksum = checksum(rest, seed + head.number);
    head.state_checksum = checksum(state, seed + head.number);
    std::vector<std::byte> bytes;
    bytes.reserve(kBatchHeadBytes + rest.size() + state.size());
    encode_head(bytes, head, kBatchMagic, seed);
    ByteWriter out(bytes);
    out.bytes(rest);
    out.bytes(state);
    return bytes;
}

std::vector<std::byte> encode_batch_back(const BatchHead& head, const std::vector<PartEntry>& parts,
                                         std::uint64_t seed) {
    std::vector<std::byte> bytes;
    bytes.reserve(parts.size() * kPartEntryBytes + kBatchHeadBytes);
    ByteWriter out(bytes);
    encode_parts(out, parts);
    encode_head(bytes, head, kTrailerMagic, seed);
    return bytes;
}

std::optional<BatchHead> decode_batch_head(base::ByteSpan bytes, std::uint32_t magic,
                                           std::uint64_t seed) {
    if (bytes.size() < kBatchHeadBytes) return std::nullopt;
    if (base::load<std::uint32_t>(bytes.data() + 8) != magic) return std::nullopt;
    if (checksum(bytes.subspan(8, kBatchHeadBytes - 8), seed) !=
        base::load<std::uint64_t>(bytes.data())) {
        return std::nullopt;
    }
    ByteReader in(bytes.subspan(12, kBatchHeadBytes - 12));
    BatchHead head;
    head.flags = in.number<std::uint32_t>();
    head.number = in.number<std::uint64_t>();
    head.offset = in.number<std::uint64_t>();
    head.bytes = in.number<std::uint64_t>();
    head.synced = in.number<std::uint64_t>();
    head.part_count = in.number<std::uint32_t>();
    head.state_bytes = in.number<std::uint32_t>();
    head.table_checksum = in.number<std::uint64_t>();
    head.state_checksum = in.number<std::uint64_t>();
    head.change_count = in.number<std::uint32_t>();
    if (head.bytes % 8 != 0 || head.offset % 8 != 0 || !head.record_bytes()) return std::nullopt;
    if (head.bytes > std::numeric_limits<std::uint64_t>::max() - head.offset) return std::nullopt;
    return head;
}

std::optional<std::vector<PartEntry>> decode_parts(const BatchHead& head, base::ByteSpan table,
                                                   std::uint64_t seed) {
    if (table.size() != head.table_bytes()) return std::nullopt;
    if (checksum(table, seed + head.number) != head.table_checksum) return std::nullopt;
    ByteReader in(table);
    std::vector<PartEntry> parts;
    parts.reserve(head.part_count);
    std::uint64_t left = head.record_bytes().value_or(0);
    for (std::uint32_t i = 0; i < head.part_count; ++i) {
        PartEntry part;
        part.stream = in.number<StreamIndex>();
        part.flags = in.number<std::uint32_t>();
        part.id = in.id<base::StreamId>();
        part.epoch.nonce = in.number<std::uint64_t>();
        part.epoch.counter = in.number<std::uint32_t>();
        part.count = in.number<std::uint32_t>();
        part.first = in.number<Seq>();
        part.bytes = in.number<std::uint64_t>();
        (void)in.number<std::uint64_t>();
        const bool seqs_fit = part.first > 0 && part.count > 0 &&
                              part.first <= base::kSeqMax - part.count;
        if (!seqs_fit || part.bytes > left || part.bytes % 8 != 0) return std::nullopt;
        left -= part.bytes;
        parts.push_back(part);
    }
    if (left != 0) return std::nullopt;
    return parts;
}

// --- footer

std::vector<std::byte> encode_footer(const Footer& footer, std::uint64_t seed) {
    std::vector<std::byte> body;
    ByteWriter out(body);
    std::uint64_t records = 0;
    std::uint32_t runs = 0;
    for (const ExtentEntry& extent : footer.extents) {
        out.number(extent.stream);
        out.number(extent.carried ? kCarried : 0u);
        out.bytes(extent.id.bytes);
        out.number(extent.epoch.nonce);
        out.number(extent.epoch.counter);
        out.number(static_cast<std::uint32_t>(extent.runs.size()));
        out.number(extent.records);
        out.number(extent.bytes);
        out.number(std::uint64_t{0});
        records += extent.records;
        runs += static_cast<std::uint32_t>(extent.runs.size());
    }
    for (const ExtentEntry& extent : footer.extents) {
        for (const Run run : extent.runs) {
            out.number(run.first);
            out.number(run.last);
        }
    }
    for (const IndexEntry& entry : footer.index) {
        out.number(entry.stream);
        out.number(entry.carried ? kCarried : 0u);
        out.number(entry.first);
        out.number(entry.last);
        out.number(entry.begin);
        out.number(entry.end);
        out.number(entry.bytes);
    }
    const std::uint64_t total = kFooterHeadBytes + body.size() + kFooterTailBytes;
    std::vector<std::byte> rest;
    ByteWriter head(rest);
    head.number(kFooterMagic);
    head.number(footer.offset);
    head.number(total);
    head.number(footer.batches);
    head.number(records);
    head.number(static_cast<std::uint32_t>(footer.extents.size()));
    head.number(runs);
    head.number(static_cast<std::uint32_t>(footer.index.size()));
    head.number(std::uint32_t{0});
    head.bytes(body);

    std::vector<std::byte> bytes;
    bytes.reserve(total);
    ByteWriter whole(bytes);
    whole.number(checksum(rest, seed));
    whole.bytes(rest);
    std::vector<std::byte> tail;
    ByteWriter end(tail);
    end.number(kFooterMagic);
    end.number(footer.offset);
    end.number(total);
    append_checksum(tail, seed);
    whole.bytes(tail);
    PEERMQ_ASSERT(bytes.size() == total);
    return bytes;
}

std::optional<FooterTail> decode_footer_tail(base::ByteSpan bytes, std::uint64_t seed) {
    if (bytes.size() != kFooterTailBytes) return std::nullopt;
    if (base::load<std::uint64_t>(bytes.data()) != kFooterMagic) return std::nullopt;
    if (checksum(bytes.first(24), seed) != base::load<std::uint64_t>(bytes.data() + 24)) {
        return std::nullopt;
    }
    FooterTail tail;
    tail.offset = base::load<std::uint64_t>(bytes.data() + 8);
    tail.bytes = base::load<std::uint64_t>(bytes.data() + 16);
    if (tail.bytes < kFooterHeadBytes + kFooterTailBytes) return std::nullopt;
    return tail;
}

namespace {

std::optional<std::vector<ExtentEntry>> decode_extents(ByteReader& in, std::uint32_t extents,
                                                       std::uint32_t runs) {
    if (std::uint64_t{extents} * kExtentBytes + std::uint64_t{runs} * kRunBytes > in.left()) {
        return std::nullopt;
    }
    std::vector<ExtentEntry> list(extents);
    std::uint64_t runs_wanted = 0;
    for (ExtentEntry& extent : list) {
        extent.stream = in.number<StreamIndex>();
        extent.carried = (in.number<std::uint32_t>() & kCarried) != 0;
        extent.id = in.id<base::StreamId>();
        extent.epoch.nonce = in.number<std::uint64_t>();
        extent.epoch.counter = in.number<std::uint32_t>();
        const auto count = in.number<std::uint32_t>();
        runs_wanted += count;
        if (runs_wanted > runs) return std::nullopt;
        extent.runs.resize(count);
        extent.records = in.number<std::uint64_t>();
        extent.bytes = in.number<std::uint64_t>();
        (void)in.number<std::uint64_t>();
    }
    if (runs_wanted != runs) return std::nullopt;
    for (ExtentEntry& extent : list) {
        std::uint64_t records = 0;
        for (Run& run : extent.runs) {
            run.first = in.number<Seq>();
            run.last = in.number<Seq>();
            if (run.first == 0 || run.empty() || run.last > base::kSeqMax) return std::nullopt;
            records += run.count();
        }
        if (records != extent.records) return std::nullopt;
    }
    return list;
}

}  // namespace

std::optional<Footer> decode_footer(base::ByteSpan bytes, std::uint64_t seed) {
    if (bytes.size() < kFooterHeadBytes + kFooterTailBytes) return std::nullopt;
    const base::ByteSpan covered = bytes.subspan(8, bytes.size() - 8 - kFooterTailBytes);
    if (checksum(covered, seed) != base::load<std::uint64_t>(bytes.data())) return std::nullopt;
    ByteReader in(covered);
    if (in.number<std::uint64_t>() != kFooterMagic) return std::nullopt;
    Footer footer;
    footer.offset = in.number<std::uint64_t>();
    if (in.number<std::uint64_t>() != bytes.size()) return std::nullopt;
    footer.batches = in.number<std::uint64_t>();
    (void)in.number<std::uint64_t>();
    const auto extents = in.number<std::uint32_t>();
    const auto runs = in.number<std::uint32_t>();
    const auto index = in.number<std::uint32_t>();
    (void)in.number<std::uint32_t>();
    auto list = decode_extents(in, extents, runs);
    if (!list || std::uint64_t{index} * kIndexBytes != in.left()) return std::nullopt;
    footer.extents = std::move(*list);
    footer.index.resize(index);
    for (IndexEntry& entry : footer.index) {
        entry.stream = in.number<StreamIndex>();
        entry.carried = (in.number<std::uint32_t>() & kCarried) != 0;
        entry.first = in.number<Seq>();
        entry.last = in.number<Seq>();
        entry.begin = in.number<std::uint64_t>();
        entry.end = in.number<std::uint64_t>();
        entry.bytes = in.number<std::uint64_t>();
        if (entry.begin > entry.end || entry.end > footer.offset) return std::nullopt;
    }
    return footer;
}

// --- manifest

std::vector<std::byte> encode_manifest(const Manifest& manifest) {
    std::vector<std::byte> bytes;
    ByteWriter out(bytes);
    out.number(kManifestMagic);
    out.number(kFormatVersion);
    out.number(
        static_cast<std::uint32_t>(kManifestHeadBytes + kLiveBytes * manifest.live.size() + 8));
    out.number(manifest.generation);
    out.bytes(manifest.spool.bytes);
    out.bytes(manifest.peer.bytes);
    out.number(manifest.next_number);
    out.number(manifest.reclaimed_below);
    out.number(manifest.epoch);
    out.number(static_cast<std::uint32_t>(manifest.live.size()));
    out.number(std::uint64_t{0});
    out.number(std::uint64_t{0});
    PEERMQ_ASSERT(out.size() == kManifestHeadBytes);
    for (const Manifest::Live& live : manifest.live) {
        out.number(live.number);
        out.number(live.random_id);
        out.number(live.valid_end);
    }
    append_checksum(bytes, kNoSeed);
    return bytes;
}

BlockState decode_manifest(base::ByteSpan bytes, Manifest& out) {
    std::size_t length = 0;
    const BlockState state = check_frame(bytes, kManifestMagic, kManifestHeadBytes + 8, length);
    if (state != BlockState::ok) return state;
    ByteReader in(bytes.subspan(16, length - 24));
    out.generation = in.number<std::uint64_t>();
    out.spool = in.id<base::SpoolId>();
    out.peer = in.id<base::PeerId>();
    out.next_number = in.number<std::uint64_t>();
    out.reclaimed_below = in.number<std::uint64_t>();
    out.epoch = in.number<std::uint32_t>();
    const auto count = in.number<std::uint32_t>();
    (void)in.number<std::uint64_t>();
    (void)in.number<std::uint64_t>();
    if (std::uint64_t{count} * kLiveBytes != in.left()) return BlockState::bad;
    out.live.resize(count);
    for (Manifest::Live& live : out.live) {
        live.number = in.number<std::uint64_t>();
        live.random_id = in.number<std::uint64_t>();
        live.valid_end = in.number<std::uint64_t>();
    }
    return BlockState::ok;
}

// --- names

std::string segment_name(std::uint64_t number) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string name = "seg-";
    for (int shift = 60; shift >= 0; shift -= 4) name.push_back(kDigits[(number >> shift) & 15]);
    return name;
}

std::optional<std::uint64_t> segment_number(std::string_view name) {
    if (name.size() != 20 || name.substr(0, 4) != "seg-") return std::nullopt;
    std::uint64_t number = 0;
    for (const char c : name.substr(4)) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
        number = number << 4 | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return number;
}

bool is_temporary(std::string_view name) { return name.substr(0, 4) == "tmp-"; }

}  // namespace peermq::spool
