#pragma once

/// The collector's table: one row per path, in a text file that survives a crash at any moment.

#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>

#include "durable_file.hpp"
#include "row.hpp"

/// Threads: one at a time. A second process on the same file is refused.
class Table {
public:
    /// Opens or creates the file and reads what it holds; a row that a crash cut short is removed.
    explicit Table(const std::string& path) : file_(path, O_RDWR | O_CREAT | O_APPEND) {
        if (::flock(file_.fd(), LOCK_EX | LOCK_NB) != 0)
            file_.fail("lock (another collector has it)");
        const std::string content = file_.read_all();
        const std::size_t whole = content.rfind('\n') + 1;  // npos + 1 is 0
        read_rows(path, std::string_view(content).substr(0, whole));
        if (whole < content.size()) file_.truncate(whole);
        if (whole == 0) pending_ = std::string(kTableHead) + '\n';
        sync();
        sync_directory_of(path);
    }

    /// Adds the row with the next sync(); false when its path is there already.
    bool add(const Row& row) {
        if (!paths_.insert(row.path).second) return false;
        pending_ += format_row(row) + '\n';
        return true;
    }

    /// After this, all rows added survive a power cut.
    void sync() {
        if (pending_.empty()) return;
        file_.write_all(pending_);
        file_.sync();
        pending_.clear();
    }

    [[nodiscard]] std::size_t size() const { return paths_.size(); }

private:
    void read_rows(const std::string& path, std::string_view content) {
        bool is_head = true;
        while (!content.empty()) {
            const std::size_t end = content.find('\n');
            const std::string_view line = content.substr(0, end);
            content.remove_prefix(end + 1);
            if (std::exchange(is_head, false)) {
                if (line != kTableHead) throw std::runtime_error(path + " is not a table of ours");
                continue;
            }
            auto row = parse_row(line);
            if (!row) throw std::runtime_error(path + " has a damaged row: " + std::string(line));
            paths_.insert(std::move(row->path));
        }
    }

    FileHandle file_;
    std::string pending_;
    std::unordered_set<std::string> paths_;
};
