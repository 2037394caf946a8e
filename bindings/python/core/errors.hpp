#pragma once

/// How failures cross: peermq::Error becomes the Python class that its code asks for.

#include <Python.h>

#include <exception>

#include "peermq/error.hpp"

namespace peermq::python {

/// Told once, by the Python side: called with code name and text, returns the exception to raise.
void set_error_maker(PyObject* maker);

/// Sets the Python error for the exception being handled. For functions that are called by CPython
/// directly; those of nanobind have a translator.
void raise_current() noexcept;
void raise(const Error& error) noexcept;

/// Calls `body`, which returns an object or null with an error set; failures become Python errors.
template <typename Body>
PyObject* guarded(Body&& body) noexcept {
    try {
        return body();
    } catch (...) {
        raise_current();
        return nullptr;
    }
}

}  // namespace peermq::python
