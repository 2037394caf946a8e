#include "rounds.hpp"

#include <array>
#include <cstdio>

#include "clock.hpp"
#include "processes.hpp"
#include "report.hpp"

namespace peermq::bench {

namespace {

constexpr std::uint64_t kQuietProbe = 100 * kMillisecond;
constexpr int kQuietProbesMax = 20;

// The coordinator has one thread; nobody else asks.
RoundCount round_count;

}  // namespace

RoundCount take_round_count() { return std::exchange(round_count, {}); }

void wait_for_quiet() {
    for (int probe = 0; probe < kQuietProbesMax; ++probe) {
        check_interrupted();
        const Disturbance disturbance;
        sleep_for_ns(kQuietProbe);
        if (disturbance.foreign_cores() <= kForeignCoresMax) return;
    }
}

void note_round(double foreign_cores, bool final) {
    const bool disturbed = foreign_cores > kForeignCoresMax;
    if (final) {
        ++round_count.taken;
        if (disturbed) ++round_count.disturbed;
    }
    if (!disturbed) return;
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "  disturbed: other programs used %.2f cores%s",
                  foreign_cores, final ? "" : "; again");
    progress(text.data());
}

}  // namespace peermq::bench
