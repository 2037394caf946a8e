#pragma once

/// What producers and workers said they saw, and the judgement over it.
///
/// The events come from several processes over pipes, so their order in the ledger means nothing;
/// each carries the time of the one monotonic clock of the machine. A delivery has two: before
/// receive() was called and after it returned; it happened somewhere between. A rule about order is
/// broken only where that holds whatever the true instants were.
///
/// Judged when the run is over, after a drain:
///   lost        durable, but neither acked nor read from the dead letters
///   altered     delivered with another body or key than it was sent with
///   invented    delivered, but never sent, or sent in vain (the send failed)
///   unflagged   delivered again without `redelivered`
///   disordered  first deliveries within one key are not in the order of sending
///   undead      delivered again after its ack was durable at the producer
///   undrained   the queue did not become empty; said by the caller
///
/// Threads: one.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace peermq::test {

using Nanoseconds = std::int64_t;

/// One line of a program, and which process wrote it.
struct LedgerEvent {
    /// intent, durable, fail (by producers); deliver, ask, accepted, refused, unknown (by workers);
    /// died (by the parent).
    std::string kind;
    int process = 0;
    Nanoseconds begin = 0;
    Nanoseconds end = 0;
    std::string id;  ///< "<process of the producer>-<number>"
    std::string queue;
    std::uint64_t hash = 0;  ///< over key and body
    std::string key;
    std::string how;  ///< ask: ack, nack, release, reject
    unsigned attempt = 0;
    bool redelivered = false;
};

/// Reads one line; false when it is not one for the ledger (a marker, statistics).
[[nodiscard]] bool parse_event(std::string_view line, int process, LedgerEvent& event);

struct LedgerFinding {
    std::string rule;
    std::string text;
};

struct LedgerVerdict {
    std::vector<LedgerFinding> findings;
    std::uint64_t durable = 0;
    std::uint64_t deliveries = 0;
    std::uint64_t repeated = 0;   ///< deliveries after the first
    std::uint64_t ambiguous = 0;  ///< acked by a process that died before it knew the outcome
    std::uint64_t refused = 0;
    std::uint64_t dead = 0;  ///< read from the dead letters

    [[nodiscard]] bool breaks(std::string_view rule) const;
    /// The first findings, one per line, and the numbers.
    [[nodiscard]] std::string text() const;
};

class Ledger {
public:
    void add(const LedgerEvent& event) { events_.push_back(event); }
    [[nodiscard]] const std::vector<LedgerEvent>& events() const noexcept { return events_; }

private:
    std::vector<LedgerEvent> events_;
};

[[nodiscard]] LedgerVerdict judge(const std::vector<LedgerEvent>& events);

}  // namespace peermq::test
