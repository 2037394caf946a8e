#pragma once

/// What Pull and Subscriber have in common as Python types: receiving one by one, iterating, and
/// what the Python side builds on.

#include <nanobind/nanobind.h>

#include <string>

#include "boxes.hpp"
#include "callbacks.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "handles.hpp"
#include "stats.hpp"

namespace peermq::python {

template <typename Receiver>
class ReceiverType {
public:
    using Object = Handle<Receiver>;

    /// For nanobind::type_slots.
    static PyType_Slot* slots() {
        static PyMethodDef methods[] = {
            {"receive", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(receive)),
             METH_FASTCALL | METH_KEYWORDS,
             "receive(timeout=None): the next message; None when `timeout` passes, or after "
             "stop()."},
            {nullptr, nullptr, 0, nullptr}};
        static PyType_Slot all[] = {{Py_tp_methods, methods},
                                    {Py_tp_iter, reinterpret_cast<void*>(iterate)},
                                    {Py_tp_iternext, reinterpret_cast<void*>(iterate_next)},
                                    {0, nullptr}};
        return all;
    }

    static void add_methods(nanobind::class_<Object>& type) {
        namespace nb = nanobind;
        type.def("_stop",
                 [](Object& self) {
                     const Unlocked unlocked;
                     self->stop();
                 })
            .def("_stopped", [](Object& self) { return self->stopped(); })
            .def("_set_concurrency",
                 [](Object& self, std::uint32_t concurrency) {
                     const Unlocked unlocked;
                     self->set_concurrency(concurrency);
                 })
            .def("_notify", [](Object& self, const Notifier& notifier) { self->notify(notifier); })
            .def(
                "_on_refused",
                [](Object& self, nb::object call) {
                    if (call.is_none()) {
                        self->on_refused({});
                    } else {
                        self->on_refused(id_callback(call.ptr()));
                    }
                },
                nb::arg("callback").none())
            .def("_stats", [](Object& self) { return stats_of(*self); });
    }

private:
    static Receiver& of(PyObject* object) {
        const nanobind::handle self(object);
        if (!nanobind::inst_ready(self))
            throw Error(ErrorCode::invalid_state, "this object was not made by a Peer");
        return **nanobind::inst_ptr<Object>(self);
    }

    /// A Delivery; null without an error when nothing came.
    static PyObject* next(Receiver& receiver, Timeout timeout) {
        DeliveryObject* object = new_delivery();
        if (!object) return nullptr;
        nanobind::object owner = nanobind::steal(reinterpret_cast<PyObject*>(object));
        // What has arrived costs less than giving back the interpreter's lock.
        bool received = receiver.receive_into(object->delivery, Duration::zero());
        if (!received && !(timeout && *timeout <= Duration::zero())) {
            trim_deliveries();
            (void)wait(timeout, [&](Duration slice) {
                received = receiver.receive_into(object->delivery, slice);
                return received || receiver.stopped();
            });
        }
        return received ? owner.release().ptr() : nullptr;
    }

    static PyObject* receive(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                             PyObject* keywords) {
        return guarded([&]() -> PyObject* {
            const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
            const bool fits = count + named <= 1 &&
                              (named == 0 || PyUnicode_CompareWithASCIIString(
                                                 PyTuple_GET_ITEM(keywords, 0), "timeout") == 0);
            if (!fits) {
                PyErr_SetString(PyExc_TypeError, "receive() takes one argument, timeout");
                return nullptr;
            }
            const Timeout timeout = count + named == 1 ? to_timeout(arguments[0], "timeout")
                                                       : std::nullopt;
            if (PyObject* delivery = next(of(self), timeout)) return delivery;
            if (PyErr_Occurred()) return nullptr;
            Py_RETURN_NONE;
        });
    }

    static PyObject* iterate(PyObject* self) {
        Py_INCREF(self);
        return self;
    }

    static PyObject* iterate_next(PyObject* self) {
        return guarded([&] { return next(of(self), std::nullopt); });
    }
};

}  // namespace peermq::python
