#pragma once

/// The stats of a peer as JSON. Durations end in _ms; field names are read by programs: never
/// changed.

#include "message_json.hpp"
#include "peermq/control.hpp"

namespace peermq::tools {

[[nodiscard]] Json to_json(const PeerInfo& info);
[[nodiscard]] Json to_json(const PeerStats& stats);

}  // namespace peermq::tools
