#pragma once

/// Runs a command with bytes on its standard input, as `pull --exec` and `rep --exec` do.
///
/// The command has a process group of its own: Ctrl-C lets it finish, a second one kills it. It
/// dies with the thread that runs it, also when this process is killed. Threads: any number at
/// once; each call waits for its command.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace peermq::tools {

struct ChildResult {
    int status = 0;        ///< exit code; 128 + number when a signal ended it
    std::string output{};  ///< standard output, when it was asked for
    /// "exit code 3", "killed by signal 9 (Killed)".
    [[nodiscard]] std::string reason() const;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

enum class ChildOutput { inherit, capture };

/// Runs `command` with /bin/sh. Bytes that it does not read are dropped. Output beyond
/// `output_bytes_max` ends it. Throws std::runtime_error when it cannot be started.
[[nodiscard]] ChildResult run_child(const std::string& command, std::string_view input,
                                    const Environment& environment, ChildOutput output,
                                    std::size_t output_bytes_max);

}  // namespace peermq::tools
