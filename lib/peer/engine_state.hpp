#pragma once

/// What the engine keeps of links, sessions, producers and consumers. Private to engine*.cpp.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/run_set.hpp"
#include "peer/calls.hpp"
#include "peer/engine.hpp"
#include "peer/replies.hpp"
#include "peer/topic.hpp"

namespace peermq::detail {

struct ProducerOrder {
    bool operator()(const std::pair<Producer*, std::uint32_t>& a,
                    const std::pair<Producer*, std::uint32_t>& b) const;
};

/// What a WANT names.
using StreamName = std::pair<wire::StreamKind, std::string>;

/// A remote peer object, over all of its links. Outlives a lost link, so that leases and holdings
/// find their owner when it comes back.
struct Session {
    base::PeerId peer;
    base::SessionId id;
    LinkState* link = nullptr;
    base::Time lost_at{};
    std::uint64_t watch = 0;  ///< its process is watched under this number
    /// Of our groups, under which of their WANTs.
    std::map<std::pair<Producer*, std::uint32_t>, delivery::ConsumerId, ProducerOrder> consumes;
    struct Source {
        InStream* stream = nullptr;
        delivery::SourceId id = 0;
        std::uint64_t missed = 0;           ///< as told by GAP
        std::uint64_t missed_consumer = 0;  ///< to whom
        bool persistent = false;            ///< outlives its process
    };
    /// Services of which only this session is asked, by name.
    std::map<std::string, Producer*> own_services;
    /// Their streams that we pull; by several pulls when an older one still has messages to settle.
    std::map<std::pair<base::StreamId, const InStream*>, Source> sources;
};

/// Their consumption of one of our streams, over one link.
struct Outgoing {
    Producer* producer = nullptr;
    delivery::ConsumerId consumer = 0;
    std::uint32_t want = 0;  ///< their handle in WANT
    std::uint32_t grant_messages = 0;
    std::vector<wire::HeldRun> held;  ///< gathered until HELD says done
    base::RunSet foreign;             ///< what HELD named and is not ours under these numbers
    std::vector<std::byte> reply{};   ///< the part of a reply that is on its way in
};

/// Our consumption of one of their streams, over one link.
struct Incoming {
    Consumer* consumer = nullptr;
    delivery::SourceId source = 0;
    base::StreamId stream;
    base::Epoch epoch;  ///< of `seed`
    record::Seed seed;
    std::vector<std::byte> fragments;  ///< of the record under way
    std::uint32_t fragments_total = 0;
    base::Seq fragments_seq = 0;
};

struct PendingFrame {
    std::vector<std::byte> head;
    base::ByteSpan records;
    std::shared_ptr<const void> pin;
    bool data = false;
};

/// One channel.
struct LinkState {
    LinkState(net::ChannelId channel_id, net::TargetId target_id, std::string remote_text,
              delivery::LinkOptions options, base::Time now)
        : channel(channel_id),
          target(target_id),
          remote(std::move(remote_text)),
          machine(options, now) {}

    net::ChannelId channel;
    net::TargetId target;  ///< 0 = they connected to us
    std::string remote;
    delivery::Link machine;
    std::uint64_t nonce = 0;  ///< ours: every frame to us carries it
    std::uint64_t peer_nonce = 0;
    bool greeted = false;  ///< their HELLO is accepted
    wire::Hello hello;
    base::Duration clock_skew{};  ///< how far their wall clock is ahead of ours, when it matters
    Session* session = nullptr;   ///< attached
    bool closed = false;
    int errors = 0;

    std::uint32_t next_handle = 1;
    std::unordered_map<std::uint32_t, Outgoing> outgoing;  ///< by our handle
    std::unordered_map<std::uint32_t, Incoming> incoming;  ///< by their handle
    std::map<std::uint32_t, StreamName> wants;             ///< what they want, by their handle
    std::map<std::uint32_t, wire::Subscribe> subscribes;   ///< the same, of topics
    std::deque<PendingFrame> pending;                      ///< the transport was full
    std::size_t pending_bytes = 0;

    [[nodiscard]] bool up() const noexcept { return session != nullptr && !closed; }
};

/// One group of one of our streams: the only one of a queue, one per subscription of a topic.
struct Producer {
    std::shared_ptr<OutStream> stream;
    delivery::Group group;
    std::shared_ptr<OutStream> dead_letters;  ///< null for a dead-letter stream itself
    struct Binding {
        Session* session = nullptr;
        std::uint32_t handle = 0;  ///< valid on session->link
        bool told_ready = false;
        std::uint64_t missed_base = 0;  ///< what the subscription had missed before it came
        std::uint64_t missed_told = 0;  ///< over this link, counted from the base
    };
    std::map<delivery::ConsumerId, Binding> consumers{};
    std::deque<std::shared_ptr<const Chunk>> read_back{};  ///< recently read from the spool
    bool active = false;
    bool announced_ready = false;
    std::uint64_t activity = 0;                     ///< of the group, as told to the consumers
    std::vector<delivery::Facts::Dead> unburied{};  ///< could not be read yet
    struct Answer {
        delivery::ConsumerId consumer = 0;
        std::uint64_t number = 0;
        std::vector<delivery::RefusedRun> refused;
        std::vector<base::Run> open;  ///< were settling() when they were settled
    };
    /// In order; they wait for the unburied, whose settlements they may confirm, and for what was
    /// settling().
    std::vector<Answer> unanswered{};
    std::size_t settling_bytes = 0;  ///< handed out at most once, to be sent when that is stored
    std::uint64_t settling_ticket = 0;
    base::Time idle_since = base::kNever;
    base::Seq mark_asked = 0;
    std::uint64_t dead = 0;
    std::uint64_t dropped = 0;
    std::uint64_t refused = 0;                     ///< settlements that the group did not see
    spool::GroupIndex index = 0;                   ///< of the group among those of the stream
    std::unique_ptr<Subscription> subscription{};  ///< null for a queue
    bool ending = false;                           ///< goes at the end of the step
    /// Of requests that only this session is asked; 0: everybody.
    const Session* only = nullptr;
    std::shared_ptr<Calls> calls{};  ///< of a service
    /// Of replies in several parts under way: who sends them.
    std::unordered_map<base::Seq, delivery::ConsumerId> streaming{};

    [[nodiscard]] ProducerKey key() const noexcept { return {stream.get(), index}; }
    /// Its delivery state survives the process.
    [[nodiscard]] bool stored() const noexcept { return stream->stored() && index < kLiveGroups; }
};

inline bool ProducerOrder::operator()(const std::pair<Producer*, std::uint32_t>& a,
                                      const std::pair<Producer*, std::uint32_t>& b) const {
    const ProducerKey first = a.first->key();
    const ProducerKey second = b.first->key();
    return first == second ? a.second < b.second : first < second;
}

/// One of our pulls.
struct Consumer {
    std::shared_ptr<InStream> stream;
    std::uint32_t want = 0;  ///< our handle in WANT
    std::map<delivery::SourceId, std::pair<Session*, std::uint32_t>>
        sources;                                           ///< session, their handle
    base::PeerId only_producer;                            ///< with single_producer
    std::optional<wire::Subscribe> subscribe;              ///< of a subscription: what it wants now
    std::map<net::ChannelId, wire::Subscribed> confirmed;  ///< by live links
    std::set<base::StreamId> ended;  ///< by UNOFFER: to begin anew, not to be resumed
    std::map<base::StreamId, delivery::SourceId> source_of{};  ///< of a service
};

}  // namespace peermq::detail
