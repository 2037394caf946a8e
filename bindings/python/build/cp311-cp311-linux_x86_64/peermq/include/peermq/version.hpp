#pragma once

#include <string_view>

#include <peermq/export.hpp>

#define PEERMQ_VERSION_MAJOR 0
#define PEERMQ_VERSION_MINOR 1
#define PEERMQ_VERSION_PATCH 0

namespace peermq {

/// The version of these headers: what the program was compiled with.
inline constexpr std::string_view kVersion = "0.1.0";

/// The version of the library that is running. It differs from `kVersion` when another build of the
/// shared library was found at start. Threads: any.
[[nodiscard]] PEERMQ_EXPORT std::string_view library_version() noexcept;

}  // namespace peermq
