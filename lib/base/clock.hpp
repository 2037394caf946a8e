#pragma once

/// Time as values. The core never reads a clock: it is told `now`. Only the owners of threads hold
/// a Clock, and tests give them one that they advance by hand.

#include <chrono>
#include <cstdint>

namespace peermq::base {

using Duration = std::chrono::nanoseconds;

struct MonotonicTag;
/// Time since an arbitrary start, never set back: leases, time-outs, heartbeats.
using Time = std::chrono::time_point<MonotonicTag, Duration>;

struct WallTag;
/// UTC since 1970: what is stored or shown (enqueue, due and expiry times). May jump.
using WallTime = std::chrono::time_point<WallTag, Duration>;

/// A deadline that never comes.
inline constexpr Time kNever = Time::max();

class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual Time now() = 0;
    [[nodiscard]] virtual WallTime wall_now() = 0;
    /// The same, up to some milliseconds late, at a fraction of the cost: for what is done per
    /// message.
    [[nodiscard]] virtual Time now_coarse() { return now(); }
    [[nodiscard]] virtual WallTime wall_now_coarse() { return wall_now(); }
};

/// CLOCK_MONOTONIC and CLOCK_REALTIME. Any thread.
class SystemClock final : public Clock {
public:
    Time now() override;
    WallTime wall_now() override;
    Time now_coarse() override;
    WallTime wall_now_coarse() override;
};

/// `now + wait`, saturating at kNever instead of overflowing.
[[nodiscard]] constexpr Time after(Time now, Duration wait) noexcept {
    return wait >= kNever - now ? kNever : now + wait;
}

}  // namespace peermq::base
