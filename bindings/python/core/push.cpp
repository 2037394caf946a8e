#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "boxes.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "handles.hpp"
#include "options.hpp"
#include "stats.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;

/// Copying less than this takes no longer than giving back the interpreter's lock.
constexpr std::size_t kCopiedLockedMax = 16 * 1024;

Push& of(PyObject* object) {
    const nb::handle self(object);
    if (!nb::inst_ready(self))
        throw Error(ErrorCode::invalid_state, "this Push was not made by Peer.push()");
    return **nb::inst_ptr<PushHandle>(self);
}

Receipt post_message(Push& push, const Message& message) {
    if (message.body.size() <= kCopiedLockedMax) {
        if (std::optional<Receipt> receipt = push.try_post(message)) return std::move(*receipt);
    }
    std::optional<Receipt> receipt;
    (void)wait(std::nullopt, [&](Duration slice) {
        receipt = push.post_within(message, slice);
        return receipt.has_value();
    });
    return std::move(*receipt);
}

PyObject* post(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        Outgoing outgoing;
        outgoing.parse("post", arguments, count, keywords);
        return box(post_message(of(self), outgoing.message));
    });
}

PyObject* try_post(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                   PyObject* keywords) {
    return guarded([&]() -> PyObject* {
        Outgoing outgoing;
        outgoing.parse("try_post", arguments, count, keywords);
        std::optional<Receipt> receipt = of(self).try_post(outgoing.message);
        if (!receipt) Py_RETURN_NONE;
        return box(std::move(*receipt));
    });
}

PyObject* send(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        Outgoing outgoing;
        outgoing.parse("send", arguments, count, keywords);
        const Receipt receipt = post_message(of(self), outgoing.message);
        (void)wait(std::nullopt,
                   [&](Duration slice) { return receipt.wait(Until::durable, slice); });
        const std::string_view given = outgoing.message.id;
        return given.empty() ? from_text(receipt.id()) : from_text(given);
    });
}

template <typename Function>
PyCFunction as_method(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
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
    nb::class_<PushHandle>(module, "Push", nb::type_slots(slots))
        .def("__init__",
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
        .def(
            "_flush",
            [](PushHandle& self, nb::object timeout, bool acked) {
                return wait(to_timeout(timeout.ptr(), "timeout"), [&](Duration slice) {
                    return self->flush(acked ? Until::acked : Until::durable, slice);
                });
            },
            nb::arg("timeout").none(), nb::arg("acked"))
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
        .def("_resume",
             [](PushHandle& self) {
                 const Unlocked unlocked;
                 self->resume();
             })
        .def("_notify", [](PushHandle& self, const Notifier& notifier) { self->notify(notifier); })
        .def("_stats", [](PushHandle& self) {
            PushStats stats;
            {
                const Unlocked unlocked;
                stats = self->stats();
            }
            return to_dict(stats);
        });
}

}  // namespace peermq::python
