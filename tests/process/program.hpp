#pragma once

/// What the programs of these tests share: arguments, lines to the parent, the bytes of a message.
///
/// A line is one write() of less than PIPE_BUF bytes: whole or not there, whenever the process is
/// killed, and lines of several threads never mix.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace peermq::test {

/// Arguments of the form name=value.
class Arguments {
public:
    Arguments(int count, char** values);
    [[nodiscard]] std::string text(const std::string& name,
                                   const std::string& otherwise = "") const;
    [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise = 0) const;

private:
    std::map<std::string, std::string> values_;
};

/// Nanoseconds of the clock that all processes of this machine share.
[[nodiscard]] std::int64_t now_ns();

/// Writes "<kind> <now> <rest>".
void report(std::string_view kind, std::string_view rest = {});
/// Writes the line as it is.
void report_line(std::string line);

/// One line of standard input; empty when none came within `timeout_ms`, "quit" at its end.
[[nodiscard]] std::string read_command(int timeout_ms);

/// The whole of a program: says "open", calls `run`, says how it closed, or which error ended it.
/// `run` tells whether it closed in time. Exit codes: 0, 3 (late), 2 (error).
int run_program(int count, char** values, const std::function<bool(const Arguments&)>& run);

/// SIGTERM has come; only under run_program().
[[nodiscard]] bool terminated();

/// The bytes of message `id`: made from it, so that they need not be kept.
[[nodiscard]] std::string body_of(std::string_view id, std::size_t bytes);
/// Over key and body.
[[nodiscard]] std::uint64_t hash_of(std::string_view key, std::string_view body);
[[nodiscard]] std::string hexadecimal(std::uint64_t number);

}  // namespace peermq::test
