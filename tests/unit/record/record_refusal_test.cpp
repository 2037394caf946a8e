// Records whose checksum is right but whose fields are not, as a hostile or newer peer can make
// them: the checks beside the checksum must hold by themselves.

#include <gtest/gtest.h>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "record/record.hpp"

namespace peermq::record {
namespace {

using base::ByteSpan;
using base::store;
namespace limits = base::limits;

constexpr std::size_t kBytesMax = limits::kMessageBytesMaxDefault;
const Seed kSeed{42};

std::vector<std::byte> encoded(const Record& record) {
    std::vector<std::byte> out(encoded_size(record));
    encode(record, kSeed, out);
    return out;
}

void seal(std::vector<std::byte>& bytes) {
    store<std::uint64_t>(bytes.data(), XXH3_64bits_withSeed(bytes.data() + 48, bytes.size() - 48,
                                                            XXH3_64bits_withSeed(bytes.data() + 8,
                                                                                 40, kSeed.value)));
}

Decoded decode_exact(const std::vector<std::byte>& bytes, std::size_t bytes_max = kBytesMax) {
    // Exactly as large as the bytes, so that the sanitizer sees any read past the end.
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    return decode({copy.get(), bytes.size()}, kSeed, bytes_max);
}

/// The error of a record of 64 body bytes with `value` at `offset` and the checksum made right.
template <typename Number>
DecodeError error_with(std::size_t offset, Number value, std::uint8_t flags = 0) {
    static const std::string body(64, 'b');
    Record record;
    record.body = base::as_bytes(body);
    auto bytes = encoded(record);
    store(bytes.data() + 13, flags);
    store(bytes.data() + offset, value);
    seal(bytes);
    return decode_exact(bytes).error;
}

TEST(RecordRefusal, LengthThatIsImpossibleIsRefused) {
    EXPECT_EQ(error_with<std::uint32_t>(8, 0), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint32_t>(8, 40), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint32_t>(8, 111), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint32_t>(8, 0xFFFFFFF8), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint32_t>(8, 120), DecodeError::truncated);
    EXPECT_EQ(error_with<std::uint32_t>(8, 112), DecodeError::none);
}

TEST(RecordRefusal, LengthAtTheLimitIsAcceptedAndAboveRefused) {
    const std::string body(64, 'b');
    Record record;
    record.body = base::as_bytes(body);
    const auto bytes = encoded(record);
    EXPECT_EQ(decode_exact(bytes, 112).error, DecodeError::none);
    EXPECT_EQ(decode_exact(bytes, 111).error, DecodeError::bad_length);
    EXPECT_EQ(decode_exact(bytes, 0).error, DecodeError::bad_length);
}

TEST(RecordRefusal, PaddingAboveSevenIsRefused) {
    EXPECT_EQ(error_with<std::uint8_t>(15, 7), DecodeError::none);
    EXPECT_EQ(error_with<std::uint8_t>(15, 8), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint8_t>(15, 255), DecodeError::bad_length);
}

TEST(RecordRefusal, PartsThatExceedTheRecordAreRefused) {
    EXPECT_EQ(error_with<std::uint16_t>(28, 64, kHasKey), DecodeError::none);
    EXPECT_EQ(error_with<std::uint16_t>(28, 65, kHasKey), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint16_t>(30, 64), DecodeError::none);
    EXPECT_EQ(error_with<std::uint16_t>(30, 65), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint32_t>(40, 64), DecodeError::none);
    EXPECT_EQ(error_with<std::uint32_t>(40, 65), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint32_t>(40, 0xFFFFFFFF), DecodeError::bad_length);
}

TEST(RecordRefusal, TimesThatDoNotFitAreRefused) {
    auto bytes = encoded(Record{});
    store<std::uint8_t>(bytes.data() + 13, kHasTimes);
    seal(bytes);
    EXPECT_EQ(decode_exact(bytes).error, DecodeError::bad_length);
}

TEST(RecordRefusal, KeyFlagThatContradictsTheKeyLengthIsRefused) {
    EXPECT_EQ(error_with<std::uint16_t>(28, 3), DecodeError::bad_length);
    EXPECT_EQ(error_with<std::uint16_t>(28, 0, kHasKey), DecodeError::bad_length);
}

TEST(RecordRefusal, PartsAtTheirLimitsAreAcceptedAndAboveRefused) {
    const std::string key(limits::kKeyBytesMax, 'k');
    const std::string topic(limits::kTopicBytesMax, 't');
    const std::string headers(limits::kHeadersBytesMax, 'h');
    const std::string body(16, 'b');
    Record record;
    record.key = key;
    record.topic = topic;
    record.headers = base::as_bytes(headers);
    record.body = base::as_bytes(body);
    const auto bytes = encoded(record);
    EXPECT_EQ(decode_exact(bytes).error, DecodeError::none);
    const auto with = [&](std::size_t offset, auto value) {
        auto changed = bytes;
        store(changed.data() + offset, value);
        seal(changed);
        return decode_exact(changed).error;
    };
    EXPECT_EQ(with(28, static_cast<std::uint16_t>(key.size() + 1)), DecodeError::bad_length);
    EXPECT_EQ(with(30, static_cast<std::uint16_t>(topic.size() + 1)), DecodeError::bad_length);
    EXPECT_EQ(with(40, static_cast<std::uint32_t>(headers.size() + 1)), DecodeError::bad_length);
}

TEST(RecordRefusal, UnknownTypeIsRefusedUnlessSkippable) {
    for (const std::uint8_t type : std::to_array<std::uint8_t>({0, 3, 4, 5, 255})) {
        EXPECT_EQ(error_with<std::uint8_t>(12, type), DecodeError::unknown_type) << int{type};
        EXPECT_EQ(error_with<std::uint8_t>(12, type, kSkippable), DecodeError::none) << int{type};
        EXPECT_EQ(error_with<std::uint8_t>(12, type, kSkippable | kCompressed), DecodeError::none);
    }
}

TEST(RecordRefusal, KnownTypeWithAnUnknownFlagIsRefused) {
    for (const std::uint8_t flag : std::to_array<std::uint8_t>({0x04, 0x08, 0x10, 0x20, 0x40})) {
        EXPECT_EQ(error_with<std::uint8_t>(13, flag), DecodeError::unknown_type);
        EXPECT_EQ(error_with(13, static_cast<std::uint8_t>(flag | kSkippable)),
                  DecodeError::unknown_type);
    }
}

TEST(RecordRefusal, ReservedBytesPaddingAndPriorityAreNotChecked) {
    EXPECT_EQ(error_with<std::uint32_t>(44, 1), DecodeError::none);
    EXPECT_EQ(error_with<std::uint8_t>(14, 200), DecodeError::none);
}

TEST(RecordRefusal, RandomBytesNeverCrash) {
    std::mt19937_64 random(3);
    std::size_t accepted = 0;
    for (int round = 0; round < 100'000; ++round) {
        std::vector<std::byte> bytes(random() % 200);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
        if (bytes.size() >= kHeaderBytes && random() % 4 != 0) {
            // Past the first checks, so that the parts are reached too.
            bytes.resize(bytes.size() & ~std::size_t{7});
            store(bytes.data() + 8, static_cast<std::uint32_t>(bytes.size()));
            store(bytes.data() + 12, static_cast<std::uint8_t>(random() % 6));
            store(bytes.data() + 13, static_cast<std::uint8_t>(random() & 0x83));
            store(bytes.data() + 15, static_cast<std::uint8_t>(random() % 9));
            store(bytes.data() + 28, static_cast<std::uint16_t>(random() % 100));
            store(bytes.data() + 30, static_cast<std::uint16_t>(random() % 100));
            store(bytes.data() + 40, static_cast<std::uint32_t>(random() % 100));
            seal(bytes);
        }
        const Decoded decoded = decode_exact(bytes);
        if (!decoded.ok()) continue;
        ++accepted;
        // What was accepted can be encoded again: its parts are within the limits.
        const Decoded original = decode(bytes, kSeed, kBytesMax);
        const auto again = encoded(original.record);
        EXPECT_TRUE(decode(again, kSeed, kBytesMax).record.body.size() ==
                    original.record.body.size());
    }
    EXPECT_GT(accepted, 100u);
}

}  // namespace
}  // namespace peermq::record
