#include "net/targets.hpp"

#include <sys/epoll.h>

#include <utility>

#include "peermq/error.hpp"

namespace peermq::net {
namespace {

constexpr auto kProbeTimeout = std::chrono::seconds(5);
/// Added to the handshake's time-out. libzmq's own for connecting and for the handshake come first;
/// this only makes sure that no attempt lasts for ever.
constexpr auto kAttemptTimeout = std::chrono::seconds(7);

}  // namespace

Targets::Targets(Switchboard& board, InprocDesk& inproc)
    : board_(board), inproc_(inproc), resolver_(board.wakeup) {}

Targets::~Targets() { shut(0); }

TargetId Targets::add(const Endpoint& endpoint) {
    const TargetId id = board_.next_id();
    const base::Time now = board_.clock.now();
    Target& target = targets_.try_emplace(id, endpoint, board_.options, now).first->second;
    begin(id, target);
    return id;
}

void Targets::remove(TargetId id) {
    Target* target = find(id);
    if (target == nullptr) return;
    clear_timer(*target);
    drop_probe(*target);
    const ChannelId channel = target->channel;
    const std::shared_ptr<Carrier> carrier = target->carrier;
    const std::string text = target->endpoint.text();
    channels_.erase(channel);
    targets_.erase(id);
    if (!carrier) return;
    if (channel == 0) {
        carrier->shut(0);
        return;
    }
    carrier->close(channel);
    board_.reports.forget_channel(channel);
    board_.reports.lost(channel, LossReason::closed, text + ": disconnected by this side");
}

void Targets::accept(ChannelId channel) {
    const auto found = channels_.find(channel);
    if (found == channels_.end()) return;
    if (Target* target = find(found->second)) target->plan.accept();
}

void Targets::shut(int linger_ms) {
    for (auto& [id, target] : targets_) {
        clear_timer(target);
        drop_probe(target);
        if (target.carrier) target.carrier->shut(target.channel != 0 ? linger_ms : 0);
    }
    targets_.clear();
    channels_.clear();
}

Targets::Target* Targets::find(TargetId id) {
    const auto found = targets_.find(id);
    return found == targets_.end() ? nullptr : &found->second;
}

void Targets::clear_timer(Target& target) {
    if (target.timer) board_.timers.cancel(*target.timer);
    target.timer.reset();
}

void Targets::set_timer(TargetId id, Target& target, base::Time at) {
    clear_timer(target);
    target.timer = board_.timers.add(at, [this, id] { timer_came(id); });
}

void Targets::timer_came(TargetId id) {
    Target* target = find(id);
    if (target == nullptr) return;
    target->timer.reset();
    switch (target->plan.state()) {
        case AttemptPlan::State::waiting: begin(id, *target); return;
        case AttemptPlan::State::probing: check_probe(id, true); return;
        case AttemptPlan::State::connecting:
            if (target->carrier) std::exchange(target->carrier, nullptr)->shut(0);
            failed(id, *target, LossReason::disconnected, true, "no answer in time");
            return;
        case AttemptPlan::State::resolving:
        case AttemptPlan::State::linked: return;
    }
}

void Targets::begin(TargetId id, Target& target) {
    target.plan.begin(board_.clock.now());
    target.failures.clear();
    const bool named = target.endpoint.scheme == Endpoint::Scheme::tcp &&
                       !is_numeric_host(target.endpoint.host);
    if (!named) {
        resolved(id, target, {target.endpoint.host});
        return;
    }
    target.request = board_.next_id();
    // The request number finds its target again; answers to requests that nobody waits for are
    // dropped.
    resolver_.ask(target.request, target.endpoint.host);
}

void Targets::take_resolutions() {
    for (Resolution& found : resolver_.take()) {
        for (auto& [id, target] : targets_) {
            if (target.request != found.request) continue;
            target.request = 0;
            if (found.addresses.empty()) {
                failed(id, target, LossReason::disconnected, true, found.error);
            } else {
                resolved(id, target, std::move(found.addresses));
            }
            break;
        }
    }
}

void Targets::resolved(TargetId id, Target& target, std::vector<std::string> addresses) {
    target.addresses = std::move(addresses);
    target.plan.resolved(target.addresses.size());
    go_on(id, target);
}

void Targets::go_on(TargetId id, Target& target) {
    const bool inproc = target.endpoint.scheme == Endpoint::Scheme::inproc;
    if (target.plan.state() == AttemptPlan::State::probing && inproc) target.plan.probe_passed();
    if (target.plan.state() == AttemptPlan::State::probing) {
        start_probe(id, target);
    } else if (inproc) {
        target.carrier = inproc_.connect_inproc(target.endpoint.path, id, *this);
        if (!target.carrier) failed(id, target, LossReason::refused, true, "the name is not bound");
    } else {
        start_dialer(id, target);
    }
}

Endpoint Targets::numeric(const Target& target) const {
    Endpoint endpoint = target.endpoint;
    endpoint.host = target.addresses[target.plan.address()];
    return endpoint;
}

void Targets::start_probe(TargetId id, Target& target) {
    const Endpoint to = numeric(target);
    target.probe = to.scheme == Endpoint::Scheme::ipc ? Probe::ipc(to.path)
                                                      : Probe::tcp(to.host, to.port);
    if (target.probe->result().kind == ProbeResult::Kind::pending) {
        try {
            target.probe_key = board_.poller.add(target.probe->descriptor(), EPOLLOUT,
                                                 [this, id] { check_probe(id, false); });
        } catch (const Error& error) {
            drop_probe(target);
            failed(id, target, LossReason::disconnected, true, error.what());
            return;
        }
        set_timer(id, target, base::after(board_.clock.now(), kProbeTimeout));
        return;
    }
    check_probe(id, false);
}

void Targets::check_probe(TargetId id, bool timed_out) {
    Target* target = find(id);
    if (target == nullptr || !target->probe) return;
    const ProbeResult result = target->probe->result();
    const bool pending = result.kind == ProbeResult::Kind::pending;
    if (pending && !timed_out) return;
    clear_timer(*target);
    drop_probe(*target);
    if (result.kind == ProbeResult::Kind::passed) {
        target->plan.probe_passed();
        start_dialer(id, *target);
    } else {
        failed(id, *target, pending ? LossReason::disconnected : result.reason, true,
               pending ? "no answer within 5 s" : result.text);
    }
}

void Targets::drop_probe(Target& target) {
    if (!target.probe) return;
    if (target.probe_key != 0) board_.poller.remove(target.probe_key, target.probe->descriptor());
    target.probe_key = 0;
    target.probe.reset();
}

void Targets::start_dialer(TargetId id, Target& target) {
    const Endpoint to = numeric(target);
    DialerOwner& owner = *this;
    const auto dialer = std::make_shared<Dialer>(board_, owner, id, to.text(),
                                                 target.endpoint.text());
    try {
        dialer->start(to.host.find(':') != std::string::npos);
    } catch (const Error& error) {
        dialer->shut(0);
        failed(id, target, LossReason::disconnected, true, error.what());
        return;
    }
    target.carrier = dialer;
    set_timer(id, target,
              base::after(board_.clock.now(), kAttemptTimeout + board_.options.handshake_timeout));
}

void Targets::failed(TargetId id, Target& target, LossReason reason, bool explained,
                     const std::string& text) {
    clear_timer(target);
    if (explained) {
        if (!target.failures.empty()) target.failures += "; ";
        if (target.addresses.size() > 1) target.failures += numeric(target).text() + ": ";
        target.failures += text;
    }
    const base::Time now = board_.clock.now();
    if (target.plan.failed(reason, explained, now, board_.random) == AttemptPlan::Verdict::go_on) {
        go_on(id, target);
        return;
    }
    board_.reports.attempt_failed(id, target.plan.reason(),
                                  target.endpoint.text() + ": " + target.failures);
    set_timer(id, target, target.plan.due());
}

void Targets::name_bound(const std::string& name) {
    const base::Time now = board_.clock.now();
    for (auto& [id, target] : targets_) {
        if (target.endpoint.scheme != Endpoint::Scheme::inproc || target.endpoint.path != name) {
            continue;
        }
        if (target.plan.state() != AttemptPlan::State::waiting) continue;
        target.plan.hurry(now);
        set_timer(id, target, target.plan.due());
    }
}

void Targets::dialer_opened(TargetId id, ChannelId channel) {
    Target* target = find(id);
    if (target == nullptr) return;
    clear_timer(*target);
    target->channel = channel;
    target->plan.connected();
    channels_.emplace(channel, id);
}

void Targets::dialer_failed(TargetId id, LossReason reason, bool explained,
                            const std::string& text) {
    Target* target = find(id);
    if (target == nullptr) return;
    target->carrier.reset();
    failed(id, *target, reason, explained, text);
}

void Targets::dialer_lost(TargetId id) {
    Target* target = find(id);
    if (target == nullptr) return;
    channels_.erase(std::exchange(target->channel, 0));
    target->carrier.reset();
    target->plan.lost(board_.clock.now(), board_.random);
    set_timer(id, *target, target->plan.due());
}

}  // namespace peermq::net
