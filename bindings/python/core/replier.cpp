#include "peermq/replier.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "convert.hpp"
#include "errors.hpp"
#include "handles.hpp"
#include "options.hpp"
#include "stats.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;
using RequestHandle = Handle<Request>;

RequestHandle* next(ReplierHandle& self, Timeout timeout) {
    std::optional<Request> request;
    (void)wait(timeout, [&](Duration slice) {
        request = self->receive(slice);
        return request || self->stopped();
    });
    return request ? new RequestHandle(std::move(*request)) : nullptr;
}

void add_answers(nb::class_<RequestHandle>& type) {
    type.def(
            "_reply",
            [](RequestHandle& self, nb::object data, const nb::dict& properties) {
                Outgoing outgoing;
                outgoing.take("reply", data.ptr(), properties.ptr());
                const Unlocked unlocked;
                self->reply(outgoing.message);
            },
            nb::arg("data").none(), nb::arg("properties"))
        .def(
            "_reply_part",
            [](RequestHandle& self, nb::object data, const nb::dict& properties) {
                Outgoing outgoing;
                outgoing.take("reply_part", data.ptr(), properties.ptr());
                // Waits for the requester, who may be slow: Ctrl-C ends the waiting.
                const Unlocked unlocked;
                return self->reply_part(outgoing.message);
            },
            nb::arg("data").none(), nb::arg("properties"))
        .def(
            "_progress",
            [](RequestHandle& self, nb::object data) {
                Outgoing outgoing;
                outgoing.take("progress", data.ptr(), nb::dict().ptr());
                const Unlocked unlocked;
                return self->progress(outgoing.message.body);
            },
            nb::arg("data").none())
        .def("_fail", [](RequestHandle& self, const std::string& code, const std::string& text) {
            const Unlocked unlocked;
            self->fail(code, text);
        });
}

void add_request(nb::module_& module) {
    nb::class_<RequestHandle> type(module, "Request");
    type.def_prop_ro("body",
                     [](RequestHandle& self) {
                         const std::string_view body = self->text();
                         const nb::bytes bytes(body.data(), body.size());
                         return nb::steal(PyMemoryView_FromObject(bytes.ptr()));
                     })
        .def_prop_ro("data",
                     [](RequestHandle& self) {
                         return nb::steal(decode(self->body(), self->content_type()));
                     })
        .def_prop_ro("headers",
                     [](RequestHandle& self) { return nb::steal(from_headers(self->headers())); })
        .def_prop_ro("id", [](RequestHandle& self) { return nb::steal(from_text(self->id())); })
        .def_prop_ro(
            "correlation_id",
            [](RequestHandle& self) { return nb::steal(from_text(self->correlation_id())); })
        .def_prop_ro("content_type",
                     [](RequestHandle& self) { return nb::steal(from_text(self->content_type())); })
        .def_prop_ro("service",
                     [](RequestHandle& self) { return nb::steal(from_text(self->service())); })
        .def_prop_ro("redelivered", [](RequestHandle& self) { return self->redelivered(); })
        .def_prop_ro("idempotent", [](RequestHandle& self) { return self->idempotent(); })
        .def_prop_ro("remaining",
                     [](RequestHandle& self) -> nb::object {
                         const auto left = self->remaining();
                         return left ? nb::object(nb::float_(to_seconds(*left))) : nb::none();
                     })
        .def_prop_ro("cancelled", [](RequestHandle& self) { return self->cancelled(); })
        .def_prop_ro("answered", [](RequestHandle& self) { return self->answered(); });
    add_answers(type);
}

}  // namespace

void add_replier(nb::module_& module) {
    add_request(module);
    nb::class_<ReplierHandle>(module, "Replier")
        .def("__init__",
             [](ReplierHandle* self, PeerHandle& peer, const std::string& service,
                const nb::dict& given) {
                 const ReplierOptions options = to_replier_options(given);
                 std::optional<Replier> replier;
                 {
                     const Unlocked unlocked;
                     replier.emplace(peer->replier(service, options));
                 }
                 new (self) ReplierHandle(std::move(*replier));
             })
        .def(
            "_receive",
            [](ReplierHandle& self, nb::object timeout) {
                return next(self, to_timeout(timeout.ptr(), "timeout"));
            },
            nb::rv_policy::take_ownership, nb::arg("timeout").none())
        .def("_stop",
             [](ReplierHandle& self) {
                 const Unlocked unlocked;
                 self->stop();
             })
        .def("_stopped", [](ReplierHandle& self) { return self->stopped(); })
        .def("_set_concurrency",
             [](ReplierHandle& self, std::uint32_t concurrency) {
                 const Unlocked unlocked;
                 self->set_concurrency(concurrency);
             })
        .def("_notify",
             [](ReplierHandle& self, const Notifier& notifier) { self->notify(notifier); })
        .def("_stats", [](ReplierHandle& self) { return stats_of(*self); });
}

}  // namespace peermq::python
