#include <zmq.h>

#include "peermq/version.hpp"

namespace peermq {

std::string transport_version() {
    int major = 0;
    int minor = 0;
    int patch = 0;
    zmq_version(&major, &minor, &patch);
    return "libzmq " + std::to_string(major) + "." + std::to_string(minor) + "." +
           std::to_string(patch);
}

bool transport_has(const std::string& capability) noexcept {
    return zmq_has(capability.c_str()) != 0;
}

}  // namespace peermq
