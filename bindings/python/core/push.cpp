#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "options.hpp"
#include "sender.hpp"
#include "stats.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;

Receipt post_to(Push& push, const Message& message) {
    return post_message(
        message, [&] { return push.try_post(message); },
        [&](Duration slice) { return push.post_within(message, slice); });
}

FastCall post, try_post, send;

PyObject* post(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        Outgoing outgoing;
        outgoing.parse("post", arguments, count, keywords);
        return box(post_to(sender_of<Push>(self), outgoing.message));
    });
}

PyObject* try_post(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                   PyObject* keywords) {
    return guarded([&]() -> PyObject* {
        Outgoing outgoing;
        outgoing.parse("try_post", arguments, count, keywords);
        std::optional<Receipt> receipt = sender_of<Push>(self).try_post(outgoing.message);
        if (!receipt) Py_RETURN_NONE;
        return box(std::move(*receipt));
    });
}

PyObject* send(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        Outgoing outgoing;
        outgoing.parse("send", arguments, count, keywords);
        const Receipt receipt = post_to(sender_of<Push>(self), outgoing.message);
        return await_durable(receipt, outgoing.message);
    });
}

PyMethodDef methods[] = {{"post", as_method(post), METH_FASTCALL | METH_KEYWORDS,
                          "Appends a copy and returns its Receipt without waiting for the disk."},
                         {"try_post", as_method(try_post), METH_FASTCALL | METH_KEYWORDS,
                          "Like post(), but None when there is no room now."},
                         {"send", as_method(send), METH_FASTCALL | METH_KEYWORDS,
                          "Appends a copy, returns its id once it is durable."},
                         {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, nullptr}};

}  // namespace

void add_push(nb::module_& module) {
    nb::class_<PushHandle> type(module, "Push", nb::type_slots(slots));
    type.def("__init__",
             [](PushHandle* self, PeerHandle& peer, const std::string& queue,
                const nb::dict& given) {
                 const PushOptions options = to_push_options(given);
                 std::optional<Push> push;
                 {
                     const Unlocked unlocked;  // a new queue is written to the spool
                     push.emplace(peer->push(queue, options));
                 }
                 new (self) PushHandle(std::move(*push));
             })
        .def("_purge",
             [](PushHandle& self) {
                 const Unlocked unlocked;
                 return self->purge();
             })
        .def("_pause",
             [](PushHandle& self) {
                 const Unlocked unlocked;
                 self->pause();
             })
        .def("_resume", [](PushHandle& self) {
            const Unlocked unlocked;
            self->resume();
        });
    add_sender_methods(type);
}

}  // namespace peermq::python
