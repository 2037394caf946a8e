#pragma once

/// How the command ends: numbers that scripts rely on, never reused for something else.

#include <span>
#include <string_view>

namespace peermq::tools {

inline constexpr int kExitOk = 0;
inline constexpr int kExitTornTail = 1;
inline constexpr int kExitDamaged = 2;
inline constexpr int kExitFailed = 3;
inline constexpr int kExitNotFound = 4;
inline constexpr int kExitTimeout = 5;
inline constexpr int kExitRefused = 6;
inline constexpr int kExitLocked = 7;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitOutput = 74;
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitTerminated = 143;

struct ExitCode {
    int code;
    std::string_view meaning;
};

/// All of them, in order: what the help of the program and its manual page show.
[[nodiscard]] std::span<const ExitCode> exit_codes() noexcept;
/// Meaning of one, as in the table above.
[[nodiscard]] std::string_view exit_meaning(int code) noexcept;

}  // namespace peermq::tools
