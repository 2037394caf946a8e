#pragma once

/// The reference: libzmq PUSH and PULL over tcp loopback with default settings. One zmq_msg_send or
/// zmq_msg_recv per message, no acks, nothing stored.

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "traffic.hpp"

namespace peermq::bench {

[[nodiscard]] std::unique_ptr<Outlet> make_raw_outlet();

/// Receives until the process is killed; calls `ready` once, when it has connected.
[[noreturn]] void run_raw_worker(const std::string& endpoint, const std::function<void()>& ready,
                                 const std::function<void(std::span<const std::byte>)>& handler);

}  // namespace peermq::bench
