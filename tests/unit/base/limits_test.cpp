#include "base/limits.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace peermq::base::limits {
namespace {

// Relations to the widths of fields in stored and sent bytes; relations between limits are asserted
// where they are defined.

TEST(Limits, NamesAndTextsFitTheirSixteenBitLengths) {
    constexpr std::size_t most = std::numeric_limits<std::uint16_t>::max();
    EXPECT_LE(stream_name_bytes_max, most);
    EXPECT_LE(key_bytes_max, most);
    EXPECT_LE(topic_bytes_max, most);
    EXPECT_LE(reason_bytes_max, most);
    EXPECT_LE(agent_bytes_max, most);
}

TEST(Limits, LargestRecordFitsAThirtyTwoBitLength) {
    constexpr std::size_t parts = 64 + key_bytes_max + topic_bytes_max + headers_bytes_max + 7;
    EXPECT_LE(message_bytes_max_ceiling + parts, std::numeric_limits<std::uint32_t>::max());
    EXPECT_LE(message_bytes_max_default, message_bytes_max_ceiling);
}

TEST(Limits, DefaultsLieWithinTheirBounds) {
    EXPECT_LE(prefetch_default, prefetch_max);
    EXPECT_LE(retry_wait_min, retry_wait_max);
    EXPECT_LE(reconnect_wait_min, reconnect_wait_max);
    EXPECT_LE(segment_bytes_min, segment_bytes_default);
    EXPECT_LE(link_window_bytes_min, link_window_bytes_max);
    EXPECT_LE(message_bytes_max_default, prefetch_bytes_default);
    EXPECT_LT(lease_duration, max_processing_default);
}

}  // namespace
}  // namespace peermq::base::limits
