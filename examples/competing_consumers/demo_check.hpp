#pragma once

/// Compares the collector's table with what `find` and `sha256sum` say about the same directories.

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fcntl.h>

#include "durable_file.hpp"
#include "row.hpp"

struct CheckResult {
    std::uint64_t rows = 0;        ///< lines of the table
    std::uint64_t repeated = 0;    ///< rows beyond the first of a path: must be 0
    std::uint64_t missing = 0;     ///< files without a row: must be 0
    std::uint64_t wrong = 0;       ///< digests that differ: must be 0
    std::uint64_t unreadable = 0;  ///< neither side could read them: gone in the meantime
    std::uint64_t unexpected = 0;  ///< rows of files that came up after the count
    std::vector<std::string> examples;
};

/// Splits what `find -print0` printed; sorted, each once.
inline std::vector<std::string> split_paths(std::string_view text) {
    std::vector<std::string> paths;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\0'), text.size());
        paths.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    return paths;
}

/// Path -> digest, from what `sha256sum --zero` printed: "digest, space, space, path, NUL".
inline std::unordered_map<std::string, std::string> split_digests(std::string_view text) {
    std::unordered_map<std::string, std::string> digests;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\0'), text.size());
        const std::string_view entry = text.substr(0, end);
        if (entry.size() <= kSha256Digits + 2)
            throw std::runtime_error("sha256sum printed something else");
        digests.emplace(entry.substr(kSha256Digits + 2), entry.substr(0, kSha256Digits));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return digests;
}

class Check {
public:
    Check(const std::vector<std::string>& paths,
          std::unordered_map<std::string, std::string> digests)
        : paths_(paths), digests_(std::move(digests)) {}

    CheckResult compare(const std::string& table) {
        read(table);
        for (const std::string& path : paths_) compare_one(path);
        result_.unexpected = rows_.size() - found_;
        return std::move(result_);
    }

private:
    void read(const std::string& table) {
        const std::string content = FileHandle(table, O_RDONLY).read_all();
        std::string_view rest = content;
        rest.remove_prefix(std::min(rest.size(), kTableHead.size() + 1));
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            auto row = parse_row(rest.substr(0, end));
            if (!row) throw std::runtime_error(table + " has a damaged row");
            rest.remove_prefix(std::min(end + 1, rest.size()));
            ++result_.rows;
            if (!rows_.emplace(std::move(row->path), std::move(row->sha256)).second) {
                note(result_.repeated, "repeated", "");
            }
        }
    }

    void compare_one(const std::string& path) {
        const auto row = rows_.find(path);
        if (row == rows_.end()) return note(result_.missing, "missing", path);
        ++found_;
        const auto digest = digests_.find(path);
        const std::string_view expected = digest == digests_.end() ? kUnreadable : digest->second;
        if (row->second != expected) return note(result_.wrong, "wrong digest", path);
        if (expected == kUnreadable) ++result_.unreadable;
    }

    void note(std::uint64_t& counter, const std::string& what, const std::string& path) {
        constexpr std::size_t examples_max = 5;
        ++counter;
        if (result_.examples.size() < examples_max) result_.examples.push_back(what + " " + path);
    }

    const std::vector<std::string>& paths_;
    std::unordered_map<std::string, std::string> digests_;
    std::unordered_map<std::string, std::string> rows_;
    std::uint64_t found_ = 0;
    CheckResult result_;
};
