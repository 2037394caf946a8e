#pragma once

/// Between the words of lib/delivery and those of the wire, whose numbers are for ever. Each pair
/// stands here once, for both directions. Pure; any thread.

#include <algorithm>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "delivery/group.hpp"
#include "wire/frames.hpp"

namespace peermq::detail {

inline constexpr std::pair<delivery::SettleKind, wire::SettleKind> kSettleKinds[] = {
    {delivery::SettleKind::ack, wire::SettleKind::ack},
    {delivery::SettleKind::nack, wire::SettleKind::nack},
    {delivery::SettleKind::release, wire::SettleKind::release},
    {delivery::SettleKind::reject, wire::SettleKind::reject},
    {delivery::SettleKind::recalled, wire::SettleKind::recalled},
};

inline constexpr std::pair<delivery::RefuseReason, wire::RefuseReason> kRefuseReasons[] = {
    {delivery::RefuseReason::unknown, wire::RefuseReason::unknown},
    {delivery::RefuseReason::newer_lease, wire::RefuseReason::newer_lease},
    {delivery::RefuseReason::settled, wire::RefuseReason::settled},
    {delivery::RefuseReason::settled_before_start, wire::RefuseReason::settled_before_start},
};

/// The decoder has refused all other numbers.
template <typename Pairs, typename Value>
constexpr auto theirs_of(const Pairs& pairs, Value ours) {
    auto theirs = pairs[0].second;
    for (const auto& [one, other] : pairs) {
        if (one == ours) theirs = other;
    }
    return theirs;
}

template <typename Pairs, typename Value>
constexpr auto ours_of(const Pairs& pairs, Value theirs) {
    auto ours = pairs[0].first;
    for (const auto& [one, other] : pairs) {
        if (other == theirs) ours = one;
    }
    return ours;
}

constexpr wire::SettleKind to_wire(delivery::SettleKind kind) {
    return theirs_of(kSettleKinds, kind);
}
constexpr delivery::SettleKind to_delivery(wire::SettleKind kind) {
    return ours_of(kSettleKinds, kind);
}
constexpr wire::RefuseReason to_wire(delivery::RefuseReason reason) {
    return theirs_of(kRefuseReasons, reason);
}
constexpr delivery::RefuseReason to_delivery(wire::RefuseReason reason) {
    return ours_of(kRefuseReasons, reason);
}

/// Splits `all` into frames of at most runs_per_frame_max entries; calls `emit(part, is_last)`, at
/// least once.
template <typename Entry, typename Emit>
void in_frames(const std::vector<Entry>& all, Emit&& emit) {
    std::size_t begin = 0;
    do {
        const std::size_t end = std::min(all.size(), begin + base::limits::kRunsPerFrameMax);
        emit(std::vector<Entry>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                all.begin() + static_cast<std::ptrdiff_t>(end)),
             end == all.size());
        begin = end;
    } while (begin < all.size());
}

}  // namespace peermq::detail
