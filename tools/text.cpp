#include "text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace peermq::tools {
namespace {

unsigned char byte_at(std::string_view text, std::size_t at) {
    return static_cast<unsigned char>(text[at]);
}

/// Length of the well-formed UTF-8 character at the start of `text` (not empty); 0 when there is
/// none.
std::size_t character_bytes(std::string_view text) {
    const unsigned char lead = byte_at(text, 0);
    if (lead < 0x80) return 1;
    const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return 0;
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte_at(text, i) & 0xC0) != 0x80) return 0;
    }
    // Longer than needed, half of a surrogate pair, or beyond the last code point.
    const unsigned char second = byte_at(text, 1);
    if (lead == 0xE0 && second < 0xA0) return 0;
    if (lead == 0xED && second > 0x9F) return 0;
    if (lead == 0xF0 && second < 0x90) return 0;
    if (lead == 0xF4 && second > 0x8F) return 0;
    return size;
}

/// Control characters, among them those of two bytes (U+0080 to U+009F), which terminals obey too,
/// and those that change the direction or the breaking of lines (U+2028 to U+202E, U+2066 to
/// U+2069).
bool is_control(std::string_view character) {
    const unsigned char lead = byte_at(character, 0);
    if (character.size() == 1) return lead < 0x20 || lead == 0x7F;
    if (character.size() == 2) return lead == 0xC2 && byte_at(character, 1) < 0xA0;
    if (character.size() != 3 || lead != 0xE2) return false;
    const unsigned char second = byte_at(character, 1);
    const unsigned char third = byte_at(character, 2);
    return (second == 0x80 && third >= 0xA8 && third <= 0xAE) ||
           (second == 0x81 && third >= 0xA6 && third <= 0xA9);
}

void append_escaped(std::string& out, unsigned char byte) {
    switch (byte) {
        case '\n': out += "\\n"; return;
        case '\t': out += "\\t"; return;
        case '\r': out += "\\r"; return;
        case '\\': out += "\\\\"; return;
        default: break;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    out += "\\x";
    out += digits[byte >> 4];
    out += digits[byte & 15];
}

}  // namespace

std::string printable(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const std::size_t size = character_bytes(bytes);
        const std::string_view character = bytes.substr(0, std::max<std::size_t>(size, 1));
        if (size == 0 || is_control(character) || character == "\\") {
            for (const char c : character) append_escaped(out, static_cast<unsigned char>(c));
        } else {
            out += character;
        }
        bytes.remove_prefix(character.size());
    }
    return out;
}

bool is_utf8(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t size = character_bytes(bytes);
        if (size == 0) return false;
        bytes.remove_prefix(size);
    }
    return true;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view
        digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t size = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            group = group << 8 | (i < size ? byte_at(bytes, at + i) : 0u);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            out += i <= size ? digits[group >> (18 - 6 * i) & 63] : '=';
        }
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    const auto value_of = [](char c) -> int {
        if (c >= 'A' && c <= 'Z') return c - 'A';
        if (c >= 'a' && c <= 'z') return c - 'a' + 26;
        if (c >= '0' && c <= '9') return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
    };
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
    std::string out;
    out.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t group = 0;
    unsigned bits = 0;
    for (const char c : text) {
        const int value = value_of(c);
        if (value < 0) return std::nullopt;
        group = group << 6 | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out += static_cast<char>(group >> bits & 0xFF);
    }
    const bool has_rest = (group & ((1u << bits) - 1)) != 0;
    if (has_rest) return std::nullopt;
    return out;
}

std::optional<std::string> unescaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const char c = text.front();
        text.remove_prefix(1);
        if (c != '\\') {
            out += c;
            continue;
        }
        if (text.empty()) return std::nullopt;
        const char letter = text.front();
        text.remove_prefix(1);
        switch (letter) {
            case 'n': out += '\n'; break;
            case 't': out += '\t'; break;
            case 'r': out += '\r'; break;
            case '0': out += '\0'; break;
            case '\\': out += '\\'; break;
            case 'x': {
                unsigned value = 0;
                const char* const end = text.data() + std::min<std::size_t>(2, text.size());
                const auto [rest, error] = std::from_chars(text.data(), end, value, 16);
                if (error != std::errc() || rest != text.data() + 2) return std::nullopt;
                out += static_cast<char>(value);
                text.remove_prefix(2);
                break;
            }
            default: return std::nullopt;
        }
    }
    return out;
}

std::string iso_time(base::WallTime time) {
    constexpr std::int64_t second = 1'000'000'000;
    const std::int64_t total = time.time_since_epoch().count();
    if (total == 0) return "-";
    std::int64_t nanoseconds = total % second;
    if (nanoseconds < 0) nanoseconds += second;
    const std::time_t seconds = (total - nanoseconds) / second;

    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::array<char, 16> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%09dZ", static_cast<int>(nanoseconds));
    return std::string(text.data(), length) + fraction.data();
}

std::string iso_time(Timestamp time) { return iso_time(base::WallTime(time.time_since_epoch())); }

}  // namespace peermq::tools
