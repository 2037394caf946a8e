#pragma once

/// CLOCK_MONOTONIC: one clock for all processes of a run, so stamps may be compared across them.

#include <time.h>

#include <chrono>
#include <cstdint>

namespace peermq::bench {

inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr std::uint64_t kMillisecond = 1'000'000;
inline constexpr std::uint64_t kMicrosecond = 1'000;

inline std::uint64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kSecond +
           static_cast<std::uint64_t>(now.tv_nsec);
}

/// Returns at once when `at` has passed. Exact to about 10 us once sleep_precisely() was called.
inline void sleep_until_ns(std::uint64_t at) {
    timespec when{};
    when.tv_sec = static_cast<time_t>(at / kSecond);
    when.tv_nsec = static_cast<long>(at % kSecond);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr) != 0) {
    }
}

inline void sleep_for_ns(std::uint64_t duration) { sleep_until_ns(now_ns() + duration); }

inline double seconds(std::uint64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / static_cast<double>(kSecond);
}

}  // namespace peermq::bench
