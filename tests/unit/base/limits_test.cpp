#include "base/limits.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "peermq/options.hpp"

namespace peermq::base::limits {
namespace {

// Relations to the widths of fields in stored and sent bytes; relations between limits are asserted
// where they are defined.

TEST(Limits, NamesAndTextsFitTheirSixteenBitLengths) {
    constexpr std::size_t most = std::numeric_limits<std::uint16_t>::max();
    EXPECT_LE(kStreamNameBytesMax, most);
    EXPECT_LE(kKeyBytesMax, most);
    EXPECT_LE(kTopicBytesMax, most);
    EXPECT_LE(kReasonBytesMax, most);
    EXPECT_LE(kAgentBytesMax, most);
}

TEST(Limits, LargestRecordFitsAThirtyTwoBitLength) {
    constexpr std::size_t parts = 64 + kKeyBytesMax + kTopicBytesMax + kHeadersBytesMax + 7;
    EXPECT_LE(kMessageBytesMaxCeiling + parts, std::numeric_limits<std::uint32_t>::max());
    EXPECT_LE(kMessageBytesMaxDefault, kMessageBytesMaxCeiling);
}

TEST(Limits, DefaultsOfPeerOptionsAreTheseLimits) {
    const PeerOptions options;
    EXPECT_EQ(options.spool_bytes_max, kSpoolBytesDefault);
    EXPECT_EQ(options.segment_bytes, kSegmentBytesDefault);
    EXPECT_EQ(options.message_bytes_max, kMessageBytesMaxDefault);
}

TEST(Limits, DefaultsLieWithinTheirBounds) {
    EXPECT_LE(kPrefetchDefault, kPrefetchMax);
    EXPECT_LE(kRetryWaitMin, kRetryWaitMax);
    EXPECT_LE(kReconnectWaitMin, kReconnectWaitMax);
    EXPECT_LE(kSegmentBytesMin, kSegmentBytesDefault);
    EXPECT_LE(kSegmentBytesDefault, kSegmentBytesMax);
    EXPECT_LE(kLinkWindowBytesMin, kLinkWindowBytesMax);
    EXPECT_LE(kMessageBytesMaxDefault, kPrefetchBytesDefault);
    EXPECT_LT(kLeaseDuration, kMaxProcessingDefault);
}

}  // namespace
}  // namespace peermq::base::limits
