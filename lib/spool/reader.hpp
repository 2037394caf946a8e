#pragma once

/// Reads records of one stream out of a segment file: finds the part, reads it in one go, verifies
/// each record. Knows files and bytes only; the spool says where to look.
///
/// Threads: any; the cursors are guarded by the caller.

#include <memory>

#include "base/file_system.hpp"
#include "spool/format.hpp"
#include "spool/segment.hpp"

namespace peermq::spool {

/// Where the records of one part lie, from `run.first` on.
struct PartPlace {
    Run run;
    std::uint64_t offset = 0;     ///< of the record run.first, or of a place before it
    std::uint64_t end = 0;        ///< of the part's records
    std::uint64_t batch_end = 0;  ///< where the next batch begins
};

struct PartQuery {
    StreamIndex stream = 0;
    base::StreamId id;
    base::Epoch epoch;
    bool carried = false;
    Seq seq = 0;
};

/// The part that holds `query.seq` among the batches in [begin, end); nullopt when there is none.
/// `failed` is set when the system refused to read.
[[nodiscard]] std::optional<PartPlace> find_part(base::File& file, std::uint64_t seed,
                                                 std::uint64_t begin, std::uint64_t end,
                                                 const PartQuery& query, bool& failed);

struct PartRead {
    Run run;                        ///< good records, appended to the result
    Run lost;                       ///< when the first ones wanted are damaged
    std::optional<PartPlace> rest;  ///< where to go on in this part
    bool failed = false;            ///< the system refused to read
};

/// Reads verified records of `wanted` from a part, up to `bytes_max`, at least one, and appends
/// them to `bytes` and `offsets` (which ends with the length of `bytes`). Stops at damage.
[[nodiscard]] PartRead read_part(base::File& file, const PartPlace& place, Run wanted,
                                 const PartQuery& query, std::size_t bytes_max,
                                 std::vector<std::byte>& bytes,
                                 std::vector<std::uint32_t>& offsets);

}  // namespace peermq::spool
