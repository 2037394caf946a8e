#pragma once

/// `peermq serve`: hands out what lies in a spool whose process is gone.

#include "arguments.hpp"

namespace peermq::tools {

void add_serve_command(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
