#include "quantities.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace peermq::tools {
namespace {

struct Unit {
    std::string_view name;
    double factor;
};

/// A number of at least 0 and what stands behind it; nothing when there is no number.
std::optional<std::pair<double, std::string_view>> split(std::string_view text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(number) || std::signbit(number)) return std::nullopt;
    return std::pair{number, std::string_view(rest, static_cast<std::size_t>(end - rest))};
}

template <std::size_t kSize>
std::optional<double> scaled(std::string_view text, const std::array<Unit, kSize>& units) {
    const auto parts = split(text);
    if (!parts) return std::nullopt;
    const auto unit = std::find_if(units.begin(), units.end(),
                                   [&](const Unit& each) { return each.name == parts->second; });
    if (unit == units.end()) return std::nullopt;
    return parts->first * unit->factor;
}

std::string print(const char* format, double number) {
    std::array<char, 64> text{};
    const int length = std::snprintf(text.data(), text.size(), format, number);
    return {text.data(), static_cast<std::size_t>(std::max(length, 0))};
}

/// Three significant digits, without an exponent.
std::string digits(double number) {
    return print(number < 9.995 ? "%.2f" : number < 99.95 ? "%.1f" : "%.0f", number);
}

}  // namespace

std::optional<nanoseconds> parse_duration(std::string_view text) {
    static constexpr std::array<Unit, 8> kUnits{{{"", 1e9},
                                                 {"ns", 1},
                                                 {"us", 1e3},
                                                 {"ms", 1e6},
                                                 {"s", 1e9},
                                                 {"m", 60e9},
                                                 {"h", 3600e9},
                                                 {"d", 86400e9}}};
    constexpr double longest = 100.0 * 365 * 86400e9;
    const auto count = scaled(text, kUnits);
    if (!count || *count > longest) return std::nullopt;
    return nanoseconds(std::llround(*count));
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    static constexpr std::array<Unit, 14> kUnits{{{"", 1},
                                                  {"B", 1},
                                                  {"K", 0x1p10},
                                                  {"KB", 0x1p10},
                                                  {"KiB", 0x1p10},
                                                  {"k", 0x1p10},
                                                  {"M", 0x1p20},
                                                  {"MB", 0x1p20},
                                                  {"MiB", 0x1p20},
                                                  {"m", 0x1p20},
                                                  {"G", 0x1p30},
                                                  {"GB", 0x1p30},
                                                  {"GiB", 0x1p30},
                                                  {"g", 0x1p30}}};
    const auto count = scaled(text, kUnits);
    if (!count || *count >= 0x1p63) return std::nullopt;
    return static_cast<std::uint64_t>(*count);
}

std::string short_duration(nanoseconds duration) {
    const double ns = static_cast<double>(duration.count());
    if (ns <= 0) return "0";
    if (ns < 1e3) return print("%.0fns", ns);
    if (ns < 1e6) return digits(ns / 1e3) + "us";
    if (ns < 1e9) return digits(ns / 1e6) + "ms";
    if (ns < 60e9) return print("%.1fs", ns / 1e9);
    const auto seconds = static_cast<std::int64_t>(ns / 1e9);
    const auto two = [](std::int64_t large, const char* unit, std::int64_t small,
                        const char* smaller) {
        std::string text = std::to_string(large) + unit;
        return small == 0 ? text : text + std::to_string(small) + smaller;
    };
    if (seconds < 3600) return two(seconds / 60, "m", seconds % 60, "s");
    if (seconds < 86400) return two(seconds / 3600, "h", seconds / 60 % 60, "m");
    return two(seconds / 86400, "d", seconds / 3600 % 24, "h");
}

std::string short_bytes(std::uint64_t bytes) {
    static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) return std::to_string(bytes) + " B";
    double number = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (number >= 1023.5 && unit + 1 < kUnits.size()) {
        number /= 1024;
        ++unit;
    }
    std::string text = digits(number);
    while (text.find('.') != std::string::npos && (text.back() == '0' || text.back() == '.')) {
        text.pop_back();
    }
    return text + ' ' + kUnits[unit];
}

std::string short_count(double count) {
    if (count < 999.5)
        return print(count < 9.95 && count != std::floor(count) ? "%.1f" : "%.0f", count);
    if (count < 999.5e3) return digits(count / 1e3) + "k";
    if (count < 999.5e6) return digits(count / 1e6) + "M";
    return digits(count / 1e9) + "G";
}

std::string grouped(std::uint64_t count) {
    std::string text = std::to_string(count);
    for (std::size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

std::string plural(std::uint64_t count, std::string_view word) {
    return grouped(count) + ' ' + std::string(word) + (count == 1 ? "" : "s");
}

}  // namespace peermq::tools
