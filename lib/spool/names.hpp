#pragma once

/// The names of this folder's enumerators as they stand in events, JSON and the tool's tables. They
/// are read by programs: never changed. Pure; any thread.

#include <string_view>

#include "spool/inspect.hpp"
#include "spool/spool.hpp"

namespace peermq::spool {

/// For example "torn_tail".
[[nodiscard]] std::string_view to_string(Damage::Kind kind) noexcept;
/// For example "queue".
[[nodiscard]] std::string_view to_string(StreamKind kind) noexcept;
/// For example "record".
[[nodiscard]] std::string_view to_string(LogEntry::Kind kind) noexcept;

}  // namespace peermq::spool
