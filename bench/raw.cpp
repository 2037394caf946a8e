#include "raw.hpp"

#include <cstring>

#include "raw_socket.hpp"

namespace peermq::bench {

namespace {

class RawOutlet final : public Outlet {
public:
    [[nodiscard]] std::string endpoint() const override { return endpoint_; }

    void send(std::span<const std::byte> body) override {
        zmq_msg_t message;
        check(zmq_msg_init_size(&message, body.size()), "zmq_msg_init_size");
        std::memcpy(zmq_msg_data(&message), body.data(), body.size());
        check(zmq_msg_send(&message, socket_.get(), 0), "zmq_msg_send");
    }

    void settle() override {}

private:
    RawSocket socket_{ZMQ_PUSH};
    const std::string endpoint_ = socket_.bind();
};

}  // namespace

std::unique_ptr<Outlet> make_raw_outlet() { return std::make_unique<RawOutlet>(); }

void run_raw_worker(const std::string& endpoint, const std::function<void()>& ready,
                    const std::function<void(std::span<const std::byte>)>& handler) {
    const RawSocket socket(ZMQ_PULL);
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
