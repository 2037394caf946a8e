#pragma once

/// Statistics as dicts: the names of stats.hpp, durations in seconds.

#include <nanobind/nanobind.h>

#include "gil.hpp"
#include "peermq/stats.hpp"

namespace peermq::python {

[[nodiscard]] nanobind::dict to_dict(const PushStats& stats);
[[nodiscard]] nanobind::dict to_dict(const PullStats& stats);
[[nodiscard]] nanobind::dict to_dict(const PublisherStats& stats);
[[nodiscard]] nanobind::dict to_dict(const SubscriberStats& stats);
[[nodiscard]] nanobind::dict to_dict(const RequesterStats& stats);
[[nodiscard]] nanobind::dict to_dict(const ReplierStats& stats);
[[nodiscard]] nanobind::dict to_dict(const LinkStats& stats);
[[nodiscard]] nanobind::dict to_dict(const SpoolStats& stats);
[[nodiscard]] nanobind::dict to_dict(const PeerStats& stats);

/// Of an object that has them, taken without the interpreter's lock.
template <typename Object>
[[nodiscard]] nanobind::dict stats_of(Object& object) {
    decltype(object.stats()) stats;
    {
        const Unlocked unlocked;
        stats = object.stats();
    }
    return to_dict(stats);
}

}  // namespace peermq::python
