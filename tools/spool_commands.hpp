#pragma once

/// `peermq spool ls|dump|verify`: looks into a spool directory, never changes it. Data goes to
/// `out`; what is meant for people goes to standard error.

#include <iosfwd>
#include <string>

namespace peermq::tools {

/// What scripts may rely on.
inline constexpr int kExitOk = 0;
inline constexpr int
    kExitTornTail = 1;                  ///< verify: nothing worse than a tail that was never synced
inline constexpr int kExitDamaged = 2;  ///< verify: something that was durable is damaged or gone
inline constexpr int kExitUnreadable = 3;  ///< not a spool, or it cannot be read
inline constexpr int kExitNotFound = 4;    ///< dump: no stream of that name
inline constexpr int kExitUsage = 64;
inline constexpr int kExitOutput = 74;  ///< standard output cannot be written

struct SpoolArguments {
    std::string directory;
    std::string stream;  ///< dump: only this one; empty = all
    bool json = false;
    bool bodies = false;  ///< dump
};

/// These throw peermq::Error when the directory is no spool or cannot be read.
[[nodiscard]] int spool_ls(const SpoolArguments& arguments, std::ostream& out);
[[nodiscard]] int spool_dump(const SpoolArguments& arguments, std::ostream& out);
[[nodiscard]] int spool_verify(const SpoolArguments& arguments, std::ostream& out);

}  // namespace peermq::tools
