#pragma once

/// What is printed of many samples.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace peermq::bench {

/// Of the rounds of one measurement.
struct Summary {
    double min = 0;
    double median = 0;
    double max = 0;
    std::size_t rounds = 0;
};

/// All zero when there is no sample.
[[nodiscard]] Summary summarize(std::vector<double> samples);

/// Of the single events of one round, in nanoseconds.
struct Percentiles {
    double p50 = 0;
    double p99 = 0;
    double p999 = 0;
    double max = 0;
};

/// Sorts `samples`. Nearest rank, so every figure was really seen.
[[nodiscard]] Percentiles percentiles(std::vector<std::uint64_t>& samples);

}  // namespace peermq::bench
