#pragma once

/// The first part of recovery: which files of the directory are segments of this spool. Decides by
/// names, headers and the manifest; looks at no batch.

#include "spool/recovery.hpp"

namespace peermq::spool {

struct Intake {
    bool have_manifest = false;
    std::map<std::uint64_t, std::shared_ptr<Segment>> segments;  ///< by number
    std::vector<std::uint64_t> headerless;  ///< numbers of those with a damaged header
};

/// Fills in manifest, created, next number, highest epoch, stale names and the report of `out`.
/// Throws like recover().
[[nodiscard]] Intake take_in(Files& files, base::OpenMode mode, Recovered& out);

/// The manifest's entry of a segment; nullptr when it has none.
[[nodiscard]] const Manifest::Live* listed(const Manifest& manifest, std::uint64_t number);

}  // namespace peermq::spool
