#pragma once

/// CPython's C interface to datetime, which each file loads for itself.

#include <Python.h>
// Needs Python.h before it.
#include <datetime.h>

namespace peermq::python {

/// False when the module cannot be imported; then the error is set.
[[nodiscard]] inline bool load_date_time() noexcept {
    if (!PyDateTimeAPI) PyDateTime_IMPORT;
    return PyDateTimeAPI != nullptr;
}

}  // namespace peermq::python
