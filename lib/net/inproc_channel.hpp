#pragma once

/// The channel on our side of an in-process pipe.

#include <memory>
#include <string>

#include "net/dialer.hpp"
#include "net/inproc.hpp"
#include "net/switchboard.hpp"

namespace peermq::net {

class InprocChannel final : public Carrier, public std::enable_shared_from_this<InprocChannel> {
public:
    /// `owner` is null on the bound side.
    InprocChannel(Switchboard& board, DialerOwner* owner, TargetId target,
                  std::shared_ptr<InprocPipe> pipe, std::string remote);
    /// Connecting side: the channel is there. The bound side opens with its first frame.
    void open();

    SendResult send(ChannelId channel, const Outgoing& frame) override;
    void close(ChannelId channel) override;
    bool receive(TransportEvents& events, std::size_t frames_max, std::size_t& count) override;
    bool readable() override;
    void shut(int linger_ms) override;
    [[nodiscard]] bool is_shut() const noexcept { return shut_; }
    [[nodiscard]] ChannelId channel() const noexcept { return channel_; }

private:
    [[nodiscard]] int side() const noexcept { return owner_ == nullptr ? 1 : 0; }
    void lose(LossReason reason, const std::string& text);

    Switchboard& board_;
    DialerOwner* const owner_;
    const TargetId target_;
    const std::shared_ptr<InprocPipe> pipe_;
    const std::string remote_;
    ChannelId channel_ = 0;
    bool shut_ = false;
};

}  // namespace peermq::net
