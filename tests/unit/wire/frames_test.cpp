#include "wire/frames.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "base/limits.hpp"
#include "support/random_frames.hpp"

namespace peermq::wire {
namespace {

using base::ByteSpan;
using test::kBodyFirst;
using test::kBodyLast;
using test::RandomFrames;
namespace limits = base::limits;

std::vector<std::byte> encoded(const Body& body, std::uint32_t stream = 7,
                               std::uint64_t nonce = 9) {
    std::vector<std::byte> out;
    encode(stream, nonce, body, out);
    return out;
}

/// Decodes a copy of exact size, so that the sanitizer sees any read past the end.
DecodeError decode_exact(ByteSpan bytes) {
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    return decode({copy.get(), bytes.size()}).error;
}

std::size_t head_bytes(ByteSpan frame) {
    return kFrameHeaderBytes + base::load<std::uint32_t>(frame.data() + 16);
}

TEST(Frames, EveryBodySurvivesEncodingAndDecoding) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        RandomFrames random(seed);
        for (std::size_t index = kBodyFirst; index <= kBodyLast; ++index) {
            const Body body = random.body(index);
            ASSERT_EQ(body.index(), index);
            const auto bytes = encoded(body, 77, 0x0102030405060708);
            const DecodedFrame decoded = decode(bytes);
            ASSERT_TRUE(decoded.ok())
                << "seed " << seed << " body " << index << ": " << to_string(decoded.error);
            EXPECT_EQ(decoded.frame.header.stream, 77u);
            EXPECT_EQ(decoded.frame.header.nonce, 0x0102030405060708u);
            EXPECT_EQ(decoded.frame.header.flags, 0);
            EXPECT_NE(to_string(decoded.frame.header.type), "unknown");
            EXPECT_TRUE(test::same_body(decoded.frame.body, body))
                << "seed " << seed << " body " << index;
        }
    }
}

TEST(Frames, EncodeAppendsAfterWhatIsThere) {
    std::vector<std::byte> out(3, std::byte{0xee});
    encode(1, 2, Ping{3, 4}, out);
    encode(1, 2, Recall{5}, out);
    EXPECT_EQ(out[2], std::byte{0xee});
    const auto ping = ByteSpan(out).subspan(3, 40);
    EXPECT_EQ(std::get<Ping>(decode(ping).frame.body), (Ping{3, 4}));
    EXPECT_EQ(std::get<Recall>(decode(ByteSpan(out).subspan(43)).frame.body), Recall{5});
}

TEST(Frames, EveryTruncationOfEveryFrameIsRefused) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        RandomFrames random(seed);
        for (std::size_t index = kBodyFirst; index <= kBodyLast; ++index) {
            const auto bytes = encoded(random.body(index));
            // Fewer records or fragment bytes may be a valid frame; its fields may not be fewer.
            const std::size_t bytes_end = head_bytes(bytes);
            for (std::size_t size = 0; size < bytes_end; ++size) {
                ASSERT_EQ(decode_exact(ByteSpan(bytes).first(size)), DecodeError::truncated)
                    << "seed " << seed << " body " << index << " size " << size;
            }
        }
    }
}

TEST(Frames, FieldsShorterThanTheTypeNeedsAreRefused) {
    RandomFrames random(5);
    for (std::size_t index = kBodyFirst; index <= kBodyLast; ++index) {
        auto bytes = encoded(random.body(index));
        const std::size_t head = head_bytes(bytes);
        for (std::size_t size = kFrameHeaderBytes; size < head; ++size) {
            base::store(bytes.data() + 16, static_cast<std::uint32_t>(size - kFrameHeaderBytes));
            ASSERT_EQ(decode_exact(ByteSpan(bytes).first(size)), DecodeError::truncated)
                << "body " << index << " size " << size;
        }
    }
}

TEST(Frames, BytesAfterTheLastFieldAreRefused) {
    RandomFrames random(6);
    for (std::size_t index = kBodyFirst; index <= kBodyLast; ++index) {
        auto bytes = encoded(random.body(index));
        const std::size_t head = head_bytes(bytes);
        // One byte more within the fields, where the header says so.
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(head), std::byte{0});
        base::store(bytes.data() + 16, static_cast<std::uint32_t>(head + 1 - kFrameHeaderBytes));
        EXPECT_EQ(decode_exact(bytes), DecodeError::trailing_bytes) << "body " << index;
        // One byte after the frame of a type that has no payload.
        const Body body = random.body(index);
        if (!std::holds_alternative<Batch>(body) && !std::holds_alternative<Fragment>(body) &&
            !std::holds_alternative<Reply>(body)) {
            auto followed = encoded(body);
            followed.push_back(std::byte{0});
            EXPECT_EQ(decode_exact(followed), DecodeError::trailing_bytes) << "body " << index;
        }
    }
}

TEST(Frames, RandomBytesNeverCrash) {
    RandomFrames random(11);
    std::size_t accepted = 0;
    for (int round = 0; round < 100'000; ++round) {
        auto bytes = random.bytes(random.below(200));
        if (bytes.size() >= kFrameHeaderBytes && random.below(4) != 0) {
            // Past the header's checks, so that the bodies are reached too.
            bytes[0] = static_cast<std::byte>(random.below(40));
            base::store(bytes.data() + 16,
                        static_cast<std::uint32_t>(bytes.size() - kFrameHeaderBytes));
        }
        accepted += decode_exact(bytes) == DecodeError::none ? 1 : 0;
    }
    EXPECT_GT(accepted, 0u);
}

TEST(Frames, MutatedFramesNeverCrash) {
    RandomFrames random(12);
    for (int round = 0; round < 1500; ++round) {
        for (std::size_t index = kBodyFirst; index <= kBodyLast; ++index) {
            auto bytes = encoded(random.body(index));
            for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
                const std::size_t at = random.below(bytes.size());
                bytes[at] ^= static_cast<std::byte>(1u << random.below(8));
            }
            const DecodedFrame decoded = decode(bytes);
            if (!decoded.ok() || std::holds_alternative<Skipped>(decoded.frame.body)) continue;
            const Frame& frame = decoded.frame;
            const auto again = encoded(frame.body, frame.header.stream, frame.header.nonce);
            EXPECT_TRUE(test::same_body(decode(again).frame.body, frame.body));
        }
    }
}

TEST(Frames, UnknownTypeIsRefusedUnlessSkippable) {
    auto bytes = encoded(Ping{1, 2});
    for (const int type : {0, 7, 23, 31, 36, 37, 40, 255}) {
        bytes[0] = static_cast<std::byte>(type);
        bytes[1] = std::byte{0};
        EXPECT_EQ(decode(bytes).error, DecodeError::unknown_type) << type;
        EXPECT_EQ(decode(bytes).frame.header.nonce, 9u);
        bytes[1] = std::byte{kSkippable};
        const DecodedFrame skipped = decode(bytes);
        EXPECT_TRUE(skipped.ok()) << type;
        EXPECT_TRUE(std::holds_alternative<Skipped>(skipped.frame.body));
        EXPECT_EQ(static_cast<int>(skipped.frame.header.type), type);
    }
}

TEST(Frames, SkippedFrameMayHaveAPayloadButNoFewerFieldsThanTold) {
    auto bytes = encoded(Ping{1, 2});
    bytes[0] = std::byte{200};
    bytes[1] = std::byte{kSkippable};
    bytes.resize(bytes.size() + 100);
    EXPECT_TRUE(decode(bytes).ok());
    EXPECT_EQ(decode(ByteSpan(bytes).first(39)).error, DecodeError::truncated);
}

TEST(Frames, KnownTypeWithSkippableFlagIsDecoded) {
    auto bytes = encoded(Ping{1, 2});
    bytes[1] = std::byte{kSkippable};
    EXPECT_EQ(std::get<Ping>(decode(bytes).frame.body), (Ping{1, 2}));
}

TEST(Frames, ReservedFieldsAreWrittenZeroAndIgnoredOnDecode) {
    auto bytes = encoded(State{true, 5});
    EXPECT_EQ(bytes[2], std::byte{0});
    EXPECT_EQ(bytes[20], std::byte{0});
    bytes[2] = bytes[20] = bytes[kFrameHeaderBytes + 1] = std::byte{1};
    EXPECT_EQ(std::get<State>(decode(bytes).frame.body), (State{true, 5}));
}

TEST(Frames, FrameAboveTheLimitIsRefused) {
    Batch batch{{1, 2}, 3, {BatchRun{{1, 1}, 1, 1, 0}}, {}};
    const std::size_t room = limits::kFrameBytesMax - batch_head_bytes(1);
    std::vector<std::byte> records(room);
    batch.records = records;
    auto bytes = encoded(batch);
    EXPECT_EQ(bytes.size(), limits::kFrameBytesMax);
    EXPECT_TRUE(decode(bytes).ok());
    bytes.push_back(std::byte{0});
    EXPECT_EQ(decode(bytes).error, DecodeError::bad_length);
}

TEST(Frames, PartsDecodeLikeTheWhole) {
    RandomFrames random(13);
    for (int round = 0; round < 200; ++round) {
        for (std::size_t index = kBodyFirst; index <= kBodyLast; ++index) {
            const Body body = random.body(index);
            const auto bytes = encoded(body);
            const std::size_t head = head_bytes(bytes);
            const DecodedFrame decoded = decode_parts(ByteSpan(bytes).first(head),
                                                      ByteSpan(bytes).subspan(head));
            ASSERT_TRUE(decoded.ok()) << to_string(decoded.error);
            EXPECT_TRUE(test::same_body(decoded.frame.body, body));
        }
    }
}

TEST(Frames, PartsSplitElsewhereAreRefused) {
    std::vector<std::byte> record(64);
    const auto bytes = encoded(Batch{{1, 2}, 3, {BatchRun{{1, 1}, 1, 1, 0}}, record});
    const std::size_t head = head_bytes(bytes);
    const ByteSpan whole(bytes);
    EXPECT_EQ(decode_parts(whole.first(head - 1), whole.subspan(head - 1)).error,
              DecodeError::truncated);
    EXPECT_EQ(decode_parts(whole.first(head + 1), whole.subspan(head + 1)).error,
              DecodeError::trailing_bytes);
    EXPECT_EQ(decode_parts(whole.first(10), whole.subspan(10)).error, DecodeError::truncated);
    const auto ping = encoded(Ping{});
    EXPECT_EQ(decode_parts(ping, whole).error, DecodeError::trailing_bytes);
}

TEST(Frames, PartsTogetherAboveTheLimitAreRefused) {
    const auto bytes = encoded(
        Fragment{{1, 2}, 3, BatchRun{{5, 5}, 1, 1, 0}, 1 << 20, 0, std::vector<std::byte>(1)});
    std::vector<std::byte> payload(limits::kFrameBytesMax - kFragmentHeadBytes);
    const auto head = ByteSpan(bytes).first(kFragmentHeadBytes);
    EXPECT_TRUE(decode_parts(head, payload).ok());
    payload.push_back(std::byte{0});
    EXPECT_EQ(decode_parts(head, payload).error, DecodeError::bad_length);
}

TEST(Frames, BatchHeadInPlaceEqualsTheEncodedFrame) {
    RandomFrames random(14);
    for (int round = 0; round < 50; ++round) {
        const Body body = random.body(16);
        const Batch& batch = std::get<Batch>(body);
        std::vector<std::byte> head(batch_head_bytes(batch.runs.size()), std::byte{0xff});
        EXPECT_EQ(head.size() % 8, 0u);
        encode_batch_head(7, 9, batch, head);
        const auto whole = encoded(body);
        EXPECT_EQ(head.size() + batch.records.size(), whole.size());
        EXPECT_TRUE(test::same_bytes(head, ByteSpan(whole).first(head.size())));
    }
}

TEST(Frames, FragmentHeadInPlaceEqualsTheEncodedFrame) {
    RandomFrames random(15);
    const Body body = random.body(17);
    std::vector<std::byte> head(kFragmentHeadBytes, std::byte{0xff});
    encode_fragment_head(7, 9, std::get<Fragment>(body), head);
    EXPECT_TRUE(test::same_bytes(head, ByteSpan(encoded(body)).first(head.size())));
}

TEST(Frames, NamesOfTypesCodesAndErrors) {
    EXPECT_EQ(to_string(FrameType::transaction_answer), "transaction_answer");
    EXPECT_EQ(to_string(FrameType{99}), "unknown");
    EXPECT_EQ(to_string(RejectCode::hello_timeout), "hello_timeout");
    EXPECT_EQ(to_string(RejectCode{99}), "unknown");
    EXPECT_EQ(to_string(DecodeError::too_many), "too_many");
    EXPECT_EQ(to_string(DecodeError{99}), "unknown");
}

}  // namespace
}  // namespace peermq::wire
