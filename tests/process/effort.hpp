#pragma once

/// How much work a test is asked to do, and from which seed. See tests/CMakeLists.txt.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace peermq::test {

/// One of three amounts, by the environment variable PEERMQ_TEST_EFFORT.
template <typename Amount>
[[nodiscard]] Amount by_effort(Amount in_short, Amount in_normal, Amount in_long) {
    const char* set = std::getenv("PEERMQ_TEST_EFFORT");
    const std::string_view effort = set == nullptr ? "" : set;
    return effort == "short" ? in_short : effort == "long" ? in_long : in_normal;
}

/// The seed of this run: PEERMQ_PROCESS_SEED, else `usual`.
[[nodiscard]] inline std::uint64_t run_seed(std::uint64_t usual) {
    const char* set = std::getenv("PEERMQ_PROCESS_SEED");
    return set == nullptr ? usual : std::strtoull(set, nullptr, 10);
}

/// The command that repeats one test with one seed.
[[nodiscard]] inline std::string replay_command(std::uint64_t seed, std::string_view test) {
    return "PEERMQ_PROCESS_SEED=" + std::to_string(seed) +
           " " PEERMQ_BIN_DIR "/process_tests --gtest_filter=" + std::string(test);
}

}  // namespace peermq::test
