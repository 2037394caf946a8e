#pragma once

/// Options of peers and queues. Every field has its unit, default and range; the defaults are good.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "peermq/events.hpp"
#include "peermq/message.hpp"

namespace peermq {

/// What a message survives once its receipt says durable. Names stand in stats and logs.
enum class Durability {
    memory,  ///< nothing: lost with the process
    os,      ///< the death of the process, not a power cut: written, not synced
    disk,    ///< process death, crash of the system and power cut: synced before it counts
};

/// How far a message has come.
enum class Until {
    durable,  ///< as safe as its queue's Durability asks
    acked,    ///< settled by a consumer (or dead-lettered)
};

/// What happens to a new message when the quota is reached.
enum class Overflow {
    block,        ///< the call waits for room
    error,        ///< the call throws Error quota
    drop_oldest,  ///< the oldest messages that no consumer holds are dropped, counted and reported
};

struct PeerOptions {
    /// Directory of the spool, made when missing (mode 0700). Empty: memory only, same API.
    std::string spool{};
    /// Most bytes of unsettled messages in the spool, dead letters apart. Any, default 16 GiB.
    std::uint64_t spool_bytes_max = std::uint64_t{16} << 30;
    /// Most bytes of dead letters; beyond it the oldest are dropped and counted. Any, default 1
    /// GiB.
    std::uint64_t dead_bytes_max = std::uint64_t{1} << 30;
    /// Free disk below which no new message is accepted. Any, default 64 MiB.
    std::uint64_t free_bytes_min = std::uint64_t{64} << 20;
    /// Size of one log segment. At most 1 GiB, default 64 MiB; smaller ones free disk sooner. What
    /// exceeds a quarter of spool_bytes_max is cut to that; less than 16 KiB counts as 16 KiB.
    std::uint64_t segment_bytes = std::uint64_t{64} << 20;
    /// Most bytes of one message with its properties. 1,024 bytes to 1 GiB, default 16 MiB. Larger
    /// ones are refused by the sender (too_large) and cut the link when a stranger sends them; a
    /// dead letter may be longer by the headers that say why it died.
    std::uint64_t message_bytes_max = std::uint64_t{16} << 20;
    /// Allows binding addresses that other hosts can reach without encryption. Default false: only
    /// loopback, ipc and inproc.
    bool insecure = false;
    /// Listens at the unix socket "control" in the spool directory, at which programs of this user
    /// see the stats and hand messages over; see control.hpp. Default true. Nothing without a
    /// spool.
    bool control = true;
    /// What the destructor grants close(). Any, default 5 s; see there for 0 or less.
    std::chrono::nanoseconds close_timeout = std::chrono::seconds(5);
    /// Told what happens; see events.hpp. Default: nobody.
    EventCallback on_event{};
    /// Given log lines. Default: nobody.
    LogSink log{};
};

struct PushOptions {
    /// Default: disk with a spool, else memory. os and disk need a spool.
    std::optional<Durability> durability{};
    /// What a new message meets when the quota is reached. Default block.
    Overflow overflow = Overflow::block;
    /// Most bytes of unsettled messages of this queue in memory (Durability::memory); one message
    /// is always allowed. At least 1,024 bytes, default 256 MiB.
    std::uint64_t memory_bytes_max = std::uint64_t{256} << 20;
    /// Counted failures (nacks and certain crashes) before a message goes to "<queue>.dead". Any,
    /// default 10. 0: no limit.
    std::uint32_t max_attempts = 10;
    /// First wait before a failed message is handed out again; doubles each time, with jitter.
    /// 0 or more, default 1 s.
    std::chrono::nanoseconds retry_wait_min = std::chrono::seconds(1);
    /// Longest such wait. At least retry_wait_min, default 5 min.
    std::chrono::nanoseconds retry_wait_max = std::chrono::minutes(5);
    /// How long a consumer may be unheard of before its messages go elsewhere. Default 30 s, at
    /// least 6 s.
    std::chrono::nanoseconds lease = std::chrono::seconds(30);
    /// At most so many consumers get messages; later ones stand by. Any, default 0: no limit. 1: a
    /// single active consumer.
    std::uint32_t max_consumers = 0;
    /// Default true. False: at most once; a message is settled when it is handed out.
    bool ack_required = true;
};

struct PullOptions {
    /// Most messages held here and not settled, over all producers. 1 to 1,000,000, default 64. 1
    /// for long tasks; thousands for tiny ones.
    std::uint32_t prefetch = 64;
    /// Most bytes held likewise; one message is always allowed. At least 1, default 64 MiB.
    std::uint64_t prefetch_bytes = std::uint64_t{64} << 20;
    /// Handlers that work at the same time when you call receive() from threads of your own; run()
    /// sets it. When this process dies, so many messages are suspected of it. 1 to 1,024,
    /// default 1.
    std::uint32_t concurrency = 1;
    /// How long one message may be worked on; its lease is renewed no longer. More than 0, default
    /// 30 min.
    std::chrono::nanoseconds max_processing = std::chrono::minutes(30);
    /// Refuse a second producer of this queue, and report it. Default false.
    bool single_producer = false;
};

/// What a publisher does to a live subscription that takes its messages too slowly: when more than
/// SubscriberOptions::buffer of them wait.
enum class SlowPolicy {
    drop_oldest,  ///< the oldest of those that wait are missed
    drop_newest,  ///< new ones are missed while the buffer is full
    block,        ///< the publisher waits: slows all other subscribers as well
    disconnect,   ///< all that wait are missed, and the subscription ends; subscribe() renews it
};

/// How several header filters go together.
enum class Match { all, any };

/// Where a new subscription begins, within what its publisher retains.
class From {
public:
    /// With what is published from now on. What is stored or retained is left out.
    static From now() noexcept { return {1, 0}; }
    /// With the oldest message there is.
    static From start() noexcept { return {2, 0}; }
    /// With this sequence number; what is no longer there counts as missed.
    static From sequence(std::uint64_t number) noexcept { return {3, number}; }
    /// With the first message published at or after `time`, by the publisher's clock.
    static From time(Timestamp time) noexcept {
        return {4, static_cast<std::uint64_t>(time.time_since_epoch().count())};
    }
    /// With the last `count` messages that the subscription's filter takes.
    static From last(std::uint64_t count) noexcept { return {5, count}; }

    friend bool operator==(const From&, const From&) = default;
    [[nodiscard]] int kind() const noexcept { return kind_; }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

private:
    From(int kind, std::uint64_t value) noexcept : kind_(kind), value_(value) {}
    int kind_;
    std::uint64_t value_;
};

/// What a publisher keeps although every subscription has had it, so that later ones can begin with
/// it (From). Each limit that is set lets the oldest messages go; without any, nothing is kept.
struct Retention {
    /// Keep what none of the limits below excludes, also when none is set. Default false.
    bool everything = false;
    /// Messages younger than this. 0, the default: no such limit.
    std::chrono::nanoseconds age{};
    /// So many bytes as stored, about. Default 0: no such limit.
    std::uint64_t bytes = 0;
    /// So many of the latest sequence numbers. Default 0: no such limit.
    std::uint64_t count = 0;
};

/// What supersedes a retained message. One that is superseded is kept no longer than subscriptions
/// that exist need it, so that later ones get the last values only.
enum class LastValue {
    none,   ///< nothing
    topic,  ///< a later message of the same topic
    key,    ///< a later message with the same key; those without key stay
};

struct PublisherOptions {
    /// Default: disk with a spool, else memory. os and disk need a spool.
    std::optional<Durability> durability{};
    /// What a new message meets when the quota is reached. Default block.
    Overflow overflow = Overflow::block;
    /// Most bytes of messages that some subscription has not had yet, and of retained ones, in
    /// memory (Durability::memory). At least 1,024 bytes, default 256 MiB.
    std::uint64_t memory_bytes_max = std::uint64_t{256} << 20;
    /// What is kept for later subscriptions. Default: nothing. With a quota reached, what is kept
    /// only for them goes first.
    Retention retain{};
    /// Default none. Else, without limits in `retain`, the last values are kept for good.
    LastValue last_value = LastValue::none;
    /// For durable subscriptions, as in PushOptions. What fails too often goes to "<name>.dead".
    std::uint32_t max_attempts = 10;
    std::chrono::nanoseconds retry_wait_min = std::chrono::seconds(1);
    std::chrono::nanoseconds retry_wait_max = std::chrono::minutes(5);
    std::chrono::nanoseconds lease = std::chrono::seconds(30);
};

struct SubscriberOptions {
    /// Empty, the default: a live subscription, which ends with this object. Else a durable one of
    /// this name, kept by each publisher until it is erased or expires: 1 to 255 printable ASCII
    /// characters without space. Peers that subscribe under one name compete for its messages.
    std::string name{};
    /// Headers that a message must have, with these values. Names and values of at most 1,024
    /// bytes.
    std::vector<std::pair<std::string, std::string>> headers{};
    /// Whether it must have all of them, or any. Default all.
    Match match = Match::all;
    /// Live only. Default drop_oldest.
    SlowPolicy slow = SlowPolicy::drop_oldest;
    /// Live only: messages that may wait at each publisher, beyond those under way here. 1 to
    /// 16,777,216, default 65,536.
    std::uint32_t buffer = 65536;
    /// Where it begins when the publisher does not know it yet. Default: now.
    From from = From::now();
    /// Most messages held here, over all publishers: received but not settled of a durable
    /// subscription, not yet received of a live one. 1 to 1,000,000, default 1,024.
    std::uint32_t prefetch = 1024;
    /// Durable only: most messages that a publisher keeps unsettled for it, members together;
    /// beyond it the oldest that nobody holds are missed. Any, default 0: no limit.
    std::uint64_t max_lag = 0;
    /// Durable only: without a member for so long it keeps nothing any more: all that it has not
    /// had is missed, and so is what follows until a member comes back. 0: never. Default 7 days.
    std::chrono::nanoseconds expires_after = std::chrono::hours(168);
    /// Most bytes held likewise; one message is always allowed. At least 1, default 64 MiB.
    std::uint64_t prefetch_bytes = std::uint64_t{64} << 20;
    /// As in PullOptions.
    std::uint32_t concurrency = 1;
    std::chrono::nanoseconds max_processing = std::chrono::minutes(30);
    /// How long subscriber(), subscribe() and unsubscribe() wait for the peers that are linked to
    /// confirm. 0 or more, default 5 s.
    std::chrono::nanoseconds confirm_timeout = std::chrono::seconds(5);
};

struct RunOptions {
    /// Handlers at the same time, each on a thread of its own. 1 to 1,024, default 1.
    std::uint32_t concurrency = 1;
};

}  // namespace peermq
