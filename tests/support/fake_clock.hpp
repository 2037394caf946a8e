#pragma once

/// A clock that stands still until a test moves it. Any thread.

#include <atomic>

#include "base/clock.hpp"

namespace peermq::test {

class FakeClock final : public base::Clock {
public:
    /// Starts at one day of uptime, and at 2026-01-01 00:00 UTC, so that neither is near zero.
    FakeClock() = default;

    base::Time now() override;
    base::WallTime wall_now() override;

    /// Lets time pass: both clocks go on.
    void advance(base::Duration by);
    /// Lets time pass until `to`; does nothing when it is past.
    void advance_to(base::Time to);
    /// Sets the wall clock forward or back, as an administrator or NTP does.
    void jump_wall(base::Duration by);

private:
    std::atomic<std::int64_t> now_ns_{86'400'000'000'000};
    std::atomic<std::int64_t> wall_ns_{1'767'225'600'000'000'000};
};

}  // namespace peermq::test
