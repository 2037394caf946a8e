#pragma once

/// Walking through the records of one part, also past damage. Pure; any thread.

#include <functional>

#include "record/record.hpp"
#include "spool/format.hpp"

namespace peermq::spool {

/// Called for each record that checks, in order of seq: its place within the part and its content.
using VisitRecord = std::function<bool(std::size_t offset, std::size_t bytes,
                                       const record::Record&)>;

/// Visits the good records in `bytes`, which begin with seq `run.first` or a later one, until
/// `visit` says false. Returns the seqs of `run` that have no good record, as far as the walk got.
///
/// After damage the next good record is searched for in steps of 8 bytes; the bytes checked in that
/// search are bounded, so bytes made to look like records cannot make it slow.
[[nodiscard]] std::vector<Run> walk_records(base::ByteSpan bytes, Run run, record::Seed seed,
                                            const VisitRecord& visit);

}  // namespace peermq::spool
