#include "net/fd_owners.hpp"

#include <utility>

namespace peermq::net {

ChannelId FdOwners::accepted(int fd) { return std::exchange(open_[fd], 0); }

ChannelId FdOwners::disconnected(int fd) {
    const auto found = open_.find(fd);
    if (found == open_.end()) return 0;
    const ChannelId channel = found->second;
    open_.erase(found);
    return channel;
}

FdOwners::Seen FdOwners::seen(int fd, ChannelId channel) {
    const auto found = open_.find(fd);
    if (found == open_.end()) return {0, true};
    const ChannelId before = std::exchange(found->second, channel);
    return {before == channel ? 0 : before, false};
}

ChannelId FdOwners::owner(int fd) const {
    const auto found = open_.find(fd);
    return found == open_.end() ? 0 : found->second;
}

}  // namespace peermq::net
