#include "raw.hpp"

#include <zmq.h>

#include <array>
#include <stdexcept>

namespace peermq::bench {

namespace {

void check(int result, const char* call) {
    if (result < 0) throw std::runtime_error(std::string(call) + ": " + zmq_strerror(zmq_errno()));
}

class Socket {
public:
    explicit Socket(int type) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
        if (socket_ == nullptr) check(-1, "zmq_socket");
        const int linger = 0;
        check(zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger), "zmq_setsockopt");
    }
    ~Socket() {
        zmq_close(socket_);
        zmq_ctx_term(context_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    [[nodiscard]] void* get() const { return socket_; }

private:
    void* context_;
    void* socket_;
};

class RawOutlet final : public Outlet {
public:
    RawOutlet() : socket_(ZMQ_PUSH) {
        check(zmq_bind(socket_.get(), "tcp://127.0.0.1:*"), "zmq_bind");
    }

    [[nodiscard]] std::string endpoint() const override {
        std::array<char, 256> text{};
        std::size_t size = text.size();
        check(zmq_getsockopt(socket_.get(), ZMQ_LAST_ENDPOINT, text.data(), &size),
              "zmq_getsockopt");
        return text.data();
    }

    void send(std::span<const std::byte> body) override {
        zmq_msg_t message;
        check(zmq_msg_init_size(&message, body.size()), "zmq_msg_init_size");
        std::memcpy(zmq_msg_data(&message), body.data(), body.size());
        check(zmq_msg_send(&message, socket_.get(), 0), "zmq_msg_send");
    }

    void settle() override {}

private:
    Socket socket_;
};

}  // namespace

std::unique_ptr<Outlet> make_raw_outlet() { return std::make_unique<RawOutlet>(); }

void run_raw_worker(const std::string& endpoint, const std::function<void()>& ready,
                    const std::function<void(std::span<const std::byte>)>& handler) {
    const Socket socket(ZMQ_PULL);
    check(zmq_connect(socket.get(), endpoint.c_str()), "zmq_connect");
    ready();
    zmq_msg_t message;
    zmq_msg_init(&message);
    for (;;) {
        check(zmq_msg_recv(&message, socket.get(), 0), "zmq_msg_recv");
        handler({static_cast<const std::byte*>(zmq_msg_data(&message)), zmq_msg_size(&message)});
    }
}

}  // namespace peermq::bench
