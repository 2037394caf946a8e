#pragma once

/// What Push and Publisher have in common: posting with the interpreter's lock while that costs
/// less than giving it back, else without and in slices.

#include <nanobind/nanobind.h>

#include <string>

#include "boxes.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "handles.hpp"
#include "stats.hpp"

namespace peermq::python {

/// Copying less than this takes no longer than giving back the interpreter's lock.
inline constexpr std::size_t kCopiedLockedMax = 16 * 1024;

/// `try_post()` and `post_within(time)` as the object has them. Returns when there was room.
template <typename TryPost, typename PostWithin>
Receipt post_message(const Message& message, TryPost&& try_post, PostWithin&& post_within) {
    if (message.body.size() <= kCopiedLockedMax) {
        if (std::optional<Receipt> receipt = try_post()) return std::move(*receipt);
    }
    std::optional<Receipt> receipt;
    (void)wait(std::nullopt, [&](Duration slice) {
        receipt = post_within(slice);
        return receipt.has_value();
    });
    return std::move(*receipt);
}

/// Waits until it is durable; its id.
inline PyObject* await_durable(const Receipt& receipt, const Message& message) {
    (void)wait(std::nullopt, [&](Duration slice) { return receipt.wait(Until::durable, slice); });
    return message.id.empty() ? from_text(receipt.id()) : from_text(message.id);
}

/// Of an object of type `Handle<Sender>`.
template <typename Sender>
Sender& sender_of(PyObject* object) {
    const nanobind::handle self(object);
    if (!nanobind::inst_ready(self))
        throw Error(ErrorCode::invalid_state, "this object was not made by a Peer");
    return **nanobind::inst_ptr<Handle<Sender>>(self);
}

template <typename Function>
PyCFunction as_method(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

/// Arguments as the type of Py_tp_methods wants them.
using FastCall = PyObject*(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords);

template <typename Sender>
void add_sender_methods(nanobind::class_<Handle<Sender>>& type) {
    namespace nb = nanobind;
    using Object = Handle<Sender>;
    type.def(
            "_flush",
            [](Object& self, nb::object timeout, bool acked) {
                return wait(to_timeout(timeout.ptr(), "timeout"), [&](Duration slice) {
                    return self->flush(acked ? Until::acked : Until::durable, slice);
                });
            },
            nb::arg("timeout").none(), nb::arg("acked"))
        .def("_notify", [](Object& self, const Notifier& notifier) { self->notify(notifier); })
        .def("_stats", [](Object& self) { return stats_of(*self); });
}

}  // namespace peermq::python
