#pragma once

/// One attempt to connect, and the channel that comes of it: a DEALER that libzmq never reconnects.

#include <memory>
#include <string>

#include "net/monitor.hpp"
#include "net/switchboard.hpp"

namespace peermq::net {

class Dialer;

/// Told how an attempt goes on. Must outlive its Dialers.
class DialerOwner {
public:
    virtual void dialer_opened(TargetId target, ChannelId channel) = 0;
    /// No channel came of it. `explained` is false when libzmq gave no cause.
    virtual void dialer_failed(TargetId target, LossReason reason, bool explained,
                               const std::string& text) = 0;
    /// The channel has ended, by us too.
    virtual void dialer_lost(TargetId target) = 0;

protected:
    ~DialerOwner() = default;
};

class Dialer final : public Carrier, public std::enable_shared_from_this<Dialer> {
public:
    /// `endpoint` is what libzmq gets, `remote` what people see.
    Dialer(Switchboard& board, DialerOwner& owner, TargetId target, std::string endpoint,
           std::string remote);
    /// Throws Error io_error: out of descriptors.
    void start(bool ipv6);
    /// Ends the attempt or the channel without a report to the owner.
    void abandon();

    SendResult send(ChannelId channel, const Outgoing& frame) override;
    void close(ChannelId channel) override;
    bool receive(TransportEvents& events, std::size_t frames_max, std::size_t& count) override;
    bool readable() override;
    void shut(int linger_ms) override;
    [[nodiscard]] ChannelId channel() const noexcept { return channel_; }

private:
    void read_monitor();
    void handle(const MonitorEvent& event);
    void open();
    void fail(LossReason reason, bool explained, const std::string& text);
    void lose(LossReason reason, const std::string& text);

    Switchboard& board_;
    DialerOwner& owner_;
    const TargetId target_;
    const std::string endpoint_;
    const std::string remote_;
    ZmqSocket socket_;
    Monitor monitor_;
    Poller::Key socket_key_ = 0;
    Poller::Key monitor_key_ = 0;
    int socket_descriptor_ = -1;
    int monitor_descriptor_ = -1;
    ChannelId channel_ = 0;
    bool ending_ = false;  ///< connection gone, what had arrived is still handed out
    bool foreign_ = false;
    std::string failure_;  ///< what the handshake said
};

}  // namespace peermq::net
