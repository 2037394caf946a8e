#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "options.hpp"
#include "sender.hpp"
#include "stats.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;

/// Topic, then what Outgoing takes.
struct Publication {
    Publication(const char* function, PyObject* const* arguments, Py_ssize_t count,
                PyObject* keywords) {
        if (count == 0) {
            PyErr_Format(PyExc_TypeError, "%s() takes the topic first, then the data", function);
            throw nb::python_error();
        }
        topic = to_text(arguments[0], held, "topic");
        outgoing.parse(function, arguments + 1, count - 1, keywords);
    }
    Held held;
    std::string_view topic;
    Outgoing outgoing;
};

Receipt post_to(Publisher& publisher, std::string_view topic, const Message& message) {
    return post_message(
        message, [&] { return publisher.try_post(topic, message); },
        [&](Duration slice) { return publisher.post_within(topic, message, slice); });
}

FastCall post, try_post, publish;

PyObject* post(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        const Publication one("post", arguments, count, keywords);
        return box(post_to(sender_of<Publisher>(self), one.topic, one.outgoing.message));
    });
}

PyObject* try_post(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                   PyObject* keywords) {
    return guarded([&]() -> PyObject* {
        const Publication one("try_post", arguments, count, keywords);
        std::optional<Receipt> receipt = sender_of<Publisher>(self).try_post(one.topic,
                                                                             one.outgoing.message);
        if (!receipt) Py_RETURN_NONE;
        return box(std::move(*receipt));
    });
}

PyObject* publish(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                  PyObject* keywords) {
    return guarded([&] {
        const Publication one("publish", arguments, count, keywords);
        const Receipt receipt = post_to(sender_of<Publisher>(self), one.topic,
                                        one.outgoing.message);
        return await_durable(receipt, one.outgoing.message);
    });
}

PyMethodDef methods[] = {
    {"post", as_method(post), METH_FASTCALL | METH_KEYWORDS,
     "Appends a copy under a topic and returns its Receipt without waiting for the disk."},
    {"try_post", as_method(try_post), METH_FASTCALL | METH_KEYWORDS,
     "Like post(), but None where that would wait."},
    {"publish", as_method(publish), METH_FASTCALL | METH_KEYWORDS,
     "Appends a copy under a topic, returns its id once it is durable."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, nullptr}};

}  // namespace

void add_publisher(nb::module_& module) {
    nb::class_<PublisherHandle> type(module, "Publisher", nb::type_slots(slots));
    type.def("__init__",
             [](PublisherHandle* self, PeerHandle& peer, const std::string& name,
                const nb::dict& given) {
                 const PublisherOptions options = to_publisher_options(given);
                 std::optional<Publisher> publisher;
                 {
                     const Unlocked unlocked;
                     publisher.emplace(peer->publisher(name, options));
                 }
                 new (self) PublisherHandle(std::move(*publisher));
             })
        .def(
            "_wait_for_subscribers",
            [](PublisherHandle& self, std::size_t count, nb::object timeout) {
                return wait(to_timeout(timeout.ptr(), "timeout"), [&](Duration slice) {
                    return self->wait_for_subscribers(count, slice);
                });
            },
            nb::arg("count"), nb::arg("timeout").none());
    add_sender_methods(type);
}

}  // namespace peermq::python
