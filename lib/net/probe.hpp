#pragma once

/// A connection of our own, opened and dropped, only to learn whether anybody listens: libzmq does
/// not tell a refused connection from one that leads nowhere.

#include <string>

#include "net/poller.hpp"
#include "net/transport.hpp"

namespace peermq::net {

/// What a probe found.
struct ProbeResult {
    enum class Kind { pending, passed, failed } kind = Kind::failed;
    LossReason reason = LossReason::disconnected;  ///< when failed
    std::string text;                              ///< when failed, for people
};

class Probe {
public:
    /// `host` is numeric. Never blocks; see result().
    static Probe tcp(const std::string& host, std::uint16_t port);
    /// `path` as in Endpoint. Decided at once.
    static Probe ipc(const std::string& path);

    /// Asks again when pending; call when the descriptor is writable.
    [[nodiscard]] const ProbeResult& result();
    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

private:
    void start(int family, const void* address, unsigned bytes);
    void decide(int error);

    Descriptor socket_;
    ProbeResult result_;
};

}  // namespace peermq::net
