#include "statistics.hpp"

#include <algorithm>
#include <cmath>

namespace peermq::bench {

Summary summarize(std::vector<double> samples) {
    if (samples.empty()) return {};
    std::sort(samples.begin(), samples.end());
    const std::size_t middle = samples.size() / 2;
    const bool odd = samples.size() % 2 == 1;
    const double median = odd ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
    return {samples.front(), median, samples.back(), samples.size()};
}

Percentiles percentiles(std::vector<std::uint64_t>& samples) {
    if (samples.empty()) return {};
    std::sort(samples.begin(), samples.end());
    const auto rank = [&](double share) {
        const double exact = std::ceil(share * static_cast<double>(samples.size()));
        const auto position = static_cast<std::size_t>(std::max(exact, 1.0)) - 1;
        return static_cast<double>(samples[std::min(position, samples.size() - 1)]);
    };
    return {rank(0.50), rank(0.99), rank(0.999), static_cast<double>(samples.back())};
}

}  // namespace peermq::bench
