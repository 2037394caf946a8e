"""What goes wrong: one exception type with a code, and subclasses for what programs tell apart."""

from __future__ import annotations

import enum

from . import _core

__all__ = [
    "Closed",
    "Error",
    "ErrorCode",
    "InvalidArgument",
    "Quota",
    "RemoteError",
    "SpoolError",
    "Timeout",
]


class ErrorCode(str, enum.Enum):
    """The codes of C++, JSON and exit codes, by the same names; equal to their names as str."""

    timeout = "timeout"
    not_connected = "not_connected"
    quota = "quota"
    circuit_open = "circuit_open"
    invalid_argument = "invalid_argument"
    invalid_state = "invalid_state"
    too_large = "too_large"
    not_found = "not_found"
    unsupported = "unsupported"
    denied = "denied"
    address_in_use = "address_in_use"
    closed = "closed"
    locked = "locked"
    no_space = "no_space"
    io_error = "io_error"
    corrupt = "corrupt"
    version_mismatch = "version_mismatch"
    outcome_unknown = "outcome_unknown"
    cancelled = "cancelled"
    remote_error = "remote_error"

    def __str__(self) -> str:
        return self.value


class Error(Exception):
    """A failure: its code, and a text that says what, where, the numbers, and what to do."""

    def __init__(self, text: str = "", *, code: ErrorCode | str | None = None) -> None:
        super().__init__(text)
        self.code = ErrorCode(code) if code is not None else self._default_code

    _default_code = ErrorCode.invalid_state

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), str(self), self.code.value)


class Timeout(Error, TimeoutError):
    """What was waited for did not happen in time; it may still happen."""

    _default_code = ErrorCode.timeout


class Closed(Error):
    """The peer was closed before or during the call."""

    _default_code = ErrorCode.closed


class Quota(Error):
    """A limit on bytes or on queues is reached, or the disk has no room. May succeed later."""

    _default_code = ErrorCode.quota


class InvalidArgument(Error, ValueError):
    """A value out of its range, too large, or text that does not parse. Fix the call."""

    _default_code = ErrorCode.invalid_argument


class SpoolError(Error):
    """The spool, or what the system does for it, failed: code and text say how."""

    _default_code = ErrorCode.io_error


class RemoteError(Error):
    """The other side's handler failed; the text is what it raised."""

    _default_code = ErrorCode.remote_error
    remote_code = ""
    """As the replier gave it: the type's name of what its handler raised, "no_reply" ..."""
    remote_message = ""


_CLASSES: dict[ErrorCode, type[Error]] = {
    ErrorCode.timeout: Timeout,
    ErrorCode.closed: Closed,
    ErrorCode.quota: Quota,
    ErrorCode.invalid_argument: InvalidArgument,
    ErrorCode.too_large: InvalidArgument,
    ErrorCode.locked: SpoolError,
    ErrorCode.no_space: SpoolError,
    ErrorCode.io_error: SpoolError,
    ErrorCode.corrupt: SpoolError,
    ErrorCode.version_mismatch: SpoolError,
    ErrorCode.remote_error: RemoteError,
}


def _make(code: str, text: str, remote_code: str = "", remote_message: str = "") -> Error:
    known = ErrorCode(code)
    error = _CLASSES.get(known, Error)(text, code=known)
    if isinstance(error, RemoteError):
        error.remote_code = remote_code
        error.remote_message = remote_message
    return error


def _restore(kind: type[Error], text: str, code: str) -> Error:
    return kind(text, code=code)


_core._set_error_maker(_make)
