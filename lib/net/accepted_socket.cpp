#include "net/accepted_socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "net/poller.hpp"

namespace peermq::net {
namespace {

std::string remote_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    if (address.ss_family == AF_UNIX) {
        ucred peer{};
        socklen_t peer_size = sizeof peer;
        if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0) return "ipc";
        return "ipc (pid " + std::to_string(peer.pid) + ")";
    }
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof host, port,
                      sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return {};
    }
    std::string name = host;
    if (name.starts_with("::ffff:")) name.erase(0, 7);  // an IPv4 peer of a dual-stack listener
    if (name.find(':') != std::string::npos) name = "[" + name + "]";
    return "tcp://" + name + ":" + port;
}

std::uint64_t inode_of(int fd) noexcept {
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISSOCK(status.st_mode)) return 0;
    return status.st_ino;
}

}  // namespace

AcceptedSocket AcceptedSocket::look_at(int fd) {
    AcceptedSocket socket;
    if (fd < 0) return socket;
    // A copy stays the same connection while we look, whatever libzmq does.
    const Descriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return socket;
    socket.inode = inode_of(copy.get());
    if (socket.inode == 0) return socket;
    socket.fd = fd;
    socket.remote = remote_of(copy.get());
    return socket;
}

void AcceptedSocket::end() const noexcept {
    if (fd < 0 || inode == 0) return;
    const Descriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (copy && inode_of(copy.get()) == inode) ::shutdown(copy.get(), SHUT_RDWR);
}

}  // namespace peermq::net
