#pragma once

/// The ordered records that this peer sends on one queue: appended by any thread, made durable by
/// the committer, handed out by the engine, forgotten when settled.
///
/// Records in memory lie in chunks. With a spool, chunks are a cache of the log's newest part,
/// bounded by cache_bytes; a stream in memory keeps a chunk until all of it is settled.
///
/// Threads: any, by one lock of its own that is held for no more than an encode.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/run_set.hpp"
#include "peer/chunk.hpp"
#include "peer/notifier.hpp"
#include "peermq/error.hpp"
#include "peermq/options.hpp"
#include "record/record.hpp"
#include "spool/spool.hpp"

namespace peermq::detail {

class OutStream;

/// What a stream asks of its peer. Called without the stream's lock unless it says otherwise. A
/// stream may outlive its peer, in Receipts and Deliveries, so each call keeps the peer alive.
class StreamHost {
public:
    virtual ~StreamHost() = default;
    /// New records wait to be stored (with a spool) or to be handed out (in memory).
    virtual void records_pending(const std::shared_ptr<OutStream>& stream) = 0;
    /// Quota of the spool.
    [[nodiscard]] virtual bool reserve(const OutStream& stream, std::uint64_t bytes) = 0;
    virtual void unreserve(const OutStream& stream, std::uint64_t bytes) = 0;
    /// The quota refuses a message: drops the oldest ones when that is the policy. True when it is
    /// worth trying again at once.
    virtual bool make_room(OutStream& stream, std::uint64_t bytes) = 0;
    /// A caller wants its records durable: stores what is pending in the caller's own thread if
    /// nobody else is doing so. False when somebody is.
    virtual bool commit_now() = 0;
};

struct OutStreamConfig {
    std::string name;
    base::StreamId id;
    spool::StreamIndex index = 0;  ///< with a spool
    spool::StreamKind kind = spool::StreamKind::queue;
    base::Epoch epoch;
    Durability durability = Durability::memory;
    Overflow overflow = Overflow::block;
    std::uint64_t memory_bytes_max = 0;
    std::size_t chunk_bytes = 0;
    std::size_t cache_bytes = 0;
    std::size_t message_bytes_max = 0;
    std::uint64_t quota_block_bytes = 0;  ///< reserved ahead at a time
};

/// What append() does when the quota is reached.
enum class WhenFull { as_configured, return_nothing, never_full };

class OutStream : public std::enable_shared_from_this<OutStream> {
public:
    OutStream(OutStreamConfig config, std::weak_ptr<StreamHost> host, base::Clock& clock);

    /// State found in the spool: seqs go on after `end`.
    void recover(base::Seq end, const base::RunSet& settled);

    // --- posting, any thread
    /// Appends `record` (its seq, epoch and enqueue time are set here); nothing when full and so
    /// asked, or until `deadline`. Throws Error: too_large, quota, closed, or the failure of the
    /// spool.
    std::optional<base::Seq> append(record::Record& record, WhenFull when_full,
                                    base::Time deadline = base::kNever);
    /// Waits until `seq` has come that far; false at the deadline. Throws the failure, or closed.
    bool wait(Until until, base::Seq seq, base::Time deadline);
    [[nodiscard]] bool done(Until until, base::Seq seq);
    /// It has not come that far and never will: storing failed, or the peer is closed.
    [[nodiscard]] bool lost(Until until, base::Seq seq);
    /// Throws what storing failed with, if it did.
    void throw_if_failed();
    /// The same for everything accepted so far.
    bool wait_all(Until until, base::Time deadline);
    [[nodiscard]] base::Time now() { return clock_.now(); }
    /// Throws Error invalid_state in a forked child, where nobody ever answers.
    void check_process() const;
    /// Told of whatever those who wait() are told.
    void set_notifier(std::shared_ptr<NotifierState> notifier);
    /// The last seq accepted so far.
    [[nodiscard]] base::Seq accepted_end();

    // --- committing
    /// Pending records as a part of a commit, up to `bytes_max` but at least one; nothing if none.
    [[nodiscard]] std::optional<spool::StreamPart> collect(std::size_t bytes_max);
    /// The run just collected is written; returns true when more is pending.
    bool written(base::Run run);
    void durable(base::Seq end);
    /// Storing failed for good: wakes all waiters; every later append throws this.
    void fail(ErrorCode code, const std::string& text);
    void close();

    // --- handing out, engine only
    /// Records up to here may be handed out.
    [[nodiscard]] base::Seq handable_end() const noexcept {
        return handable_end_.load(std::memory_order_acquire);
    }
    /// The chunk in memory that holds `seq`, and which of its records were there when asked: only
    /// those may be looked at. Nothing when `seq` is not in memory.
    struct Cached {
        std::shared_ptr<const Chunk> chunk;
        base::Run run;
    };
    [[nodiscard]] Cached chunk_of(base::Seq seq);
    /// Changes what a returning user of a recovered queue asks for. In the owner role.
    void configure(Durability durability, Overflow overflow);
    /// Everything up to `cursor` has been handed out once: the cache need not keep it.
    void set_cursor(base::Seq cursor);
    /// These are settled: forgets them, wakes who waits for it or for room.
    void settle(base::Run run);
    /// The two halves of it, for a topic, which may keep what all subscriptions have settled. A seq
    /// is forgotten once.
    void settled_by_all(base::Run run);
    void forget(base::Run run);
    /// While held, nothing is accepted: a subscription that may block its publisher is behind.
    void hold(bool held);
    /// How many subscriptions a topic has that are confirmed and connected.
    void set_subscribers(std::size_t count);
    /// Waits for at least so many; false at the deadline.
    bool wait_subscribers(std::size_t count, base::Time deadline);
    [[nodiscard]] std::size_t subscribers();
    /// Room may have come back for another reason (disk space).
    void wake_blocked();

    [[nodiscard]] const OutStreamConfig& config() const noexcept { return config_; }
    [[nodiscard]] bool stored() const noexcept { return stored_; }
    [[nodiscard]] Overflow overflow();
    [[nodiscard]] Durability durability();
    [[nodiscard]] std::uint64_t memory_bytes();
    [[nodiscard]] std::uint64_t unwritten_bytes();
    [[nodiscard]] std::uint64_t posted();
    /// Set by the committer when the stream is in its list; see CommitQueue.
    std::atomic<bool> listed{false};

private:
    using Lock = std::unique_lock<std::mutex>;

    [[nodiscard]] bool take_quota(Lock& lock, std::uint64_t bytes, WhenFull when_full,
                                  base::Time deadline);
    /// Waits a little for room; false at `deadline`. Throws like append().
    [[nodiscard]] bool await_room(Lock& lock, base::Time deadline);
    [[nodiscard]] bool reserve(std::uint64_t bytes);
    [[nodiscard]] bool await_writer(Lock& lock, WhenFull when_full, base::Time deadline);
    [[nodiscard]] bool has_room(std::uint64_t bytes) const;
    Chunk& chunk_for(std::size_t bytes);
    void give_way() const;
    void throw_if_unusable() const;
    void forget_chunks(base::Run run);
    /// For texts of errors.
    [[nodiscard]] std::string label() const;
    [[noreturn]] void refuse_closed() const;
    /// Throws Error closed when the peer is gone.
    [[nodiscard]] std::shared_ptr<StreamHost> host() const;
    void set_handable();
    void trim_cache();
    /// Something has changed for those who wait. Under mutex_.
    void tell_waiters();
    [[nodiscard]] bool reached(Until until, base::Seq seq) const;
    [[nodiscard]] bool all_reached(Until until, base::Seq end) const;
    template <typename Condition>
    bool wait_for(Lock& lock, base::Seq stored_end, base::Time deadline, Condition&& reached_now);

    /// Constant but for overflow, guarded by mutex_, and durability (os or disk), written under
    /// mutex_ in the owner role and read under either.
    OutStreamConfig config_;
    const bool stored_;
    const std::weak_ptr<StreamHost> host_;
    base::Clock& clock_;
    const record::Seed seed_;
    const unsigned process_generation_;

    std::mutex mutex_;
    std::condition_variable changed_;
    int waiters_ = 0;
    std::map<base::Seq, std::shared_ptr<Chunk>> chunks_;  ///< by first seq
    std::shared_ptr<Chunk> tail_;
    base::Seq accepted_end_ = 0;
    base::Seq written_end_ = 0;
    base::Seq durable_end_ = 0;
    base::RunSet settled_;
    std::uint64_t bytes_ = 0;            ///< of the chunks' records
    std::uint64_t unwritten_bytes_ = 0;  ///< accepted, not yet written
    std::uint64_t collected_bytes_ = 0;  ///< of those, in the commit under way
    std::uint64_t allowance_ = 0;        ///< quota reserved and not used yet
    base::Seq cursor_ = 0;
    std::optional<Error> failure_;
    bool closed_ = false;
    bool held_ = false;
    std::size_t subscribers_ = 0;
    std::shared_ptr<NotifierState> notifier_;
    std::uint64_t posted_ = 0;
    std::atomic<base::Seq> handable_end_{0};
};

}  // namespace peermq::detail
