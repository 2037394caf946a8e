#pragma once

/// The record: the one form that a message has, in memory, on disk and on the wire.
///
/// A record is encoded once, by the thread that posts it. A run of records is then written to the
/// log and sent to consumers as the same bytes, and each reader checks the same checksum. What
/// changes during delivery (lease, attempt, redelivered) is never inside a record.
///
/// This lives apart from wire and spool because both speak it and neither may include the other.
/// The byte table is in FORMAT.md beside this file. All functions are pure; any thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"

namespace peermq::record {

/// Reaches disk and wire: numbered by hand, never reused.
enum class Type : std::uint8_t {
    message = 1,
    // State of the spool (lib/spool writes and reads these; they never travel).
    state = 2,
    // Reserved for what later formats need, so that they need no new header.
    reply = 3,
    transaction = 4,
};

/// Bits of `flags`.
inline constexpr std::uint8_t kHasTimes = 0x01;  ///< due and expiry follow the fixed header
inline constexpr std::uint8_t kHasKey = 0x02;    ///< key length is not 0: lets a scan skip the rest
inline constexpr std::uint8_t kCompressed = 0x04;  ///< reserved: body is zstd
inline constexpr std::uint8_t kSkippable = 0x80;   ///< readers without this `type` may skip it

inline constexpr std::size_t kHeaderBytes = 48;
inline constexpr std::size_t kTimesBytes = 16;

/// What the checksum is seeded with, so that a record of another stream or epoch is invalid here.
/// Computed once per (stream, epoch).
struct Seed {
    std::uint64_t value = 0;
    static Seed of(const base::StreamId& stream, const base::Epoch& epoch) noexcept;
};

/// A record as its parts. On decode, the views point into the given bytes.
struct Record {
    Type type = Type::message;
    std::uint8_t flags = 0;     ///< encode takes only kSkippable from it; kept as read by decode
    std::uint8_t priority = 4;  ///< 0 (first to wait) to 9; reserved, 4 = normal, not checked
    base::Seq seq = 0;
    std::uint32_t epoch = 0;  ///< counter of the epoch in which it was first written
    base::WallTime enqueued{};
    base::WallTime due{};     ///< zero = at once
    base::WallTime expiry{};  ///< zero = never
    std::string_view key;
    std::string_view topic;
    base::ByteSpan headers;  ///< msgpack map of str to str, or empty
    base::ByteSpan body;
};

/// Bytes that `record` takes when encoded, padding included: a multiple of 8.
[[nodiscard]] std::size_t encoded_size(const Record& record) noexcept;

/// Encodes into exactly encoded_size(record) bytes, checksum included. The parts are within
/// base::limits (asserted: whoever takes a message from a user checks it first); what decode
/// accepts always is.
void encode(const Record& record, Seed seed, std::span<std::byte> out) noexcept;

enum class DecodeError : std::uint8_t {
    none = 0,
    truncated,   ///< fewer bytes than the header or the length field asks for
    bad_length,  ///< a length is impossible: not a multiple of 8, below the minimum, above its
                 ///< limit, parts exceed the whole, key without kHasKey or the reverse
    bad_checksum,
    unknown_type,  ///< checksum holds, but this version cannot read it: type unknown and not
                   ///< skippable, or known with a flag that is not
};
[[nodiscard]] std::string_view to_string(DecodeError error) noexcept;

struct Decoded {
    Record record;
    std::size_t bytes = 0;  ///< whole length, padding included (valid unless truncated/bad_length)
    DecodeError error = DecodeError::none;
    [[nodiscard]] bool ok() const noexcept { return error == DecodeError::none; }
};

/// Decodes the record at the start of `bytes`. Never reads past them, never allocates. `bytes_max`
/// bounds the length field before anything else is believed. A skippable record of an unknown type
/// is ok: look at its type before its parts.
[[nodiscard]] Decoded decode(base::ByteSpan bytes, Seed seed, std::size_t bytes_max) noexcept;

/// The parts of one whole record that decode() has accepted before: no check is repeated.
[[nodiscard]] Record parts(base::ByteSpan bytes) noexcept;

/// Length field of the record at `bytes` (at least kHeaderBytes of them) without any check.
[[nodiscard]] inline std::uint32_t peek_length(const std::byte* bytes) noexcept {
    return base::load<std::uint32_t>(bytes + 8);
}
[[nodiscard]] inline base::Seq peek_seq(const std::byte* bytes) noexcept {
    return base::load<base::Seq>(bytes + 16);
}

/// 64-bit hash of a message key for ordering; never 0 (0 means "no key").
[[nodiscard]] std::uint64_t key_hash(std::string_view key) noexcept;

/// Byte offsets, for readers of this file; FORMAT.md has the whole table.
///  0 u64 checksum    XXH3-64 over bytes [48, length), seeded by that over [8, 48), seeded by Seed
///  8 u32 length      whole record, multiple of 8
/// 12 u8  type        13 u8 flags   14 u8 priority
/// 15 u8  padding     0 to 7 bytes of zero at the end
/// 16 u64 seq
/// 24 u32 epoch       28 u16 key length   30 u16 topic length
/// 32 i64 enqueued    ns since 1970 UTC
/// 40 u32 headers length   44 u32 reserved, zero
/// 48 [i64 due, i64 expiry when kHasTimes] key topic headers body padding

}  // namespace peermq::record
