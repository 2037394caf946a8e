#pragma once

/// Options in the form that all commands share: durations, sizes, choices, examples, exit codes.

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace peermq::tools {

/// What main() runs once the command line was read; returns the exit code.
using Command = std::function<int()>;

/// An option that is a duration; the error names what would be right. Returns it for more.
CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<std::chrono::nanoseconds>& target,
                          const std::string& about);
CLI::Option* add_bytes(CLI::App& app, const std::string& name, std::uint64_t& target,
                       const std::string& about);
/// A whole number from `least` to `most`.
CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint64_t& target,
                       const std::string& about, std::uint64_t least = 0,
                       std::uint64_t most = ~std::uint64_t{0});
/// One of a few words; shells complete them.
CLI::Option* add_choice(CLI::App& app, const std::string& name, std::string& target,
                        const std::string& about, const std::vector<std::string>& choices);
/// The words of an option that add_choice() made; empty for others.
[[nodiscard]] std::vector<std::string> choices_of(const CLI::Option& option);

/// What stands below the options in the help of a command, and in its manual page.
struct Guide {
    std::string more{};                   ///< a paragraph or two that say what the options do not
    std::vector<std::string> examples{};  ///< command lines
    std::vector<int> exit_codes{};
};
void set_guide(CLI::App& app, const Guide& guide);
[[nodiscard]] const Guide* guide_of(const CLI::App& app);

/// A wrong command line, found after parsing: one line that says what would be right.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace peermq::tools
