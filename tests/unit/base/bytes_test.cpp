#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include <array>

namespace peermq::base {
namespace {

TEST(Bytes, NumbersAreLittleEndian) {
    std::array<std::byte, 4> bytes{};
    store<std::uint32_t>(bytes.data(), 0x01020304);
    EXPECT_EQ(bytes[0], std::byte{4});
    EXPECT_EQ(bytes[3], std::byte{1});
    EXPECT_EQ(load<std::uint16_t>(bytes.data()), 0x0304);
}

TEST(Bytes, AlignmentDoesNotMatter) {
    std::array<std::byte, 16> bytes{};
    for (std::size_t at = 0; at <= 8; ++at) {
        store<std::uint64_t>(bytes.data() + at, 0x1122334455667788 + at);
        EXPECT_EQ(load<std::uint64_t>(bytes.data() + at), 0x1122334455667788 + at);
    }
}

TEST(Bytes, NegativeNumbersSurvive) {
    std::array<std::byte, 8> bytes{};
    store<std::int64_t>(bytes.data(), -5);
    EXPECT_EQ(load<std::int64_t>(bytes.data()), -5);
}

TEST(Bytes, TextAndBytesShowTheSameMemory) {
    const std::string_view text("a\0b", 3);
    EXPECT_EQ(as_bytes(text).size(), 3u);
    EXPECT_EQ(as_text(as_bytes(text)), text);
    EXPECT_EQ(as_text(as_bytes(text)).data(), text.data());
    EXPECT_TRUE(as_text({}).empty());
}

TEST(Bytes, PaddedIsTheNextMultipleOfEight) {
    EXPECT_EQ(padded(0), 0u);
    EXPECT_EQ(padded(1), 8u);
    EXPECT_EQ(padded(7), 8u);
    EXPECT_EQ(padded(8), 8u);
    EXPECT_EQ(padded(9), 16u);
}

}  // namespace
}  // namespace peermq::base
