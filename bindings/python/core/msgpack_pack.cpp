#include <nanobind/nanobind.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "date_time.hpp"
#include "msgpack.hpp"
#include "peermq/error.hpp"

namespace peermq::python {
namespace {

PyObject* pack_hook = nullptr;

[[noreturn]] void refuse(const std::string& text) {
    throw Error(ErrorCode::invalid_argument, "data: " + text);
}

class Packer {
public:
    explicit Packer(std::string& out) : out_(out) {}
    void value(PyObject* object, int depth);

private:
    void byte(unsigned value) { out_.push_back(static_cast<char>(value)); }
    template <typename Number>
    void big_endian(Number number) {
        if constexpr (sizeof(Number) == 2) number = __builtin_bswap16(number);
        if constexpr (sizeof(Number) == 4) number = __builtin_bswap32(number);
        if constexpr (sizeof(Number) == 8) number = __builtin_bswap64(number);
        char bytes[sizeof number];
        std::memcpy(bytes, &number, sizeof number);
        out_.append(bytes, sizeof number);
    }
    void integer(PyObject* object);
    void negative(std::int64_t number);
    void positive(std::uint64_t number);
    void text(PyObject* object);
    void bytes(const void* data, std::size_t size);
    /// `fix`: up to `fix_max` in the first byte; then `wide` for 16 bits, `wide` + 1 for 32.
    void length(std::size_t size, unsigned fix, std::size_t fix_max, unsigned wide);
    void sequence(PyObject* object, int depth);
    void mapping(PyObject* object, int depth);
    bool timestamp(PyObject* object);
    void other(PyObject* object, int depth);

    std::string& out_;
};

void Packer::value(PyObject* object, int depth) {
    if (depth > kNestingMax)
        refuse("nested more than " + std::to_string(kNestingMax) + " levels deep");
    if (object == Py_None) return byte(0xc0);
    if (object == Py_False) return byte(0xc2);
    if (object == Py_True) return byte(0xc3);
    if (PyUnicode_CheckExact(object)) return text(object);
    if (PyLong_CheckExact(object)) return integer(object);
    if (PyFloat_Check(object)) {
        byte(0xcb);
        return big_endian(std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(object)));
    }
    if (PyDict_Check(object)) return mapping(object, depth);
    if (PyList_Check(object) || PyTuple_Check(object)) return sequence(object, depth);
    if (PyBytes_Check(object)) {
        return bytes(PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object)));
    }
    other(object, depth);
}

void Packer::integer(PyObject* object) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
        if (number < 0) return negative(number);
        return positive(static_cast<std::uint64_t>(number));
    }
    const unsigned long long large = overflow > 0 ? PyLong_AsUnsignedLongLong(object) : 0;
    if (overflow < 0 || PyErr_Occurred()) {
        PyErr_Clear();
        refuse("an int beyond 64 bits cannot be sent as such; send it as str or bytes");
    }
    positive(large);
}

void Packer::negative(std::int64_t number) {
    if (number >= -32) return byte(static_cast<std::uint8_t>(number));
    if (number >= std::numeric_limits<std::int8_t>::min()) {
        byte(0xd0);
        byte(static_cast<std::uint8_t>(number));
    } else if (number >= std::numeric_limits<std::int16_t>::min()) {
        byte(0xd1);
        big_endian(static_cast<std::uint16_t>(number));
    } else if (number >= std::numeric_limits<std::int32_t>::min()) {
        byte(0xd2);
        big_endian(static_cast<std::uint32_t>(number));
    } else {
        byte(0xd3);
        big_endian(static_cast<std::uint64_t>(number));
    }
}

void Packer::positive(std::uint64_t number) {
    if (number < 0x80) return byte(static_cast<unsigned>(number));
    if (number <= 0xff) {
        byte(0xcc);
        byte(static_cast<unsigned>(number));
    } else if (number <= 0xffff) {
        byte(0xcd);
        big_endian(static_cast<std::uint16_t>(number));
    } else if (number <= 0xffff'ffff) {
        byte(0xce);
        big_endian(static_cast<std::uint32_t>(number));
    } else {
        byte(0xcf);
        big_endian(number);
    }
}

void Packer::length(std::size_t size, unsigned fix, std::size_t fix_max, unsigned wide) {
    if (size <= fix_max) return byte(fix | static_cast<unsigned>(size));
    if (size <= 0xffff) {
        byte(wide);
        big_endian(static_cast<std::uint16_t>(size));
    } else if (size <= 0xffff'ffff) {
        byte(wide + 1);
        big_endian(static_cast<std::uint32_t>(size));
    } else {
        refuse("a value of more than 4 GiB cannot be sent");
    }
}

void Packer::text(PyObject* object) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(object, &size);
    if (!utf8) {
        PyErr_Clear();
        refuse("a str that has no UTF-8 form (lone surrogates) cannot be sent; send bytes");
    }
    const auto count = static_cast<std::size_t>(size);
    if (count > 31 && count <= 0xff) {
        byte(0xd9);
        byte(static_cast<unsigned>(count));
    } else {
        length(count, 0xa0, 31, 0xda);
    }
    out_.append(utf8, count);
}

void Packer::bytes(const void* data, std::size_t size) {
    if (size <= 0xff) {
        byte(0xc4);
        byte(static_cast<unsigned>(size));
    } else {
        length(size, 0, 0, 0xc5);
    }
    out_.append(static_cast<const char*>(data), size);
}

void Packer::sequence(PyObject* object, int depth) {
    length(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(object)), 0x90, 15, 0xdc);
    const Py_ssize_t announced = PySequence_Fast_GET_SIZE(object);
    // The hook runs Python code, which may change a list that it knows.
    for (Py_ssize_t i = 0; i < announced; ++i) {
        if (PySequence_Fast_GET_SIZE(object) != announced)
            refuse("a list changed while it was encoded");
        PyObject* item = PySequence_Fast_GET_ITEM(object, i);
        Py_INCREF(item);
        const nanobind::object kept = nanobind::steal(item);
        value(item, depth + 1);
    }
}

void Packer::mapping(PyObject* object, int depth) {
    const Py_ssize_t announced = PyDict_GET_SIZE(object);
    length(static_cast<std::size_t>(announced), 0x80, 15, 0xde);
    Py_ssize_t position = 0;
    Py_ssize_t count = 0;
    PyObject* key = nullptr;
    PyObject* item = nullptr;
    while (PyDict_Next(object, &position, &key, &item)) {
        const nanobind::object kept_key = nanobind::borrow(key);
        const nanobind::object kept_item = nanobind::borrow(item);
        value(key, depth + 1);
        value(item, depth + 1);
        ++count;
        if (PyDict_GET_SIZE(object) != announced || count > announced)
            refuse("a dict changed while it was encoded");
    }
    if (count != announced) refuse("a dict changed while it was encoded");
}

bool Packer::timestamp(PyObject* object) {
    if (!load_date_time() || !PyDateTime_Check(object)) return false;
    const nanobind::object moment = nanobind::borrow(object);
    if (moment.attr("tzinfo").is_none()) {
        refuse(
            "a datetime without time zone means a different moment elsewhere; "
            "give it one, for example datetime.now(timezone.utc)");
    }
    const nanobind::object utc = nanobind::steal(
        PyObject_CallMethod(object, "astimezone", "O", PyDateTime_TimeZone_UTC));
    if (!utc.is_valid()) throw nanobind::python_error();
    const nanobind::object delta = utc - nanobind::steal(PyDateTimeAPI->DateTime_FromDateAndTime(
                                             1970, 1, 1, 0, 0, 0, 0, PyDateTime_TimeZone_UTC,
                                             PyDateTimeAPI->DateTimeType));
    const std::int64_t seconds = PyDateTime_DELTA_GET_DAYS(delta.ptr()) * std::int64_t{86400} +
                                 PyDateTime_DELTA_GET_SECONDS(delta.ptr());
    const auto nanoseconds = static_cast<std::uint32_t>(
        PyDateTime_DELTA_GET_MICROSECONDS(delta.ptr()) * 1000);
    byte(0xc7);
    byte(12);
    byte(0xff);
    big_endian(nanoseconds);
    big_endian(static_cast<std::uint64_t>(seconds));
    return true;
}

void Packer::other(PyObject* object, int depth) {
    if (PyByteArray_Check(object) || PyMemoryView_Check(object)) {
        Py_buffer buffer;
        if (PyObject_GetBuffer(object, &buffer, PyBUF_SIMPLE) != 0) {
            PyErr_Clear();
            refuse("a memoryview that is not contiguous cannot be sent");
        }
        bytes(buffer.buf, static_cast<std::size_t>(buffer.len));
        PyBuffer_Release(&buffer);
        return;
    }
    if (timestamp(object)) return;
    // Before the plain forms of what is both, an enum of int for example.
    if (pack_hook) {
        const nanobind::object plain = nanobind::steal(PyObject_CallOneArg(pack_hook, object));
        if (!plain.is_valid()) throw nanobind::python_error();
        if (plain.ptr() != object) return value(plain.ptr(), depth + 1);
    }
    if (PyUnicode_Check(object)) return text(object);
    if (PyLong_Check(object)) return integer(object);
    refuse(std::string("a value of type ") + Py_TYPE(object)->tp_name +
           " cannot be sent: make it None, bool, int, float, str, bytes, list, dict, an aware "
           "datetime or a dataclass");
}

}  // namespace

void set_pack_hook(PyObject* hook) {
    Py_INCREF(hook);
    Py_XDECREF(pack_hook);
    pack_hook = hook;
}

void pack(PyObject* value, std::string& out) { Packer(out).value(value, 0); }

}  // namespace peermq::python
