#pragma once

/// Fixed little-endian numbers in byte buffers. Pure; alignment never matters.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace peermq::base {

static_assert(std::endian::native == std::endian::little,
              "formats are little-endian and written by memcpy; add byte swaps for this machine");

using ByteSpan = std::span<const std::byte>;

template <typename Number>
[[nodiscard]] inline Number load(const std::byte* from) noexcept {
    Number value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <typename Number>
inline void store(std::byte* to, Number value) noexcept {
    std::memcpy(to, &value, sizeof value);
}

[[nodiscard]] inline ByteSpan as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

[[nodiscard]] inline std::string_view as_text(ByteSpan bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// `size` rounded up to the next multiple of 8.
[[nodiscard]] constexpr std::size_t padded(std::size_t size) noexcept {
    return (size + 7) & ~std::size_t{7};
}

}  // namespace peermq::base
