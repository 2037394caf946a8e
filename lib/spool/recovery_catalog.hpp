#pragma once

/// The last step of recovery: which record of which segment is the live one. Pure; one thread.

#include <map>
#include <memory>
#include <vector>

#include "spool/recovery.hpp"

namespace peermq::spool {

/// What recovery learns about one segment, until the catalog is built.
struct SegmentWork {
    std::shared_ptr<Segment> segment;   // null when it does not count
    std::vector<ExtentEntry> extents;   // of a sealed one
    std::vector<ScannedBatch> batches;  // accepted, with parts when not sealed
    bool needs_state = false;
    bool has_checkpoint = false;
};

/// By number.
using SegmentWorks = std::map<std::uint64_t, std::unique_ptr<SegmentWork>>;

/// Its records by stream and epoch: as its footer says, else as its batches were found.
[[nodiscard]] std::vector<ExtentEntry> extents_of(const SegmentWork& work);

/// Fills the catalog of `out`, and counts what is unsettled, once its state is known.
void build_catalog(const SegmentWorks& segments, Recovered& out);

}  // namespace peermq::spool
