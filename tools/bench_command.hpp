#pragma once

/// `peermq bench push|pub|req`: how fast a live peer takes messages, and how long they are under
/// way.

#include "arguments.hpp"

namespace peermq::tools {

void add_bench_command(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
