#pragma once

/// The delivery state of one set of competing consumers over one stream: what is handed out to whom
/// under which lease, what is settled, what must wait. Lives at the producer.
///
/// No I/O, no threads, no clock: everything comes in as arguments, and what must be stored or sent
/// comes out as values. Work and memory follow the number of runs, not of messages; only what
/// failed, is keyed or is suspected has state of its own.
///
/// Guarantees: every appended seq is, at every moment, in exactly one of fresh, waiting (returned,
/// delayed, behind a key, unclear after a restart), leased, settling (ended after a restart, while
/// a later holder may not have been heard yet), dying (on its way to the dead letters) or settled.
/// INV-3 (redelivered never missing), INV-4 (one holder per key, in order), INV-8 (leased to a
/// consumer <= its window), INV-16 (stale settlements refused).
///
/// Threads: none; the caller serialises. Callers: lib/peer and the simulator.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/random.hpp"
#include "base/run_set.hpp"

namespace peermq::delivery {

using base::Duration;
using base::LeaseId;
using base::Run;
using base::Seq;
using base::Time;

/// One consumer of one group: a (session, stream) pair. Given by the caller, never reused.
using ConsumerId = std::uint64_t;

/// May a message be handed out again whose holder will not say any more what became of it?
enum class Repeat : std::uint8_t {
    always,   ///< at least once
    if_told,  ///< only those named by repeatable(), within the budget; others end as `unclear`
};

struct GroupOptions {
    Duration lease_duration = base::limits::kLeaseDuration;
    Duration resume_grace = base::limits::kResumeGrace;
    Duration recover_grace = base::limits::kRecoverGrace;  ///< at least; see expect_holders()
    std::uint32_t max_attempts = base::limits::kMaxAttemptsDefault;  ///< counted failures before
                                                                     ///< dead; 0 = no limit
    Duration retry_wait_min = base::limits::kRetryWaitMin;
    Duration retry_wait_max = base::limits::kRetryWaitMax;
    std::uint32_t max_consumers = 0;  ///< 0 = any number; further ones stand by in order of arrival
    std::size_t key_lookahead_max = base::limits::kKeyLookaheadMax;
    Duration recall_after = std::chrono::milliseconds(
        20);               ///< least age of a hand-out before it is asked back
    bool durable = false;  ///< a durable hand-out mark is needed before hand-out, and facts need
                           ///< storing
    bool ack_required = true;  ///< false: at most once; handed out = settled
    Repeat repeat = Repeat::always;
    /// With if_told: how many messages of a hundred may be handed out again so, and how many at
    /// once. 0 and 0: no limit.
    std::uint32_t repeat_percent = 0;
    std::uint32_t repeat_burst = 0;
};

/// Consecutive records at hand. offsets has count+1 entries: record i spans [offsets[i],
/// offsets[i+1]).
struct Slice {
    Seq first = 0;
    std::span<const std::uint32_t> offsets;
    std::span<const std::uint64_t> keys;  ///< key hash per record, 0 = none; empty = none has a key

    [[nodiscard]] std::size_t count() const noexcept {
        return offsets.empty() ? 0 : offsets.size() - 1;
    }
};

/// What hand-out asks of its surroundings.
class HandOutContext {
public:
    virtual ~HandOutContext() = default;
    /// Records from wanted.first on, at least one unless they cannot be read now (then empty); may
    /// be shorter or longer than wanted. Valid until the next call. Must not call the group: damage
    /// that it meets is reported with lose() after hand_out(). Settled records in between may be
    /// included.
    virtual Slice slice(Run wanted) = 0;
    /// Bytes that may go to this consumer's link now; 0 = link down or its window is full. Asked
    /// once per hand_out(); a single record may exceed it.
    virtual std::size_t room(ConsumerId consumer) = 0;
};

/// A run to send to a consumer now. All its seqs share the lease and the annotations.
struct Assignment {
    ConsumerId consumer = 0;
    Run run;
    LeaseId lease;
    std::uint16_t attempt = 1;
    bool redelivered = false;
    bool alone = false;
    std::size_t bytes = 0;
};

enum class SettleKind : std::uint8_t { ack, nack, release, reject, recalled };

struct SettleEntry {
    SettleKind kind = SettleKind::ack;
    Run run;
    LeaseId lease;
    std::optional<Duration> delay;  ///< nack only: instead of back-off
    std::string reason;
};

enum class RefuseReason : std::uint8_t {
    newer_lease,
    settled,
    unknown,
    settled_before_start,  ///< of the producer: perhaps by this very settlement, sent before
};
struct RefusedRun {
    Run run;
    RefuseReason reason{};
};

/// What a consumer says it still holds, when its link comes (back) up.
struct HeldRun {
    Run run;
    LeaseId lease;
    bool started = false;
};

/// Failures of one message, kept until it is settled.
struct RetryState {
    std::uint32_t nacks = 0;       ///< handler said no
    std::uint32_t crashes = 0;     ///< worker certainly died of it (it ran alone)
    std::uint32_t suspicions = 0;  ///< worker died while it may have been running
    base::WallTime due{};          ///< not before; zero = at once
    std::string last_error;
};

enum class DeadReason : std::uint8_t {
    max_attempts = 1,
    rejected = 2,
    expired = 3,
    unclear = 4,  ///< was handed out, its fate is not known, and it may not be handed out again
};

/// What must become durable, in this order. Retries are not handed out before retry_stored(), dead
/// ones stay "dying" until dead_stored(); settled runs are settled at once in memory.
struct Facts {
    struct Retry {
        Seq seq = 0;
        RetryState state;
    };
    struct Dead {
        Seq seq = 0;
        DeadReason reason{};
        RetryState state;
        std::string text;
    };
    std::vector<Run> settled;
    std::vector<Retry> retries;
    std::vector<Dead> dead;
    [[nodiscard]] bool empty() const noexcept {
        return settled.empty() && retries.empty() && dead.empty();
    }
};

struct GroupStats {
    std::uint64_t depth = 0;      ///< unsettled, in whatever state
    std::uint64_t fresh = 0;      ///< never handed out in this epoch
    std::uint64_t in_flight = 0;  ///< leased
    std::uint64_t waiting = 0;    ///< returned, delayed, unclear or behind a key
    std::uint64_t acked = 0;      ///< counters since opening from here on
    std::uint64_t nacked = 0;
    std::uint64_t released = 0;
    std::uint64_t recalled = 0;
    std::uint64_t rejected = 0;
    std::uint64_t redelivered = 0;  ///< hand-outs with the flag
    std::uint64_t handed_out = 0;
    std::uint64_t dead = 0;
    std::uint64_t lease_expired = 0;
    std::uint64_t refused = 0;  ///< settlements refused
    std::uint64_t suspicions = 0;
    std::uint64_t crashes = 0;
    std::uint64_t lost = 0;  ///< damaged on disk, reported by the caller
    std::uint64_t purged = 0;
    std::uint64_t abandoned = 0;  ///< settled because nobody wanted them any more
    std::size_t consumers = 0;
    std::size_t standby = 0;
    Seq oldest_unsettled = 0;  ///< 0 = none
};

class Group {
public:
    /// `epoch` is the counter of the producer's epoch; leases granted here carry it.
    Group(GroupOptions options, std::uint32_t epoch, base::Random& random);
    ~Group();
    Group(Group&&) noexcept;
    Group& operator=(Group&&) noexcept;

    /// Changes the options of a group that is at work; `durable` must stay what it was.
    void configure(GroupOptions options);
    [[nodiscard]] bool ack_required() const;

    // --- the stream
    /// State found in the spool, before anything else: unsettled seqs of [1, end] are what is not
    /// in `settled`; those up to `mark` may have been handed out before and wait for their holders.
    void recover(base::RunSet settled, Seq end, Seq mark, std::vector<Facts::Retry> retries,
                 Time now, base::WallTime wall_now);
    /// Seqs up to `end` are durable enough to be handed out. True when some are new.
    bool append(Seq end);
    /// These seqs cannot be read (damage): settled without hand-out, counted as lost. Those that
    /// are leased were read in time and stay; call again when they come back and still cannot be
    /// read.
    void lose(Run run);
    /// These seqs are not meant for this group: settled without hand-out, unless somebody has them.
    /// No fact tells of it, since a look at the records tells the same again.
    void skip(Run run);
    /// Forgets everything that is neither leased nor dying; returns how many; emits facts.
    /// After a restart, what a holder from before it turns out to have stays with that holder.
    std::uint64_t purge();
    /// Forgets the oldest `count` messages that nobody holds, or may hold after a restart; returns
    /// how many; emits facts.
    std::uint64_t drop_oldest(std::uint64_t count);
    /// These need not be worked on any more, whatever becomes of them: settled at once unless
    /// somebody holds them, else when he settles or loses them. Emits facts. Returns who holds
    /// what.
    struct Held {
        ConsumerId consumer = 0;
        Run run;
    };
    std::vector<Held> abandon(Run run);
    /// With Repeat::if_told: these may be handed out again.
    void repeatable(Run run);
    void pause();
    void resume();
    [[nodiscard]] bool paused() const;

    // --- consumers
    /// A peer that may hold messages from before the restart was heard, and has not said yet
    /// whether it consumes: what is unclear waits for it.
    void expect_holders(Time now);
    /// `position` in the standby order is by call order. The window starts at 0.
    void add_consumer(ConsumerId consumer, Time now);
    /// Most unsettled messages and bytes; one message is always allowed when messages > 0.
    void set_window(ConsumerId consumer, std::uint32_t messages, std::uint64_t bytes,
                    std::uint32_t concurrency);
    /// The link is lost: nothing more is handed to it; its leases stay for resume_grace. Again,
    /// with a new grace, when its process was heard but has not yet said that it still consumes.
    void suspect_consumer(ConsumerId consumer, Time now);
    /// The same session is back. Its leases stay. Nothing is handed to it until announce() with
    /// `complete`, so follow with that.
    void resume_consumer(ConsumerId consumer, Time now);
    /// It is back over another link, on which it has granted nothing yet: follows
    /// resume_consumer().
    void close_window(ConsumerId consumer);
    /// The process certainly ended. `crashed` charges what may have been in its handlers; otherwise
    /// (BYE) all comes back uncounted. Charged are the first `concurrency` messages in hand-out
    /// order that it still may settle: with a suspicion, or with a crash when the message was
    /// alone.
    void remove_consumer(ConsumerId consumer, bool crashed, Time now);
    /// What the consumer still holds: adopts leases where no newer one was granted and the message
    /// is unsettled; with `complete`, whatever is leased to it but not announced came never to it
    /// and is returned uncounted. Several calls make one announcement, the last with `complete`.
    /// Returns what is revoked; a started message that is revoked fills its slot until it is
    /// settled (and refused).
    [[nodiscard]] std::vector<Run> announce(ConsumerId consumer, std::span<const HeldRun> held,
                                            bool complete, Time now);
    void renew(ConsumerId consumer, std::span<const Run> runs, Time now);
    [[nodiscard]] bool has_consumer(ConsumerId consumer) const;
    /// Within max_consumers; others stand by and are given nothing.
    [[nodiscard]] bool active(ConsumerId consumer) const;
    /// Another number whenever active() may have changed for anybody.
    [[nodiscard]] std::uint64_t activity() const;

    // --- settlements
    /// Applies one entry of SETTLE `number`; `confirmed` is the highest CONFIRM that the consumer
    /// has seen: what it settled up to there need no longer be remembered. A repeated settlement of
    /// a message that this same consumer settled before is accepted again, without effect, if it
    /// names the same lease. An entry may span several leases of its consumer: it names the newest
    /// of them. Returns what is refused.
    ///
    /// After a restart, what ends a message under a lease from before it is not final until all
    /// holders were heard: see settling().
    [[nodiscard]] std::vector<RefusedRun> settle(ConsumerId consumer, std::uint64_t number,
                                                 std::uint64_t confirmed, const SettleEntry& entry,
                                                 Time now, base::WallTime wall_now);

    /// True while something in `run` has been settled by one holder from before a restart and a
    /// later one, whose lease would count more, may be still to be heard. Nothing of it is among
    /// the facts, so that it must not be confirmed either.
    [[nodiscard]] bool settling(Run run) const;
    /// Of `run`, what this consumer had settled while it was settling(), and what a later holder
    /// has claimed since: refused.
    [[nodiscard]] std::vector<Run> overruled(ConsumerId consumer, Run run) const;

    // --- hand-out
    /// Hands out what it can, least-loaded consumer first, to at most `bytes_max` in all and
    /// `batch_bytes_max` per assignment (a larger record goes by itself); appends to `out`. Call
    /// again while it returns true (more could go). Without ack_required, what is handed out is
    /// settled and among the facts: for a strict at most once, store them before sending.
    bool hand_out(HandOutContext& context, std::size_t bytes_max, std::size_t batch_bytes_max,
                  Time now, base::WallTime wall_now, std::vector<Assignment>& out);
    /// What hand_out() gave could not be sent: it comes back as if it had never been given.
    void take_back(ConsumerId consumer, Run run, LeaseId lease);
    /// Consumers that hold more than they work on while another has free slots: ask back so many.
    struct Recall {
        ConsumerId consumer = 0;
        std::uint32_t messages = 0;
    };
    [[nodiscard]] std::vector<Recall> take_recalls(Time now);
    /// True when something could be handed out if a consumer gave a window: READY, else IDLE. Fresh
    /// messages beyond the durable mark count, since the mark only moves when there is a window.
    [[nodiscard]] bool ready() const;

    // --- durability
    /// What must be stored; the caller confirms with retry_stored() and dead_stored().
    [[nodiscard]] Facts take_facts();
    void retry_stored(Seq seq);
    void dead_stored(Seq seq);
    /// A dying message that cannot be read (damage): there is no letter, it counts as lost.
    void dead_lost(Seq seq);
    /// The hand-out mark that should be made durable (0 = none wanted), and its confirmation. The
    /// same value until it is confirmed.
    [[nodiscard]] Seq mark_wanted() const;
    void mark_stored(Seq mark);

    // --- time
    void tick(Time now, base::WallTime wall_now);
    [[nodiscard]] Time next_deadline() const;

    // --- looking
    [[nodiscard]] GroupStats stats() const;
    /// Never handed out in this epoch and not settled: stats().fresh.
    [[nodiscard]] std::uint64_t fresh() const;
    [[nodiscard]] bool settled(Seq seq) const;
    /// All seqs up to here are settled.
    [[nodiscard]] Seq settled_floor() const;
    [[nodiscard]] const base::RunSet& settled_above_floor() const;
    /// Exact check of the partition stated above, O(state); for tests and the simulator.
    void check_invariants() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq::delivery
