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

template <typename Options>
void take_storage(const Given& given, Options& options) {
    std::string durability;
    std::string overflow;
    given.text("durability", durability);
    given.text("overflow", overflow);
    if (!durability.empty()) options.durability = to_durability(durability);
    if (!overflow.empty()) options.overflow = to_overflow(overflow);
}

Match to_match(const std::string& name) {
    if (name == "all") return Match::all;
    if (name == "any") return Match::any;
    refuse("match", "\"all\" or \"any\" are possible, not \"" + name + "\"");
}

SlowPolicy to_slow_policy(const std::string& name) {
    if (name == "drop_oldest") return SlowPolicy::drop_oldest;
    if (name == "drop_newest") return SlowPolicy::drop_newest;
    if (name == "block") return SlowPolicy::block;
    if (name == "disconnect") return SlowPolicy::disconnect;
    refuse("slow",
           "\"drop_oldest\", \"drop_newest\", \"block\" or \"disconnect\" are possible, not \"" +
               name + "\"");
}

/// "now", "start", a sequence number, or seconds since 1970 as a float.
From to_from(PyObject* value) {
    if (PyFloat_Check(value)) {
        return From::time(
            Timestamp(nanoseconds(static_cast<std::int64_t>(PyFloat_AS_DOUBLE(value) * 1e9))));
    }
    if (PyLong_Check(value)) {
        const unsigned long long number = PyLong_AsUnsignedLongLong(value);
        if (!PyErr_Occurred()) return From::sequence(number);
        PyErr_Clear();
    } else {
        Held held;
        const std::string_view name = to_text(value, held, "from_");
        if (name == "now") return From::now();
        if (name == "start") return From::start();
    }
    refuse("from_", "\"now\", \"start\", a sequence number or an aware datetime are possible");
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
    take_storage(given, options);
    given.number("memory_bytes_max", options.memory_bytes_max);
    given.number("max_attempts", options.max_attempts);
    given.duration("retry_wait_min", options.retry_wait_min);
    given.duration("retry_wait_max", options.retry_wait_max);
    given.duration("lease", options.lease);
    given.number("max_consumers", options.max_consumers);
    given.flag("ack_required", options.ack_required);
    return options;
}

PublisherOptions to_publisher_options(const nb::dict& dict) {
    const Given given(dict);
    PublisherOptions options;
    take_storage(given, options);
    given.number("memory_bytes_max", options.memory_bytes_max);
    return options;
}

SubscriberOptions to_subscriber_options(const nb::dict& dict) {
    const Given given(dict);
    SubscriberOptions options;
    std::string match;
    std::string slow;
    given.text("name", options.name);
    given.text("match", match);
    given.text("slow", slow);
    if (!match.empty()) options.match = to_match(match);
    if (!slow.empty()) options.slow = to_slow_policy(slow);
    given.take("headers", [&](PyObject* value) {
        Outgoing pairs;
        pairs.set_headers(value);
        for (const auto& [name, wanted] : pairs.message.headers)
            options.headers.emplace_back(name, wanted);
    });
    given.number("buffer", options.buffer);
    given.take("from_", [&](PyObject* value) { options.from = to_from(value); });
    std::uint64_t last = 0;
    given.number("last", last);
    if (last > 0) options.from = From::last(last);
    given.number("prefetch", options.prefetch);
    given.number("prefetch_bytes", options.prefetch_bytes);
    given.number("concurrency", options.concurrency);
    given.duration("max_processing", options.max_processing);
    given.duration("confirm_timeout", options.confirm_timeout);
    return options;
}

RequesterOptions to_requester_options(const nb::dict& dict) {
    const Given given(dict);
    RequesterOptions options;
    std::string durability;
    given.text("durability", durability);
    if (!durability.empty()) options.durability = to_durability(durability);
    given.duration("timeout", options.timeout);
    given.number("in_flight_max", options.in_flight_max);
    given.number("memory_bytes_max", options.memory_bytes_max);
    given.number("retry_percent", options.retry_percent);
    given.number("retry_burst", options.retry_burst);
    given.number("breaker_failures", options.breaker_failures);
    given.number("breaker_window", options.breaker_window);
    given.duration("breaker_wait", options.breaker_wait);
    return options;
}

ReplierOptions to_replier_options(const nb::dict& dict) {
    const Given given(dict);
    ReplierOptions options;
    given.number("prefetch", options.prefetch);
    given.number("concurrency", options.concurrency);
    given.duration("max_processing", options.max_processing);
    given.number("cache_count_max", options.cache_count_max);
    given.number("cache_bytes_max", options.cache_bytes_max);
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
