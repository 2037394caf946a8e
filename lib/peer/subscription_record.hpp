#pragma once

/// What a publisher's spool keeps of a durable subscription beside its place: bytes that only this
/// file reads and writes. Pure; any thread.
///
/// u32 version (1), u32 flags (1 = paused, 2 = expired), i64 when a member was last seen (ns since
/// 1970 UTC), u64 messages missed that no member was told of, then a SUBSCRIBE frame
/// (lib/wire/FORMAT.md).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "wire/frames.hpp"

namespace peermq::detail {

struct SubscriptionRecord {
    wire::Subscribe wanted;
    bool paused = false;
    bool expired = false;
    base::WallTime seen{};
    std::uint64_t untold = 0;
};

[[nodiscard]] std::string encode(const SubscriptionRecord& record);
/// Nothing when the bytes are not such a record, or of a later version.
[[nodiscard]] std::optional<SubscriptionRecord> decode_subscription(std::string_view bytes);

}  // namespace peermq::detail
