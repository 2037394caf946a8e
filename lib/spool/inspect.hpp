#pragma once

/// Looking into a spool directory without opening it: for `peermq spool ls|dump|verify`. Read-only;
/// works on a copy from a dead machine, and beside a running owner (then the tail may be cut
/// short).

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "record/record.hpp"
#include "spool/spool.hpp"

namespace peermq::spool {

struct SegmentSummary {
    std::string path;
    std::uint64_t number = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t used_bytes = 0;
    std::uint64_t batches = 0;
    std::uint64_t records = 0;
    std::uint64_t unsettled = 0;
    bool sealed = false;
};

struct StreamSummary {
    StreamInfo info;
    Seq first_unsettled = 0;
    Seq end = 0;
    std::uint64_t unsettled = 0;
    std::uint64_t unsettled_bytes = 0;
    std::uint64_t retries = 0;
};

struct Inspection {
    base::SpoolId id;
    std::uint32_t format_version = 0;
    std::uint32_t epoch = 0;
    std::string owner;  ///< "pid 123" while locked by a running process, else empty
    std::vector<SegmentSummary> segments;
    std::vector<StreamSummary> streams;
    std::vector<Damage> damage;  ///< everything that verify found
};

/// One thing found in the log, in order.
struct LogEntry {
    enum class Kind { segment, batch, record, state, footer, damage };
    Kind kind{};
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    const StreamInfo* stream = nullptr;  ///< record, state
    const record::Record* record = nullptr;
    base::Epoch epoch;        ///< record: seeds its checksum
    bool settled = false;     ///< record
    bool superseded = false;  ///< record: moved on by compaction, and to be read from there
    std::string text;         ///< state, footer, damage, segment: one line for people
};

/// Reads everything and checks every checksum. Throws Error like Spool::open, but not locked.
[[nodiscard]] Inspection inspect(base::FileSystem& files, const std::string& path,
                                 const std::function<void(const LogEntry&)>& visit = {});

}  // namespace peermq::spool
