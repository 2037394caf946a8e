/// Listener: taking an endpoint, and letting go of it.

#include <net/if.h>
#include <sys/epoll.h>

#include <cerrno>

#include "net/listener.hpp"
#include "net/resolver.hpp"
#include "peermq/error.hpp"

namespace peermq::net {
namespace {

[[noreturn]] void refuse(const std::string& shown, int error) {
    const std::string what = "cannot bind " + shown + ": ";
    switch (error) {
        case EADDRINUSE:
            throw Error(ErrorCode::address_in_use,
                        what + "another socket listens there; choose another port, or * for any");
        case EACCES:
        case EPERM:
            throw Error(ErrorCode::denied,
                        what + "this user may not; ports below 1024 need a privilege");
        case EADDRNOTAVAIL:
        case ENODEV:
            throw Error(ErrorCode::invalid_argument,
                        what + "no interface of this host has that address; * means all");
        case EMFILE:
        case ENFILE: throw Error(ErrorCode::io_error, what + "out of descriptors (see ulimit -n)");
        default: throw Error(ErrorCode::io_error, what + zmq_error_text(error));
    }
}

/// libzmq binds addresses and interfaces, not names.
std::string bind_host(const Endpoint& endpoint, const std::string& shown) {
    const std::string& host = endpoint.host;
    if (host == "*" || is_numeric_host(host) || if_nametoindex(host.c_str()) != 0) return host;
    const Resolution found = resolve_now(host);
    if (!found.error.empty()) {
        throw Error(ErrorCode::invalid_argument, "cannot bind " + shown + ": " + found.error +
                                                     "; give an address of this host, or *");
    }
    return found.addresses.front();
}

}  // namespace

std::string Listener::start(const Endpoint& endpoint) {
    Endpoint real = endpoint;
    shown_ = endpoint.text();
    Endpoint bound = endpoint;
    if (endpoint.scheme == Endpoint::Scheme::ipc) {
        guard_ = std::make_unique<IpcGuard>(endpoint.path, shown_);
        real.path = bound.path = guard_->path();
    } else {
        bound.host = bind_host(endpoint, shown_);
    }
    const bool v6 = bound.host == "*" || bound.host.find(':') != std::string::npos;
    socket_ = ZmqSocket(board_.context, ZMQ_ROUTER);
    try {
        board_.configure(socket_, v6);
        socket_.set(ZMQ_ROUTER_MANDATORY, 1);
        watch();
        bind(bound.text(), shown_);
        if (endpoint.scheme == Endpoint::Scheme::tcp) {
            const std::string text = socket_.last_endpoint();
            real.port = Endpoint::parse(text, true).port;
        }
    } catch (...) {
        shut(0);
        throw;
    }
    shown_ = real.text();
    return shown_;
}

void Listener::bind(const std::string& text, const std::string& shown) {
    int rc;
    do {
        rc = zmq_bind(socket_.get(), text.c_str());
    } while (rc != 0 && zmq_errno() == EINTR);
    if (rc != 0) refuse(shown, zmq_errno());
}

void Listener::watch() {
    monitor_ = Monitor(board_.context, socket_, board_.next_id());
    monitor_descriptor_ = monitor_.descriptor();
    socket_descriptor_ = socket_.descriptor();
    const std::weak_ptr<Listener> self = weak_from_this();
    monitor_key_ = board_.poller.add(monitor_descriptor_, EPOLLIN, [self] {
        if (const auto listener = self.lock()) listener->read_monitor();
    });
    socket_key_ = board_.poller.add(socket_descriptor_, EPOLLIN, [self] {
        const auto listener = self.lock();
        if (listener) listener->board_.mark_ready(listener, true);
    });
}

void Listener::shut(int linger_ms) {
    if (!socket_) return;
    board_.poller.remove(monitor_key_, monitor_descriptor_);
    board_.poller.remove(socket_key_, socket_descriptor_);
    monitor_.stop(socket_);
    socket_.close(linger_ms);
    for (const auto& [channel, peer] : peers_) board_.remove_channel(channel);
    peers_.clear();
    routes_.clear();
    endings_.clear();
}

}  // namespace peermq::net
