#pragma once

/// What a worker finds out about one file. As text, in the message and in the table alike:
///
///     path TAB sha256 TAB bytes TAB lines TAB words
///
/// Paths may hold any byte but NUL, so tab, newline, carriage return and backslash are written as
/// \t, \n, \r and \\. A file that could not be read has "-" for its digest and zeros.

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct Row {
    std::string path;
    std::string sha256;
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;
    std::uint64_t words = 0;
};

inline constexpr std::string_view kTableHead = "path\tsha256\tbytes\tlines\twords";
inline constexpr std::string_view kUnreadable = "-";
inline constexpr std::size_t kSha256Digits = 64;

inline std::string escape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '\t': out += "\\t"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\\': out += "\\\\"; break;
            default: out += c;
        }
    }
    return out;
}

inline std::optional<std::string> unescape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        if (++i == text.size()) return std::nullopt;
        switch (text[i]) {
            case 't': out += '\t'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case '\\': out += '\\'; break;
            default: return std::nullopt;
        }
    }
    return out;
}

inline std::string format_row(const Row& row) {
    return escape(row.path) + '\t' + row.sha256 + '\t' + std::to_string(row.bytes) + '\t' +
           std::to_string(row.lines) + '\t' + std::to_string(row.words);
}

namespace row_detail {

inline bool is_digest(std::string_view text) {
    return text == kUnreadable ||
           (text.size() == kSha256Digits &&
            text.find_first_not_of("0123456789abcdef") == std::string_view::npos);
}

inline bool parse_number(std::string_view text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace row_detail

/// Nothing when `line` (without its newline) is not a row.
inline std::optional<Row> parse_row(std::string_view line) {
    std::array<std::string_view, 5> fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const std::size_t tab = line.find('\t');
        const bool is_last = i + 1 == fields.size();
        if ((tab == std::string_view::npos) != is_last) return std::nullopt;
        fields[i] = line.substr(0, tab);
        if (!is_last) line.remove_prefix(tab + 1);
    }

    Row row;
    auto path = unescape(fields[0]);
    if (!path || path->empty() || !row_detail::is_digest(fields[1]) ||
        !row_detail::parse_number(fields[2], row.bytes) ||
        !row_detail::parse_number(fields[3], row.lines) ||
        !row_detail::parse_number(fields[4], row.words)) {
        return std::nullopt;
    }
    row.path = *std::move(path);
    row.sha256 = fields[1];
    return row;
}
