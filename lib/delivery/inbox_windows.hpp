#pragma once

/// How the prefetch of one Pull is divided among its producers. Pure.

#include <cstdint>
#include <span>
#include <vector>

namespace peermq::delivery::inbox {

/// What one connected source brings to the division.
struct WindowClaim {
    bool ready = false;        ///< says that it has more than its window lets it send
    bool recent = false;       ///< was ready a moment ago: keeps its share while nobody is short
    bool used = false;         ///< its window is used up and settled, not yet told, its turn over
    std::uint32_t window = 0;  ///< as last granted
    std::uint64_t served = 0;  ///< when it last got a window: a ticket that counts up
};

/// The window that each claim should have; their sum is at most `capacity`.
///
/// With no more ready sources than slots each has a fair share. With more, single slots move: a
/// used one goes to the ready source that was served longest ago. Sources without need keep what
/// they have as long as nobody else wants it, so that a message to an idle queue travels in one
/// hop.
[[nodiscard]] std::vector<std::uint32_t> share_windows(std::span<const WindowClaim> claims,
                                                       std::uint32_t capacity);

}  // namespace peermq::delivery::inbox
