#pragma once

/// `peermq doctor`: whether this machine gives peermq what it needs.

#include "arguments.hpp"

namespace peermq::tools {

void add_doctor_command(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
