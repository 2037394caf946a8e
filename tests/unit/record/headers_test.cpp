#include "record/headers.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "base/limits.hpp"

namespace peermq::record {
namespace {

namespace limits = base::limits;

std::string encoded(const std::vector<HeaderView>& headers) {
    std::string out;
    encode_headers(headers, out);
    return out;
}

/// Decodes a copy of exact size, so that the sanitizer sees any read past the end.
std::optional<std::size_t> count_in(std::string_view bytes) {
    const auto copy = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    const auto exact = base::as_bytes({copy.get(), bytes.size()});
    (void)find_header(exact, "absent");
    const auto headers = decode_headers(exact);
    return headers ? std::optional(headers->size()) : std::nullopt;
}

TEST(Headers, EmptyListIsNoBytes) {
    EXPECT_EQ(encoded({}), "");
    EXPECT_EQ(count_in(""), 0u);
    EXPECT_EQ(find_header({}, "a"), std::nullopt);
}

TEST(Headers, AreEncodedAsMsgpack) {
    EXPECT_EQ(encoded({{"tenant", "a"}}),
              "\x81\xa6tenant\xa1"
              "a");
}

TEST(Headers, EveryWidthOfTextAndMapSurvives) {
    const std::size_t sizes[] = {0, 1, 31, 32, 255, 256, 20'000};
    for (const std::size_t name : sizes) {
        for (const std::size_t value : sizes) {
            const std::string n(name, 'n'), v(value, 'v');
            const auto bytes = encoded({{n, v}});
            const auto headers = decode_headers(base::as_bytes(bytes));
            ASSERT_TRUE(headers);
            EXPECT_EQ(*headers, (std::vector<HeaderView>{{n, v}}));
        }
    }
    for (const std::size_t count : {1u, 15u, 16u, 1000u, 20'000u}) {
        const auto bytes = encoded(std::vector<HeaderView>(count, {"a", ""}));
        EXPECT_EQ(count_in(bytes), count);
    }
}

TEST(Headers, WidestFormsOfOtherEncodersAreRead) {
    using namespace std::string_literals;
    const auto bytes = "\xdf\0\0\0\1\xdb\0\0\0\1n\xda\0\1v"s;
    EXPECT_EQ(find_header(base::as_bytes(bytes), "n"), "v");
    EXPECT_EQ(count_in(bytes), 1u);
    EXPECT_EQ(count_in("\xde\0\1\xd9\1n\xd9\1v"s), 1u);
    EXPECT_EQ(count_in("\x80"s), 0u);
}

TEST(Headers, TextAboveSixtyFourKibIsEncodedButRefusedByTheLimit) {
    const std::string value(70'000, 'v');
    const auto bytes = encoded({{"n", value}});
    EXPECT_EQ(bytes.size(), 1 + 2 + 5 + value.size());
    EXPECT_EQ(count_in(bytes), std::nullopt);
}

TEST(Headers, BytesAtTheLimitAreAcceptedAndAboveRefused) {
    // Map, name "n" and the marker of a text of 16 bits take 6 bytes.
    const std::string value(limits::kHeadersBytesMax - 6, 'v');
    EXPECT_EQ(encoded({{"n", value}}).size(), limits::kHeadersBytesMax);
    EXPECT_EQ(count_in(encoded({{"n", value}})), 1u);
    EXPECT_EQ(count_in(encoded({{"n", value + 'v'}})), std::nullopt);
}

TEST(Headers, RepeatedNamesAreKeptInOrder) {
    const auto bytes = encoded({{"a", "1"}, {"b", "2"}, {"a", "3"}});
    const auto headers = decode_headers(base::as_bytes(bytes));
    ASSERT_TRUE(headers);
    EXPECT_EQ(*headers, (std::vector<HeaderView>{{"a", "1"}, {"b", "2"}, {"a", "3"}}));
    EXPECT_EQ(find_header(base::as_bytes(bytes), "a"), "1");
    EXPECT_EQ(find_header(base::as_bytes(bytes), "b"), "2");
    EXPECT_EQ(find_header(base::as_bytes(bytes), "c"), std::nullopt);
}

TEST(Headers, EveryTruncationAndAnyByteMoreIsRefused) {
    const std::string value(300, 'v');
    const auto bytes = encoded({{"name", "x"}, {"other", value}});
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        EXPECT_EQ(count_in(std::string_view(bytes).substr(0, size)), std::nullopt) << size;
    }
    EXPECT_EQ(count_in(bytes + '\0'), std::nullopt);
}

TEST(Headers, WhatIsNotAFlatMapOfTextsIsRefused) {
    using namespace std::string_literals;
    EXPECT_EQ(count_in("\xa1x"s), std::nullopt);             // a text
    EXPECT_EQ(count_in("\x92\xa1x\xa1y"s), std::nullopt);    // an array
    EXPECT_EQ(count_in("\xc0"s), std::nullopt);              // nil
    EXPECT_EQ(count_in("\x81\xa1x\x01"s), std::nullopt);     // a number as value
    EXPECT_EQ(count_in("\x81\x01\xa1x"s), std::nullopt);     // a number as name
    EXPECT_EQ(count_in("\x81\xa1x\x80"s), std::nullopt);     // a map as value
    EXPECT_EQ(count_in("\x81\xa1x\xc4\1y"s), std::nullopt);  // bytes as value
}

TEST(Headers, CountThatTheBytesCannotHoldIsRefusedBeforeAllocating) {
    using namespace std::string_literals;
    EXPECT_EQ(count_in("\xdf\xff\xff\xff\xff\xa0\xa0"s), std::nullopt);
    EXPECT_EQ(count_in("\xde\xff\xff\xa0\xa0"s), std::nullopt);
    EXPECT_EQ(count_in("\x81\xdb\xff\xff\xff\xff"s), std::nullopt);
}

TEST(Headers, RandomBytesNeverCrash) {
    std::mt19937_64 random(9);
    std::size_t accepted = 0;
    for (int round = 0; round < 100'000; ++round) {
        std::string bytes(random() % 24, '\0');
        for (char& byte : bytes) byte = static_cast<char>(random());
        if (!bytes.empty()) bytes[0] = static_cast<char>(0x80 | (random() % 3));
        for (std::size_t at = 1; at < bytes.size() && random() % 4 != 0; at += 2) {
            bytes[at] = static_cast<char>(0xa0 | (random() % 3));
        }
        accepted += count_in(bytes).has_value() ? 1 : 0;
    }
    EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace peermq::record
