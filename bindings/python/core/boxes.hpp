#pragma once

/// Delivery, Receipt and Settlement as Python objects.
///
/// One of each comes with every message, so these types are plain CPython ones, without the table
/// of instances that nanobind keeps, and their memory is used again. Everything here is called with
/// the interpreter's lock held.

#include <Python.h>

#include <optional>

#include "peermq/delivery.hpp"
#include "peermq/pull.hpp"
#include "peermq/receipt.hpp"

namespace peermq::python {

/// Makes the types and adds them to the module. False with a Python error set.
[[nodiscard]] bool add_delivery_type(PyObject* module);
[[nodiscard]] bool add_receipt_type(PyObject* module);
[[nodiscard]] bool add_settlement_type(PyObject* module);

/// New references; null with an error set.
[[nodiscard]] PyObject* box(Receipt&& receipt) noexcept;
[[nodiscard]] PyObject* box(Settlement&& settlement) noexcept;

struct DeliveryObject {
    PyObject_HEAD std::optional<Delivery> delivery;  ///< empty only between two lives
    PyObject* data;                                  ///< what was decoded, once somebody has asked
};

/// An object whose `delivery` is to be filled, or null with an error set. Let go of by Py_DECREF,
/// also when nothing came.
[[nodiscard]] DeliveryObject* new_delivery() noexcept;
/// Lets go of the batches that unused objects pin; called when a queue has run dry.
void trim_deliveries() noexcept;

}  // namespace peermq::python
