#include "record/record.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/limits.hpp"

namespace peermq::record {
namespace {

using base::ByteSpan;
using base::store;
namespace limits = base::limits;

constexpr std::size_t kBytesMax = limits::kMessageBytesMaxDefault;
const Seed kSeed{0x1234567890abcdef};

std::vector<std::byte> encoded(const Record& record, Seed seed = kSeed) {
    std::vector<std::byte> out(encoded_size(record), std::byte{0xee});
    encode(record, seed, out);
    return out;
}

/// Decodes a copy of exact size, so that the sanitizer sees any read past the end.
DecodeError decode_exact(ByteSpan bytes, std::size_t bytes_max = kBytesMax) {
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    return decode({copy.get(), bytes.size()}, kSeed, bytes_max).error;
}

base::WallTime wall(std::int64_t nanoseconds) {
    return base::WallTime(base::Duration(nanoseconds));
}

TEST(Record, EncodesAllPartsAndDecodesThemBack) {
    std::mt19937_64 random(1);
    const auto text = [&](std::size_t bytes_max) {
        std::string value(random() % 4 == 0 ? 0 : random() % (bytes_max + 1), '\0');
        for (char& letter : value) letter = static_cast<char>(random());
        return value;
    };
    for (int round = 0; round < 3000; ++round) {
        const std::string key = text(40), topic = text(40), headers = text(60), body = text(400);
        Record record;
        record.type = random() % 2 == 0 ? Type::message : Type::state;
        record.flags = random() % 2 == 0 ? kSkippable : 0;
        record.priority = static_cast<std::uint8_t>(random() % 10);
        record.seq = random();
        record.epoch = static_cast<std::uint32_t>(random());
        record.enqueued = wall(static_cast<std::int64_t>(random()));
        if (random() % 2 == 0) record.due = wall(static_cast<std::int64_t>(random()));
        if (random() % 2 == 0) record.expiry = wall(static_cast<std::int64_t>(random()));
        record.key = key;
        record.topic = topic;
        record.headers = base::as_bytes(headers);
        record.body = base::as_bytes(body);

        const auto bytes = encoded(record);
        const Decoded decoded = decode(bytes, kSeed, kBytesMax);
        ASSERT_TRUE(decoded.ok()) << to_string(decoded.error);
        EXPECT_EQ(decoded.bytes, bytes.size());
        const Record& read = decoded.record;
        EXPECT_EQ(read.type, record.type);
        EXPECT_EQ(read.flags & kSkippable, record.flags);
        EXPECT_EQ((read.flags & kHasKey) != 0, !key.empty());
        EXPECT_EQ((read.flags & kHasTimes) != 0, record.due != wall(0) || record.expiry != wall(0));
        EXPECT_EQ(read.priority, record.priority);
        EXPECT_EQ(read.seq, record.seq);
        EXPECT_EQ(read.epoch, record.epoch);
        EXPECT_EQ(read.enqueued, record.enqueued);
        EXPECT_EQ(read.due, record.due);
        EXPECT_EQ(read.expiry, record.expiry);
        EXPECT_EQ(read.key, key);
        EXPECT_EQ(read.topic, topic);
        EXPECT_EQ(base::as_text(read.headers), headers);
        EXPECT_EQ(base::as_text(read.body), body);
    }
}

TEST(Record, SizeIsAMultipleOfEightAndPaddingIsZero) {
    for (std::size_t size = 0; size < 20; ++size) {
        const std::string body(size, '\xff');
        Record record;
        record.body = base::as_bytes(body);
        const auto bytes = encoded(record);
        EXPECT_EQ(bytes.size(), kHeaderBytes + base::padded(size));
        for (std::size_t at = kHeaderBytes + size; at < bytes.size(); ++at) {
            EXPECT_EQ(bytes[at], std::byte{0});
        }
        EXPECT_EQ(bytes[44], std::byte{0});
        EXPECT_EQ(peek_length(bytes.data()), bytes.size());
    }
}

TEST(Record, TimesAreStoredOnlyWhenOneIsSet) {
    Record record;
    EXPECT_EQ(encoded_size(record), kHeaderBytes);
    record.due = wall(1);
    EXPECT_EQ(encoded_size(record), kHeaderBytes + kTimesBytes);
    record.due = wall(0);
    record.expiry = wall(-1);
    EXPECT_EQ(encoded_size(record), kHeaderBytes + kTimesBytes);
}

TEST(Record, FlagsThatFollowFromThePartsAreNotTakenFromTheCaller) {
    Record record;
    record.flags = 0xff;
    EXPECT_EQ(decode(encoded(record), kSeed, kBytesMax).record.flags, kSkippable);
}

TEST(Record, EverySingleBitFlipIsDetected) {
    for (const std::size_t size : {0u, 1u, 60u, 150u, 300u}) {
        const std::string body(size, 'b');
        Record record;
        record.seq = 5;
        record.due = wall(7);
        record.key = "key";
        record.topic = "topic";
        record.body = base::as_bytes(body);
        auto bytes = encoded(record);
        for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
            ASSERT_NE(decode_exact(bytes), DecodeError::none) << "size " << size << " bit " << bit;
            bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        }
        EXPECT_EQ(decode_exact(bytes), DecodeError::none);
    }
}

TEST(Record, EveryTruncationIsReported) {
    const std::string body(300, 'b');
    Record record;
    record.body = base::as_bytes(body);
    const auto bytes = encoded(record);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        ASSERT_EQ(decode_exact(ByteSpan(bytes).first(size)), DecodeError::truncated) << size;
    }
}

TEST(Record, BytesAfterTheRecordAreLeftAlone) {
    auto bytes = encoded(Record{});
    bytes.resize(bytes.size() + 100, std::byte{0xaa});
    const Decoded decoded = decode(bytes, kSeed, kBytesMax);
    EXPECT_TRUE(decoded.ok());
    EXPECT_EQ(decoded.bytes, kHeaderBytes);
}

TEST(Record, RecordOfAnotherStreamOrEpochIsInvalid) {
    base::StreamId stream;
    const Seed seed = Seed::of(stream, {1, 2});
    const auto bytes = encoded(Record{}, seed);
    EXPECT_TRUE(decode(bytes, seed, kBytesMax).ok());
    EXPECT_EQ(decode(bytes, Seed::of(stream, {2, 2}), kBytesMax).error, DecodeError::bad_checksum);
    EXPECT_EQ(decode(bytes, Seed::of(stream, {1, 3}), kBytesMax).error, DecodeError::bad_checksum);
    stream.bytes[15] = std::byte{1};
    EXPECT_EQ(decode(bytes, Seed::of(stream, {1, 2}), kBytesMax).error, DecodeError::bad_checksum);
}

TEST(Record, PartsOfARecordWithABadChecksumAreStillShown) {
    Record record;
    record.seq = 77;
    auto bytes = encoded(record);
    bytes[0] ^= std::byte{1};
    const Decoded decoded = decode(bytes, kSeed, kBytesMax);
    EXPECT_EQ(decoded.error, DecodeError::bad_checksum);
    EXPECT_EQ(decoded.bytes, bytes.size());
    EXPECT_EQ(decoded.record.seq, 77u);
    EXPECT_EQ(peek_seq(bytes.data()), 77u);
}

TEST(Record, PartsOfACheckedRecordEqualWhatDecodeGave) {
    Record record;
    record.seq = 5;
    record.expiry = wall(7);
    record.key = "key";
    record.topic = "topic";
    record.body = base::as_bytes("body");
    const auto bytes = encoded(record);
    const Record read = parts(bytes);
    EXPECT_EQ(read.seq, 5u);
    EXPECT_EQ(read.expiry, wall(7));
    EXPECT_EQ(read.flags, kHasTimes | kHasKey);
    EXPECT_EQ(read.key, "key");
    EXPECT_EQ(read.topic, "topic");
    EXPECT_TRUE(read.headers.empty());
    EXPECT_EQ(base::as_text(read.body), "body");
}

TEST(Record, KeyHashIsNeverZeroAndTellsKeysApart) {
    EXPECT_NE(key_hash(""), 0u);
    EXPECT_NE(key_hash("a"), key_hash("b"));
    EXPECT_EQ(key_hash("customer-7"), key_hash(std::string("customer-7")));
}

TEST(Record, NamesOfErrors) {
    EXPECT_EQ(to_string(DecodeError::none), "none");
    EXPECT_EQ(to_string(DecodeError::unknown_type), "unknown_type");
    EXPECT_EQ(to_string(DecodeError{99}), "unknown");
}

TEST(RecordDeathTest, PartsAboveTheirLimitsAreABrokenInvariant) {
    const std::string key(limits::kKeyBytesMax + 1, 'k');
    Record record;
    record.key = key;
    EXPECT_DEATH((void)encoded(record), "broken invariant");
}

}  // namespace
}  // namespace peermq::record
