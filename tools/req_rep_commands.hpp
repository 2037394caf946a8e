#pragma once

/// `peermq req` and `peermq rep`.

#include "arguments.hpp"

namespace peermq::tools {

void add_req_command(CLI::App& app, Command& chosen);
void add_rep_command(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
