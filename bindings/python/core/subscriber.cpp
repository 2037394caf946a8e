#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "options.hpp"
#include "receiver.hpp"

namespace peermq::python {
namespace {

namespace nb = nanobind;

nb::tuple to_tuple(const Confirmation& confirmation) {
    nb::list refusals;
    for (const std::string& one : confirmation.refusals) refusals.append(nb::str(one.c_str()));
    return nb::make_tuple(confirmation.complete, confirmation.publishers, refusals);
}

}  // namespace

void add_subscriber(nb::module_& module) {
    using Type = ReceiverType<Subscriber>;
    nb::class_<SubscriberHandle> type(module, "Subscriber", nb::type_slots(Type::slots()));
    type.def("__init__",
             [](SubscriberHandle* self, PeerHandle& peer, const std::string& pattern,
                const nb::dict& given) {
                 const SubscriberOptions options = to_subscriber_options(given);
                 // Waits for confirmations of other peers, which Ctrl-C need not wait for.
                 auto made = interruptible([peer = peer.share(), pattern, options] {
                     return std::make_shared<Subscriber>(peer->subscriber(pattern, options));
                 });
                 new (self) SubscriberHandle(std::move(*made));
             })
        .def("_subscribe",
             [](SubscriberHandle& self, const std::string& pattern) {
                 return to_tuple(interruptible(
                     [it = self.share(), pattern] { return it->subscribe(pattern); }));
             })
        .def("_unsubscribe",
             [](SubscriberHandle& self, const std::string& pattern) {
                 return to_tuple(interruptible(
                     [it = self.share(), pattern] { return it->unsubscribe(pattern); }));
             })
        .def("_patterns",
             [](SubscriberHandle& self) {
                 nb::list patterns;
                 for (const std::string& one : self->patterns())
                     patterns.append(nb::str(one.c_str()));
                 return patterns;
             })
        .def("_publishers", [](SubscriberHandle& self) { return self->publishers(); })
        .def(
            "_wait_for_publishers",
            [](SubscriberHandle& self, std::size_t count, nb::object timeout) {
                return wait(to_timeout(timeout.ptr(), "timeout"), [&](Duration slice) {
                    return self->wait_for_publishers(count, slice);
                });
            },
            nb::arg("count"), nb::arg("timeout").none())
        .def("_missed", [](SubscriberHandle& self) { return self->missed(); });
    Type::add_methods(type);
}

}  // namespace peermq::python
