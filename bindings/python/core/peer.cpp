#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "convert.hpp"
#include "handles.hpp"
#include "options.hpp"
#include "stats.hpp"

namespace peermq::python {

namespace nb = nanobind;

bool PeerHandle::close(Duration deadline) {
    if (!closing_.valid()) {
        closing_ = std::async(std::launch::async, [peer = share(), deadline] {
                       return peer->close(deadline);
                   }).share();
    }
    // In the destructor of a future that was interrupted, or here, the same end is waited for.
    const std::shared_future<bool> closing = closing_;
    (void)wait(std::nullopt, [&](Duration slice) {
        return closing.wait_for(slice) == std::future_status::ready;
    });
    return closing.get();
}

void add_peer(nb::module_& module) {
    nb::class_<PeerHandle>(module, "Peer")
        .def("__init__",
             [](PeerHandle* self, const nb::dict& given) {
                 PeerOptions options = to_peer_options(given);
                 std::optional<Peer> peer;
                 {
                     const Unlocked unlocked;  // recovery takes its time
                     peer.emplace(std::move(options));
                 }
                 new (self) PeerHandle(std::move(*peer));
             })
        .def("_bind",
             [](PeerHandle& self, const std::string& endpoint) {
                 const Unlocked unlocked;
                 return self->bind(endpoint);
             })
        .def("_connect",
             [](PeerHandle& self, const std::string& endpoint) {
                 const Unlocked unlocked;
                 self->connect(endpoint);
             })
        .def("_close",
             [](PeerHandle& self, nb::object deadline) {
                 return self.close(to_duration(deadline.ptr(), "timeout"));
             })
        .def("_id", [](PeerHandle& self) { return self->id(); })
        .def("_stats", [](PeerHandle& self) { return stats_of(*self); });
}

}  // namespace peermq::python
