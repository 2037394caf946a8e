#pragma once

/// `--help`, wrapped to the terminal; and the one line for a wrong command line.

#include <string>

#include <CLI/CLI.hpp>

namespace peermq::tools {

/// Usage, options, examples, exit codes of `app`.
[[nodiscard]] std::string help_of(const CLI::App& app);

/// Makes `root` and all its commands use help_of() for --help.
void use_our_help(CLI::App& root);

/// "push: no option --spol; did you mean --spool? ..." for what `root` could not parse.
[[nodiscard]] std::string usage_error_line(const CLI::App& root, const CLI::ParseError& error);

// --- what completion and manual pages are made of, too

/// "peermq spool ls".
[[nodiscard]] std::string path_of(const CLI::App& app);
/// Subcommands in the order in which they were added, without hidden ones.
[[nodiscard]] std::vector<const CLI::App*> commands_of(const CLI::App& app);
struct OptionText {
    std::string names;  ///< "-n, --count N"
    std::string about;
    bool positional = false;
};
[[nodiscard]] std::vector<const CLI::Option*> options_of(const CLI::App& app);
[[nodiscard]] OptionText text_of(const CLI::Option& option);
/// "[OPTIONS] QUEUE [BODY...]".
[[nodiscard]] std::string usage_of(const CLI::App& app);

}  // namespace peermq::tools
