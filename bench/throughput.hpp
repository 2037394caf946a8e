#pragma once

/// One-way throughput: a sending process, one or more receiving ones.

#include <cstddef>

#include "settings.hpp"
#include "traffic.hpp"

namespace peermq::bench {

struct ThroughputCase {
    System system = System::raw;
    std::size_t size = 100;
    int workers = 1;
    /// Queues on the one producing peer; each has a receiving thread of its own in the worker.
    int queues = 1;
};

/// Starts the processes anew, warms them up, and returns messages per second: from before the first
/// is sent until the last is handled. Then waits until all are acked, and checks that each was
/// handled exactly once. A round that other programs disturbed is taken again.
[[nodiscard]] double measure_throughput(const ThroughputCase& what, const Settings& settings);

}  // namespace peermq::bench
