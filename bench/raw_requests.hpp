#pragma once

/// The reference of request/reply: libzmq over tcp loopback with default settings, replies sent
/// back as they come. REQ/REP for one request at a time, DEALER/ROUTER for many in flight.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace peermq::bench {

/// Asks; the replier connects to it.
class RawRequester {
public:
    virtual ~RawRequester() = default;
    [[nodiscard]] virtual std::string endpoint() const = 0;
    virtual void send(std::span<const std::byte> body) = 0;
    /// Waits for the next reply.
    virtual void receive() = 0;
};
[[nodiscard]] std::unique_ptr<RawRequester> make_raw_requester(bool many_in_flight);

/// Answers until the process is killed; calls `ready` once, when it has connected.
[[noreturn]] void run_raw_replier(const std::string& endpoint, bool many_in_flight,
                                  const std::function<void()>& ready);

}  // namespace peermq::bench
