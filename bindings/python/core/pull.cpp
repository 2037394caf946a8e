#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "options.hpp"
#include "receiver.hpp"

namespace peermq::python {

namespace nb = nanobind;

void add_pull(nb::module_& module) {
    using Type = ReceiverType<Pull>;
    nb::class_<PullHandle> type(module, "Pull", nb::type_slots(Type::slots()));
    type.def("__init__", [](PullHandle* self, PeerHandle& peer, const std::string& queue,
                            const nb::dict& given) {
        const PullOptions options = to_pull_options(given);
        std::optional<Pull> pull;
        {
            const Unlocked unlocked;
            pull.emplace(peer->pull(queue, options));
        }
        new (self) PullHandle(std::move(*pull));
    });
    Type::add_methods(type);
}

}  // namespace peermq::python
