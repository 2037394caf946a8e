#include "delivery/inbox_windows.hpp"

#include <algorithm>
#include <cstddef>

#include "base/limits.hpp"

namespace peermq::delivery::inbox {

namespace {

using Shares = std::vector<std::uint32_t>;

/// Equal shares for those that `needs` picks; one message for the others where that costs little.
template <typename Needs>
Shares equal_shares(std::span<const WindowClaim> claims, std::uint32_t capacity, Needs&& needs) {
    const auto count = static_cast<std::uint32_t>(
        std::count_if(claims.begin(), claims.end(), needs));
    const auto others = static_cast<std::uint32_t>(claims.size()) - count;
    const bool afford = claims.size() <= capacity / base::limits::kIdleShareDivisor;
    const std::uint32_t idle = afford ? 1 : 0;
    const std::uint32_t rest = capacity - idle * others;
    std::uint32_t extra = rest % count;
    Shares shares;
    for (const WindowClaim& claim : claims) {
        if (!needs(claim)) {
            shares.push_back(idle);
        } else {
            shares.push_back(rest / count + (extra > 0 ? 1 : 0));
            extra -= extra > 0 ? 1 : 0;
        }
    }
    return shares;
}

/// Gives one slot each to the first `capacity` claims in the order `before`, among those picked.
template <typename Picked, typename Before>
Shares single_slots(std::span<const WindowClaim> claims, std::uint32_t capacity, Picked&& picked,
                    Before&& before) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < claims.size(); ++i) {
        if (picked(claims[i])) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return before(claims[a], claims[b]); });
    if (order.size() > capacity) order.resize(capacity);
    Shares shares(claims.size(), 0);
    for (const std::size_t i : order) shares[i] = 1;
    return shares;
}

/// More ready sources than slots: those that still use theirs keep it, then who waits longest.
Shares rotate(std::span<const WindowClaim> claims, std::uint32_t capacity) {
    return single_slots(
        claims, capacity, [](const WindowClaim& claim) { return claim.ready; },
        [](const WindowClaim& a, const WindowClaim& b) {
            const bool a_keeps = a.window > 0 && !a.used;
            const bool b_keeps = b.window > 0 && !b.used;
            return a_keeps != b_keeps ? a_keeps : a.served < b.served;
        });
}

/// Nobody is short: no change where every source has something.
Shares keep(std::span<const WindowClaim> claims, std::uint32_t capacity) {
    Shares shares;
    std::uint64_t sum = 0;
    for (const WindowClaim& claim : claims) {
        shares.push_back(std::max<std::uint32_t>(claim.window, 1));
        sum += shares.back();
    }
    if (claims.size() == 1) return {capacity};
    if (sum <= capacity) return shares;
    const auto all = [](const WindowClaim&) { return true; };
    if (claims.size() <= capacity) return equal_shares(claims, capacity, all);
    return single_slots(claims, capacity, all, [](const WindowClaim& a, const WindowClaim& b) {
        return (a.window > 0) != (b.window > 0) ? a.window > 0 : a.served < b.served;
    });
}

}  // namespace

std::vector<std::uint32_t> share_windows(std::span<const WindowClaim> claims,
                                         std::uint32_t capacity) {
    if (claims.empty()) return {};
    const auto is_ready = [](const WindowClaim& claim) { return claim.ready; };
    const auto is_claiming = [](const WindowClaim& claim) { return claim.ready || claim.recent; };
    const auto ready = std::count_if(claims.begin(), claims.end(), is_ready);
    const auto claiming = std::count_if(claims.begin(), claims.end(), is_claiming);
    if (ready == 0) return keep(claims, capacity);
    if (claiming <= static_cast<std::ptrdiff_t>(capacity))
        return equal_shares(claims, capacity, is_claiming);
    if (ready <= static_cast<std::ptrdiff_t>(capacity))
        return equal_shares(claims, capacity, is_ready);
    return rotate(claims, capacity);
}

}  // namespace peermq::delivery::inbox
