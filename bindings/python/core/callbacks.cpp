#include "callbacks.hpp"

#include <memory>
#include <stdexcept>

#include "convert.hpp"
#include "gil.hpp"

namespace peermq::python {
namespace {

using Shared = std::shared_ptr<PyObject>;

Shared share(PyObject* call) {
    Py_INCREF(call);
    return Shared(call, [](PyObject* object) {
        // While the interpreter ends, what nobody can let go of is left.
        if (const Locked locked; locked) Py_DECREF(object);
    });
}

/// Steals `arguments`. What the function raises is shown where Python shows what it cannot raise,
/// and counted by the peer.
void call(const Shared& function, PyObject* arguments) {
    PyObject* result = arguments ? PyObject_CallObject(function.get(), arguments) : nullptr;
    Py_XDECREF(arguments);
    if (result) {
        Py_DECREF(result);
        return;
    }
    PyErr_WriteUnraisable(function.get());
    throw std::runtime_error("a callback raised an exception");
}

const char* name_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: break;
    }
    return "error";
}

}  // namespace

EventCallback event_callback(PyObject* function) {
    return [shared = share(function)](const Event& event) {
        const Locked locked;
        if (!locked) return;
        call(shared,
             Py_BuildValue("(NNNKN)", from_text(to_string(event.kind)), from_text(event.peer),
                           from_text(event.queue), static_cast<unsigned long long>(event.count),
                           from_text(event.text)));
    };
}

LogSink log_sink(PyObject* function) {
    return [shared = share(function)](LogLevel level, std::string_view line) {
        const Locked locked;
        if (locked) call(shared, Py_BuildValue("(sN)", name_of(level), from_text(line)));
    };
}

std::function<void(const std::string&)> id_callback(PyObject* function) {
    return [shared = share(function)](const std::string& id) {
        const Locked locked;
        if (locked) call(shared, Py_BuildValue("(N)", from_text(id)));
    };
}

}  // namespace peermq::python
