#pragma once

/// Stored bytes, as text that a reviewer can read: `name = hex digits` per line, # for comments;
/// and the worked examples of the FORMAT.md files, fenced as ```hex with `offset: bytes ; meaning`
/// lines.

#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace peermq::test {

/// The bytes that the hex digits of `text` spell; other characters are passed over.
[[nodiscard]] inline std::vector<std::byte> from_hex(std::string_view text) {
    std::string digits;
    for (const char letter : text) {
        if (std::isxdigit(static_cast<unsigned char>(letter)) != 0) digits.push_back(letter);
    }
    std::vector<std::byte> bytes;
    for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(at, 2), nullptr, 16)));
    }
    return bytes;
}

[[nodiscard]] inline std::string to_hex(base::ByteSpan bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4]);
        text.push_back(kDigits[std::to_integer<unsigned>(byte) & 15]);
    }
    return text;
}

/// The named bytes of tests/golden/data/`file`.
[[nodiscard]] inline std::map<std::string, std::vector<std::byte>> golden_data(
    const std::string& file) {
    std::ifstream in(std::string(PEERMQ_SOURCE_DIR "/tests/golden/data/") + file);
    EXPECT_TRUE(in.is_open()) << file;
    std::map<std::string, std::vector<std::byte>> named;
    for (std::string line; std::getline(in, line);) {
        const std::size_t equals = line.find(" = ");
        if (line.starts_with('#') || equals == std::string::npos) continue;
        named[line.substr(0, equals)] = from_hex(line.substr(equals + 3));
    }
    return named;
}

/// The bytes of the one ```hex block of `document`, a path within the source tree.
[[nodiscard]] inline std::vector<std::byte> worked_example(const std::string& document) {
    std::ifstream in(std::string(PEERMQ_SOURCE_DIR "/") + document);
    EXPECT_TRUE(in.is_open()) << document;
    std::string digits;
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("```")) {
            inside = line == "```hex";
            continue;
        }
        if (!inside) continue;
        const std::size_t colon = line.find(':');
        digits += line.substr(colon + 1, line.find(';') - colon - 1);
    }
    return from_hex(digits);
}

}  // namespace peermq::test
