#include "raw_requests.hpp"

#include <cstring>

#include "raw_socket.hpp"

namespace peermq::bench {

namespace {

class Asking final : public RawRequester {
public:
    explicit Asking(bool many_in_flight)
        : socket_(many_in_flight ? ZMQ_DEALER : ZMQ_REQ), endpoint_(socket_.bind()) {
        zmq_msg_init(&reply_);
    }

    [[nodiscard]] std::string endpoint() const override { return endpoint_; }

    void send(std::span<const std::byte> body) override {
        check(zmq_send(socket_.get(), body.data(), body.size(), 0), "zmq_send");
    }

    void receive() override { check(zmq_msg_recv(&reply_, socket_.get(), 0), "zmq_msg_recv"); }

private:
    RawSocket socket_;
    const std::string endpoint_;
    zmq_msg_t reply_{};
};

}  // namespace

std::unique_ptr<RawRequester> make_raw_requester(bool many_in_flight) {
    return std::make_unique<Asking>(many_in_flight);
}

void run_raw_replier(const std::string& endpoint, bool many_in_flight,
                     const std::function<void()>& ready) {
    const RawSocket socket(many_in_flight ? ZMQ_ROUTER : ZMQ_REP);
    check(zmq_connect(socket.get(), endpoint.c_str()), "zmq_connect");
    ready();
    zmq_msg_t part;
    zmq_msg_init(&part);
    for (;;) {
        check(zmq_msg_recv(&part, socket.get(), 0), "zmq_msg_recv");
        const int more = zmq_msg_more(&part) != 0 ? ZMQ_SNDMORE : 0;
        check(zmq_msg_send(&part, socket.get(), more), "zmq_msg_send");
    }
}

}  // namespace peermq::bench
