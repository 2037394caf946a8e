#pragma once

/// Walks directory trees in an order that depends on names alone, so that a walk can be resumed
/// after any path that it has reached.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

/// The order of walks below one root: by path, component by component.
inline bool walks_before(std::string_view a, std::string_view b) {
    const auto rank = [](char c) {
        return c == '/' ? 0 : static_cast<int>(static_cast<unsigned char>(c));
    };
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                        [rank](char x, char y) { return rank(x) < rank(y); });
}

struct WalkCallbacks {
    std::function<bool(const std::string& path)> file;  ///< false ends the walk
    std::function<void(const std::string& path, const std::string& why)> unreadable;
};

namespace walk_detail {

namespace fs = std::filesystem;

inline bool visit_file(const std::string& path, const WalkCallbacks& callbacks) {
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0) {
        callbacks.unreadable(path, std::generic_category().message(errno));
        return true;
    }
    return callbacks.file(path);
}

inline bool visit_directory(const std::string& directory, const WalkCallbacks& callbacks);

/// Symbolic links, devices, sockets and pipes are passed by.
inline bool visit(const fs::directory_entry& entry, const WalkCallbacks& callbacks) {
    std::error_code error;
    const fs::file_status status = entry.symlink_status(error);
    if (error) {
        callbacks.unreadable(entry.path().native(), error.message());
        return true;
    }
    if (fs::is_directory(status)) return visit_directory(entry.path().native(), callbacks);
    if (fs::is_regular_file(status)) return visit_file(entry.path().native(), callbacks);
    return true;
}

inline bool visit_directory(const std::string& directory, const WalkCallbacks& callbacks) {
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        entries.push_back(*it);
    }
    if (error) callbacks.unreadable(directory, error.message());
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
        return walks_before(a.path().native(), b.path().native());
    });
    return std::all_of(entries.begin(), entries.end(),
                       [&](const auto& entry) { return visit(entry, callbacks); });
}

}  // namespace walk_detail

/// Visits every regular file at or below `root`; false when a callback ended it.
inline bool walk(const std::string& root, const WalkCallbacks& callbacks) {
    std::error_code error;
    const auto status = std::filesystem::status(root, error);
    if (std::filesystem::is_directory(status)) return walk_detail::visit_directory(root, callbacks);
    if (std::filesystem::is_regular_file(status)) return walk_detail::visit_file(root, callbacks);
    callbacks.unreadable(root, error ? error.message() : "neither directory nor regular file");
    return true;
}

/// The roots without closing slashes, and without those that lie in an earlier or later other one.
inline std::vector<std::string> distinct_roots(std::vector<std::string> roots) {
    for (std::string& root : roots) {
        while (root.size() > 1 && root.back() == '/') root.pop_back();
    }
    const auto inside = [](const std::string& path, const std::string& root) {
        return root == "/" || path == root || path.starts_with(root + '/');
    };
    std::vector<std::string> kept;
    for (const std::string& root : roots) {
        std::erase_if(
            kept, [&](const std::string& other) { return inside(other, root) && other != root; });
        const bool covered = std::any_of(kept.begin(), kept.end(), [&](const std::string& other) {
            return inside(root, other);
        });
        if (!covered) kept.push_back(root);
    }
    return kept;
}
