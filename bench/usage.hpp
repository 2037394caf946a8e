#pragma once

/// What processes use of the machine: memory, CPU time, and how much of it was not ours.

#include <cstdint>

namespace peermq::bench {

/// Of the calling process, from /proc/self/status.
struct MemoryUsage {
    double resident_mib = 0;  ///< VmRSS: now
    double peak_mib = 0;      ///< VmHWM: the most so far
};
[[nodiscard]] MemoryUsage memory_usage();

/// User and system time of the calling process with all its threads.
[[nodiscard]] double cpu_seconds();

/// Raises the limit of open files as far as allowed; children inherit it.
void raise_file_limit();

/// How busy programs other than this one and its children kept the machine.
///
/// Counts user time only, for that is how builds and the like show; what the kernel does on behalf
/// of the measurement itself (network, disk) cannot be told apart.
class Disturbance {
public:
    Disturbance();
    /// Since construction, in cores. Children count as ours once they were waited for.
    [[nodiscard]] double foreign_cores() const;

private:
    double machine_start_;
    double own_start_;
    std::uint64_t start_ns_;
};

}  // namespace peermq::bench
