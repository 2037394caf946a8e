#pragma once

/// Bytes and times as text that is safe to print. Pure; any thread.

#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace peermq::tools {

/// `bytes` with everything that is not printable UTF-8 written as \xNN, \n, \t, \r or \\: nothing
/// in a message can move the cursor of whoever looks at it.
[[nodiscard]] std::string printable(std::string_view bytes);

/// True when `bytes` is well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view bytes);

[[nodiscard]] std::string base64(std::string_view bytes);

/// "2026-03-01T12:00:00.123456789Z"; "-" for the zero time.
[[nodiscard]] std::string iso_time(base::WallTime time);

}  // namespace peermq::tools
