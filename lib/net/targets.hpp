#pragma once

/// What connect() asked for: each target has its plan of attempts, and at most one attempt or
/// channel at a time.

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/attempt_plan.hpp"
#include "net/dialer.hpp"
#include "net/endpoint.hpp"
#include "net/inproc.hpp"
#include "net/inproc_channel.hpp"
#include "net/probe.hpp"
#include "net/resolver.hpp"
#include "net/switchboard.hpp"

namespace peermq::net {

/// The in-process side of connecting, kept by Network.
class InprocDesk {
public:
    virtual std::shared_ptr<InprocChannel> connect_inproc(const std::string& name, TargetId target,
                                                          DialerOwner& owner) = 0;

protected:
    ~InprocDesk() = default;
};

class Targets final : private DialerOwner {
public:
    Targets(Switchboard& board, InprocDesk& inproc);
    ~Targets();
    Targets(const Targets&) = delete;
    Targets& operator=(const Targets&) = delete;

    [[nodiscard]] TargetId add(const Endpoint& endpoint);
    void remove(TargetId target);
    /// The channel's peer is who was expected.
    void accept(ChannelId channel);
    /// Fetches what the resolver has found.
    void take_resolutions();
    [[nodiscard]] bool has_resolutions() const noexcept { return resolver_.has_results(); }
    /// Somebody has bound this in-process name.
    void name_bound(const std::string& name);
    void shut(int linger_ms);

private:
    struct Target {
        Target(Endpoint to, const NetworkOptions& options, base::Time now)
            : endpoint(std::move(to)),
              plan(options.reconnect_wait_min, options.reconnect_wait_max, now) {}

        Endpoint endpoint;
        AttemptPlan plan;
        std::vector<std::string> addresses;
        std::uint64_t request = 0;  ///< of the resolver, while it is at it
        std::optional<Timers::Token> timer;
        std::shared_ptr<Carrier> carrier;
        ChannelId channel = 0;
        std::optional<Probe> probe;
        Poller::Key probe_key = 0;
        std::string failures;  ///< of the round, for people
    };

    void dialer_opened(TargetId target, ChannelId channel) override;
    void dialer_failed(TargetId target, LossReason reason, bool explained,
                       const std::string& text) override;
    void dialer_lost(TargetId target) override;

    [[nodiscard]] Target* find(TargetId id);
    void set_timer(TargetId id, Target& target, base::Time at);
    void clear_timer(Target& target);
    void timer_came(TargetId id);
    void begin(TargetId id, Target& target);
    void resolved(TargetId id, Target& target, std::vector<std::string> addresses);
    void go_on(TargetId id, Target& target);
    void start_probe(TargetId id, Target& target);
    void check_probe(TargetId id, bool timed_out);
    void drop_probe(Target& target);
    void start_dialer(TargetId id, Target& target);
    void failed(TargetId id, Target& target, LossReason reason, bool explained,
                const std::string& text);
    [[nodiscard]] Endpoint numeric(const Target& target) const;

    Switchboard& board_;
    InprocDesk& inproc_;
    Resolver resolver_;
    std::unordered_map<TargetId, Target> targets_;
    std::unordered_map<ChannelId, TargetId> channels_;
};

}  // namespace peermq::net
