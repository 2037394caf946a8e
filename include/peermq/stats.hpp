#pragma once

/// Numbers to look at. Counters count since the object was made; taking them never scans messages.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace peermq {

/// One queue as its producing peer sees it.
struct PushStats {
    std::string queue;
    std::string durability;       ///< "memory", "os" or "disk"
    std::uint64_t depth = 0;      ///< unsettled messages in whatever state
    std::uint64_t bytes = 0;      ///< of those, as stored
    std::uint64_t in_flight = 0;  ///< handed to consumers, unsettled
    std::uint64_t waiting = 0;    ///< for a retry, a key, or holders after a restart
    std::uint64_t posted = 0;
    std::uint64_t acked = 0;
    std::uint64_t nacked = 0;
    std::uint64_t released = 0;
    std::uint64_t rejected = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t dead = 0;     ///< moved to the dead letters
    std::uint64_t dropped = 0;  ///< by Overflow::drop_oldest
    std::uint64_t purged = 0;
    std::uint64_t lost = 0;     ///< damaged on disk
    std::uint64_t refused = 0;  ///< settlements that came too late
    std::uint64_t lease_expired = 0;
    std::uint64_t suspicions = 0;  ///< worker died while it may have run the message
    std::uint64_t crashes = 0;     ///< worker died while it ran the message alone
    std::uint64_t consumers = 0;
    std::uint64_t standby = 0;
    std::chrono::nanoseconds
        oldest_age{};  ///< of the oldest unsettled message; 0 when there is none
    bool paused = false;
};

/// One queue as a consuming peer sees it.
struct PullStats {
    std::string queue;
    std::uint64_t ready = 0;        ///< arrived, not yet taken by receive()
    std::uint64_t started = 0;      ///< taken, unsettled
    std::uint64_t unconfirmed = 0;  ///< settled, the producer has not confirmed yet
    std::uint64_t received = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t acked = 0;
    std::uint64_t nacked = 0;
    std::uint64_t released = 0;
    std::uint64_t rejected = 0;
    std::uint64_t recalled = 0;  ///< given back unstarted for another consumer
    std::uint64_t refused = 0;
    std::uint64_t duplicates = 0;       ///< came again while held: not handed over twice
    std::uint64_t unsettled_drops = 0;  ///< Deliveries destroyed unsettled: counted as nacked
    std::uint64_t producers = 0;        ///< linked
    std::uint64_t
        producers_ready = 0;  ///< of those, that have messages to hand out, or had just now
};

/// One subscription as the publisher sees it.
struct SubscriptionStats {
    std::string name;  ///< empty: live
    std::vector<std::string> patterns;
    std::vector<std::string> members;  ///< ids of the peers that are connected
    std::uint64_t lag = 0;             ///< messages that it takes and has not settled; at most so
                                       ///< many while its filter has not looked at all of them
    std::uint64_t in_flight = 0;       ///< of those, handed to members
    std::uint64_t waiting = 0;         ///< of those, for a retry, a key, or members after a restart
    std::uint64_t acked = 0;
    std::uint64_t nacked = 0;
    std::uint64_t rejected = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t missed = 0;
    std::uint64_t settled_up_to = 0;  ///< all up to this sequence number is done with
    bool paused = false;
    bool expired = false;  ///< had no member for so long that nothing is kept for it
};

/// One publisher as its own peer sees it.
struct PublisherStats {
    std::string name;
    std::uint64_t first = 0;  ///< lowest sequence number that a subscription can begin with
    std::uint64_t last = 0;   ///< of the latest message; `first` is above it when nothing is kept
    std::string durability;   ///< "memory", "os" or "disk"
    std::uint64_t published = 0;    ///< since the peer was opened
    std::uint64_t bytes = 0;        ///< of messages that are kept, as stored
    std::uint64_t subscribers = 0;  ///< subscriptions with somebody connected
};

/// One subscription as the subscribing peer sees it.
struct SubscriberStats {
    std::string name;               ///< of a durable one; else its first pattern
    std::uint64_t ready = 0;        ///< arrived, not yet taken by receive()
    std::uint64_t started = 0;      ///< taken, unsettled
    std::uint64_t unconfirmed = 0;  ///< settled, the publisher has not confirmed yet
    std::uint64_t received = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t duplicates = 0;       ///< came again while held: not handed over twice
    std::uint64_t missed = 0;           ///< the sum of all gap events
    std::uint64_t publishers = 0;       ///< that have confirmed and can match
    std::uint64_t peers = 0;            ///< linked now
    std::vector<std::string> refusals;  ///< what linked peers have against it
};

/// Of the circuit breaker of a requester.
enum class BreakerState {
    closed,     ///< all requests go out
    open,       ///< none does
    half_open,  ///< one at a time, to see
};

/// One service as a requesting peer sees it.
struct RequesterStats {
    std::string service;
    std::string durability;  ///< "memory", "os" or "disk"
    std::uint64_t in_flight = 0;
    std::uint64_t requests = 0;
    std::uint64_t replies = 0;          ///< whole ones, failures of handlers included
    std::uint64_t remote_failures = 0;  ///< of those, failures of handlers
    std::uint64_t timeouts = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t outcome_unknown = 0;
    std::uint64_t late_replies = 0;  ///< parts that nobody waited for any more: dropped
    std::uint64_t retries = 0;       ///< handed out again after a replier was lost
    std::uint64_t rejected = 0;      ///< not sent: the breaker was open
    std::uint64_t callback_failures = 0;
    std::uint64_t repliers = 0;
    BreakerState breaker = BreakerState::closed;
};

/// One service as a replying peer sees it.
struct ReplierStats {
    std::string service;
    std::uint64_t ready = 0;        ///< arrived, not yet taken by receive()
    std::uint64_t started = 0;      ///< taken, reply not sent yet
    std::uint64_t unconfirmed = 0;  ///< replies kept, since the requester has not confirmed yet
    std::uint64_t received = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t replies = 0;   ///< whole ones, failures included
    std::uint64_t failures = 0;  ///< of those, by fail(), exceptions, or no reply
    std::uint64_t replayed = 0;  ///< answered from the cache
    std::uint64_t expired = 0;   ///< skipped: past their deadline
    std::uint64_t cancelled = 0;
    std::uint64_t dropped = 0;  ///< replies without room while their requester was away
    std::uint64_t requesters = 0;
};

struct LinkStats {
    std::string peer;    ///< remote peer id, hexadecimal
    std::string remote;  ///< endpoint
    std::string state;   ///< "up", "suspect"
    std::uint64_t sent_bytes = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t unconfirmed_bytes = 0;
    std::chrono::nanoseconds round_trip{};
    std::chrono::nanoseconds last_heard{};  ///< ago
};

struct SpoolStats {
    std::uint64_t live_bytes = 0;
    std::uint64_t dead_bytes = 0;
    std::uint64_t disk_bytes = 0;
    std::uint64_t segments = 0;
    std::uint64_t syncs = 0;
    std::chrono::nanoseconds sync_mean{};
    std::chrono::nanoseconds sync_max{};
    bool space_low = false;
};

struct PeerStats {
    std::string peer;
    std::vector<PushStats> pushes;
    std::vector<PullStats> pulls;
    std::vector<PublisherStats> publishers;
    std::vector<SubscriberStats> subscribers;
    std::vector<LinkStats> links;
    SpoolStats spool;
    std::uint64_t rejected_links = 0;
    std::uint64_t protocol_errors = 0;
    /// Places in the spool that could not be read, cut ends after a crash included; the event
    /// `damage` told each.
    std::uint64_t damage = 0;
    std::uint64_t events_dropped = 0;     ///< not told: too many waited for a slow callback
    std::uint64_t callback_failures = 0;  ///< exceptions out of on_event, log and on_refused
};

}  // namespace peermq
