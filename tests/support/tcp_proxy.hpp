#pragma once

/// A TCP relay between two peers that can cut, stall and refuse: a network that fails on demand.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

namespace peermq::test {

/// Threads: any may call; one of its own relays.
class TcpProxy {
public:
    /// Relays what connects to endpoint() to `target`, a "tcp://127.0.0.1:PORT".
    explicit TcpProxy(const std::string& target);
    ~TcpProxy();
    TcpProxy(const TcpProxy&) = delete;
    TcpProxy& operator=(const TcpProxy&) = delete;

    [[nodiscard]] std::string endpoint() const;
    /// Ends all connections. New ones are relayed, unless refuse() says otherwise.
    void cut();
    /// While set, whoever connects is hung up on at once.
    void refuse(bool refused) { refused_ = refused; }
    /// While set, connections stay open and carry nothing: a host that has vanished.
    void stall(bool stalled) { stalled_ = stalled; }
    [[nodiscard]] int connections() const { return connections_; }

private:
    struct Relay;
    void run();

    std::uint16_t target_port_ = 0;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> refused_{false};
    std::atomic<bool> stalled_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<unsigned> cuts_wanted_{0};
    std::atomic<unsigned> cuts_done_{0};
    std::atomic<int> connections_{0};
    std::thread thread_;
};

}  // namespace peermq::test
