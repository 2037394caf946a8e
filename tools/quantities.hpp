#pragma once

/// Durations and sizes as people write and read them. Pure; any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace peermq::tools {

using std::chrono::nanoseconds;

/// "1.5s", "200ms", "2m", "1h", "3d"; a bare number counts seconds. Nothing when it is none of
/// these, negative, or longer than 100 years.
[[nodiscard]] std::optional<nanoseconds> parse_duration(std::string_view text);
/// "100", "64K", "1.5M", "2G" (powers of 1,024; "KiB" and "KB" mean the same). Nothing when it is
/// none of these or beyond 2^63.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

/// At most five characters before the unit: "0", "17us", "4.2ms", "31s", "12m", "3h10m", "9d".
[[nodiscard]] std::string short_duration(nanoseconds duration);
/// "512 B", "1.5 KiB", "64 MiB".
[[nodiscard]] std::string short_bytes(std::uint64_t bytes);
/// "999", "12.3k", "4.56M": four significant characters.
[[nodiscard]] std::string short_count(double count);
/// "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t count);
/// "1 message", "2 messages".
[[nodiscard]] std::string plural(std::uint64_t count, std::string_view word);

}  // namespace peermq::tools
