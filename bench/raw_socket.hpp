#pragma once

/// A libzmq socket with a context of its own, for the raw references.

#include <zmq.h>

#include <array>
#include <stdexcept>
#include <string>

namespace peermq::bench {

inline void check(int result, const char* call) {
    if (result < 0) throw std::runtime_error(std::string(call) + ": " + zmq_strerror(zmq_errno()));
}

class RawSocket {
public:
    explicit RawSocket(int type) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
        if (socket_ == nullptr) check(-1, "zmq_socket");
        const int linger = 0;
        check(zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger), "zmq_setsockopt");
    }
    ~RawSocket() {
        zmq_close(socket_);
        zmq_ctx_term(context_);
    }
    RawSocket(const RawSocket&) = delete;
    RawSocket& operator=(const RawSocket&) = delete;

    [[nodiscard]] void* get() const { return socket_; }
    /// Binds to a free port of the loopback; the endpoint.
    std::string bind() {
        check(zmq_bind(socket_, "tcp://127.0.0.1:*"), "zmq_bind");
        std::array<char, 256> text{};
        std::size_t size = text.size();
        check(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, text.data(), &size), "zmq_getsockopt");
        return text.data();
    }

private:
    void* context_;
    void* socket_;
};

}  // namespace peermq::bench
