#pragma once

/// Gathers what has to be stored from all streams and the engine, and commits it as one batch: one
/// write, one sync, receipts completed in order, while the next batch gathers.
///
/// Committing is a role, not a thread: the committer thread takes it when work waits, and a caller
/// that waits for durability takes it itself when it is free, which saves two wake-ups.
///
/// Threads: any. Lock order: commit role, then the queue's lock, then a stream's lock.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.hpp"
#include "base/limits.hpp"
#include "peer/out_stream.hpp"
#include "spool/spool.hpp"

namespace peermq::detail {

/// Told of progress by whoever commits, with no lock but the commit role held.
class CommitListener {
public:
    virtual ~CommitListener() = default;
    /// Streams may have new handable records; state changes up to `ticket` are as durable as asked.
    virtual void committed(const std::vector<std::shared_ptr<OutStream>>& streams,
                           std::uint64_t ticket) = 0;
    /// Storing failed for good.
    virtual void commit_failed(ErrorCode code, const std::string& text) = 0;
    /// The disk is full (true), or has room again (false).
    virtual void space_changed(bool full, const std::string& text) = 0;
};

class CommitQueue {
public:
    CommitQueue(spool::Spool& spool, base::Clock& clock, CommitListener& listener);

    /// The stream has pending records; called once per round (OutStream::listed).
    void add_stream(const std::shared_ptr<OutStream>& stream);
    /// Queues changes of state to be stored with the next batch, at the latest after
    /// settlement_delay_max (at once when `urgent`); `streams` have records that belong into the
    /// same batch. Returns the ticket that committed() reports when they are stored.
    std::uint64_t add_changes(std::vector<spool::StateChange> changes,
                              std::vector<std::shared_ptr<OutStream>> streams, bool urgent);

    /// Commits what is pending, in this thread, if the role is free. False when somebody else has
    /// it.
    bool try_commit();
    /// Commits what is pending, in this thread, after whoever does so now: changes queued before
    /// the call are stored when it returns, unless storing failed or the disk is full. False when
    /// run() has ended: then nothing is stored any more.
    bool commit();
    /// The committer thread: commits whenever something is due, until stop(); then once more, and
    /// nobody commits after that.
    void run();
    void stop();
    /// Storing has failed for good: nothing more is taken, no ticket comes up any more.
    [[nodiscard]] bool failed() const noexcept { return failed_.load(); }
    /// True when nothing waits to be stored.
    [[nodiscard]] bool idle();
    /// When run() would commit next: now for records, later for changes alone; kNever when idle.
    /// For the simulator, which has no threads.
    [[nodiscard]] base::Time due();

private:
    struct Round {
        spool::Batch batch;
        std::vector<std::shared_ptr<OutStream>> streams;  ///< one per part
        std::uint64_t ticket = 0;
        std::size_t bytes = 0;  ///< of records
        bool sync = false;
    };
    static constexpr base::Time kAwake = base::Time::min();

    /// Returns how long to let records gather before the next round.
    base::Duration commit_round();
    [[nodiscard]] base::Time records_due() const;
    [[nodiscard]] base::Time next_due() const;
    void wake_committer();
    [[nodiscard]] Round gather();
    void take_records(const std::shared_ptr<OutStream>& stream, std::size_t bytes_max, Round& round,
                      std::size_t& bytes);
    void give_back(Round&& round);
    void complete(const Round& round);
    void fail(const Round& round);

    spool::Spool& spool_;
    base::Clock& clock_;
    CommitListener& listener_;

    std::mutex role_;
    std::atomic<bool> failed_{false};  ///< set under role_ and mutex_
    bool full_ = false;                ///< guarded by role_
    bool ended_ = false;               ///< guarded by role_
    /// Guarded by role_. Small after a full disk, twice as much after each success.
    std::size_t round_bytes_max_ = base::limits::kCommitBytesMax;
    base::Time last_sync_{};  ///< guarded by role_

    std::mutex mutex_;
    std::condition_variable wanted_;
    std::vector<std::shared_ptr<OutStream>> dirty_;
    std::vector<std::shared_ptr<OutStream>>
        bound_;  ///< whose records must lie in the batch of changes_
    std::vector<spool::StateChange> changes_;
    std::uint64_t next_ticket_ = 1;
    base::Time changes_due_ = base::kNever;
    base::Time retry_at_{};      ///< after a full disk
    base::Time gather_until_{};  ///< records may wait for others until then
    bool stopping_ = false;
    base::Time sleeping_until_ = kAwake;  ///< of run()
};

}  // namespace peermq::detail
