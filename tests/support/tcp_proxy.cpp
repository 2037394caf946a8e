#include "support/tcp_proxy.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <list>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/raw_socket.hpp"
#include "support/wait.hpp"

namespace peermq::test {
namespace {

constexpr int kPollMs = 5;

bool send_all(int to, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

/// Hangs up in the way of a process that died.
void reset_and_close(int socket) {
    const linger abort{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    ::close(socket);
}

}  // namespace

struct TcpProxy::Relay {
    int near = -1;
    int far = -1;
};

TcpProxy::TcpProxy(const std::string& target)
    : target_port_(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)))),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::system_error(errno, std::generic_category(), "proxy");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
}

std::string TcpProxy::endpoint() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

void TcpProxy::cut() {
    const unsigned wanted = ++cuts_wanted_;
    (void)eventually([&] { return cuts_done_ >= wanted; });
}

void TcpProxy::run() {
    std::list<Relay> relays;
    const auto end = [this](const Relay& relay) {
        reset_and_close(relay.near);
        reset_and_close(relay.far);
        --connections_;
    };
    const auto pass = [](int from, int to) {
        std::array<char, 65536> buffer;
        const ssize_t count = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        return count > 0 && send_all(to, {buffer.data(), static_cast<std::size_t>(count)});
    };
    while (!stopping_) {
        if (const unsigned wanted = cuts_wanted_; wanted != cuts_done_) {
            for (const Relay& relay : relays) end(relay);
            relays.clear();
            cuts_done_ = wanted;
        }
        std::vector<pollfd> waiting{{listener_, POLLIN, 0}};
        if (!stalled_) {
            for (const Relay& relay : relays) {
                waiting.push_back({relay.near, POLLIN, 0});
                waiting.push_back({relay.far, POLLIN, 0});
            }
        }
        if (::poll(waiting.data(), waiting.size(), kPollMs) <= 0) continue;
        std::size_t index = 1;
        for (auto relay = relays.begin(); relay != relays.end() && index < waiting.size();
             index += 2) {
            const bool near_lives = waiting[index].revents == 0 || pass(relay->near, relay->far);
            const bool far_lives = waiting[index + 1].revents == 0 || pass(relay->far, relay->near);
            if (near_lives && far_lives) {
                ++relay;
                continue;
            }
            end(*relay);
            relay = relays.erase(relay);
        }
        if (waiting[0].revents == 0) continue;
        Relay relay;
        relay.near = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (relay.near < 0) continue;
        relay.far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ++connections_;
        const sockaddr_in address = loopback(target_port_);
        if (refused_ || ::connect(relay.far, reinterpret_cast<const sockaddr*>(&address),
                                  sizeof address) != 0) {
            end(relay);
            continue;
        }
        relays.push_back(relay);
    }
    for (const Relay& relay : relays) end(relay);
}

}  // namespace peermq::test
