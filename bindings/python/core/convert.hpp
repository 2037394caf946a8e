#pragma once

/// Python values to what the public API takes, and back.

#include <Python.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gil.hpp"
#include "peermq/message.hpp"

namespace peermq::python {

/// Seconds as int or float, or a timedelta; None: no value. `what` stands in the error's text.
/// Throws Error invalid_argument.
[[nodiscard]] Timeout to_timeout(PyObject* value, const char* what);
/// The same, None refused.
[[nodiscard]] Duration to_duration(PyObject* value, const char* what);
[[nodiscard]] double to_seconds(Duration duration) noexcept;

/// Text from other processes need not be UTF-8: bytes that are not come as lone surrogates, which
/// to_text() turns back.
[[nodiscard]] PyObject* from_text(std::string_view text) noexcept;

/// Owned Python objects, let go of together. The lock is held when it ends.
class Held {
public:
    Held() noexcept = default;
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
        for (PyObject* object : objects_) Py_DECREF(object);
    }
    PyObject* add(PyObject* object) {
        if (object) objects_.push_back(object);
        return object;
    }

private:
    std::vector<PyObject*> objects_;
};

/// A str or bytes as it is sent; None: empty. The view lives as long as `value` and `held`.
[[nodiscard]] std::string_view to_text(PyObject* value, Held& held, const char* what);

/// The arguments of post() and send(), as views of the objects that they are in.
class Outgoing {
public:
    Outgoing() noexcept = default;
    ~Outgoing() {
        if (buffer_.obj) PyBuffer_Release(&buffer_);
    }
    Outgoing(const Outgoing&) = delete;
    Outgoing& operator=(const Outgoing&) = delete;

    /// `data`, then key, headers, id, correlation_id, reply_to and content_type by keyword, as
    /// CPython hands them to a fast function. Throws Error or a Python error.
    void parse(const char* function, PyObject* const* arguments, Py_ssize_t count,
               PyObject* keyword_names);
    /// The same from data and a dict of properties.
    void take(const char* function, PyObject* data, PyObject* properties);
    /// A mapping or pairs, into message.headers.
    void set_headers(PyObject* headers);
    Message message;

private:
    void set_body(PyObject* data);
    void set_property(PyObject* name, PyObject* value, const char* function);

    Py_buffer buffer_{};
    std::string packed_;
    Held held_;
};

/// What was sent as msgpack as the object that it was, else the bytes. A new reference. Throws
/// Error invalid_argument when it is no msgpack.
[[nodiscard]] PyObject* decode(BytesView body, std::string_view content_type);

/// A new dict of str.
[[nodiscard]] PyObject* from_headers(const std::vector<HeaderView>& headers) noexcept;

/// The content type of bodies that are msgpack: those of objects.
inline constexpr std::string_view kMsgpackType = "application/msgpack";

}  // namespace peermq::python
