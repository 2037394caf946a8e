#pragma once

/// `peermq spool ls|dump|verify`: looks into a spool directory, never changes it. Data goes to
/// `out`; what is meant for people goes to standard error.

#include "arguments.hpp"

namespace peermq::tools {

void add_spool_commands(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
