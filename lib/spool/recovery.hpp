#pragma once

/// From the files of a spool to its state in memory. Reads only: what it decides to cut, to unlink
/// or to keep aside is in the result, and open() does it once the new segment is durable. So a
/// crash anywhere and a second recovery give the same.
///
/// Segments are gone through from the newest to the oldest, because a later file says what counts
/// in an earlier one; batches without a footer are scanned. One thread, before the spool exists.

#include <string>

#include "spool/files.hpp"
#include "spool/scan.hpp"
#include "spool/segment.hpp"

namespace peermq::spool {

struct Recovered {
    Manifest manifest;
    bool created = false;  ///< there was no spool
    bool whole = false;  ///< it was closed in order: nothing behind the end found was ever written
    DeliveryState state;
    Catalog catalog;
    RecoveryReport report;
    std::uint64_t next_number = 1;
    std::uint32_t epoch = 0;         ///< highest counter found
    std::vector<std::string> stale;  ///< names to remove: tmp files, reclaimed segments

    /// Numbers in names of files that are none of the log's segments, yet must not be removed.
    std::vector<std::uint64_t> aside;

    /// Bytes to keep in quarantine.
    struct Keep {
        std::shared_ptr<base::File> file;
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;
        std::string name;
    };
    std::vector<Keep> keep;
};

/// With base::OpenMode::read the files may belong to a running spool: what vanishes meanwhile is no
/// error. Throws Error: corrupt (no spool), version_mismatch, io_error.
[[nodiscard]] Recovered recover(Files& files, base::OpenMode mode);

/// The manifest of the directory; nullopt when it is missing or damaged (`damaged` says which).
/// Throws version_mismatch.
[[nodiscard]] std::optional<Manifest> load_manifest(Files& files, bool& damaged);

/// Refuses a directory that holds something, but no spool. Throws Error: corrupt.
void refuse_foreign(Files& files, const std::vector<base::DirectoryEntry>& entries);

}  // namespace peermq::spool
