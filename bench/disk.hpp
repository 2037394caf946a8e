#pragma once

/// Directories for spools, and what the disk below them does without peermq.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "statistics.hpp"

namespace peermq::bench {

/// A directory that is made new, and removed with all its content when this object goes.
class FreshDirectory {
public:
    /// Below `parent`, which is made when missing.
    FreshDirectory(const std::filesystem::path& parent, const std::string& prefix);
    ~FreshDirectory();
    FreshDirectory(const FreshDirectory&) = delete;
    FreshDirectory& operator=(const FreshDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// Whether a path lies in memory, where syncing means nothing.
[[nodiscard]] bool is_memory_file_system(const std::filesystem::path& path);

/// Bytes per second of appending to one new file in steps of `step_bytes`, each synced by
/// fdatasync.
[[nodiscard]] double plain_append_rate(const std::filesystem::path& directory,
                                       std::size_t step_bytes, std::uint64_t duration_ns);

/// Times, in nanoseconds, of appending `step_bytes` to one new file and syncing it, one by one.
[[nodiscard]] std::vector<std::uint64_t> plain_append_times(const std::filesystem::path& directory,
                                                            std::size_t step_bytes,
                                                            std::size_t count);

/// Asks the system to forget what it holds of the files below `directory`, so that the next reader
/// goes to the disk.
void drop_cached(const std::filesystem::path& directory);

}  // namespace peermq::bench
