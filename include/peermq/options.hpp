#pragma once

/// Options of peers and queues. Every field has its unit, default and range; the defaults are good.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "peermq/events.hpp"

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
    /// Most bytes of unsettled messages in the spool, dead letters apart. Default 16 GiB.
    std::uint64_t spool_bytes_max = std::uint64_t{16} << 30;
    /// Most bytes of dead letters; beyond it the oldest are dropped and counted. Default 1 GiB.
    std::uint64_t dead_bytes_max = std::uint64_t{1} << 30;
    /// Free disk below which no new message is accepted. Default 64 MiB.
    std::uint64_t free_bytes_min = std::uint64_t{64} << 20;
    /// Size of one log segment. 16 KiB to 1 GiB, default 64 MiB; smaller ones free disk sooner.
    std::uint64_t segment_bytes = std::uint64_t{64} << 20;
    /// Most bytes of one message with its properties. Default 16 MiB, at most 1 GiB. Larger ones
    /// are refused by the sender (too_large) and cut the link when a stranger sends them; a dead
    /// letter may be longer by the headers that say why it died.
    std::uint64_t message_bytes_max = std::uint64_t{16} << 20;
    /// Allows binding addresses that other hosts can reach without encryption.
    bool insecure = false;
    /// What the destructor grants close(). Default 5 s.
    std::chrono::nanoseconds close_timeout = std::chrono::seconds(5);
    EventCallback on_event{};
    LogSink log{};
};

struct PushOptions {
    /// Default: disk with a spool, else memory. os and disk need a spool.
    std::optional<Durability> durability{};
    Overflow overflow = Overflow::block;
    /// Most bytes of unsettled messages of this queue in memory (Durability::memory). Default 256
    /// MiB.
    std::uint64_t memory_bytes_max = std::uint64_t{256} << 20;
    /// Counted failures (nacks and certain crashes) before a message goes to "<queue>.dead". 0: no
    /// limit. Default 10.
    std::uint32_t max_attempts = 10;
    /// First wait before a failed message is handed out again; doubles each time, with jitter.
    /// Default 1 s.
    std::chrono::nanoseconds retry_wait_min = std::chrono::seconds(1);
    /// Longest such wait. Default 5 min.
    std::chrono::nanoseconds retry_wait_max = std::chrono::minutes(5);
    /// How long a consumer may be unheard of before its messages go elsewhere. Default 30 s, at
    /// least 6 s.
    std::chrono::nanoseconds lease = std::chrono::seconds(30);
    /// At most so many consumers get messages; later ones stand by. 1: a single active consumer. 0:
    /// any.
    std::uint32_t max_consumers = 0;
    /// False: at most once; a message is settled when it is handed out.
    bool ack_required = true;
};

struct PullOptions {
    /// Most messages held here and not settled, over all producers. 1 to 1,000,000, default 64. 1
    /// for long tasks; thousands for tiny ones.
    std::uint32_t prefetch = 64;
    /// Most bytes held likewise; one message is always allowed. Default 64 MiB.
    std::uint64_t prefetch_bytes = std::uint64_t{64} << 20;
    /// Handlers that work at the same time when you call receive() from threads of your own; run()
    /// sets it. When this process dies, so many messages are suspected of it. Default 1.
    std::uint32_t concurrency = 1;
    /// How long one message may be worked on; its lease is renewed no longer. Default 30 min.
    std::chrono::nanoseconds max_processing = std::chrono::minutes(30);
    /// Refuse a second producer of this queue, and report it.
    bool single_producer = false;
};

struct RunOptions {
    /// Handlers at the same time, each on a thread of its own. Default 1.
    std::uint32_t concurrency = 1;
};

}  // namespace peermq
