#pragma once

/// The peer without sockets, threads and clock: links, sessions, groups and inboxes put together.
///
/// Frames come in through net::TransportEvents, leave through net::Transport; records come from
/// OutStreams, state changes go to the CommitQueue; what arrives goes to InStreams. The simulator
/// runs this very code over a model of the network and the disk.
///
/// Invariants it keeps between its parts: a record is handed to a Group only when it is as durable
/// as its level asks; a settlement is confirmed to a consumer only when it is stored; a message
/// that failed is handed out again only when that is stored; every frame of a link carries the
/// receiver's nonce.
///
/// Threads: the owner role for everything but the Notifications, which any thread may give.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "delivery/group.hpp"
#include "delivery/inbox.hpp"
#include "delivery/link.hpp"
#include "net/transport.hpp"
#include "peer/commit_queue.hpp"
#include "peer/in_batch.hpp"
#include "peer/in_stream.hpp"
#include "peer/out_stream.hpp"
#include "peer/replies.hpp"
#include "peermq/events.hpp"
#include "peermq/stats.hpp"
#include "wire/frames.hpp"

namespace peermq::detail {

class Calls;

struct EngineOptions {
    base::PeerId peer;
    base::SessionId session;
    wire::HostInfo host;
    std::string agent;
    std::size_t message_bytes_max = base::limits::kMessageBytesMaxDefault;
    std::uint64_t dead_bytes_max = 0;
    delivery::LinkOptions link;
};

/// Where events go; must not call back.
class EventSink {
public:
    virtual ~EventSink() = default;
    virtual void emit(Event event) = 0;
    /// A settlement of `stream` was refused: `id` as the Delivery showed it.
    virtual void refused(const std::shared_ptr<InStream>& stream, std::string id) = 0;
};

/// What other threads tell the engine; taken at the next step.
class Notifications {
public:
    void stream_advanced(const std::shared_ptr<OutStream>& stream);
    void committed(const std::vector<std::shared_ptr<OutStream>>& streams, std::uint64_t ticket);
    void pull_wants_flush(const std::shared_ptr<InStream>& stream);
    void calls_changed(const std::shared_ptr<Calls>& calls);

private:
    friend class Engine;
    std::mutex mutex_;
    std::vector<std::shared_ptr<OutStream>> advanced_;
    std::vector<std::shared_ptr<InStream>> pulls_;
    std::vector<std::shared_ptr<Calls>> calls_;
    std::uint64_t ticket_ = 0;
};

/// A group of one of our streams, in an order that a run repeats, which addresses are not.
struct ProducerKey {
    const OutStream* stream = nullptr;
    spool::GroupIndex group = 0;

    friend bool operator==(const ProducerKey&, const ProducerKey&) = default;
    friend bool operator<(const ProducerKey& a, const ProducerKey& b) noexcept {
        if (a.stream != b.stream) return a.stream->config().id < b.stream->config().id;
        return a.group < b.group;
    }
};

struct Incoming;
struct Producer;
struct Consumer;
struct Session;
struct LinkState;
struct Topic;
struct TopicOptions;
struct Subscription;
struct Beginning;
struct Outgoing;
class TopicFilter;

class Engine final : public net::TransportEvents {
public:
    /// `spool` and `commits` are null for a peer in memory.
    Engine(EngineOptions options, base::Random& random, net::Transport& transport,
           spool::Spool* spool, CommitQueue* commits, EventSink& events);
    ~Engine() override;

    /// Time of all that follows until the next call.
    void set_now(base::Time now, base::WallTime wall_now);

    // --- queues
    void add_producer(const std::shared_ptr<OutStream>& stream, delivery::GroupOptions options,
                      const std::shared_ptr<OutStream>& dead_letters);
    /// The requests of a service; `calls` hears how each ends.
    void add_service(const std::shared_ptr<Calls>& calls, delivery::GroupOptions options);
    /// The tables of requests that go to one replier each: of `service`, for every replier of it
    /// that is linked now. `make` makes one for a replier that has none yet.
    [[nodiscard]] std::vector<std::shared_ptr<Calls>> each_replier(
        const std::string& service, const std::function<std::shared_ptr<Calls>()>& make);
    /// As found in the spool.
    void recover_producer(const OutStream& stream, const spool::RecoveredStream& recovered);
    void configure_producer(const OutStream& stream, delivery::GroupOptions options);
    void add_consumer(const std::shared_ptr<InStream>& stream);

    // --- topics
    void add_topic(const std::shared_ptr<OutStream>& stream, TopicOptions options,
                   const std::shared_ptr<OutStream>& dead_letters);
    /// As found in the spool, with its durable subscriptions.
    void recover_topic(const OutStream& stream, const spool::RecoveredStream& recovered);
    void configure_topic(const OutStream& stream, TopicOptions options);
    [[nodiscard]] std::vector<SubscriptionStats> subscriptions(const OutStream& stream);
    /// Of durable subscriptions. Throw Error: not_found, invalid_argument (seek out of range).
    void pause_subscription(const OutStream& stream, std::string_view name, bool paused);
    void seek_subscription(const OutStream& stream, std::string_view name, wire::From from,
                           std::uint64_t value);
    void erase_subscription(const OutStream& stream, std::string_view name);
    void add_subscriber(const std::shared_ptr<InStream>& stream, wire::Subscribe wanted);
    /// The subscription as it is now, and the same with another filter; its new version.
    [[nodiscard]] wire::Subscribe subscription(const InStream& stream) const;
    std::uint32_t change_subscription(const InStream& stream, wire::Subscribe wanted);
    /// The publisher has no room: lets retained messages go, and drops what waits for the slowest
    /// live subscription that does not block, or with `drop_oldest` of any that does not. True when
    /// that has made room.
    bool relieve(const OutStream& stream, bool drop_oldest);
    /// The sequence numbers that a subscription can begin with.
    [[nodiscard]] base::Run kept(const OutStream& stream) const;
    /// True when no connected subscriber waits for anything that was published.
    [[nodiscard]] bool published(const OutStream& stream);
    [[nodiscard]] std::vector<std::shared_ptr<InStream>> pulls() const;
    std::uint64_t purge(const OutStream& stream);
    void pause(const OutStream& stream, bool paused);
    /// Drops the oldest messages that nobody holds, at least `bytes` of them; returns how many.
    std::uint64_t drop_oldest(const OutStream& stream, std::uint64_t bytes);

    [[nodiscard]] Notifications& notifications() noexcept { return notifications_; }
    /// Does all that can be done now: what was notified, what is due, what can be handed out and
    /// sent.
    void step();
    [[nodiscard]] base::Time next_deadline() const;
    /// Messages handed out and taken in so far.
    [[nodiscard]] std::uint64_t handed_out() const noexcept { return handed_out_; }
    [[nodiscard]] std::uint64_t taken_in() const noexcept { return taken_in_; }

    // --- the end
    /// Nothing more is handed out or taken; pulls give back what nobody has started.
    void begin_close();
    /// True when every settlement has been confirmed and nothing is in a handler.
    [[nodiscard]] bool drained();
    /// Says BYE on every link.
    void say_bye();

    // --- looking
    /// Reads one record, the oldest, to tell its age.
    [[nodiscard]] PushStats push_stats(const OutStream& stream);
    [[nodiscard]] std::vector<LinkStats> link_stats() const;
    [[nodiscard]] std::uint64_t rejected_links() const noexcept { return rejected_links_; }
    [[nodiscard]] std::uint64_t protocol_errors() const noexcept { return protocol_errors_; }
    [[nodiscard]] const delivery::Group& group(const OutStream& stream) const;
    void check_invariants() const;

    // --- net::TransportEvents
    void opened(net::ChannelId channel, net::TargetId target, std::string_view remote) override;
    void received(net::ChannelId channel, net::Received frame) override;
    void lost(net::ChannelId channel, net::LossReason reason, std::string_view text) override;
    void attempt_failed(net::TargetId target, net::LossReason reason,
                        std::string_view text) override;
    void process_ended(std::uint64_t watch) override;

private:
    class HandOut;

    // links and sessions: engine_links.cpp
    void on_hello(LinkState& link, const wire::Hello& hello);
    void attach(LinkState& link);
    void detach(LinkState& link);
    void end_session(Session& session, bool crashed, std::string_view why);
    void reject(LinkState& link, wire::RejectCode code, const std::string& text);
    void protocol_error(LinkState& link, const std::string& text);
    void close_link(LinkState& link, std::string_view why);
    void on_frame(LinkState& link, const wire::Frame& frame, const net::Received& received);
    void on_ping(LinkState& link, const wire::Ping& ping);
    void on_pong(LinkState& link, const wire::Pong& pong);
    void send(LinkState& link, std::uint32_t handle, const wire::Body& body);
    void send_data(LinkState& link, std::vector<std::byte> head, base::ByteSpan records,
                   std::shared_ptr<const void> pin);
    void flush_pending(LinkState& link);
    void tick_links();
    void drop_closed_links();
    [[nodiscard]] wire::Hello make_hello(const LinkState& link) const;

    // sending side: engine_producer.cpp, engine_hand_out.cpp, engine_store.cpp, engine_settle.cpp
    Producer& new_producer(const std::shared_ptr<OutStream>& stream, delivery::GroupOptions options,
                           const std::shared_ptr<OutStream>& dead_letters);
    /// Offers it to everybody who wants what has its kind and name.
    void introduce(Producer& producer, wire::StreamKind kind);
    void on_want(LinkState& link, const wire::Want& want);
    void on_unwant(LinkState& link, const wire::Unwant& unwant);
    void offer(LinkState& link, std::uint32_t want, Producer& producer);
    void on_grant(LinkState& link, std::uint32_t handle, const wire::Grant& grant);
    void on_held(LinkState& link, std::uint32_t handle, const wire::Held& held);
    [[nodiscard]] base::RunSet foreign_parts(const Producer& producer,
                                             const wire::HeldRun& held) const;
    [[nodiscard]] static std::vector<base::Run> ours_of(Producer& producer,
                                                        const base::RunSet& foreign,
                                                        const wire::SettleEntry& entry,
                                                        std::vector<delivery::RefusedRun>& refused);
    void on_settle(LinkState& link, std::uint32_t handle, const wire::Settle& settle);
    void on_renew(LinkState& link, std::uint32_t handle, const wire::Renew& renew);
    void pump(Producer& producer);
    bool hand_out(Producer& producer);
    void send_assignments(Producer& producer, std::vector<delivery::Assignment>& assignments);
    void announce_held(LinkState& link, std::uint32_t handle, std::uint32_t number);
    /// Calls `act` for the link, if it is still there, once all that was handed out of the stream
    /// has been sent: at once, unless that waits to be stored.
    void after_settled(Producer& producer, LinkState& link, std::function<void(LinkState&)> act);
    void send_when_settled(Producer& producer, std::vector<delivery::Assignment> assignments);
    void send_batch(LinkState& link, std::uint32_t handle, Producer& producer,
                    const std::vector<delivery::Assignment>& assignments);
    void send_fragments(LinkState& link, std::uint32_t handle,
                        const delivery::Assignment& assignment, base::Epoch epoch,
                        base::ByteSpan record, const std::shared_ptr<const void>& pin);
    void lose(Producer& producer, base::Run run);
    void store_facts(Producer& producer);
    void bury(Producer& producer, const delivery::Facts::Dead& dead);
    void drop_dead_letter(Producer& producer, const delivery::Facts::Dead& dead);
    void move_to_dead_letters(Producer& producer, const delivery::Facts::Dead& dead,
                              base::ByteSpan record);
    void limit_dead_letters(Producer& producer);
    void store_mark(Producer& producer);
    void announce_readiness(Producer& producer);
    void answer_settlements(Producer& producer);
    void send_confirm(Producer& producer, delivery::ConsumerId consumer, std::uint64_t number,
                      std::vector<delivery::RefusedRun> refused);
    void when_stored(std::uint64_t ticket, std::function<void()> action);
    void wake(Producer& producer);
    [[nodiscard]] bool took_all(Producer& producer);
    /// Takes in what was posted since the last step; returns the last seq that may be handed out.
    base::Seq catch_up(Producer& producer);
    void tick_producers();
    [[nodiscard]] Producer* find(const OutStream& stream) const;
    [[nodiscard]] std::uint64_t unsettled_bytes(const Producer& producer) const;
    [[nodiscard]] base::WallTime enqueued_at(Producer& producer, base::Seq seq);

    // topics, publishing side: engine_topics.cpp
    [[nodiscard]] Topic* find_topic(const OutStream& stream) const;
    void advance(Topic& topic);
    /// Takes new records into the group; true when its filter has more to look at.
    bool take_in(Producer& producer);
    void look_through(Producer& producer, base::Seq end);
    void limit_backlog(Producer& producer);
    void hold(Subscription& subscription, bool held);
    void count_missed(Producer& producer, std::uint64_t messages, wire::GapReason reason,
                      base::Seq before);
    void tell_missed(Producer& producer);
    /// Something of it may be finished: looked at before the step ends.
    void note_progress(Topic& topic);
    void finish(Topic& topic);
    void finish_topics();
    void forget_sparse(Topic& topic);
    void forget(Topic& topic, const std::vector<base::Run>& runs);
    void count_subscribers(Topic& topic);

    // retention: engine_retention.cpp
    [[nodiscard]] bool note_values(Topic& topic);
    void retain(Topic& topic);
    void let_go(Topic& topic);
    void forget_superseded(Topic& topic);
    void wake_topic(Topic& topic);
    [[nodiscard]] std::uint64_t kept_bytes(const Topic& topic) const;
    /// The first message published at or after so many ns since 1970 UTC; the next one if none was.
    [[nodiscard]] base::Seq seq_at(Topic& topic, std::uint64_t time);
    /// Where the last `count` messages begin that such a subscription takes.
    [[nodiscard]] base::Seq seq_of_last(Topic& topic, const wire::Subscribe& wanted,
                                        std::uint64_t count);

    // subscriptions, publishing side: engine_subscriptions.cpp
    void on_subscribe(LinkState& link, const wire::Subscribe& wanted);
    std::uint64_t subscribe(LinkState& link, Topic& topic, const wire::Subscribe& wanted);
    void confirm_subscription(LinkState& link, const wire::Subscribe& wanted, std::uint64_t ticket);
    void change_filter(Producer& producer, const wire::Subscribe& wanted, TopicFilter&& filter);
    [[nodiscard]] Producer* known_subscription(const LinkState& link, Topic& topic,
                                               const wire::Subscribe& wanted) const;
    Producer& make_subscription(Topic& topic, const wire::Subscribe& wanted,
                                const Beginning& beginning);
    [[nodiscard]] Beginning begin_of(Topic& topic, const wire::Subscribe& wanted);
    void leave_subscription(LinkState& link, std::uint32_t handle, Producer& producer);
    /// The consumer has gone for good: a live subscription ends with it.
    void member_left(Producer& producer);
    void end_subscriptions();
    void end_subscription(Producer& producer);
    void release_members(Producer& producer, const std::string& why);
    void add_group(Topic& topic, std::unique_ptr<Producer> made);
    [[nodiscard]] std::unique_ptr<Producer> new_group(Topic& topic, const wire::Subscribe& wanted,
                                                      spool::GroupIndex index);

    // durable subscriptions: engine_durable.cpp
    void recover_subscription(Topic& topic, const spool::GroupState& group,
                              const spool::RecoveredStream& recovered);
    [[nodiscard]] Producer& durable_named(Topic& topic, std::string_view name) const;
    [[nodiscard]] base::Seq seek_target(Topic& topic, const wire::Subscribe& wanted,
                                        wire::From from, std::uint64_t value);
    void limit_lag(Producer& producer);
    void note_members(Producer& producer);
    /// Adds to `changes` what the spool does not know yet of its place and its record.
    void add_subscription_changes(Producer& producer, std::vector<spool::StateChange>& changes);
    void store_subscription(Producer& producer);
    void erase_group(Producer& producer, const std::string& why);

    // subscriptions, receiving side: engine_subscriber.cpp
    void send_subscribe(LinkState& link, const Consumer& consumer);
    void on_subscribed(LinkState& link, const wire::Subscribed& subscribed);
    void on_gap(LinkState& link, std::uint32_t handle, const wire::Gap& gap);
    void tell_confirmed(Consumer& consumer);
    [[nodiscard]] Consumer* find_consumer(const InStream& stream) const;

    // requests and replies, both sides: engine_requests.cpp
    void on_reply(LinkState& link, std::uint32_t handle, const wire::Reply& reply,
                  const net::Received& received);
    void take_reply(LinkState& link, Outgoing& outgoing, const wire::Reply& reply,
                    const std::shared_ptr<const void>& pin);
    void on_reply_credit(LinkState& link, std::uint32_t handle, const wire::ReplyCredit& credit);
    void on_cancel(LinkState& link, std::uint32_t handle, const wire::Cancel& cancel);
    void flush_calls(Producer& producer);
    void give_up_request(Producer& producer, base::Run run, delivery::ConsumerId answered_by);
    void store_reply(Producer& producer, base::Seq seq);
    /// The only one whom a private service can ask has gone for good.
    void end_private(Producer& producer);
    void end_unclear(Producer& producer, const delivery::Facts::Dead& dead);
    void send_replies(Consumer& consumer);
    /// The link has room again.
    void flush_replies(LinkState& link);
    void send_piece(LinkState& link, std::uint32_t handle, const Replies::Piece& piece);
    void forget_confirmed(const Incoming& incoming);

    // receiving side: engine_consumer.cpp
    void send_wants(LinkState& link, const Consumer& consumer);
    void release_stopped_pulls();
    /// A pull that takes from one producer alone may take from the next.
    void producer_ended(const base::PeerId& peer);
    void on_offer(LinkState& link, std::uint32_t handle, const wire::Offer& offer);
    void on_unoffer(LinkState& link, std::uint32_t handle);
    void on_batch(LinkState& link, std::uint32_t handle, const wire::Batch& batch,
                  const net::Received& received);
    [[nodiscard]] std::size_t record_bytes_max(const Incoming& incoming) const;
    void on_fragment(LinkState& link, std::uint32_t handle, const wire::Fragment& fragment);
    void on_confirm(LinkState& link, std::uint32_t handle, const wire::Confirm& confirm);
    void flush_pull(Consumer& consumer);
    void note_heard(LinkState& link, base::Time heard_at);
    void tick_consumers();

    EngineOptions options_;
    base::Random& random_;
    net::Transport& transport_;
    spool::Spool* spool_;
    CommitQueue* commits_;
    EventSink& events_;
    base::Time now_{};
    base::WallTime wall_now_{};

    Notifications notifications_;
    std::map<ProducerKey, std::unique_ptr<Producer>> producers_;
    std::map<std::pair<wire::StreamKind, std::string>, Producer*> producers_by_name_;
    std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
    std::vector<Topic*> dirty_topics_;
    std::vector<Producer*> ending_;  ///< what goes at the end of the step
    std::vector<std::unique_ptr<Consumer>> consumers_;
    std::unordered_map<net::ChannelId, std::unique_ptr<LinkState>> links_;
    std::map<base::SessionId, std::unique_ptr<Session>> sessions_;
    std::map<net::TargetId, base::SessionId> target_sessions_;
    std::deque<Producer*> active_;  ///< may have something to hand out
    struct Stored {
        std::uint64_t ticket;
        std::function<void()> action;
    };
    std::deque<Stored> awaiting_store_;  ///< by ticket
    std::vector<net::ChannelId> closed_links_;
    std::uint64_t next_id_ = 1;  ///< consumers, sources, watches
    std::uint64_t handed_out_ = 0;
    std::uint64_t taken_in_ = 0;
    std::uint64_t rejected_links_ = 0;
    std::uint64_t protocol_errors_ = 0;
    base::Time tick_after_{};  ///< no tick before
    base::Time tick_at_{};     ///< one by then
    bool closing_ = false;
};

}  // namespace peermq::detail
