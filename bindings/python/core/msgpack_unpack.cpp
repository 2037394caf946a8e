#include <nanobind/nanobind.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "date_time.hpp"
#include "msgpack.hpp"
#include "peermq/error.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;

class Unpacker {
public:
    explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}
    nb::object value(int depth);
    [[nodiscard]] bool at_end() const noexcept { return at_ == bytes_.size(); }
    [[noreturn]] void refuse(const char* why) const {
        throw Error(ErrorCode::invalid_argument, "the body is no msgpack: " + std::string(why) +
                                                     " at byte " + std::to_string(at_) + " of " +
                                                     std::to_string(bytes_.size()));
    }

private:
    std::string_view take(std::size_t size) {
        if (size > bytes_.size() - at_) refuse("it ends early,");
        const std::string_view taken = bytes_.substr(at_, size);
        at_ += size;
        return taken;
    }
    template <typename Number>
    Number number() {
        Number value;
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        if constexpr (sizeof value == 2) value = __builtin_bswap16(value);
        if constexpr (sizeof value == 4) value = __builtin_bswap32(value);
        if constexpr (sizeof value == 8) value = __builtin_bswap64(value);
        return value;
    }
    /// 1, 2 or 4 bytes, by the low bits of a tag.
    std::size_t length(unsigned width) {
        switch (width) {
            case 0: return number<std::uint8_t>();
            case 1: return number<std::uint16_t>();
            default: return number<std::uint32_t>();
        }
    }
    nb::object tagged(unsigned tag, int depth);
    nb::object made(PyObject* object) const {
        if (!object) throw nb::python_error();
        return nb::steal(object);
    }
    template <typename Number>
    nb::object integer(Number number) const {
        if constexpr (std::is_signed_v<Number>) return made(PyLong_FromLongLong(number));
        return made(PyLong_FromUnsignedLongLong(static_cast<unsigned long long>(number)));
    }
    nb::object text(std::size_t size);
    nb::object bytes(std::size_t size);
    nb::object array(std::size_t count, int depth);
    nb::object map(std::size_t count, int depth);
    nb::object extension(std::size_t size);

    std::string_view bytes_;
    std::size_t at_ = 0;
};

nb::object Unpacker::value(int depth) {
    if (depth > kNestingMax) refuse("nested too deeply,");
    const auto tag = static_cast<unsigned>(number<std::uint8_t>());
    if (tag < 0x80) return integer(tag);
    if (tag < 0x90) return map(tag & 0x0f, depth);
    if (tag < 0xa0) return array(tag & 0x0f, depth);
    if (tag < 0xc0) return text(tag & 0x1f);
    if (tag >= 0xe0) return integer(static_cast<int>(tag) - 0x100);
    return tagged(tag, depth);
}

nb::object Unpacker::tagged(unsigned tag, int depth) {
    switch (tag) {
        case 0xc0: return nb::none();
        case 0xc2: return nb::bool_(false);
        case 0xc3: return nb::bool_(true);
        case 0xc4:
        case 0xc5:
        case 0xc6: return bytes(length(tag - 0xc4));
        case 0xc7:
        case 0xc8:
        case 0xc9: return extension(length(tag - 0xc7));
        case 0xca: return made(PyFloat_FromDouble(std::bit_cast<float>(number<std::uint32_t>())));
        case 0xcb: return made(PyFloat_FromDouble(std::bit_cast<double>(number<std::uint64_t>())));
        case 0xcc: return integer(number<std::uint8_t>());
        case 0xcd: return integer(number<std::uint16_t>());
        case 0xce: return integer(number<std::uint32_t>());
        case 0xcf: return integer(number<std::uint64_t>());
        case 0xd0: return integer(static_cast<std::int8_t>(number<std::uint8_t>()));
        case 0xd1: return integer(static_cast<std::int16_t>(number<std::uint16_t>()));
        case 0xd2: return integer(static_cast<std::int32_t>(number<std::uint32_t>()));
        case 0xd3: return integer(static_cast<std::int64_t>(number<std::uint64_t>()));
        case 0xd4:
        case 0xd5:
        case 0xd6:
        case 0xd7:
        case 0xd8: return extension(std::size_t{1} << (tag - 0xd4));
        case 0xd9:
        case 0xda:
        case 0xdb: return text(length(tag - 0xd9));
        case 0xdc:
        case 0xdd: return array(length(tag - 0xdc + 1), depth);
        case 0xde:
        case 0xdf: return map(length(tag - 0xde + 1), depth);
        default: refuse("a type that does not exist,");
    }
}

nb::object Unpacker::text(std::size_t size) {
    const std::string_view utf8 = take(size);
    PyObject* text = PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(size), nullptr);
    if (!text) {
        PyErr_Clear();
        refuse("text that is no UTF-8, before the end");
    }
    return nb::steal(text);
}

nb::object Unpacker::bytes(std::size_t size) {
    return made(PyBytes_FromStringAndSize(take(size).data(), static_cast<Py_ssize_t>(size)));
}

nb::object Unpacker::array(std::size_t count, int depth) {
    // An element takes a byte at least: what is announced beyond the end is not made room for.
    if (count > bytes_.size() - at_) refuse("an array longer than the rest,");
    nb::object list = made(PyList_New(static_cast<Py_ssize_t>(count)));
    for (std::size_t i = 0; i < count; ++i) {
        PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), value(depth + 1).release().ptr());
    }
    return list;
}

nb::object Unpacker::map(std::size_t count, int depth) {
    if (count > (bytes_.size() - at_) / 2) refuse("a map longer than the rest,");
    nb::object dict = made(PyDict_New());
    for (std::size_t i = 0; i < count; ++i) {
        const nb::object key = value(depth + 1);
        const nb::object item = value(depth + 1);
        if (PyDict_SetItem(dict.ptr(), key.ptr(), item.ptr()) != 0) {
            PyErr_Clear();
            refuse("a list or map as a key of a map, before the end");
        }
    }
    return dict;
}

nb::object Unpacker::extension(std::size_t size) {
    if (number<std::uint8_t>() != 0xff) refuse("an extension type that is not known,");
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
    if (size == 4) {
        seconds = number<std::uint32_t>();
    } else if (size == 8) {
        const std::uint64_t both = number<std::uint64_t>();
        nanoseconds = static_cast<std::uint32_t>(both >> 34);
        seconds = static_cast<std::int64_t>(both & ((std::uint64_t{1} << 34) - 1));
    } else if (size == 12) {
        nanoseconds = number<std::uint32_t>();
        seconds = static_cast<std::int64_t>(number<std::uint64_t>());
    } else {
        refuse("a time stamp of the wrong size,");
    }
    // The years 1 to 9999, which is what a datetime holds.
    if (!load_date_time() || nanoseconds > 999'999'999 || seconds < -62'135'596'800 ||
        seconds > 253'402'300'799) {
        refuse("a time stamp beyond what a datetime holds,");
    }
    const std::int64_t days = seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0);
    const nb::object start = made(PyDateTimeAPI->DateTime_FromDateAndTime(
        1970, 1, 1, 0, 0, 0, 0, PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType));
    const nb::object delta = made(PyDelta_FromDSU(static_cast<int>(days),
                                                  static_cast<int>(seconds - days * 86400),
                                                  static_cast<int>(nanoseconds / 1000)));
    return start + delta;
}

}  // namespace

PyObject* unpack(std::string_view bytes) {
    Unpacker unpacker(bytes);
    nb::object value = unpacker.value(0);
    if (!unpacker.at_end()) unpacker.refuse("something follows,");
    return value.release().ptr();
}

}  // namespace peermq::python
