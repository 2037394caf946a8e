/// What libzmq gets wrong, and what is done about it:
///
/// - A ROUTER drops silently what it cannot deliver: MANDATORY and DONTWAIT everywhere; "full" and
///   "gone" are answers of send().
/// - Two peers with one routing id lose messages: no ids are set, the ROUTER draws them; whoever
///   brings one is a stranger and is cut off.
/// - Its own reconnecting resends what may have arrived, resolves names on the I/O thread and says
///   nothing of refusal: RECONNECT_IVL is -1 and IMMEDIATE 1, attempts are made by Targets, each on
///   a new DEALER, after a probe of our own.
/// - zmq_poll costs time per socket: epoll on ZMQ_FD instead. Its edge is eaten by any call on the
///   socket, so a socket counts as ready until a receive says EAGAIN, and is asked again after
///   every send (Switchboard::mark_ready, not certain).
/// - Events name descriptors, not peers: see FdOwners. Descriptors are reused, so the monitor is
///   read before a new channel is believed.
/// - One accepted connection cannot be closed through the stable API: AcceptedSocket::end().
/// - A monitor whose queue is full blocks the I/O thread: its queue has no bound, it is read at
///   every wait.
/// - ipc paths are stolen and EMFILE there aborts the process: IpcGuard.
/// - inproc needs one context for all, has no monitor and no end: own pipes, see inproc.hpp.
/// - Contexts and sockets wait for ever by default: BLOCKY 0, LINGER 0 until closing says
/// otherwise.
/// - MAXMSGSIZE cuts the connection without a word: it is four times our limit, which is checked
/// here.

#include "net/network.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "net/inproc.hpp"
#include "net/inproc_channel.hpp"
#include "net/listener.hpp"
#include "net/process_watch.hpp"
#include "net/switchboard.hpp"
#include "net/targets.hpp"
#include "peermq/error.hpp"

namespace peermq::net {
namespace {

/// A ROUTER does not tell when one of its peers has room again.
constexpr auto kFullRetry = std::chrono::milliseconds(5);

}  // namespace

class Network::Impl final : private InprocDesk {
public:
    Impl(const NetworkOptions& options, base::Clock& clock, base::Random& random)
        : board_(options, clock, random),
          mailbox_(std::make_shared<InprocMailbox>(board_.wakeup)),
          watch_(board_.poller, [this](std::uint64_t id) { board_.reports.process_ended(id); }),
          targets_(board_, *this) {}

    ~Impl() { shut_down(board_.clock.now()); }

    std::string bind(const Endpoint& endpoint) {
        require_open();
        if (endpoint.scheme == Endpoint::Scheme::inproc) return bind_inproc(endpoint);
        const auto listener = std::make_shared<Listener>(board_);
        std::string real = listener->start(endpoint);
        listeners_.push_back(listener);
        return real;
    }

    TargetId connect(const Endpoint& endpoint) {
        require_open();
        return targets_.add(endpoint);
    }

    void disconnect(TargetId target) { targets_.remove(target); }

    std::size_t receive(TransportEvents& events, std::size_t frames_max) {
        board_.poller.poll();
        collect_news();
        return board_.receive(events, frames_max);
    }

    void wait_unowned(base::Time deadline) { board_.poller.idle(board_.clock, deadline); }

    [[nodiscard]] bool anything_ready() {
        collect_news();
        return board_.anything_ready();
    }

    void tick() {
        collect_news();
        if (full_retry_at_ <= board_.clock.now()) full_retry_at_ = base::kNever;
        board_.timers.run(board_.clock.now());
    }

    [[nodiscard]] base::Time next_deadline() const {
        return std::min(board_.timers.next(), full_retry_at_);
    }

    void wake() noexcept { board_.wakeup->wake(); }

    SendResult send(ChannelId channel, const Outgoing& frame) {
        const std::shared_ptr<Carrier> carrier = board_.carrier_of(channel);
        if (!carrier) return SendResult::gone;
        const SendResult result = carrier->send(channel, frame);
        if (result == SendResult::full && full_retry_at_ == base::kNever) {
            full_retry_at_ = base::after(board_.clock.now(), kFullRetry);
        }
        return result;
    }

    void close(ChannelId channel) {
        board_.reports.forget_channel(channel);
        if (const auto carrier = board_.carrier_of(channel)) carrier->close(channel);
    }

    void accept(ChannelId channel) { targets_.accept(channel); }

    bool watch_process(std::uint64_t watch, std::uint32_t pid, std::uint64_t start_time) {
        return watch_.watch(watch, pid, start_time);
    }

    void unwatch_process(std::uint64_t watch) {
        watch_.unwatch(watch);
        board_.reports.forget_watch(watch);
    }

    void shut_down(base::Time deadline) {
        if (std::exchange(shut_, true)) return;
        for (const std::string& name : inproc_names_) InprocHub::instance().unbind(name);
        const base::Duration left = std::clamp(deadline - board_.clock.now(),
                                               base::Duration::zero(), kLingerMax);
        const auto linger_ms = static_cast<int>(
            std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
        // All sockets linger at the same time, so that all together take no longer than one.
        targets_.shut(linger_ms);
        for (const auto& listener : listeners_) listener->shut(linger_ms);
        for (const auto& [pipe, channel] : pipes_) channel->shut(0);
        mailbox_->close();
        board_.clear_ready();
        board_.context.terminate();
        pipes_.clear();
        listeners_.clear();  // ipc paths are given up only now that libzmq has let go of them
    }

private:
    static constexpr base::Duration kLingerMax = std::chrono::minutes(10);

    void require_open() const {
        if (shut_) throw Error(ErrorCode::closed, "the network is shut down");
    }

    std::string bind_inproc(const Endpoint& endpoint) {
        if (!InprocHub::instance().bind(endpoint.path, mailbox_)) {
            throw Error(ErrorCode::address_in_use,
                        "cannot bind " + endpoint.text() + ": the name is taken in this process");
        }
        inproc_names_.push_back(endpoint.path);
        return endpoint.text();
    }

    std::shared_ptr<InprocChannel> connect_inproc(const std::string& name, TargetId target,
                                                  DialerOwner& owner) override {
        const auto pipe = InprocHub::instance().connect(name, mailbox_);
        if (!pipe) return nullptr;
        auto channel = std::make_shared<InprocChannel>(board_, &owner, target, pipe,
                                                       "inproc://" + name);
        pipes_.emplace(pipe.get(), channel);
        channel->open();
        return channel;
    }

    void collect_news() {
        if (targets_.has_resolutions()) targets_.take_resolutions();
        if (!mailbox_->has_news()) return;
        for (InprocMailbox::News& news : mailbox_->take()) {
            switch (news.kind) {
                case InprocMailbox::News::Kind::bound: targets_.name_bound(news.name); break;
                case InprocMailbox::News::Kind::connected:
                    pipes_.emplace(news.pipe.get(),
                                   std::make_shared<InprocChannel>(board_, nullptr, 0, news.pipe,
                                                                   "inproc://" + news.name));
                    break;
                case InprocMailbox::News::Kind::activity: pipe_active(news.pipe.get()); break;
            }
        }
    }

    void pipe_active(const InprocPipe* pipe) {
        std::erase_if(pipes_, [](const auto& entry) { return entry.second->is_shut(); });
        const auto found = pipes_.find(pipe);
        if (found != pipes_.end()) board_.mark_ready(found->second, true);
    }

    Switchboard board_;
    std::shared_ptr<InprocMailbox> mailbox_;
    std::unordered_map<const InprocPipe*, std::shared_ptr<InprocChannel>> pipes_;
    std::vector<std::string> inproc_names_;
    ProcessWatch watch_;
    std::vector<std::shared_ptr<Listener>> listeners_;
    Targets targets_;
    base::Time full_retry_at_ = base::kNever;  ///< send() has said full: worth another try then
    bool shut_ = false;
};

Network::Network(NetworkOptions options, base::Clock& clock, base::Random& random)
    : impl_(std::make_unique<Impl>(options, clock, random)) {}

Network::~Network() = default;

std::string Network::bind(const Endpoint& endpoint) { return impl_->bind(endpoint); }

TargetId Network::connect(const Endpoint& endpoint) { return impl_->connect(endpoint); }

void Network::disconnect(TargetId target) { impl_->disconnect(target); }

void Network::wait_unowned(base::Time deadline) { impl_->wait_unowned(deadline); }

bool Network::anything_ready() { return impl_->anything_ready(); }

std::size_t Network::receive(TransportEvents& events, std::size_t frames_max) {
    return impl_->receive(events, frames_max);
}

void Network::tick() { impl_->tick(); }

base::Time Network::next_deadline() const { return impl_->next_deadline(); }

void Network::wake() noexcept { impl_->wake(); }

SendResult Network::send(ChannelId channel, base::ByteSpan head) {
    return impl_->send(channel, {head, {}, nullptr});
}

SendResult Network::send(ChannelId channel, base::ByteSpan head, base::ByteSpan records,
                         std::shared_ptr<const void> pin) {
    return impl_->send(channel, {head, records, &pin});
}

void Network::close(ChannelId channel) { impl_->close(channel); }

void Network::accept(ChannelId channel) { impl_->accept(channel); }

bool Network::watch_process(std::uint64_t watch, std::uint32_t pid, std::uint64_t start_time) {
    return impl_->watch_process(watch, pid, start_time);
}

void Network::unwatch_process(std::uint64_t watch) { impl_->unwatch_process(watch); }

void Network::shut_down(base::Time deadline) { impl_->shut_down(deadline); }

}  // namespace peermq::net
