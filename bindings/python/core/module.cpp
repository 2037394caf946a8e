/// _core: what the typed Python package peermq stands on. Names with an underscore are for it
/// alone.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <exception>
#include <string>

#include "boxes.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "handles.hpp"
#include "msgpack.hpp"
#include "peermq/notifier.hpp"
#include "peermq/version.hpp"

namespace nb = nanobind;

NB_MODULE(_core, module) {
    using namespace peermq;
    using namespace peermq::python;

    // What lives to the end of the program is no leak, and a library does not print.
    nb::set_leak_warnings(false);
    nb::register_exception_translator([](const std::exception_ptr& failure, void*) {
        try {
            std::rethrow_exception(failure);
        } catch (const Error& error) {
            raise(error);
        }
    });
    if (!add_delivery_type(module.ptr()) || !add_receipt_type(module.ptr()) ||
        !add_settlement_type(module.ptr())) {
        throw nb::python_error();
    }
    add_peer(module);
    add_push(module);
    add_pull(module);
    add_publisher(module);
    add_subscriber(module);
    add_requester(module);
    add_replier(module);
    nb::class_<Notifier>(module, "Notifier")
        .def(nb::init<>())
        .def("fileno", &Notifier::fd)
        .def("reset", &Notifier::reset)
        .def("notify", &Notifier::notify);

    module.def(
        "pack",
        [](nb::handle value) {
            std::string packed;
            pack(value.ptr(), packed);
            return nb::bytes(packed.data(), packed.size());
        },
        nb::arg("value").none());
    module.def("unpack", [](nb::bytes bytes) {
        return nb::steal(unpack({bytes.c_str(), bytes.size()}));
    });
    module.def("_set_error_maker", [](nb::handle maker) { set_error_maker(maker.ptr()); });
    module.def("_set_pack_hook", [](nb::handle hook) { set_pack_hook(hook.ptr()); });
    module.def("_begin_leaving", &begin_leaving);
    module.def("_leave_interpreter", &leave_interpreter);
    module.def("_after_fork_in_child", &after_fork_in_child);
    module.def("_library_version", [] { return std::string(library_version()); });
}
