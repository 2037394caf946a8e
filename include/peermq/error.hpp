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
    not_connected = 10,  ///< nobody is linked who could answer; push and pull wait instead
    quota = 11,  ///< a limit on bytes, queues or requests in flight is reached, or the disk is full
    circuit_open = 12,  ///< the service failed too often of late: not asked for the moment
    // Fix the call: it can never succeed as it stands.
    invalid_argument = 20,  ///< a value out of its range, or text that does not parse
    invalid_state = 21,     ///< right call, wrong moment: settled already, other options, a fork
    too_large = 22,         ///< a message, key or headers above the limit that the text names
    not_found = 23,         ///< what was named is not there: a directory, a spool in it
    unsupported = 24,       ///< not in this version or set-up: a scheme, durability without a spool
    denied = 25,            ///< permissions, or an address that needs PeerOptions::insecure
    address_in_use = 26,    ///< somebody else listens there
    // Final for the object: open a new one, or repair what the text names.
    closed = 30,            ///< the peer was closed before or during the call
    locked = 31,            ///< another process has the spool open; the text names it
    no_space = 32,          ///< the disk is too full to open the spool
    io_error = 33,          ///< the system failed: disk, socket, threads; the text has its reason
    corrupt = 34,           ///< the directory is no spool, or what tells how to read it is damaged
    version_mismatch = 35,  ///< written by a version of peermq that this one cannot read
    // How a request ended; the requester lives on. Whether to ask again is for the caller to judge.
    timeout = 40,          ///< no reply by the deadline; whether a handler ran is not known
    remote_error = 41,     ///< the handler says that it failed: see RemoteError
    outcome_unknown = 42,  ///< handed to a replier that was lost; it may have run, and was not
                           ///< marked idempotent (or the retry budget is used up)
    cancelled = 43,        ///< by PendingReply::cancel()
};

/// Who can do something about an error.
enum class ErrorClass { retry, fix_the_call, final, request };

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
