#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "boxes.hpp"
#include "callbacks.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "handles.hpp"
#include "options.hpp"
#include "stats.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;

Pull& of(PyObject* object) {
    const nb::handle self(object);
    if (!nb::inst_ready(self))
        throw Error(ErrorCode::invalid_state, "this Pull was not made by Peer.pull()");
    return **nb::inst_ptr<PullHandle>(self);
}

/// A Delivery; null without an error when nothing came.
PyObject* next(Pull& pull, Timeout timeout) {
    DeliveryObject* object = new_delivery();
    if (!object) return nullptr;
    nb::object owner = nb::steal(reinterpret_cast<PyObject*>(object));
    // What has arrived costs less than giving back the interpreter's lock.
    bool received = pull.receive_into(object->delivery, Duration::zero());
    if (!received && !(timeout && *timeout <= Duration::zero())) {
        trim_deliveries();
        (void)wait(timeout, [&](Duration slice) {
            received = pull.receive_into(object->delivery, slice);
            return received || pull.stopped();
        });
    }
    return received ? owner.release().ptr() : nullptr;
}

PyObject* receive(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
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

PyObject* iterate(PyObject* self) {
    Py_INCREF(self);
    return self;
}

PyObject* iterate_next(PyObject* self) {
    return guarded([&] { return next(of(self), std::nullopt); });
}

PyMethodDef methods[] = {
    {"receive", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(receive)),
     METH_FASTCALL | METH_KEYWORDS,
     "receive(timeout=None): the next message; None when `timeout` passes, or after stop()."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_methods, methods},
                       {Py_tp_iter, reinterpret_cast<void*>(iterate)},
                       {Py_tp_iternext, reinterpret_cast<void*>(iterate_next)},
                       {0, nullptr}};

}  // namespace

void add_pull(nb::module_& module) {
    nb::class_<PullHandle>(module, "Pull", nb::type_slots(slots))
        .def("__init__",
             [](PullHandle* self, PeerHandle& peer, const std::string& queue,
                const nb::dict& given) {
                 const PullOptions options = to_pull_options(given);
                 std::optional<Pull> pull;
                 {
                     const Unlocked unlocked;
                     pull.emplace(peer->pull(queue, options));
                 }
                 new (self) PullHandle(std::move(*pull));
             })
        .def("_stop",
             [](PullHandle& self) {
                 const Unlocked unlocked;
                 self->stop();
             })
        .def("_stopped", [](PullHandle& self) { return self->stopped(); })
        .def("_set_concurrency",
             [](PullHandle& self, std::uint32_t concurrency) {
                 const Unlocked unlocked;
                 self->set_concurrency(concurrency);
             })
        .def("_notify", [](PullHandle& self, const Notifier& notifier) { self->notify(notifier); })
        .def(
            "_on_refused",
            [](PullHandle& self, nb::object call) {
                if (call.is_none()) {
                    self->on_refused({});
                } else {
                    self->on_refused(id_callback(call.ptr()));
                }
            },
            nb::arg("callback").none())
        .def("_stats", [](PullHandle& self) {
            PullStats stats;
            {
                const Unlocked unlocked;
                stats = self->stats();
            }
            return to_dict(stats);
        });
}

}  // namespace peermq::python
