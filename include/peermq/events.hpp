#pragma once

/// What happens inside a peer, told through one callback; and the sink for its log lines.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "peermq/export.hpp"

namespace peermq {

enum class EventKind {
    peer_up,         ///< a link to a remote peer is established
    peer_down,       ///< the link ended; messages held there are resumed or handed out elsewhere
    peer_rejected,   ///< the other end is not a peer of ours: text names the cause
    link_suspect,    ///< nothing heard for a while; nothing more is handed to it
    connect_failed,  ///< an attempt to connect failed; tried again with back-off
    ack_refused,     ///< a settlement came too late: another consumer has or had the message
    damage,       ///< stored data is damaged or was cut after a crash: path, offset, count in text
    io_error,     ///< the spool could not write or sync; text says whether it recovered
    quota,        ///< a quota is reached, or has room again
    dead_letter,  ///< a message went to the dead letters
    gap,          ///< a subscription has missed messages: how many is the count
    dropped,      ///< by Overflow::drop_oldest, by dead_bytes_max, or a dead letter rejected
};

/// The name as it stands in logs and JSON, for example "peer_up".
[[nodiscard]] PEERMQ_EXPORT std::string_view to_string(EventKind kind) noexcept;

struct Event {
    EventKind kind{};
    std::string peer;         ///< remote peer id in hexadecimal, where there is one
    std::string queue;        ///< name, where one is concerned
    std::uint64_t count = 1;  ///< how many messages, records or attempts
    std::string text;         ///< one sentence for people
};

/// Called by a thread of the peer's own, one call at a time, never under a lock; may call the API
/// except Peer::close() and destructors. Exceptions are swallowed and counted, and so is what comes
/// while 10,000 events wait for a slow callback: PeerStats::callback_failures, events_dropped.
using EventCallback = std::function<void(const Event&)>;

enum class LogLevel { debug = 0, info = 1, warning = 2, error = 3 };

/// Called like EventCallback, also for an event whose callback threw. The library never prints.
using LogSink = std::function<void(LogLevel, std::string_view line)>;

}  // namespace peermq
