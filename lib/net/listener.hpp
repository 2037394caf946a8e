#pragma once

/// One bound endpoint: a ROUTER, and a channel for each connection that has sent a frame.
///
/// The ROUTER draws a routing id per connection, so a new id is a new channel. A peer that brings
/// an id of its own is no peermq and is cut off. The end of a connection is known from the monitor,
/// matched through the descriptor of its first frame; where that fails, the caller's heartbeat
/// decides. What had arrived before the end is handed out before the channel is lost.

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "net/accepted_socket.hpp"
#include "net/endpoint.hpp"
#include "net/fd_owners.hpp"
#include "net/ipc_guard.hpp"
#include "net/monitor.hpp"
#include "net/switchboard.hpp"

namespace peermq::net {

class Listener final : public Carrier, public std::enable_shared_from_this<Listener> {
public:
    explicit Listener(Switchboard& board) : board_(board) {}
    /// Throws as Network::bind(). Returns the real endpoint.
    std::string start(const Endpoint& endpoint);

    SendResult send(ChannelId channel, const Outgoing& frame) override;
    void close(ChannelId channel) override;
    bool receive(TransportEvents& events, std::size_t frames_max, std::size_t& count) override;
    bool readable() override;
    void shut(int linger_ms) override;

private:
    struct Peer {
        std::string route;
        AcceptedSocket socket;
        std::string remote;
        bool ending = false;
    };

    void bind(const std::string& text, const std::string& shown);
    void watch();
    void read_monitor();
    void handle(const MonitorEvent& event);
    void connection_ended(int fd);
    void report_stranger(LossReason reason, const std::string& who, const std::string& text);
    /// The channel of a frame from `route`; 0: to be dropped.
    [[nodiscard]] ChannelId channel_of(const std::string& route, FrameHolder& frame);
    [[nodiscard]] ChannelId admit(const std::string& route, FrameHolder& frame);
    void reject(const std::string& route, const AcceptedSocket& socket, LossReason reason,
                const std::string& text);
    void begin_ending(ChannelId channel);
    void finish_endings();
    void lose(ChannelId channel, LossReason reason, const std::string& text);
    void end_soon(ChannelId channel, const AcceptedSocket& socket);
    void forget(ChannelId channel);
    void bury(const std::string& route);

    Switchboard& board_;
    std::string shown_;
    std::unique_ptr<IpcGuard> guard_;
    ZmqSocket socket_;
    Monitor monitor_;
    Poller::Key socket_key_ = 0;
    Poller::Key monitor_key_ = 0;
    int socket_descriptor_ = -1;
    int monitor_descriptor_ = -1;
    std::unordered_map<std::string, ChannelId> routes_;
    std::unordered_map<ChannelId, Peer> peers_;
    FdOwners owners_;
    std::unordered_map<int, base::Time> accepted_at_;
    std::string failure_;              ///< of the handshake whose connection is the next to end
    bool failure_hung_up_ = false;     ///< the other end left before it was complete
    std::size_t quiet_count_ = 0;      ///< handshakes completed, no frame yet
    std::size_t strangers_count_ = 0;  ///< reported already, their connections not yet ended
    std::deque<ChannelId> endings_;
    base::Time endings_due_ = base::kNever;
    /// Routing ids of channels that are over: late frames must not open new ones. The oldest are
    /// forgotten.
    std::unordered_set<std::string> gone_;
    std::deque<std::string> gone_order_;
};

}  // namespace peermq::net
