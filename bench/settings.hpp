#pragma once

/// What the command line asks for; the same for all benches of a run.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace peermq::bench {

struct Settings {
    bool json = false;
    /// One short round of everything: a look, not a measurement.
    bool quick = false;
    int rounds = 5;
    /// Where spools are made; one fresh directory below it per measurement.
    std::filesystem::path spool{};
    /// Only these; empty: all.
    std::vector<std::size_t> sizes{};
    std::vector<std::string> levels{};
    /// Bound on unsettled bytes of a queue in throughput benches; 0: the library's defaults.
    std::uint64_t quota_bytes = 0;
    /// How long the measured part of a round takes, about.
    std::uint64_t round_ns = 1'000'000'000;

    [[nodiscard]] bool wants_size(std::size_t size) const {
        return sizes.empty() || std::find(sizes.begin(), sizes.end(), size) != sizes.end();
    }
    [[nodiscard]] bool wants_level(const std::string& level) const {
        return levels.empty() || std::find(levels.begin(), levels.end(), level) != levels.end();
    }
};

}  // namespace peermq::bench
