#include "net/zmq_handles.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "base/assert.hpp"
#include "base/signal_mask.hpp"
#include "peermq/error.hpp"

namespace peermq::net {
namespace {

[[noreturn]] void throw_zmq(const char* what) {
    throw Error(ErrorCode::io_error, std::string(what) + ": " + zmq_error_text(zmq_errno()));
}

base::ByteSpan bytes_of(zmq_msg_t* message) {
    return {static_cast<const std::byte*>(zmq_msg_data(message)), zmq_msg_size(message)};
}

/// A message that is closed unless libzmq took it.
class Part {
public:
    Part() noexcept { zmq_msg_init(&message_); }
    ~Part() { zmq_msg_close(&message_); }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    void copy(base::ByteSpan head, base::ByteSpan tail) {
        if (zmq_msg_init_size(&message_, head.size() + tail.size()) != 0) throw std::bad_alloc();
        auto* to = static_cast<std::byte*>(zmq_msg_data(&message_));
        if (!head.empty()) std::memcpy(to, head.data(), head.size());
        if (!tail.empty()) std::memcpy(to + head.size(), tail.data(), tail.size());
    }

    /// The I/O thread lets go of `pin` once the bytes are out.
    void refer(base::ByteSpan bytes, const std::shared_ptr<const void>& pin) {
        auto kept = std::make_unique<std::shared_ptr<const void>>(pin);
        const auto release = [](void*, void* hint) {
            delete static_cast<std::shared_ptr<const void>*>(hint);
        };
        // libzmq never writes through this pointer.
        void* data = const_cast<std::byte*>(bytes.data());
        if (zmq_msg_init_data(&message_, data, bytes.size(), release, kept.get()) != 0) {
            zmq_msg_init(&message_);
            throw std::bad_alloc();
        }
        static_cast<void>(kept.release());
    }

    [[nodiscard]] bool send(void* socket, int flags) noexcept {
        int rc;
        do {
            rc = zmq_msg_send(&message_, socket, flags | ZMQ_DONTWAIT);
        } while (rc < 0 && zmq_errno() == EINTR);
        return rc >= 0;
    }

private:
    zmq_msg_t message_;
};

int receive_part(zmq_msg_t* part, void* socket) noexcept {
    int rc;
    do {
        rc = zmq_msg_recv(part, socket, ZMQ_DONTWAIT);
    } while (rc < 0 && zmq_errno() == EINTR);
    return rc;
}

}  // namespace

std::string zmq_error_text(int error) {
    return std::string(zmq_strerror(error)) + " (errno " + std::to_string(error) + ")";
}

ZmqContext::ZmqContext(int io_threads, std::size_t links_max) : handle_(zmq_ctx_new()) {
    if (handle_ == nullptr) throw_zmq("cannot create a ZeroMQ context");
    zmq_ctx_set(handle_, ZMQ_IO_THREADS, std::max(1, io_threads));
    zmq_ctx_set(handle_, ZMQ_BLOCKY, 0);
    // A connection takes three: the socket and both ends of its monitor.
    const int limit = zmq_ctx_get(handle_, ZMQ_SOCKET_LIMIT);
    const auto wanted = static_cast<int>(3 * (links_max + 256));
    zmq_ctx_set(handle_, ZMQ_MAX_SOCKETS, limit > 0 ? std::min(limit, wanted) : wanted);
}

ZmqContext::~ZmqContext() { terminate(); }

void ZmqContext::terminate() noexcept {
    if (handle_ == nullptr) return;
    while (zmq_ctx_term(handle_) != 0 && zmq_errno() == EINTR) {
    }
    handle_ = nullptr;
}

ZmqSocket::ZmqSocket(const ZmqContext& context, int type) {
    {
        // The first socket of a context starts libzmq's threads.
        const base::AllSignalsBlocked blocked;
        handle_ = zmq_socket(context.get(), type);
    }
    if (handle_ == nullptr) throw_zmq("cannot create a ZeroMQ socket (see ulimit -n)");
    set(ZMQ_LINGER, 0);
}

ZmqSocket& ZmqSocket::operator=(ZmqSocket&& other) noexcept {
    if (this != &other) {
        close(0);
        handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
}

void ZmqSocket::set(int option, int value) {
    if (zmq_setsockopt(handle_, option, &value, sizeof value) != 0) {
        throw_zmq("cannot set an option of a ZeroMQ socket");
    }
}

void ZmqSocket::set_bytes_max(std::int64_t bytes) {
    if (zmq_setsockopt(handle_, ZMQ_MAXMSGSIZE, &bytes, sizeof bytes) != 0) {
        throw_zmq("cannot limit the frames of a ZeroMQ socket");
    }
}

int ZmqSocket::descriptor() const {
    int descriptor = -1;
    std::size_t size = sizeof descriptor;
    if (zmq_getsockopt(handle_, ZMQ_FD, &descriptor, &size) != 0) {
        throw_zmq("cannot watch a ZeroMQ socket");
    }
    return descriptor;
}

int ZmqSocket::events() const noexcept {
    int events = 0;
    std::size_t size = sizeof events;
    int rc;
    do {
        rc = zmq_getsockopt(handle_, ZMQ_EVENTS, &events, &size);
    } while (rc != 0 && zmq_errno() == EINTR);
    return rc == 0 ? events : 0;
}

std::string ZmqSocket::last_endpoint() const {
    char text[1024] = {};
    std::size_t size = sizeof text;
    if (zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, text, &size) != 0) {
        throw_zmq("cannot ask a ZeroMQ socket for its endpoint");
    }
    return text;
}

void ZmqSocket::close(int linger_ms) noexcept {
    if (handle_ == nullptr) return;
    zmq_setsockopt(handle_, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(std::exchange(handle_, nullptr));
}

FrameHolder::FrameHolder() noexcept {
    for (zmq_msg_t& part : parts_) zmq_msg_init(&part);
}

FrameHolder::~FrameHolder() {
    for (zmq_msg_t& part : parts_) zmq_msg_close(&part);
}

FrameHolder::Outcome FrameHolder::receive(void* socket) noexcept {
    if (receive_part(&parts_[0], socket) < 0) {
        return zmq_errno() == EAGAIN ? Outcome::nothing : Outcome::failed;
    }
    count_ = 1;
    if (!zmq_msg_more(&parts_[0])) return Outcome::frame;
    // Parts of one message become readable together.
    if (receive_part(&parts_[1], socket) < 0) return Outcome::failed;
    count_ = 2;
    if (!zmq_msg_more(&parts_[1])) return Outcome::frame;
    zmq_msg_t extra;
    zmq_msg_init(&extra);
    bool more = true;
    while (more && receive_part(&extra, socket) >= 0) more = zmq_msg_more(&extra) != 0;
    zmq_msg_close(&extra);
    return more ? Outcome::failed : Outcome::too_many_parts;
}

std::size_t FrameHolder::bytes() const noexcept {
    std::size_t total = zmq_msg_size(&parts_[0]);
    if (count_ == 2) total += zmq_msg_size(&parts_[1]);
    return total;
}

Received FrameHolder::view() noexcept {
    Received frame;
    frame.head = bytes_of(&parts_[0]);
    frame.two_parts = count_ == 2;
    if (frame.two_parts) frame.records = bytes_of(&parts_[1]);
    return frame;
}

SendResult send_frame(void* socket, base::ByteSpan route, const Outgoing& frame) {
    PEERMQ_ASSERT(socket != nullptr);
    // Everything that can fail for lack of memory comes before the first part is given away.
    const bool separate = frame.pin != nullptr && frame.records.size() >= kSeparateRecordsBytesMin;
    Part prefix;
    Part head;
    Part records;
    head.copy(frame.head, separate ? base::ByteSpan{} : frame.records);
    if (separate) records.refer(frame.records, *frame.pin);

    if (!route.empty()) {
        prefix.copy(route, {});
        if (!prefix.send(socket, ZMQ_SNDMORE)) {
            return zmq_errno() == EAGAIN ? SendResult::full : SendResult::gone;
        }
    }
    if (!head.send(socket, separate ? ZMQ_SNDMORE : 0)) {
        // A ROUTER that took the routing id takes the rest too, so here it can only be broken.
        return route.empty() && zmq_errno() == EAGAIN ? SendResult::full : SendResult::gone;
    }
    // A refusal now means that the pipe died between the parts and has dropped the first one.
    if (separate && !records.send(socket, 0)) return SendResult::gone;
    return SendResult::sent;
}

}  // namespace peermq::net
