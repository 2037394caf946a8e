#pragma once

/// What the parts of a Network share: channels, waiting reports, timers, and who may have frames.
///
/// A carrier is what channels live on: a ROUTER with many, a DEALER or an in-process pipe with one.
/// Reports to the caller wait here until the next receive(), so that everything may happen anywhere
/// (in tick(), in close(), in a callback) and still comes in order: opened, frames, lost.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "net/network.hpp"
#include "net/poller.hpp"
#include "net/transport.hpp"
#include "net/zmq_handles.hpp"

namespace peermq::net {

class Carrier {
public:
    virtual ~Carrier() = default;
    [[nodiscard]] virtual SendResult send(ChannelId channel, const Outgoing& frame) = 0;
    /// Ends the channel from our side; reports nothing.
    virtual void close(ChannelId channel) = 0;
    /// Hands out up to `frames_max` frames, adding to `count`; true when there may be more.
    [[nodiscard]] virtual bool receive(TransportEvents& events, std::size_t frames_max,
                                       std::size_t& count) = 0;
    /// Asks libzmq anew, after a send that may have eaten the descriptor's signal.
    [[nodiscard]] virtual bool readable() = 0;
    /// Lets go of sockets; libzmq goes on sending for at most `linger_ms`.
    virtual void shut(int linger_ms) = 0;

private:
    friend class Switchboard;
    bool queued_ = false;   ///< in the ready queue
    bool checked_ = false;  ///< known to be ready, not only perhaps
};

/// Reports in the order in which they happened.
class Reports {
public:
    void opened(ChannelId channel, TargetId target, std::string remote);
    void lost(ChannelId channel, LossReason reason, std::string text);
    void attempt_failed(TargetId target, LossReason reason, std::string text);
    void process_ended(std::uint64_t watch);

    void flush(TransportEvents& events);
    /// Withdraws what is about `channel` or `watch`, for the caller has let go of it.
    void forget_channel(ChannelId channel);
    void forget_watch(std::uint64_t watch);
    [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }

private:
    struct Report {
        enum class Kind { opened, lost, attempt_failed, process_ended } kind;
        std::uint64_t subject = 0;
        TargetId target = 0;
        LossReason reason = LossReason::disconnected;
        std::string text;
    };
    std::deque<Report> queue_;
};

class Timers {
public:
    using Token = std::pair<base::Time, std::uint64_t>;
    Token add(base::Time at, std::function<void()> action);
    void cancel(const Token& token) { waiting_.erase(token); }
    /// Runs what is due; what it adds for now runs the next time.
    void run(base::Time now);
    [[nodiscard]] base::Time next() const noexcept;

private:
    std::map<Token, std::function<void()>> waiting_;
    std::uint64_t last_ = 0;
};

class Switchboard {
public:
    Switchboard(const NetworkOptions& options, base::Clock& clock, base::Random& random);

    [[nodiscard]] ChannelId add_channel(std::shared_ptr<Carrier> carrier);
    void remove_channel(ChannelId channel) { channels_.erase(channel); }
    [[nodiscard]] std::shared_ptr<Carrier> carrier_of(ChannelId channel) const;
    [[nodiscard]] std::size_t channel_count() const noexcept { return channels_.size(); }

    /// `carrier` has, or (not `certain`) may have, something for receive().
    void mark_ready(const std::shared_ptr<Carrier>& carrier, bool certain);
    [[nodiscard]] bool anything_ready();
    std::size_t receive(TransportEvents& events, std::size_t frames_max);
    void clear_ready() { ready_.clear(); }

    /// An empty holder; give it back when nothing was received into it.
    [[nodiscard]] std::shared_ptr<FrameHolder> take_holder();
    void keep_holder(std::shared_ptr<FrameHolder> holder) { spare_ = std::move(holder); }

    /// Options that ROUTER and DEALER share. To be set before bind or connect.
    void configure(ZmqSocket& socket, bool ipv6) const;
    [[nodiscard]] std::uint64_t next_id() noexcept { return ++last_id_; }

    const NetworkOptions options;
    base::Clock& clock;
    base::Random& random;
    std::shared_ptr<Wakeup> wakeup;
    Poller poller;
    Timers timers;
    Reports reports;
    ZmqContext context;

private:
    std::unordered_map<ChannelId, std::shared_ptr<Carrier>> channels_;
    std::deque<std::shared_ptr<Carrier>> ready_;
    std::shared_ptr<FrameHolder> spare_;
    ChannelId last_channel_ = 0;
    std::uint64_t last_id_ = 0;
};

}  // namespace peermq::net
