#include "convert.hpp"
#include "date_time.hpp"

#include <nanobind/nanobind.h>

#include <cmath>

#include "msgpack.hpp"
#include "peermq/error.hpp"

namespace peermq::python {
namespace {

/// Longer than any program runs; beyond it nanoseconds do not fit.
constexpr double kSecondsMax = 100.0 * 365 * 24 * 3600;

[[noreturn]] void refuse(const std::string& text) {
    throw Error(ErrorCode::invalid_argument, text);
}

std::string type_name(PyObject* value) { return Py_TYPE(value)->tp_name; }

double seconds_of(PyObject* value, const char* what) {
    if (PyFloat_Check(value)) return PyFloat_AS_DOUBLE(value);
    if (PyLong_Check(value)) {
        const double seconds = PyLong_AsDouble(value);
        if (seconds != -1.0 || !PyErr_Occurred()) return seconds;
        PyErr_Clear();
        return Py_SIZE(value) < 0 ? -kSecondsMax : kSecondsMax;
    }
    if (load_date_time() && PyDelta_Check(value)) {
        return PyDateTime_DELTA_GET_DAYS(value) * 86400.0 + PyDateTime_DELTA_GET_SECONDS(value) +
               PyDateTime_DELTA_GET_MICROSECONDS(value) / 1e6;
    }
    refuse(std::string(what) + ": seconds as a number or a timedelta are wanted, not " +
           type_name(value));
}

}  // namespace

Duration to_duration(PyObject* value, const char* what) {
    const double seconds = seconds_of(value, what);
    if (std::isnan(seconds)) refuse(std::string(what) + ": not a number");
    const double bounded = std::min(std::max(seconds, -kSecondsMax), kSecondsMax);
    return Duration(static_cast<std::int64_t>(bounded * 1e9));
}

Timeout to_timeout(PyObject* value, const char* what) {
    if (value == Py_None) return std::nullopt;
    return to_duration(value, what);
}

double to_seconds(Duration duration) noexcept {
    return static_cast<double>(duration.count()) / 1e9;
}

PyObject* from_text(std::string_view text) noexcept {
    return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()),
                                "surrogateescape");
}

std::string_view to_text(PyObject* value, Held& held, const char* what) {
    if (value == Py_None) return {};
    if (PyUnicode_Check(value)) {
        Py_ssize_t size = 0;
        if (const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size))
            return {utf8, static_cast<std::size_t>(size)};
        PyErr_Clear();
        value = held.add(PyUnicode_AsEncodedString(value, "utf-8", "surrogateescape"));
        if (!value) {
            PyErr_Clear();
            refuse(std::string(what) + ": text that has no UTF-8 form");
        }
    }
    if (!PyBytes_Check(value))
        refuse(std::string(what) + ": str or bytes are wanted, not " + type_name(value));
    return {PyBytes_AS_STRING(value), static_cast<std::size_t>(PyBytes_GET_SIZE(value))};
}

void Outgoing::set_body(PyObject* data) {
    if (PyBytes_Check(data)) {
        message.body = BytesView(PyBytes_AS_STRING(data),
                                 static_cast<std::size_t>(PyBytes_GET_SIZE(data)));
        return;
    }
    if (PyByteArray_Check(data) || PyMemoryView_Check(data)) {
        if (PyObject_GetBuffer(data, &buffer_, PyBUF_SIMPLE) != 0) {
            PyErr_Clear();
            refuse("data: this memoryview is not contiguous; send bytes(view)");
        }
        message.body = BytesView(buffer_.buf, static_cast<std::size_t>(buffer_.len));
        return;
    }
    pack(data, packed_);
    message.body = packed_;
    message.content_type = kMsgpackType;
}

void Outgoing::set_headers(PyObject* headers) {
    if (headers == Py_None) return;
    const bool mapping = PyObject_HasAttrString(headers, "items") != 0;
    PyObject* items = mapping ? held_.add(PyMapping_Items(headers)) : headers;
    PyObject* pairs = items ? held_.add(PySequence_Fast(items, "headers")) : nullptr;
    if (!pairs) {
        PyErr_Clear();
        refuse("headers: a mapping or pairs of str or bytes are wanted, not " + type_name(headers));
    }
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(pairs);
    message.headers.reserve(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* pair = PySequence_Fast_GET_ITEM(pairs, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
            refuse("headers: pairs of name and value are wanted");
        message.headers.emplace_back(to_text(PyTuple_GET_ITEM(pair, 0), held_, "header name"),
                                     to_text(PyTuple_GET_ITEM(pair, 1), held_, "header value"));
    }
}

void Outgoing::set_property(PyObject* name, PyObject* value, const char* function) {
    const auto is = [name](const char* wanted) {
        return PyUnicode_CompareWithASCIIString(name, wanted) == 0;
    };
    if (is("key")) {
        message.key = to_text(value, held_, "key");
    } else if (is("headers")) {
        set_headers(value);
    } else if (is("id")) {
        message.id = to_text(value, held_, "id");
    } else if (is("correlation_id")) {
        message.correlation_id = to_text(value, held_, "correlation_id");
    } else if (is("reply_to")) {
        message.reply_to = to_text(value, held_, "reply_to");
    } else if (is("content_type")) {
        if (value != Py_None) message.content_type = to_text(value, held_, "content_type");
    } else {
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function,
                     name);
        throw nanobind::python_error();
    }
}

void Outgoing::take(const char* function, PyObject* data, PyObject* properties) {
    set_body(data);
    Py_ssize_t position = 0;
    PyObject* name = nullptr;
    PyObject* value = nullptr;
    while (PyDict_Next(properties, &position, &name, &value)) set_property(name, value, function);
}

PyObject* decode(BytesView body, std::string_view content_type) {
    if (content_type == kMsgpackType) return unpack(body.text());
    return PyBytes_FromStringAndSize(body.text().data(), static_cast<Py_ssize_t>(body.size()));
}

PyObject* from_headers(const std::vector<HeaderView>& headers) noexcept {
    PyObject* dict = PyDict_New();
    for (const auto& [name, value] : headers) {
        PyObject* key = dict ? from_text(name) : nullptr;
        PyObject* item = key ? from_text(value) : nullptr;
        if (!item || PyDict_SetItem(dict, key, item) != 0) Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(item);
    }
    return dict;
}

void Outgoing::parse(const char* function, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keyword_names) {
    const Py_ssize_t keywords = keyword_names ? PyTuple_GET_SIZE(keyword_names) : 0;
    if (count > 1 || (count == 0 && keywords == 0)) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes one positional argument, the data, but %zd were given", function,
                     count);
        throw nanobind::python_error();
    }
    PyObject* data = count == 1 ? arguments[0] : nullptr;
    if (data) set_body(data);
    for (Py_ssize_t i = 0; i < keywords; ++i) {
        PyObject* name = PyTuple_GET_ITEM(keyword_names, i);
        if (!data && PyUnicode_CompareWithASCIIString(name, "data") == 0) {
            data = arguments[count + i];
            const std::string_view type = message.content_type;
            set_body(data);
            if (!type.empty()) message.content_type = type;
            continue;
        }
        set_property(name, arguments[count + i], function);
    }
    if (!data) {
        PyErr_Format(PyExc_TypeError, "%s() missing its argument: 'data'", function);
        throw nanobind::python_error();
    }
}

}  // namespace peermq::python
