#pragma once

/// `peermq pull`.

#include "arguments.hpp"

namespace peermq::tools {

void add_pull_command(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
