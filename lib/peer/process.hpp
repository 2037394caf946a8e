#pragma once

#include <atomic>

/// Which process this is, and whether it is still the one that made a peer.

#include "wire/frames.hpp"

namespace peermq::detail {

/// How often this process has forked: a Peer made before is unusable in the child.
[[nodiscard]] unsigned process_generation() noexcept;
/// The same once process_generation() has been called: one load, for what is done per message.
inline std::atomic<unsigned> known_generation{0};
[[noreturn]] void refuse_forked_child();
/// Throws Error invalid_state in a child of the process in which `made_in` was asked for.
inline void check_process(unsigned made_in) {
    if (known_generation.load(std::memory_order_relaxed) != made_in) refuse_forked_child();
}
/// Where this process runs, for HELLO.
[[nodiscard]] wire::HostInfo host_info();

}  // namespace peermq::detail
