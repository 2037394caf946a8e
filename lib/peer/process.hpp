#pragma once

/// Which process this is, and whether it is still the one that made a peer.

#include "wire/frames.hpp"

namespace peermq::detail {

/// How often this process has forked: a Peer made before is unusable in the child.
[[nodiscard]] unsigned process_generation() noexcept;
/// Throws Error invalid_state in a child of the process in which `made_in` was asked for.
void check_process(unsigned made_in);
/// Where this process runs, for HELLO.
[[nodiscard]] wire::HostInfo host_info();

}  // namespace peermq::detail
