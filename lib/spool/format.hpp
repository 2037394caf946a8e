#pragma once

/// The bytes of a spool: headers, batches, footers, manifest, as in FORMAT.md beside this file.
///
/// Everything is little-endian and 8-byte aligned. What is read is never trusted: decoding checks
/// checksums and bounds and says no. Pure; any thread. Callers: the rest of lib/spool only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "spool/spool.hpp"

namespace peermq::spool {

inline constexpr std::uint32_t kFormatVersion = 1;

/// XXH3-64; the seed ties bytes to the segment that they belong to.
[[nodiscard]] std::uint64_t checksum(base::ByteSpan bytes, std::uint64_t seed);

// --- segment header: two equal copies, so that no single damage makes a segment unreadable

inline constexpr std::size_t kSegmentHeaderBytes = 128;
inline constexpr std::uint64_t kSegmentHeaderCopyAt = 512;
inline constexpr std::uint64_t kSegmentDataAt = 1024;

struct SegmentHeader {
    base::SpoolId spool;
    base::PeerId peer;
    std::uint64_t number = 0;
    std::uint64_t random_id = 0;  ///< seeds the checksums of this segment's batches
    base::Epoch epoch;
    /// Made of a finished segment: behind its end lies what that one left, not zeros.
    bool reused = false;
};

enum class BlockState { ok, zero, bad, newer };

/// The format version in a manifest or segment header, also a newer one.
[[nodiscard]] inline std::uint32_t block_version(base::ByteSpan bytes) noexcept {
    return base::load<std::uint32_t>(bytes.data() + 8);
}

[[nodiscard]] std::vector<std::byte> encode_segment_header(const SegmentHeader& header);
/// `bytes` holds at least kSegmentHeaderBytes.
[[nodiscard]] BlockState decode_segment_header(base::ByteSpan bytes, SegmentHeader& out);

// --- batches: head, part table, state, records, part table again, trailer

inline constexpr std::size_t kBatchHeadBytes = 80;
inline constexpr std::size_t kPartEntryBytes = 64;
inline constexpr std::uint32_t kBatchMagic = 0x42514D50;    // "PMQB"
inline constexpr std::uint32_t kTrailerMagic = 0x45514D50;  // "PMQE"

/// Bits of a batch's flags.
inline constexpr std::uint32_t kCheckpoint = 0x1;      ///< part of the state at the segment's start
inline constexpr std::uint32_t kCheckpointLast = 0x2;  ///< the checkpoint is complete with this one

struct BatchHead {
    std::uint32_t flags = 0;
    std::uint64_t number = 0;  ///< 1, 2, 3 ... within the segment
    std::uint64_t offset = 0;  ///< where the batch starts in its file
    std::uint64_t bytes = 0;   ///< whole batch, trailer included
    std::uint64_t synced = 0;  ///< highest batch of this segment known durable when it was written
    std::uint32_t part_count = 0;
    std::uint32_t state_bytes = 0;
    std::uint64_t table_checksum = 0;
    std::uint64_t state_checksum = 0;
    std::uint32_t change_count = 0;

    [[nodiscard]] std::uint64_t table_bytes() const noexcept {
        return std::uint64_t{part_count} * kPartEntryBytes;
    }
    [[nodiscard]] std::uint64_t records_at() const noexcept {
        return offset + kBatchHeadBytes + table_bytes() + state_bytes;
    }
    [[nodiscard]] std::uint64_t end() const noexcept { return offset + bytes; }
    /// Bytes of records, or nullopt when the lengths contradict each other.
    [[nodiscard]] std::optional<std::uint64_t> record_bytes() const noexcept;
};

struct PartEntry {
    StreamIndex stream = 0;
    std::uint32_t flags = 0;
    base::StreamId id;
    base::Epoch epoch;
    Seq first = 0;
    std::uint32_t count = 0;
    std::uint64_t bytes = 0;

    [[nodiscard]] Run run() const noexcept { return {first, first + count - 1}; }
    [[nodiscard]] bool carried() const noexcept { return (flags & 1) != 0; }
};
/// Bit of a part's flags: moved here from an older segment.
inline constexpr std::uint32_t kCarried = 0x1;

/// Bytes that a batch takes in the file.
[[nodiscard]] std::uint64_t batch_bytes(std::size_t parts, std::size_t state_bytes,
                                        std::uint64_t record_bytes);
/// Head, part table and state: what stands before the records. Sets the checksums in `head`.
[[nodiscard]] std::vector<std::byte> encode_batch_front(BatchHead& head,
                                                        const std::vector<PartEntry>& parts,
                                                        base::ByteSpan state, std::uint64_t seed);
/// Part table and trailer: what stands behind the records.
[[nodiscard]] std::vector<std::byte> encode_batch_back(const BatchHead& head,
                                                       const std::vector<PartEntry>& parts,
                                                       std::uint64_t seed);
/// The head or trailer (by `magic`) in the first kBatchHeadBytes of `bytes`.
[[nodiscard]] std::optional<BatchHead> decode_batch_head(base::ByteSpan bytes, std::uint32_t magic,
                                                         std::uint64_t seed);
/// nullopt when the checksum or an entry is impossible.
[[nodiscard]] std::optional<std::vector<PartEntry>> decode_parts(const BatchHead& head,
                                                                 base::ByteSpan table,
                                                                 std::uint64_t seed);

// --- footer

/// Records of one stream and epoch in one segment.
struct ExtentEntry {
    StreamIndex stream = 0;
    bool carried = false;
    base::StreamId id;
    base::Epoch epoch;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::vector<Run> runs;
};

/// Where to look for a stretch of a stream: some batch in [begin, end) holds each of its seqs that
/// is in the extent.
struct IndexEntry {
    StreamIndex stream = 0;
    bool carried = false;
    Seq first = 0;
    Seq last = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;  ///< of the stream's records in there
};

struct Footer {
    std::uint64_t offset = 0;  ///< where the batches end
    std::uint64_t batches = 0;
    std::vector<ExtentEntry> extents;
    std::vector<IndexEntry> index;
};

inline constexpr std::size_t kFooterTailBytes = 32;

[[nodiscard]] std::vector<std::byte> encode_footer(const Footer& footer, std::uint64_t seed);
struct FooterTail {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;  ///< the tail included
};
/// The last kFooterTailBytes of a file.
[[nodiscard]] std::optional<FooterTail> decode_footer_tail(base::ByteSpan bytes,
                                                           std::uint64_t seed);
[[nodiscard]] std::optional<Footer> decode_footer(base::ByteSpan bytes, std::uint64_t seed);

// --- manifest

struct Manifest {
    struct Live {
        std::uint64_t number = 0;
        std::uint64_t random_id = 0;  ///< 0: a file that was set aside, to be left alone
        std::uint64_t valid_end = 0;  ///< where the batches of a sealed one end; 0 = not sealed
    };
    std::uint64_t generation = 0;
    base::SpoolId spool;
    base::PeerId peer;
    std::uint32_t epoch = 0;            ///< highest epoch counter used
    std::uint64_t next_number = 1;      ///< segments below it are live only when listed
    std::uint64_t reclaimed_below = 1;  ///< no segment below it is live
    std::vector<Live> live;
};

[[nodiscard]] std::vector<std::byte> encode_manifest(const Manifest& manifest);
[[nodiscard]] BlockState decode_manifest(base::ByteSpan bytes, Manifest& out);

// --- names

[[nodiscard]] std::string segment_name(std::uint64_t number);
[[nodiscard]] std::optional<std::uint64_t> segment_number(std::string_view name);
[[nodiscard]] bool is_temporary(std::string_view name);
inline constexpr std::string_view kLockName = "LOCK";
inline constexpr std::string_view kManifestName = "MANIFEST";
inline constexpr std::string_view kManifestTemporary = "tmp-manifest";
inline constexpr std::string_view kReserveName = "tmp-reserve";
inline constexpr std::string_view kQuarantineName = "quarantine";

}  // namespace peermq::spool
