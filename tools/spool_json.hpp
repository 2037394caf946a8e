#pragma once

/// What lies in a spool as JSON, one object per line. Field names are read by programs: never
/// changed.

#include "message_json.hpp"
#include "spool/inspect.hpp"

namespace peermq::tools {

[[nodiscard]] Json to_json(const spool::Inspection& inspection);
[[nodiscard]] Json to_json(const spool::SegmentSummary& segment);
[[nodiscard]] Json to_json(const spool::StreamSummary& stream);
[[nodiscard]] Json to_json(const spool::Damage& damage);
/// Text that is not UTF-8 stands as base64 under its name with "_base64" behind it. Bodies only
/// when `with_bodies`; their size always.
[[nodiscard]] Json to_json(const spool::LogEntry& entry, bool with_bodies);

}  // namespace peermq::tools
