#include "peermq/version.hpp"

namespace peermq {

std::string_view library_version() noexcept { return kVersion; }

}  // namespace peermq
