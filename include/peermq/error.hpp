#pragma once

/// What goes wrong, as one exception type with a code.
///
/// Failures are exceptions. "Not now" (a time-out, nothing to receive, full in a `try_` call) is an
/// ordinary return value and never an Error.

#include <stdexcept>
#include <string>
#include <string_view>

#include "peermq/export.hpp"

namespace peermq {

/// The codes reach JSON, exit codes and other languages: numbered by hand, never reused.
enum class ErrorCode : int {
    // Retry: the same call may succeed later.
    not_connected = 10,
    quota = 11,
    // Fix the call: it can never succeed as it stands.
    invalid_argument = 20,
    invalid_state = 21,
    too_large = 22,
    not_found = 23,
    unsupported = 24,
    denied = 25,
    address_in_use = 26,
    // Final for the object: open a new one, or repair what the text names.
    closed = 30,
    locked = 31,
    no_space = 32,
    io_error = 33,
    corrupt = 34,
    version_mismatch = 35,
};

/// Who can do something about an error.
enum class ErrorClass { retry, fix_the_call, final };

/// The name of a code as it stands in code, logs, JSON and documents, for example "too_large".
PEERMQ_EXPORT std::string_view to_string(ErrorCode code) noexcept;

/// The class of a code; unknown numbers count as final.
PEERMQ_EXPORT ErrorClass error_class(ErrorCode code) noexcept;

/// A failure: its code, and a text that says what, where, the numbers, and what to do.
class PEERMQ_EXPORT Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& text);

    /// The machine-readable reason.
    [[nodiscard]] ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

}  // namespace peermq
