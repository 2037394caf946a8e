// Each value that a frame may hold: at its limit, and beyond it.

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "wire/frames.hpp"

namespace peermq::wire {
namespace {

namespace limits = base::limits;
using base::ByteSpan;
using base::store;

std::vector<std::byte> encoded(const Body& body) {
    std::vector<std::byte> out;
    encode(1, 2, body, out);
    return out;
}

/// The frame of `body` with `value` stored at `offset` of its fields.
template <typename Number>
DecodeError error_with(const Body& body, std::size_t offset, Number value) {
    auto bytes = encoded(body);
    store(bytes.data() + kFrameHeaderBytes + offset, value);
    return decode(bytes).error;
}

/// The frame of `body` with its last field, a text, replaced by one of `size` bytes.
DecodeError error_with_text(const Body& body, std::size_t text_size, std::size_t size) {
    auto bytes = encoded(body);
    bytes.resize(bytes.size() - text_size);
    store(bytes.data() + bytes.size() - 2, static_cast<std::uint16_t>(size));
    bytes.resize(bytes.size() + size, std::byte{'x'});
    store(bytes.data() + 16, static_cast<std::uint32_t>(bytes.size() - kFrameHeaderBytes));
    return decode(bytes).error;
}

TEST(FrameLimits, EnumeratorsOutOfRangeAreRefused) {
    const Body want = Want{1, StreamKind::queue, "q"};
    EXPECT_EQ(error_with<std::uint8_t>(want, 4, 0), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint8_t>(want, 4, 3), DecodeError::none);
    EXPECT_EQ(error_with<std::uint8_t>(want, 4, 4), DecodeError::bad_value);
    const Body offer = Offer{};
    EXPECT_EQ(error_with<std::uint8_t>(offer, 4, 0), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint8_t>(offer, 4, 3), DecodeError::none);
    EXPECT_EQ(error_with<std::uint8_t>(offer, 4, 4), DecodeError::bad_value);
    const Body settle = Settle{1, 0, {SettleEntry{SettleKind::ack, {1, 1}, {1, 1}, 0, ""}}};
    EXPECT_EQ(error_with<std::uint8_t>(settle, 20, 0), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint8_t>(settle, 20, 5), DecodeError::none);
    EXPECT_EQ(error_with<std::uint8_t>(settle, 20, 6), DecodeError::bad_value);
    const Body confirm = Confirm{1, {RefusedRun{{1, 1}, RefuseReason::settled}}};
    EXPECT_EQ(error_with<std::uint8_t>(confirm, 28, 0), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint8_t>(confirm, 28, 3), DecodeError::none);
    EXPECT_EQ(error_with<std::uint8_t>(confirm, 28, 5), DecodeError::bad_value);
}

TEST(FrameLimits, FlagsOtherThanZeroAndOneAreRefused) {
    EXPECT_EQ(error_with<std::uint8_t>(State{}, 0, 2), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint8_t>(Offer{}, 5, 2), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint8_t>(Held{}, 4, 2), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint8_t>(Valid{}, 4, 255), DecodeError::bad_value);
}

TEST(FrameLimits, UnknownRejectCodeIsKeptAsNumber) {
    const auto decoded = decode(encoded(Reject{RejectCode{4711}, "later"}));
    EXPECT_EQ(std::get<Reject>(decoded.frame.body).code, RejectCode{4711});
}

TEST(FrameLimits, HelloWithoutMagicIsReported) {
    EXPECT_EQ(error_with<std::uint32_t>(Hello{}, 0, 0x47455420), DecodeError::bad_magic);
    const auto bytes = encoded(Hello{});
    EXPECT_EQ(base::as_text(ByteSpan(bytes).subspan(kFrameHeaderBytes, 4)), "PMQ1");
}

TEST(FrameLimits, HelloWithVersionsTheWrongWayRoundIsRefused) {
    EXPECT_EQ(error_with<std::uint16_t>(Hello{}, 4, 2), DecodeError::bad_value);
}

TEST(FrameLimits, HelloOfALaterVersionMayHaveMoreFields) {
    const auto longer = [](Hello hello) {
        auto bytes = encoded(hello);
        bytes.resize(bytes.size() + 5);
        store(bytes.data() + 16, static_cast<std::uint32_t>(bytes.size() - kFrameHeaderBytes));
        return decode(bytes).error;
    };
    EXPECT_EQ(longer(Hello{}), DecodeError::trailing_bytes);
    Hello later;
    later.version_max = kProtocolVersion + 1;
    EXPECT_EQ(longer(later), DecodeError::none);
}

TEST(FrameLimits, TextsAtTheirLimitAreAcceptedAndAboveRefused) {
    Hello hello;
    hello.agent = "a";
    EXPECT_EQ(error_with_text(hello, 1, limits::kAgentBytesMax), DecodeError::none);
    EXPECT_EQ(error_with_text(hello, 1, limits::kAgentBytesMax + 1), DecodeError::bad_length);
    const Body want = Want{1, StreamKind::queue, "q"};
    EXPECT_EQ(error_with_text(want, 1, 0), DecodeError::bad_value);
    EXPECT_EQ(error_with_text(want, 1, 1), DecodeError::none);
    EXPECT_EQ(error_with_text(want, 1, limits::kStreamNameBytesMax), DecodeError::none);
    EXPECT_EQ(error_with_text(want, 1, limits::kStreamNameBytesMax + 1), DecodeError::bad_length);
    const Body settle = Settle{1, 0, {SettleEntry{SettleKind::nack, {1, 1}, {1, 1}, 0, "r"}}};
    const std::vector<Body> with_reason = {Bye{"r"}, Unoffer{"r"}, Reject{RejectCode::limit, "r"},
                                           settle};
    for (const Body& body : with_reason) {
        EXPECT_EQ(error_with_text(body, 1, limits::kReasonBytesMax), DecodeError::none);
        EXPECT_EQ(error_with_text(body, 1, limits::kReasonBytesMax + 1), DecodeError::bad_length);
    }
}

/// The error of a list of `count` entries that are all there.
DecodeError error_with_count(Body body, std::size_t offset, std::size_t entry_bytes,
                             std::uint32_t count) {
    auto bytes = encoded(body);
    const std::vector<std::byte> entry(bytes.end() - static_cast<std::ptrdiff_t>(entry_bytes),
                                       bytes.end());
    for (std::uint32_t index = 1; index < count; ++index) {
        bytes.insert(bytes.end(), entry.begin(), entry.end());
    }
    store(bytes.data() + 16, static_cast<std::uint32_t>(bytes.size() - kFrameHeaderBytes));
    store(bytes.data() + kFrameHeaderBytes + offset, count);
    return decode(bytes).error;
}

TEST(FrameLimits, ListsAtTheirLimitAreAcceptedAndAboveRefused) {
    struct Case {
        Body body;
        std::size_t offset;
        std::size_t entry_bytes;
    };
    const std::vector<Case> cases = {
        {Held{1, true, {HeldRun{{1, 2}, {1, 1}, {1, 1}, true}}}, 8, 44},
        {Valid{1, true, {{1, 1}}}, 8, 16},
        {Settle{1, 0, {SettleEntry{SettleKind::ack, {1, 1}, {1, 1}, 0, ""}}}, 16, 38},
        {Confirm{1, {RefusedRun{{1, 1}, RefuseReason::settled}}}, 8, 24},
        {Renew{{{1, 1}}}, 0, 16},
    };
    const auto most = static_cast<std::uint32_t>(limits::kRunsPerFrameMax);
    for (const Case& one : cases) {
        EXPECT_EQ(error_with_count(one.body, one.offset, one.entry_bytes, most), DecodeError::none);
        EXPECT_EQ(error_with_count(one.body, one.offset, one.entry_bytes, most + 1),
                  DecodeError::too_many);
        EXPECT_EQ(error_with<std::uint32_t>(one.body, one.offset, 0xFFFFFFFF),
                  DecodeError::too_many);
        EXPECT_EQ(error_with<std::uint32_t>(one.body, one.offset, 3), DecodeError::truncated);
    }
}

TEST(FrameLimits, BatchWithMoreRunsThanTheLimitIsRefused) {
    Batch batch{{1, 2}, 3, {}, {}};
    std::vector<std::byte> records(limits::kBatchBytesMax);
    batch.records = records;
    batch.runs.assign(limits::kRunsPerFrameMax, BatchRun{{1, 1}, 1, 1, 0});
    EXPECT_EQ(decode(encoded(batch)).error, DecodeError::none);
    EXPECT_EQ(error_with<std::uint32_t>(batch, 16, limits::kRunsPerFrameMax + 1),
              DecodeError::too_many);
}

TEST(FrameLimits, RunsThatAreEmptyOrNameSeqZeroAreRefused) {
    const Body renew = Renew{{{5, 9}}};
    EXPECT_EQ(error_with<std::uint64_t>(renew, 4, 9), DecodeError::none);
    EXPECT_EQ(error_with<std::uint64_t>(renew, 4, 10), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint64_t>(renew, 4, 0), DecodeError::bad_value);
    EXPECT_EQ(error_with<std::uint64_t>(renew, 12, ~0ull), DecodeError::none);
}

TEST(FrameLimits, RunsWhoseCountsOverflowTogetherAreRefused) {
    EXPECT_EQ(decode(encoded(Renew{{{1, ~0ull}}})).error, DecodeError::none);
    EXPECT_EQ(decode(encoded(Renew{{{1, ~0ull}, {5, 5}}})).error, DecodeError::bad_value);
    EXPECT_EQ(decode(encoded(Valid{1, true, {{1, ~0ull}, {5, 5}}})).error, DecodeError::bad_value);
}

TEST(FrameLimits, BatchWithMoreSeqsThanRecordsFitIsRefused) {
    std::vector<std::byte> records(3 * 48);
    Batch batch{{1, 2}, 3, {BatchRun{{1, 2}, 1, 1, 0}, BatchRun{{9, 9}, 1, 1, 0}}, records};
    EXPECT_EQ(decode(encoded(batch)).error, DecodeError::none);
    batch.runs[1].run.last = 10;
    EXPECT_EQ(decode(encoded(batch)).error, DecodeError::bad_value);
}

TEST(FrameLimits, FragmentOutsideItsRecordIsRefused) {
    const std::vector<std::byte> bytes(16);
    const auto error = [&](base::Run run, std::uint32_t total, std::uint32_t offset,
                           std::size_t size) {
        return decode(encoded(Fragment{{1, 2},
                                       3,
                                       BatchRun{run, 1, 1, 0},
                                       total,
                                       offset,
                                       ByteSpan(bytes).first(size)}))
            .error;
    };
    EXPECT_EQ(error({5, 5}, 32, 16, 16), DecodeError::none);
    EXPECT_EQ(error({5, 5}, 31, 16, 16), DecodeError::bad_value);
    EXPECT_EQ(error({5, 5}, 32, 0xFFFFFFF8, 16), DecodeError::bad_value);
    EXPECT_EQ(error({5, 5}, 32, 16, 0), DecodeError::bad_value);
    EXPECT_EQ(error({5, 6}, 32, 16, 16), DecodeError::bad_value);
}

TEST(FrameLimits, TextsForPeopleAreCutOnEncode) {
    const auto reason = [](std::string text) {
        return std::get<Bye>(decode(encoded(Bye{std::move(text)})).frame.body).text;
    };
    EXPECT_EQ(reason(std::string(limits::kReasonBytesMax, 'x')).size(), limits::kReasonBytesMax);
    EXPECT_EQ(reason(std::string(limits::kReasonBytesMax + 1, 'x')),
              std::string(limits::kReasonBytesMax, 'x'));
    // Not within a UTF-8 character.
    const std::string start(limits::kReasonBytesMax - 2, 'x');
    EXPECT_EQ(reason(start + "\xe2\x82\xac tail"), start);
    EXPECT_EQ(reason(start.substr(1) + "\xe2\x82\xac tail"), start.substr(1) + "\xe2\x82\xac");
    // What is not UTF-8 is cut anywhere.
    EXPECT_EQ(reason(std::string(2000, '\x80')).size(), limits::kReasonBytesMax);
}

TEST(FrameLimits, SettleWithTheMostAndLongestReasonsFitsAFrame) {
    Settle settle{1, 0, {}};
    settle.entries.assign(limits::kRunsPerFrameMax,
                          SettleEntry{SettleKind::nack, {1, 1}, {1, 1}, 0, std::string(5000, 'x')});
    const auto bytes = encoded(settle);
    EXPECT_LE(bytes.size(), limits::kFrameBytesMax);
    const auto decoded = decode(bytes);
    ASSERT_TRUE(decoded.ok());
    const auto& entries = std::get<Settle>(decoded.frame.body).entries;
    ASSERT_EQ(entries.size(), limits::kRunsPerFrameMax);
    EXPECT_GE(entries.back().reason.size(), 128u);
}

}  // namespace
}  // namespace peermq::wire
