#include "options.hpp"

#include <string>

#include "callbacks.hpp"
#include "convert.hpp"
#include "peermq/error.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
    throw Error(ErrorCode::invalid_argument, name + ": " + why);
}

/// Takes what was given by name into fields of a struct.
class Given {
public:
    explicit Given(const nb::dict& given) : given_(given) {}

    template <typename Take>
    void take(const char* name, Take&& take) const {
        PyObject* value = PyDict_GetItemString(given_.ptr(), name);
        if (value && value != Py_None) take(value);
    }
    void number(const char* name, std::uint64_t& field) const {
        take(name, [&](PyObject* value) { field = to_number(name, value, UINT64_MAX); });
    }
    void number(const char* name, std::uint32_t& field) const {
        take(name, [&](PyObject* value) {
            field = static_cast<std::uint32_t>(to_number(name, value, UINT32_MAX));
        });
    }
    void duration(const char* name, Duration& field) const {
        take(name, [&](PyObject* value) { field = to_duration(value, name); });
    }
    void flag(const char* name, bool& field) const {
        take(name, [&](PyObject* value) {
            if (!PyBool_Check(value)) refuse(name, "True or False is wanted");
            field = value == Py_True;
        });
    }
    void text(const char* name, std::string& field) const {
        take(name, [&](PyObject* value) {
            Held held;
            field = to_text(value, held, name);
        });
    }

private:
    static std::uint64_t to_number(const char* name, PyObject* value, std::uint64_t max) {
        if (!PyLong_Check(value)) refuse(name, "an int is wanted");
        const unsigned long long number = PyLong_AsUnsignedLongLong(value);
        if (PyErr_Occurred() || number > max) {
            PyErr_Clear();
            refuse(name, "an int from 0 to " + std::to_string(max) + " is wanted");
        }
        return number;
    }

    const nb::dict& given_;
};

Durability to_durability(const std::string& name) {
    if (name == "memory") return Durability::memory;
    if (name == "os") return Durability::os;
    if (name == "disk") return Durability::disk;
    refuse("durability", "\"disk\", \"os\" or \"memory\" are possible, not \"" + name + "\"");
}

Overflow to_overflow(const std::string& name) {
    if (name == "block") return Overflow::block;
    if (name == "error") return Overflow::error;
    if (name == "drop_oldest") return Overflow::drop_oldest;
    refuse("overflow",
           "\"block\", \"error\" or \"drop_oldest\" are possible, not \"" + name + "\"");
}

}  // namespace

PeerOptions to_peer_options(const nb::dict& dict) {
    const Given given(dict);
    PeerOptions options;
    given.text("spool", options.spool);
    given.number("spool_bytes_max", options.spool_bytes_max);
    given.number("dead_bytes_max", options.dead_bytes_max);
    given.number("free_bytes_min", options.free_bytes_min);
    given.number("segment_bytes", options.segment_bytes);
    given.number("message_bytes_max", options.message_bytes_max);
    given.flag("insecure", options.insecure);
    given.duration("close_timeout", options.close_timeout);
    given.take("on_event", [&](PyObject* call) { options.on_event = event_callback(call); });
    given.take("log", [&](PyObject* call) { options.log = log_sink(call); });
    return options;
}

PushOptions to_push_options(const nb::dict& dict) {
    const Given given(dict);
    PushOptions options;
    std::string durability;
    std::string overflow;
    given.text("durability", durability);
    given.text("overflow", overflow);
    if (!durability.empty()) options.durability = to_durability(durability);
    if (!overflow.empty()) options.overflow = to_overflow(overflow);
    given.number("memory_bytes_max", options.memory_bytes_max);
    given.number("max_attempts", options.max_attempts);
    given.duration("retry_wait_min", options.retry_wait_min);
    given.duration("retry_wait_max", options.retry_wait_max);
    given.duration("lease", options.lease);
    given.number("max_consumers", options.max_consumers);
    given.flag("ack_required", options.ack_required);
    return options;
}

PullOptions to_pull_options(const nb::dict& dict) {
    const Given given(dict);
    PullOptions options;
    given.number("prefetch", options.prefetch);
    given.number("prefetch_bytes", options.prefetch_bytes);
    given.number("concurrency", options.concurrency);
    given.duration("max_processing", options.max_processing);
    given.flag("single_producer", options.single_producer);
    return options;
}

}  // namespace peermq::python
