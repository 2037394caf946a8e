#pragma once

/// Shell completions and manual pages, made of the same options that the command parses, so that
/// they cannot tell another story.

#include <string>

#include <CLI/CLI.hpp>

#include "arguments.hpp"

namespace peermq::tools {

[[nodiscard]] std::string bash_completion(const CLI::App& root);
[[nodiscard]] std::string zsh_completion(const CLI::App& root);
[[nodiscard]] std::string fish_completion(const CLI::App& root);
/// The page of one command, as troff with the man macros.
[[nodiscard]] std::string manual_page(const CLI::App& app);

/// `completion SHELL`, and `generate DIR`, which the build uses for what it installs.
void add_generating_commands(CLI::App& app, Command& chosen);

}  // namespace peermq::tools
