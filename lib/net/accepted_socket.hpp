#pragma once

/// A connection that libzmq accepted, seen through its descriptor: who is it, and how to end it,
/// for which the stable API of libzmq has no call.

#include <cstdint>
#include <string>

namespace peermq::net {

struct AcceptedSocket {
    int fd = -1;
    std::uint64_t inode = 0;  ///< tells the connection from a later one with the same descriptor
    std::string remote;       ///< "tcp://10.0.0.7:41234" or "ipc (pid 17)"; empty when unknown

    /// Looks at `fd`, which libzmq owns and may close at any time.
    [[nodiscard]] static AcceptedSocket look_at(int fd);
    /// Ends the connection if the descriptor still is it; libzmq then sees an ordinary disconnect.
    void end() const noexcept;
};

}  // namespace peermq::net
