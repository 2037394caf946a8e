#pragma once

/// Rounds that other programs disturbed are taken again, and told of when that did not help.

#include <cstdint>
#include <optional>
#include <utility>

#include "settings.hpp"
#include "usage.hpp"

namespace peermq::bench {

/// Cores that others may use during a round before it counts as disturbed.
inline constexpr double kForeignCoresMax = 0.15;
inline constexpr int kAttemptsMax = 2;

/// Since the last call of take_round_count().
struct RoundCount {
    std::uint64_t taken = 0;
    /// Of those, the ones disturbed in all attempts: their figures are doubtful.
    std::uint64_t disturbed = 0;
};
[[nodiscard]] RoundCount take_round_count();

/// Returns as soon as other programs leave the machine alone, after two seconds in any case.
void wait_for_quiet();

/// Tells on stderr that a round was disturbed, and counts the round when it is `final`.
void note_round(double foreign_cores, bool final);

/// Calls `measure` until a call was undisturbed, at most twice; the least disturbed counts.
template <typename Measure>
auto undisturbed(const Settings& settings, const Measure& measure) {
    std::optional<std::pair<double, decltype(measure())>> best;
    for (int attempt = 1;; ++attempt) {
        if (!settings.quick) wait_for_quiet();
        const Disturbance disturbance;
        auto result = measure();
        const double cores = disturbance.foreign_cores();
        if (!best || cores < best->first) best.emplace(cores, std::move(result));
        const bool final = settings.quick || cores <= kForeignCoresMax || attempt == kAttemptsMax;
        note_round(final ? best->first : cores, final);
        if (final) return best->second;
    }
}

}  // namespace peermq::bench
