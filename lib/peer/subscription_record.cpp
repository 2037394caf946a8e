#include "peer/subscription_record.hpp"

#include <vector>

#include "base/bytes.hpp"

namespace peermq::detail {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kPaused = 1;
constexpr std::uint32_t kExpired = 2;
constexpr std::size_t kHeadBytes = 24;

}  // namespace

std::string encode(const SubscriptionRecord& record) {
    std::vector<std::byte> bytes(kHeadBytes);
    base::store(bytes.data(), kVersion);
    base::store(bytes.data() + 4, (record.paused ? kPaused : 0) | (record.expired ? kExpired : 0));
    base::store(bytes.data() + 8, std::int64_t{record.seen.time_since_epoch().count()});
    base::store(bytes.data() + 16, record.untold);
    wire::Subscribe wanted = record.wanted;
    wanted.resume.clear();
    wire::encode(0, 0, wanted, bytes);
    return std::string(base::as_text(bytes));
}

std::optional<SubscriptionRecord> decode_subscription(std::string_view text) {
    const base::ByteSpan bytes = base::as_bytes(text);
    if (bytes.size() < kHeadBytes || base::load<std::uint32_t>(bytes.data()) != kVersion)
        return std::nullopt;
    const wire::DecodedFrame decoded = wire::decode(bytes.subspan(kHeadBytes));
    const auto* wanted = std::get_if<wire::Subscribe>(&decoded.frame.body);
    if (!decoded.ok() || wanted == nullptr || wanted->name.empty()) return std::nullopt;
    SubscriptionRecord record;
    record.wanted = *wanted;
    const auto flags = base::load<std::uint32_t>(bytes.data() + 4);
    record.paused = (flags & kPaused) != 0;
    record.expired = (flags & kExpired) != 0;
    record.seen = base::WallTime(base::Duration(base::load<std::int64_t>(bytes.data() + 8)));
    record.untold = base::load<std::uint64_t>(bytes.data() + 16);
    return record;
}

}  // namespace peermq::detail
