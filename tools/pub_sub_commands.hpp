#pragma once

/// `peermq pub` and `peermq sub`.

#include "arguments.hpp"

namespace peermq::tools {

void add_pub_command(CLI::App& app, Command& chosen);
void add_sub_command(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
