#pragma once

/// `peermq push`.

#include "arguments.hpp"

namespace peermq::tools {

void add_push_command(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
