#pragma once

/// Python functions as callbacks of a peer: called with the interpreter's lock by the peer's event
/// thread, let go of with it wherever the last copy dies.
///
/// They are kept by the peer, not by a Python object, so what they refer to must not refer to the
/// peer but weakly, or neither is ever collected.

#include <Python.h>

#include <functional>
#include <string>

#include "peermq/events.hpp"

namespace peermq::python {

/// Called with kind, peer, queue, count and text.
[[nodiscard]] EventCallback event_callback(PyObject* call);
/// Called with level ("debug", "info", "warning", "error") and line.
[[nodiscard]] LogSink log_sink(PyObject* call);
/// Called with the id of the message.
[[nodiscard]] std::function<void(const std::string&)> id_callback(PyObject* call);

}  // namespace peermq::python
