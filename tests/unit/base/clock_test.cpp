#include "base/clock.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace peermq::base {
namespace {

using namespace std::chrono_literals;

TEST(Clock, AfterAddsTheWait) {
    const Time start(5s);
    EXPECT_EQ(after(start, 2s), Time(7s));
    EXPECT_EQ(after(start, 0s), start);
}

TEST(Clock, AfterEndsAtNeverInsteadOfOverflowing) {
    const Time start(5s);
    EXPECT_EQ(after(start, Duration::max()), kNever);
    EXPECT_EQ(after(kNever, 1ns), kNever);
    EXPECT_EQ(after(kNever, 0ns), kNever);
    EXPECT_EQ(after(start, kNever - start), kNever);
    EXPECT_EQ(after(start, kNever - start - 1ns), kNever - 1ns);
}

TEST(SystemClock, MonotonicTimeNeverGoesBack) {
    SystemClock clock;
    Time last = clock.now();
    for (int round = 0; round < 1000; ++round) {
        const Time now = clock.now();
        EXPECT_GE(now, last);
        last = now;
    }
}

TEST(SystemClock, WallTimeIsTheTimeOfTheSystem) {
    SystemClock clock;
    const auto before = std::time(nullptr);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(
                             clock.wall_now().time_since_epoch())
                             .count();
    // time() may read a coarser clock that lags by a tick.
    EXPECT_GE(seconds, before);
    EXPECT_LE(seconds, std::time(nullptr) + 1);
}

}  // namespace
}  // namespace peermq::base
