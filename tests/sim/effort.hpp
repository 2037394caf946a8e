#pragma once

/// How much is wanted, by PEERMQ_TEST_EFFORT.

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace peermq::sim {

/// `brief` under the sanitizers, `full` in ./dev gate.
inline std::uint64_t by_effort(std::uint64_t brief, std::uint64_t usual, std::uint64_t full) {
    const char* text = std::getenv("PEERMQ_TEST_EFFORT");
    const std::string_view name = text == nullptr ? "" : text;
    return name == "short" ? brief : name == "long" ? full : usual;
}

}  // namespace peermq::sim
