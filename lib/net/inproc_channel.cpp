#include "net/inproc_channel.hpp"

#include <utility>

namespace peermq::net {

InprocChannel::InprocChannel(Switchboard& board, DialerOwner* owner, TargetId target,
                             std::shared_ptr<InprocPipe> pipe, std::string remote)
    : board_(board),
      owner_(owner),
      target_(target),
      pipe_(std::move(pipe)),
      remote_(std::move(remote)) {}

void InprocChannel::open() {
    channel_ = board_.add_channel(shared_from_this());
    board_.reports.opened(channel_, target_, remote_);
    if (owner_ != nullptr) owner_->dialer_opened(target_, channel_);
}

SendResult InprocChannel::send(ChannelId, const Outgoing& frame) {
    if (shut_) return SendResult::gone;
    return pipe_->send(side(), frame);
}

void InprocChannel::close(ChannelId) {
    if (shut_) return;
    shut(0);
    if (owner_ != nullptr) owner_->dialer_lost(target_);
}

void InprocChannel::shut(int) {
    if (std::exchange(shut_, true)) return;
    pipe_->close(side());
    if (channel_ != 0) board_.remove_channel(channel_);
}

bool InprocChannel::readable() { return !shut_ && pipe_->readable(side()); }

bool InprocChannel::receive(TransportEvents& events, std::size_t frames_max, std::size_t& count) {
    if (shut_) return false;
    bool ended = false;
    std::vector<Received> frames = pipe_->receive(side(), frames_max, ended);
    for (Received& frame : frames) {
        if (channel_ == 0) open();
        const std::size_t bytes = frame.head.size() + frame.records.size();
        if (bytes > board_.options.frame_bytes_max) {
            lose(LossReason::oversized, "it sent a frame of " + std::to_string(bytes) +
                                            " bytes, the limit is " +
                                            std::to_string(board_.options.frame_bytes_max));
            return false;
        }
        ++count;
        board_.reports.flush(events);
        if (shut_) return false;
        events.received(channel_, std::move(frame));
        if (shut_) return false;
    }
    if (ended) lose(LossReason::disconnected, "the other side has closed");
    return !ended && readable();
}

void InprocChannel::lose(LossReason reason, const std::string& text) {
    shut(0);
    if (channel_ != 0) board_.reports.lost(channel_, reason, remote_ + ": " + text);
    if (owner_ != nullptr) owner_->dialer_lost(target_);
}

}  // namespace peermq::net
