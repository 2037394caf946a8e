#pragma once

/// net::Transport over the simulated network: what a peer's sockets are in real life.
///
/// Keeps the promises of lib/net: one attempt or channel per target with back-off between attempts,
/// an accepted channel is reported just before its first frame, a closed one is reported no more.
///
/// Threads: none. Callers: Process.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/transport.hpp"
#include "sim/network.hpp"
#include "support/seeded_random.hpp"
#include "wire/frames.hpp"

namespace peermq::sim {

/// A way to break the promises on purpose, so that the checker can prove that it would see it.
enum class Canary : std::uint8_t {
    none,
    lose_record,     ///< recovery takes an unsettled message for settled
    lying_sync,      ///< the disk says "synced" and does nothing
    forget_flag,     ///< batches leave without the redelivered flag
    forget_settled,  ///< recovery forgets a settlement
    forget_mark,     ///< recovery forgets what was handed out
    alter_body,      ///< a consumer sees a byte that was not sent
};

/// What the world lets a peer know, and wants to know of it.
class TransportWatcher {
public:
    virtual ~TransportWatcher() = default;
    [[nodiscard]] virtual bool is_running(std::uint32_t pid) const = 0;
    /// A frame of a living session came from `remote`.
    virtual void heard(HostId remote) = 0;
    /// A frame leaves; only asked for a trace.
    [[nodiscard]] virtual bool tracing() const = 0;
    virtual void sending(HostId remote, const std::string& text) = 0;
    /// A SETTLE about this stream leaves.
    virtual void settling(const base::StreamId& stream, const wire::Settle& settle) = 0;
};

class HostTransport final : public net::Transport {
public:
    HostTransport(Network& network, HostId host, test::SeededRandom random,
                  TransportWatcher& watcher, Canary canary);

    net::TargetId connect(HostId remote, std::uint16_t port, Time now);
    /// Time of all that follows; begins attempts that are due, gives up those that hang, reports
    /// watched processes that have ended.
    void tick(Time now, net::TransportEvents& events);
    void take(NetworkEvent event, net::TransportEvents& events);
    /// When tick() has something to do.
    [[nodiscard]] Time next_deadline() const;

    net::SendResult send(net::ChannelId channel, base::ByteSpan head) override;
    net::SendResult send(net::ChannelId channel, base::ByteSpan head, base::ByteSpan records,
                         std::shared_ptr<const void> pin) override;
    void close(net::ChannelId channel) override;
    void accept(net::ChannelId channel) override;
    bool watch_process(std::uint64_t watch, std::uint32_t pid, std::uint64_t start_time) override;
    void unwatch_process(std::uint64_t watch) override;

private:
    struct Target {
        net::TargetId id = 0;
        HostId remote = 0;
        std::uint16_t port = 0;
        EndId end = 0;  ///< attempt or channel; 0 = waiting for `due`
        bool linked = false;
        Time due{};  ///< next attempt, or when the one under way is given up
        Duration wait{};
    };
    struct Channel {
        net::TargetId target = 0;
        HostId remote = 0;
        bool opened = false;
        std::uint64_t nonce = 0;                          ///< ours, as told in HELLO
        std::map<std::uint32_t, base::StreamId> offered;  ///< by their handle
    };

    [[nodiscard]] Target* target_of(EndId end);
    void begin(Target& target);
    void wait(Target& target);
    void failed(Target& target, net::LossReason reason, net::TransportEvents& events);
    net::SendResult put(net::ChannelId channel, Frame frame);
    void look_at(Channel& channel, const Frame& frame);
    void plant(Frame& frame) const;

    Network& network_;
    HostId host_;
    test::SeededRandom random_;
    TransportWatcher& watcher_;
    Canary canary_;
    Time now_{};
    std::vector<Target> targets_;
    std::map<EndId, Channel> channels_;
    struct Watch {
        std::uint64_t watch = 0;
        std::uint32_t pid = 0;
    };
    std::vector<Watch> watches_;
    Time full_retry_at_ = base::kNever;
};

}  // namespace peermq::sim
