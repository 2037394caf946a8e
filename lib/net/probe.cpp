#include "net/probe.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace peermq::net {

Probe Probe::tcp(const std::string& host, std::uint16_t port) {
    Probe probe;
    sockaddr_in v4{};
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        probe.start(AF_INET, &v4, sizeof v4);
        return probe;
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    const std::size_t zone = host.find('%');
    if (inet_pton(AF_INET6, host.substr(0, zone).c_str(), &v6.sin6_addr) != 1) {
        probe.decide(EADDRNOTAVAIL);
        return probe;
    }
    if (zone != std::string::npos) v6.sin6_scope_id = if_nametoindex(host.c_str() + zone + 1);
    probe.start(AF_INET6, &v6, sizeof v6);
    return probe;
}

Probe Probe::ipc(const std::string& path) {
    Probe probe;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        probe.decide(ENAMETOOLONG);
        return probe;
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    // The kernel's form of an abstract name: a leading zero, and no zero at its end.
    const bool abstract = path.front() == '@';
    if (abstract) address.sun_path[0] = '\0';
    const std::size_t bytes = offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1);
    probe.start(AF_UNIX, &address, static_cast<unsigned>(bytes));
    return probe;
}

void Probe::start(int family, const void* address, unsigned bytes) {
    socket_ = Descriptor(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_) {
        decide(errno);
        return;
    }
    const int rc = ::connect(socket_.get(), static_cast<const sockaddr*>(address), bytes);
    decide(rc == 0 ? 0 : errno);
}

const ProbeResult& Probe::result() {
    if (result_.kind != ProbeResult::Kind::pending) return result_;
    pollfd state{socket_.get(), POLLOUT, 0};
    if (::poll(&state, 1, 0) <= 0) return result_;
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    decide(error);
    return result_;
}

void Probe::decide(int error) {
    switch (error) {
        case 0:
        case EAGAIN:  // a local listener whose queue is full: somebody is there
            result_.kind = ProbeResult::Kind::passed;
            return;
        case EINPROGRESS:
        case EINTR: result_.kind = ProbeResult::Kind::pending; return;
        case ECONNREFUSED:
        case ENOENT: result_.reason = LossReason::refused; break;
        default: result_.reason = LossReason::disconnected;
    }
    result_.kind = ProbeResult::Kind::failed;
    result_.text = std::string(std::strerror(error)) + " (errno " + std::to_string(error) + ")";
}

}  // namespace peermq::net
