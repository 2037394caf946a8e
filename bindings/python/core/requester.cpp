#include "peermq/requester.hpp"

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
using PendingHandle = Handle<PendingReply>;

RequestOptions to_request_options(nb::handle timeout, bool idempotent) {
    RequestOptions options;
    options.idempotent = idempotent;
    if (!timeout.is_none()) options.timeout = to_duration(timeout.ptr(), "timeout");
    return options;
}

/// Waits as long as `done` wants, then takes what there is.
nb::object next_part(PendingReply& pending, Timeout timeout) {
    std::optional<Reply> part;
    (void)wait(timeout, [&](Duration slice) {
        part = pending.next(slice);
        return part || pending.done();
    });
    // The last part may have come between the two questions; after it there is none.
    if (!part && pending.done()) part = pending.next(Duration::zero());
    return part ? nb::cast(std::move(*part)) : nb::none();
}

void add_reply(nb::module_& module) {
    nb::class_<Reply>(module, "Reply")
        .def_prop_ro("body",
                     [](const Reply& self) {
                         const std::string_view body = self.text();
                         const nb::bytes bytes(body.data(), body.size());
                         return nb::steal(PyMemoryView_FromObject(bytes.ptr()));
                     })
        .def_prop_ro(
            "data",
            [](const Reply& self) { return nb::steal(decode(self.body(), self.content_type())); })
        .def_prop_ro("headers",
                     [](const Reply& self) { return nb::steal(from_headers(self.headers())); })
        .def_prop_ro("content_type",
                     [](const Reply& self) { return nb::steal(from_text(self.content_type())); })
        .def_prop_ro("correlation_id",
                     [](const Reply& self) { return nb::steal(from_text(self.correlation_id())); })
        .def_prop_ro("part", &Reply::part)
        .def_prop_ro("is_last", &Reply::is_last)
        .def_prop_ro("is_progress", &Reply::is_progress);
}

void add_pending_reply(nb::module_& module) {
    nb::class_<PendingHandle>(module, "PendingReply")
        .def(
            "_wait",
            [](PendingHandle& self, nb::object timeout) {
                return wait(to_timeout(timeout.ptr(), "timeout"),
                            [&](Duration slice) { return self->wait(slice); });
            },
            nb::arg("timeout").none())
        .def("_get",
             [](PendingHandle& self) {
                 (void)wait(std::nullopt, [&](Duration slice) { return self->wait(slice); });
                 return self->get();
             })
        .def(
            "_next",
            [](PendingHandle& self, nb::object timeout) {
                return next_part(*self, to_timeout(timeout.ptr(), "timeout"));
            },
            nb::arg("timeout").none())
        .def("_cancel",
             [](PendingHandle& self) {
                 const Unlocked unlocked;
                 return self->cancel();
             })
        .def_prop_ro("done", [](PendingHandle& self) { return self->done(); })
        .def_prop_ro("correlation_id", [](PendingHandle& self) {
            return nb::steal(from_text(self->correlation_id()));
        });
}

/// Which of a list of pending replies are done: an event loop asks often, about thousands.
nb::list done_indices(const nb::list& all) {
    nb::list done;
    std::size_t index = 0;
    for (const nb::handle one : all) {
        if ((*nb::inst_ptr<PendingHandle>(one))->done()) done.append(index);
        ++index;
    }
    return done;
}

}  // namespace

void add_requester(nb::module_& module) {
    module.def("_done_indices", &done_indices);
    add_reply(module);
    add_pending_reply(module);
    nb::class_<RequesterHandle>(module, "Requester")
        .def("__init__",
             [](RequesterHandle* self, PeerHandle& peer, const std::string& service,
                const nb::dict& given) {
                 const RequesterOptions options = to_requester_options(given);
                 std::optional<Requester> requester;
                 {
                     const Unlocked unlocked;
                     requester.emplace(peer->requester(service, options));
                 }
                 new (self) RequesterHandle(std::move(*requester));
             })
        .def(
            "_request",
            [](RequesterHandle& self, nb::object data, const nb::dict& properties,
               nb::object timeout, bool idempotent) {
                Outgoing outgoing;
                outgoing.take("request", data.ptr(), properties.ptr());
                const RequestOptions options = to_request_options(timeout, idempotent);
                std::optional<PendingReply> pending;
                {
                    const Unlocked unlocked;
                    pending.emplace(self->request(outgoing.message, options));
                }
                return std::make_unique<PendingHandle>(std::move(*pending)).release();
            },
            nb::rv_policy::take_ownership, nb::arg("data").none(), nb::arg("properties"),
            nb::arg("timeout").none(), nb::arg("idempotent"))
        .def(
            "_receive",
            [](RequesterHandle& self, nb::object timeout) {
                std::optional<PendingReply> pending;
                (void)wait(to_timeout(timeout.ptr(), "timeout"), [&](Duration slice) {
                    pending = self->receive(slice);
                    return pending.has_value();
                });
                return pending ? new PendingHandle(std::move(*pending)) : nullptr;
            },
            nb::rv_policy::take_ownership, nb::arg("timeout").none())
        .def("_unanswered",
             [](RequesterHandle& self) {
                 nb::list ids;
                 for (const std::string& one : self->unanswered())
                     ids.append(nb::steal(from_text(one)));
                 return ids;
             })
        .def("_notify",
             [](RequesterHandle& self, const Notifier& notifier) { self->notify(notifier); })
        .def("_stats", [](RequesterHandle& self) { return stats_of(*self); });
}

}  // namespace peermq::python
