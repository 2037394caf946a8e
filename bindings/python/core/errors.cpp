#include "errors.hpp"

#include <nanobind/nanobind.h>

#include <new>
#include <string_view>

#include "convert.hpp"
#include "gil.hpp"
#include "peermq/requester.hpp"

namespace peermq::python {
namespace {

/// Held for the life of the process, as every module state of ours.
PyObject* error_maker = nullptr;

}  // namespace

void set_error_maker(PyObject* maker) {
    Py_XDECREF(error_maker);
    Py_INCREF(maker);
    error_maker = maker;
}

void raise(const Error& error) noexcept {
    if (error.code() == ErrorCode::closed) park_if_leaving();
    if (!error_maker) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
        return;
    }
    const std::string_view code = to_string(error.code());
    const std::string_view text = error.what();
    // Texts quote what users gave, which need not be UTF-8.
    PyObject* shown = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()),
                                           "backslashreplace");
    PyObject* made = nullptr;
    if (const auto* remote = dynamic_cast<const RemoteError*>(&error); remote && shown) {
        made = PyObject_CallFunction(
            error_maker, "s#ONN", code.data(), static_cast<Py_ssize_t>(code.size()), shown,
            from_text(remote->remote_code()), from_text(remote->remote_message()));
    } else if (shown) {
        made = PyObject_CallFunction(error_maker, "s#O", code.data(),
                                     static_cast<Py_ssize_t>(code.size()), shown);
    }
    if (made) PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made)), made);
    Py_XDECREF(made);
    Py_XDECREF(shown);
}

void raise_current() noexcept {
    try {
        throw;
    } catch (nanobind::python_error& error) {
        error.restore();
    } catch (const Error& error) {
        raise(error);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    } catch (...) {
        PyErr_SetString(PyExc_RuntimeError, "unknown failure");
    }
}

}  // namespace peermq::python
