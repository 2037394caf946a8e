#pragma once

/// `peermq stats` and `peermq top`: the numbers of running peers.

#include "arguments.hpp"

namespace peermq::tools {

void add_watch_commands(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
