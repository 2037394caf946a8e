#pragma once

/// Changing a spool without a peer: for `peermq spool repair|purge`. Opens it, so nobody else may
/// have it open. May be killed at any step and run again.

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file_system.hpp"
#include "base/random.hpp"
#include "spool/spool.hpp"

namespace peermq::spool {

struct RepairReport {
    std::vector<Damage> found;
    std::uint64_t segments_rewritten = 0;
    std::uint64_t records_lost = 0;  ///< unsettled ones that were given up
    std::vector<Damage> left;        ///< what a person has to decide, such as a foreign segment
};

/// Cuts torn tails, writes again what is whole in damaged segments, settles what is lost. What can
/// be read is kept, under its identity; what cannot is given up once and for all, with a copy of
/// its file in quarantine/. Does nothing to a clean spool. Throws Error like Spool::open; not_found
/// when there is none.
[[nodiscard]] RepairReport repair(base::FileSystem& files, base::Clock& clock, base::Random& random,
                                  const std::string& path, const SpoolOptions& options);

/// Settles all messages of a stream; how many that were. Durable on return. Throws Error like
/// Spool::open; not_found when there is no such stream.
[[nodiscard]] std::uint64_t purge(base::FileSystem& files, base::Clock& clock, base::Random& random,
                                  const std::string& path, const SpoolOptions& options,
                                  StreamKind kind, std::string_view name);

}  // namespace peermq::spool
