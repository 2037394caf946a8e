#pragma once

/// Which channel lives on which descriptor of libzmq, from monitor events and the SRCFD of
/// messages. Pure. The kernel reuses descriptors, so events must be fed in before the first message
/// of a channel: libzmq reports the end of a connection before it closes its descriptor.

#include <unordered_map>

#include "net/transport.hpp"

namespace peermq::net {

class FdOwners {
public:
    /// A connection was accepted on `fd`. Returns the channel that lived there and must be gone.
    ChannelId accepted(int fd);
    /// The connection on `fd` ended. Returns its channel, 0 when no frame of it was seen.
    ChannelId disconnected(int fd);
    /// The first frame of `channel` came from `fd`.
    struct Seen {
        ChannelId displaced = 0;  ///< an older channel thought to live there: it must be gone
        bool ended = false;       ///< that connection has ended already
    };
    Seen seen(int fd, ChannelId channel);
    /// The channel that lives on `fd`, 0 when unknown.
    [[nodiscard]] ChannelId owner(int fd) const;

private:
    std::unordered_map<int, ChannelId> open_;  ///< 0: accepted, no frame yet
};

}  // namespace peermq::net
