#pragma once

/// libzmq's context, sockets and messages as owned values. The rest of lib/net speaks to these.
///
/// Threads: as for libzmq: a socket is used by one thread at a time, with a full fence between.

#include <zmq.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "net/transport.hpp"

namespace peermq::net {

/// errno as libzmq sees it, as text.
[[nodiscard]] std::string zmq_error_text(int error);

class ZmqContext {
public:
    /// Room for `links_max` connections; throws Error io_error when the kernel gives no
    /// descriptors.
    ZmqContext(int io_threads, std::size_t links_max);
    ~ZmqContext();
    ZmqContext(const ZmqContext&) = delete;
    ZmqContext& operator=(const ZmqContext&) = delete;

    [[nodiscard]] void* get() const noexcept { return handle_; }
    /// Waits until the sockets, all closed by now, have lingered out. Later calls do nothing.
    void terminate() noexcept;

private:
    void* handle_;
};

class ZmqSocket {
public:
    ZmqSocket() = default;
    /// Throws Error io_error: out of descriptors or sockets.
    ZmqSocket(const ZmqContext& context, int type);
    ~ZmqSocket() { close(0); }
    ZmqSocket(ZmqSocket&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
    ZmqSocket& operator=(ZmqSocket&& other) noexcept;

    [[nodiscard]] explicit operator bool() const noexcept { return handle_ != nullptr; }
    [[nodiscard]] void* get() const noexcept { return handle_; }
    void set(int option, int value);
    void set_bytes_max(std::int64_t bytes);
    [[nodiscard]] int descriptor() const;
    /// ZMQ_EVENTS: also handles what waits for this socket, which may clear its descriptor.
    [[nodiscard]] int events() const noexcept;
    [[nodiscard]] std::string last_endpoint() const;
    /// Returns at once; libzmq goes on sending for at most `linger_ms`.
    void close(int linger_ms) noexcept;

private:
    void* handle_ = nullptr;
};

/// One received frame: it owns up to two message parts, and lives as the `pin` of a Received.
class FrameHolder {
public:
    FrameHolder() noexcept;
    ~FrameHolder();
    FrameHolder(const FrameHolder&) = delete;
    FrameHolder& operator=(const FrameHolder&) = delete;

    enum class Outcome {
        nothing,         ///< no frame waits
        frame,           ///< received whole
        too_many_parts,  ///< more than two; all were dropped
        failed,          ///< the socket is of no use any more
    };
    /// Receives the parts of one frame without waiting. After `nothing` the holder may be used
    /// again.
    [[nodiscard]] Outcome receive(void* socket) noexcept;
    [[nodiscard]] zmq_msg_t* first() noexcept { return &parts_[0]; }
    [[nodiscard]] std::size_t bytes() const noexcept;
    /// Views into this holder; `pin` is left empty.
    [[nodiscard]] Received view() noexcept;

private:
    zmq_msg_t parts_[2];
    int count_ = 0;
};

/// What send() was given.
struct Outgoing {
    base::ByteSpan head;
    base::ByteSpan records;
    const std::shared_ptr<const void>* pin = nullptr;  ///< null: no records
};

/// From this size on records travel as a part of their own, uncopied; below, one copy of both is
/// cheaper than the allocations and the cache misses of a second message part.
inline constexpr std::size_t kSeparateRecordsBytesMin = 16 * base::limits::kKiB;

/// Sends without waiting, behind the routing id when `route` is not empty (a ROUTER).
[[nodiscard]] SendResult send_frame(void* socket, base::ByteSpan route, const Outgoing& frame);

}  // namespace peermq::net
