#pragma once

/// How far the producer's walk has come, kept beside its spool.
///
/// Saved only when all messages up to there are durable in the spool. So a restart never leaves a
/// file out; and it pushes again at most what came after the last save: less than one batch.

#include <cstdint>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "durable_file.hpp"
#include "row.hpp"
#include "walk.hpp"

/// As text, one "name value" per line: peer, files, then one "root" per root in order, then "at"
/// with the last path, which belongs to the root with index "in".
struct Progress {
    std::string peer;                ///< id of the spool that this belongs to
    std::vector<std::string> roots;  ///< in the order of the walk
    std::uint64_t files = 0;         ///< pushed so far, each counted once
    std::size_t root_index = 0;
    std::string last_path;  ///< empty: nothing yet

    /// True when the walk has not been at `path` of roots[root] yet.
    [[nodiscard]] bool is_ahead(std::size_t root, const std::string& path) const {
        if (last_path.empty() || root > root_index) return true;
        return root == root_index && walks_before(last_path, path);
    }

    void advance(std::size_t root, const std::string& path) {
        root_index = root;
        last_path = path;
        ++files;
    }

    void save(const std::string& file) const {
        std::ostringstream text;
        text << "peer " << peer << "\nfiles " << files << '\n';
        for (const std::string& root : roots) text << "root " << escape(root) << '\n';
        text << "in " << root_index << "\nat " << escape(last_path) << '\n';
        replace_durably(file, text.str());
    }

    /// What `file` says, or the beginning when there is no such file. Throws when it belongs to
    /// another spool or to other roots: going on would leave files out.
    static Progress load(const std::string& file, const std::string& peer,
                         const std::vector<std::string>& roots) {
        Progress progress;
        progress.peer = peer;
        progress.roots = roots;
        if (!std::filesystem::exists(file)) return progress;

        const Progress found = parse(file);
        if (found.peer != peer) {
            throw std::runtime_error(file + " belongs to another spool; remove it to walk anew");
        }
        if (found.roots != roots) {
            throw std::runtime_error(file + " is about other directories; use another --spool");
        }
        return found;
    }

private:
    static Progress parse(const std::string& file) {
        Progress progress;
        std::istringstream text(FileHandle(file, O_RDONLY).read_all());
        std::string line;
        bool is_complete = false;
        while (std::getline(text, line)) {
            const std::size_t space = line.find(' ');
            const std::string name = line.substr(0, space);
            const auto value = space == std::string::npos ? std::nullopt
                                                          : unescape(line.substr(space + 1));
            if (!value) throw std::runtime_error(file + " is damaged: " + line);
            if (name == "peer") progress.peer = *value;
            if (name == "files") progress.files = std::stoull(*value);
            if (name == "root") progress.roots.push_back(*value);
            if (name == "in") progress.root_index = std::stoul(*value);
            if (name == "at") progress.last_path = *value;
            is_complete = name == "at";
        }
        if (!is_complete) throw std::runtime_error(file + " is damaged: it ends too early");
        return progress;
    }
};
