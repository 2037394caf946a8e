#pragma once

/// Statistics as dicts: the names of stats.hpp, durations in seconds.

#include <nanobind/nanobind.h>

#include "peermq/stats.hpp"

namespace peermq::python {

[[nodiscard]] nanobind::dict to_dict(const PushStats& stats);
[[nodiscard]] nanobind::dict to_dict(const PullStats& stats);
[[nodiscard]] nanobind::dict to_dict(const LinkStats& stats);
[[nodiscard]] nanobind::dict to_dict(const SpoolStats& stats);
[[nodiscard]] nanobind::dict to_dict(const PeerStats& stats);

}  // namespace peermq::python
