#pragma once

/// Going through the batches of one segment file, also past damage: recovery of what has no usable
/// footer, replay of state, reads behind damage, inspection.
///
/// A batch that lost its head is found by its trailer and the other way round; between them the
/// next one is searched for in steps of 8 bytes, so the work stays linear. Any thread; owns
/// nothing.

#include <functional>

#include "base/file_system.hpp"
#include "record/record.hpp"
#include "spool/format.hpp"

namespace peermq::spool {

/// Reads exactly; false on an error or at the end of the file.
[[nodiscard]] bool read_exactly(base::File& file, std::span<std::byte> out, std::uint64_t offset);

struct ScannedPart {
    PartEntry entry;
    std::uint64_t offset = 0;  ///< of its records in the file
    std::vector<Run> bad;      ///< records that do not check (only when they were looked at)
};

struct ScannedBatch {
    BatchHead head;
    bool complete = false;  ///< all of it checks
    bool state_ok = false;
    bool table_ok = false;  ///< parts are known
    std::vector<ScannedPart> parts;
    std::vector<std::byte> state;

    [[nodiscard]] std::uint64_t bad_records() const noexcept;
};

struct Scan {
    struct Gap {
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;
    };
    std::vector<ScannedBatch> batches;
    std::vector<Gap> gaps;         ///< stretches between batches that belong to none
    std::uint64_t end = 0;         ///< behind the last batch
    std::uint64_t tail_bytes = 0;  ///< from `end` to the last byte that is not zero
    std::uint64_t proven = 0;      ///< highest batch number that some batch says is durable
    std::uint64_t bytes_read = 0;
    bool stopped = false;  ///< ended by ScanOptions::stop or budget, before `to`
    bool failed = false;   ///< a read error: what is missing may still be there
};

struct ScannedRecord {
    const PartEntry& part;
    std::uint64_t offset = 0;  ///< in the file
    base::ByteSpan bytes;      ///< whole, valid during the call
    const record::Record& record;
};

struct ScanOptions {
    std::uint64_t from = kSegmentDataAt;
    std::uint64_t to = 0;  ///< nothing from here on is looked at
    bool records = true;   ///< verify records; else only heads and state
    bool keep_state = true;
    /// Called for each good record when `records`.
    std::function<void(const ScannedRecord&)> visit = {};
    /// Called for each batch, after its records; it is not kept in Scan::batches then.
    std::function<void(const ScannedBatch&)> each = {};
    /// Asked after each batch; true ends the scan there.
    std::function<bool()> stop = {};
    std::uint64_t budget = ~std::uint64_t{0};  ///< bytes after which to end like that
};

[[nodiscard]] Scan scan_segment(base::File& file, std::uint64_t seed, const ScanOptions& options);

}  // namespace peermq::spool
