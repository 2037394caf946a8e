#pragma once

/// What every fuzz target has: an entry point of libFuzzer's shape, and a check that ends the
/// program.
///
/// A target is a file NAME_fuzz.cpp. Under the preset `fuzz` it is linked with libFuzzer, else with
/// driver.cpp. What it is given comes from the committed corpus, tests/fuzz/corpus/NAME, and from
/// mutations of it. It keeps nothing from one call to the next.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace peermq::test {

/// Ends the program when `holds` is not true; `rule` is what the output then says.
inline void require(bool holds, const char* rule) {
    if (holds) return;
    std::fprintf(stderr, "broken: %s\n", rule);
    std::abort();
}

/// A copy that may be changed, of exactly this size, so that a read beyond it is found.
[[nodiscard]] inline std::vector<std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> bytes(size);
    if (size != 0) std::memcpy(bytes.data(), data, size);
    return bytes;
}

}  // namespace peermq::test
