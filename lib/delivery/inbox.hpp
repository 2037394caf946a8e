#pragma once

/// The receiving side of one Pull: what is held, from whom, how much each producer may still send,
/// and what has been settled but not yet confirmed. Lives at the consumer.
///
/// No I/O, no threads, no clock. Prefetch is one total over all producers: windows go only to ready
/// ones and can be taken back; the sum of what all producers may have under way never exceeds it
/// (INV-8). A message is handed to the application only while the link's producer has surely not
/// given it to another (the gate): after a silence the holdings are announced and validated first,
/// so that neither INV-3 nor INV-5 can break behind our back.
///
/// Threads: none; the caller serialises (one mutex per Pull). Callers: lib/peer, the simulator.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/run_set.hpp"
#include "delivery/group.hpp"

namespace peermq::delivery {

/// One producer stream as seen over one session of its peer. Given by the caller, never reused,
/// kept while the same producer session resumes over a new link.
using SourceId = std::uint64_t;

struct InboxOptions {
    std::uint32_t prefetch = base::limits::kPrefetchDefault;  ///< messages, over all producers
    std::uint64_t prefetch_bytes = base::limits::kPrefetchBytesDefault;
    std::uint32_t concurrency = 1;
    Duration lease_duration = base::limits::kLeaseDuration;
    Duration max_processing = base::limits::kMaxProcessingDefault;  ///< renewed at most so long
};

/// A run of records as it came in: all of one stream, epoch and lease.
struct Arrival {
    base::Epoch epoch;
    Run run;
    LeaseId lease;
    std::uint16_t attempt = 1;
    bool redelivered = false;
    bool alone = false;
    std::shared_ptr<const void> payload;  ///< pins the bytes; index 0 is run.first
    std::uint32_t payload_index = 0;      ///< index in the payload of run.first
    std::size_t bytes = 0;
};

/// A message handed to the application.
struct Item {
    SourceId source = 0;
    base::Epoch epoch;
    Seq seq = 0;
    LeaseId lease;
    std::uint16_t attempt = 1;
    bool redelivered = false;
    std::shared_ptr<const void> payload;
    std::uint32_t payload_index = 0;
};

enum class Outcome : std::uint8_t {
    pending,   ///< not confirmed yet
    accepted,  ///< stored by the producer
    refused,   ///< stale: another consumer has or had the message
    unknown,   ///< the producer has gone, or cannot tell after a restart
};

/// Settlements of messages that were handed over, refused as stale.
struct RefusedSettlement {
    base::Epoch epoch;
    Run run;
};

/// What the caller must send, in this order per source.
struct InboxActions {
    struct Held {
        SourceId source = 0;
        std::uint32_t number = 0;
        struct Entry {
            base::Epoch epoch;
            HeldRun held;
        };
        std::vector<Entry> runs;
    };
    struct Grant {
        SourceId source = 0;
        std::uint32_t number = 0;
        std::uint32_t messages = 0;
        std::uint64_t bytes = 0;
        std::uint32_t concurrency = 1;
    };
    struct Settle {
        SourceId source = 0;
        std::uint64_t number = 0;
        std::uint64_t confirmed = 0;
        std::vector<SettleEntry> entries;
    };
    struct Renew {
        SourceId source = 0;
        std::vector<Run> runs;
    };
    std::vector<Held> helds;
    std::vector<Grant> shrinks;  ///< smaller windows: before the settlements that would free slots
    std::vector<Settle> settles;
    std::vector<Grant> grants;  ///< larger windows
    std::vector<Renew> renews;
    [[nodiscard]] bool empty() const noexcept {
        return helds.empty() && shrinks.empty() && settles.empty() && grants.empty() &&
               renews.empty();
    }
};

struct InboxStats {
    std::uint64_t ready = 0;        ///< arrived, not yet handed to the application
    std::uint64_t started = 0;      ///< handed over, unsettled
    std::uint64_t unconfirmed = 0;  ///< settled here, not confirmed by the producer
    std::uint64_t received = 0;     ///< counters from here on
    std::uint64_t redelivered = 0;
    std::uint64_t acked = 0;
    std::uint64_t nacked = 0;
    std::uint64_t released = 0;
    std::uint64_t rejected = 0;
    std::uint64_t recalled = 0;
    std::uint64_t refused = 0;
    std::uint64_t duplicates = 0;  ///< arrived again while held or acked: not handed over again
    std::uint64_t revoked = 0;     ///< dropped unstarted because another consumer has them
    std::size_t sources = 0;
    std::size_t sources_ready = 0;  ///< of those, with something to hand out
};

class Inbox {
public:
    explicit Inbox(InboxOptions options);
    ~Inbox();
    Inbox(Inbox&&) noexcept;
    Inbox& operator=(Inbox&&) noexcept;

    // --- sources
    /// The producer offers the stream over a live link. Holdings of the same stream, from this or
    /// an earlier source with the same stream id, are announced by the next actions (HELD) and
    /// belong to `source` from now on; but what was not started is left to a new source after a
    /// silence in which it may have gone to others. `persistent` = the stream outlives its process
    /// (levels os and disk).
    void source_up(SourceId source, const base::StreamId& stream, bool persistent, bool ready,
                   Time now);
    void source_ready(SourceId source, bool ready);
    /// The link is lost. With `ended`, the producer's process is known to have ended: what is held
    /// of a stream in memory is handed out all the same, flagged if the producer was silent for so
    /// long before that another may have had it; of a persistent one it waits to be announced
    /// again.
    void source_down(SourceId source, bool ended, Time now);
    /// The producer has ended our consumption, or we have: what is held and not started is dropped,
    /// what is settled is told to nobody any more.
    void source_ended(SourceId source, Time now);
    /// We do not take the stream from its producer (any more): what is held of it and not started
    /// is dropped, and nobody can be told what is settled, until source_up().
    void stream_refused(const base::StreamId& stream);
    /// The producer had heard from us at `heard_at` (our clock, when we sent what it echoed).
    void source_heard(SourceId source, Time heard_at);
    void validated(SourceId source, std::uint32_t number, std::span<const Run> revoked, bool done,
                   Time now);
    void granted(SourceId source, std::uint32_t number);

    // --- messages
    /// Takes in what is new; what is held adopts the newer lease, what is acked is acked again.
    /// Returns false when it exceeds the window (a protocol error of the producer; nothing is
    /// taken).
    [[nodiscard]] bool arrived(SourceId source, const Arrival& arrival, Time now);
    /// The next message for the application, if its gate is open.
    [[nodiscard]] std::optional<Item> take(Time now);
    /// The same into `item`; false when there is none. Whoever takes one message after the other
    /// into the same Item keeps its hold on their common payload, instead of a new one for each.
    [[nodiscard]] bool take_into(Time now, Item& item);
    /// True when take() would return something at `now`.
    [[nodiscard]] bool has_ready(Time now) const;
    /// Settles what take() gave. False when it is not held (settled before, or its source
    /// forgotten).
    bool settle(SourceId source, Seq seq, SettleKind kind, std::optional<Duration> delay,
                std::string_view reason);
    void recall(SourceId source, std::uint32_t messages);
    /// Gives everything unstarted back and takes no more (windows to 0): draining.
    void stop();
    /// Returns what the application has to hear of: what was only given back unstarted is nobody's
    /// work.
    std::vector<RefusedSettlement> confirmed(SourceId source, std::uint64_t number,
                                             std::span<const RefusedRun> refused);
    [[nodiscard]] Outcome outcome(SourceId source, Seq seq) const;

    // --- output and time
    /// Settled-but-unsent messages; the caller flushes at once when it crosses flush_threshold().
    [[nodiscard]] std::uint64_t unsent() const;
    [[nodiscard]] std::uint64_t flush_threshold() const;
    /// All that has to be sent now, settlements included.
    [[nodiscard]] InboxActions take_actions(Time now);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

    void set_prefetch(std::uint32_t messages, std::uint64_t bytes);
    void set_concurrency(std::uint32_t concurrency);

    // --- looking
    [[nodiscard]] InboxStats stats() const;
    /// Per stream, the highest seq that was handed to the application.
    [[nodiscard]] std::vector<std::pair<base::StreamId, Seq>> taken() const;
    /// Nothing started, nothing settled without confirmation.
    [[nodiscard]] bool drained() const;
    void check_invariants() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq::delivery
