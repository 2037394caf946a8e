#pragma once

/// Rounds that other programs disturbed are taken again.

#include <cstdio>

#include "report.hpp"
#include "settings.hpp"
#include "usage.hpp"

namespace peermq::bench {

/// Share of one core that others may use during a round before it counts as disturbed.
inline constexpr double kForeignCoresMax = 0.15;
inline constexpr int kAttemptsMax = 3;

/// Calls `measure` until a call was undisturbed, at most three times; the last result counts.
template <typename Measure>
auto undisturbed(const Settings& settings, const Measure& measure) {
    for (int attempt = 1;; ++attempt) {
        const Disturbance disturbance;
        auto result = measure();
        const double cores = disturbance.foreign_cores();
        if (settings.quick || cores <= kForeignCoresMax || attempt == kAttemptsMax) return result;
        char text[96];
        std::snprintf(text, sizeof text, "  disturbed: other programs used %.2f cores; again",
                      cores);
        progress(text);
    }
}

}  // namespace peermq::bench
