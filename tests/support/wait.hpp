#pragma once

/// Waiting for a condition instead of sleeping for a time.

#include <chrono>
#include <thread>

namespace peermq::test {

/// Far longer than anything here takes, even under a sanitizer on a busy machine.
inline constexpr std::chrono::seconds kLong{20};

/// True as soon as `condition` holds, false when it does not within `limit`.
template <typename Condition>
[[nodiscard]] bool eventually(Condition&& condition, std::chrono::nanoseconds limit = kLong) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline) return condition();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace peermq::test
