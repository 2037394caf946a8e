#pragma once

/// Bytes and times as text that is safe to print. Pure; any thread.

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "peermq/message.hpp"

namespace peermq::tools {

/// `bytes` with everything that is not printable UTF-8 written as \xNN, \n, \t, \r or \\: nothing
/// in a message can move the cursor of whoever looks at it.
[[nodiscard]] std::string printable(std::string_view bytes);

/// True when `bytes` is well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view bytes);

[[nodiscard]] std::string base64(std::string_view bytes);
/// Nothing when `text` is not what base64() may have returned.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

/// `text` with \n, \t, \r, \0, \\ and \xNN replaced by what they stand for; nothing when another
/// letter follows a backslash.
[[nodiscard]] std::optional<std::string> unescaped(std::string_view text);

/// "2026-03-01T12:00:00.123456789Z"; "-" for the zero time.
[[nodiscard]] std::string iso_time(base::WallTime time);
[[nodiscard]] std::string iso_time(Timestamp time);

}  // namespace peermq::tools
