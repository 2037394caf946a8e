#pragma once

/// Bodies of objects: msgpack, both ways, straight between Python objects and bytes.
///
/// Packed are None, bool, int (64 bits), float, str, bytes-like, list, tuple, dict, aware datetime
/// (extension -1), and what the hook of set_pack_hook() turns into these. What is unpacked comes
/// from strangers: every length is checked before it is believed, nesting is bounded.

#include <Python.h>

#include <string>
#include <string_view>

namespace peermq::python {

inline constexpr int kNestingMax = 128;

/// Called with an object of another type; returns one that can be packed, or raises.
void set_pack_hook(PyObject* hook);

/// Appends. Throws Error invalid_argument, which names the type at fault, or a Python error.
void pack(PyObject* value, std::string& out);

/// A new reference. Throws Error invalid_argument, which names the offset, or a Python error.
[[nodiscard]] PyObject* unpack(std::string_view bytes);

}  // namespace peermq::python
