#include "record/record.hpp"

#include <limits>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include "base/assert.hpp"
#include "base/limits.hpp"

namespace peermq::record {
namespace {

using base::load;
using base::store;
namespace limits = base::limits;

constexpr std::size_t kChecksumBytes = 8;
/// Flags that this version understands; any other bit may change what the body means.
constexpr std::uint8_t kKnownFlags = kHasTimes | kHasKey | kSkippable;

static_assert(limits::kKeyBytesMax <= std::numeric_limits<std::uint16_t>::max());
static_assert(limits::kTopicBytesMax <= std::numeric_limits<std::uint16_t>::max());
static_assert(limits::kMessageBytesMaxCeiling + limits::kHeadersBytesMax + 4 * limits::kKiB <=
              std::numeric_limits<std::uint32_t>::max());

[[nodiscard]] bool has_times(const Record& record) noexcept {
    return record.due != base::WallTime{} || record.expiry != base::WallTime{};
}

[[nodiscard]] std::uint64_t checksum(const std::byte* record, std::size_t bytes,
                                     Seed seed) noexcept {
    // In two steps, the first seeding the second: for short messages that is a third of the work of
    // one pass, whose cost jumps above 128 bytes.
    const std::uint64_t fixed = XXH3_64bits_withSeed(record + kChecksumBytes,
                                                     kHeaderBytes - kChecksumBytes, seed.value);
    return XXH3_64bits_withSeed(record + kHeaderBytes, bytes - kHeaderBytes, fixed);
}

[[nodiscard]] std::byte* append(std::byte* to, const void* from, std::size_t bytes) noexcept {
    // memcpy from null is undefined even for no bytes, and empty views may hold null.
    if (bytes != 0) std::memcpy(to, from, bytes);
    return to + bytes;
}

[[nodiscard]] std::int64_t nanoseconds(base::WallTime time) noexcept {
    return time.time_since_epoch().count();
}

[[nodiscard]] base::WallTime wall_time(const std::byte* from) noexcept {
    return base::WallTime(base::Duration(load<std::int64_t>(from)));
}

[[nodiscard]] bool is_known(Type type) noexcept {
    switch (type) {
        case Type::message:
        case Type::state: return true;
        case Type::reply:
        case Type::transaction: return false;
    }
    return false;
}

[[nodiscard]] bool is_readable(const Record& record) noexcept {
    if (is_known(record.type)) return (record.flags & ~kKnownFlags) == 0;
    return (record.flags & kSkippable) != 0;
}

/// The variable parts; false when their lengths do not fit the record. `whole` holds at least the
/// fixed header.
[[nodiscard]] bool split_parts(base::ByteSpan whole, Record& record) noexcept {
    const std::byte* at = whole.data();
    const bool times = (record.flags & kHasTimes) != 0;
    const std::size_t padding = load<std::uint8_t>(at + 15);
    const std::size_t key_bytes = load<std::uint16_t>(at + 28);
    const std::size_t topic_bytes = load<std::uint16_t>(at + 30);
    const std::size_t headers_bytes = load<std::uint32_t>(at + 40);
    const bool in_limits = padding < 8 && key_bytes <= limits::kKeyBytesMax &&
                           topic_bytes <= limits::kTopicBytesMax &&
                           headers_bytes <= limits::kHeadersBytesMax;
    const std::size_t fixed_bytes = kHeaderBytes + (times ? kTimesBytes : 0);
    const std::size_t used = fixed_bytes + key_bytes + topic_bytes + headers_bytes + padding;
    if (!in_limits || used > whole.size()) return false;
    // A scan that trusts the flag must see the same keys as one that reads the length.
    if (((record.flags & kHasKey) != 0) != (key_bytes != 0)) return false;

    if (times) {
        record.due = wall_time(at + kHeaderBytes);
        record.expiry = wall_time(at + kHeaderBytes + 8);
    }
    base::ByteSpan rest = whole.subspan(fixed_bytes);
    record.key = base::as_text(rest.first(key_bytes));
    record.topic = base::as_text(rest.subspan(key_bytes, topic_bytes));
    record.headers = rest.subspan(key_bytes + topic_bytes, headers_bytes);
    record.body = rest.subspan(key_bytes + topic_bytes + headers_bytes, whole.size() - used);
    return true;
}

void read_fixed(const std::byte* at, Record& record) noexcept {
    record.type = load<Type>(at + 12);
    record.flags = load<std::uint8_t>(at + 13);
    record.priority = load<std::uint8_t>(at + 14);
    record.seq = peek_seq(at);
    record.epoch = load<std::uint32_t>(at + 24);
    record.enqueued = wall_time(at + 32);
}

}  // namespace

Seed Seed::of(const base::StreamId& stream, const base::Epoch& epoch) noexcept {
    std::byte identity[28];
    std::memcpy(identity, stream.bytes.data(), 16);
    store(identity + 16, epoch.counter);
    store(identity + 20, epoch.nonce);
    return {XXH3_64bits(identity, sizeof identity)};
}

std::size_t encoded_size(const Record& record) noexcept {
    return base::padded(kHeaderBytes + (has_times(record) ? kTimesBytes : 0) + record.key.size() +
                        record.topic.size() + record.headers.size() + record.body.size());
}

void encode(const Record& record, Seed seed, std::span<std::byte> out) noexcept {
    PEERMQ_ASSERT(record.key.size() <= limits::kKeyBytesMax);
    PEERMQ_ASSERT(record.topic.size() <= limits::kTopicBytesMax);
    PEERMQ_ASSERT(record.headers.size() <= limits::kHeadersBytesMax);
    const bool times = has_times(record);
    const std::size_t used = kHeaderBytes + (times ? kTimesBytes : 0) + record.key.size() +
                             record.topic.size() + record.headers.size() + record.body.size();
    const std::size_t length = base::padded(used);
    PEERMQ_ASSERT(length <= std::numeric_limits<std::uint32_t>::max() && out.size() == length);

    const unsigned flags = (record.flags & kSkippable) | (times ? kHasTimes : 0u) |
                           (record.key.empty() ? 0u : kHasKey);
    std::byte* const to = out.data();
    // Zeroes the padding in one store; what is not padding is overwritten below.
    store<std::uint64_t>(to + length - 8, 0);
    store(to + 8, static_cast<std::uint32_t>(length));
    store(to + 12, record.type);
    store(to + 13, static_cast<std::uint8_t>(flags));
    store(to + 14, record.priority);
    store(to + 15, static_cast<std::uint8_t>(length - used));
    store(to + 16, record.seq);
    store(to + 24, record.epoch);
    store(to + 28, static_cast<std::uint16_t>(record.key.size()));
    store(to + 30, static_cast<std::uint16_t>(record.topic.size()));
    store(to + 32, nanoseconds(record.enqueued));
    store(to + 40, static_cast<std::uint32_t>(record.headers.size()));
    store<std::uint32_t>(to + 44, 0);
    std::byte* at = to + kHeaderBytes;
    if (times) {
        store(at, nanoseconds(record.due));
        store(at + 8, nanoseconds(record.expiry));
        at += kTimesBytes;
    }
    at = append(at, record.key.data(), record.key.size());
    at = append(at, record.topic.data(), record.topic.size());
    at = append(at, record.headers.data(), record.headers.size());
    at = append(at, record.body.data(), record.body.size());
    store(to, checksum(to, length, seed));
}

Record parts(base::ByteSpan bytes) noexcept {
    Record record;
    const std::byte* const at = bytes.data();
    read_fixed(at, record);
    std::size_t fixed_bytes = kHeaderBytes;
    if ((record.flags & kHasTimes) != 0) {
        record.due = wall_time(at + kHeaderBytes);
        record.expiry = wall_time(at + kHeaderBytes + 8);
        fixed_bytes += kTimesBytes;
    }
    const std::size_t key_bytes = load<std::uint16_t>(at + 28);
    const std::size_t topic_bytes = load<std::uint16_t>(at + 30);
    const std::size_t headers_bytes = load<std::uint32_t>(at + 40);
    const std::size_t used = fixed_bytes + key_bytes + topic_bytes + headers_bytes;
    const std::size_t padding = load<std::uint8_t>(at + 15);
    PEERMQ_ASSERT(used + padding <= bytes.size());
    const std::byte* rest = at + fixed_bytes;
    record.key = base::as_text({rest, key_bytes});
    record.topic = base::as_text({rest + key_bytes, topic_bytes});
    record.headers = {rest + key_bytes + topic_bytes, headers_bytes};
    record.body = {at + used, bytes.size() - used - padding};
    return record;
}

Decoded decode(base::ByteSpan bytes, Seed seed, std::size_t bytes_max) noexcept {
    Decoded result;
    if (bytes.size() < kHeaderBytes) {
        result.error = DecodeError::truncated;
        return result;
    }
    const std::byte* const at = bytes.data();
    const std::size_t length = peek_length(at);
    if (length < kHeaderBytes || length % 8 != 0 || length > bytes_max) {
        result.error = DecodeError::bad_length;
        return result;
    }
    if (length > bytes.size()) {
        result.error = DecodeError::truncated;
        return result;
    }
    Record& record = result.record;
    read_fixed(at, record);
    if (!split_parts(bytes.first(length), record)) {
        result.error = DecodeError::bad_length;
        return result;
    }
    result.bytes = length;
    if (load<std::uint64_t>(at) != checksum(at, length, seed)) {
        result.error = DecodeError::bad_checksum;
    } else if (!is_readable(record)) {
        result.error = DecodeError::unknown_type;
    }
    return result;
}

std::uint64_t key_hash(std::string_view key) noexcept {
    const std::uint64_t hash = XXH3_64bits(key.data(), key.size());
    return hash == 0 ? 1 : hash;
}

}  // namespace peermq::record
