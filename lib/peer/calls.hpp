#pragma once

/// The requests of one service that wait for a reply, at the peer that asks.
///
/// Each request is a record of an OutStream; this table holds what its caller has to know: until
/// when he waits, which parts of the reply have come, how it ended. First whole answer wins; what
/// comes later is counted and dropped (INV-9). Parts that are not taken yet are bounded by the
/// credit that the replier gets, requests by in_flight_max.
///
/// Threads: any, by one lock, which is never held while waiting. Lock order: the engine's role or
/// none, then this lock, then the stream's.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.hpp"
#include "base/run_set.hpp"
#include "peer/notifier.hpp"
#include "peer/out_stream.hpp"
#include "peermq/error.hpp"
#include "record/record.hpp"

namespace peermq::detail {

class Calls;

/// What a table of calls asks of its peer. Called without its lock.
class CallHost {
public:
    virtual ~CallHost() = default;
    /// A request was posted in memory, or the table has work for the engine: let it be done soon.
    virtual void calls_changed(const std::shared_ptr<Calls>& calls, bool at_once) = 0;
    /// See InStreamHost::drive(). `quick`: the caller waited a moment ago, so that he is the better
    /// driver.
    virtual bool drive_for_reply(const std::function<bool()>& done, base::Time deadline,
                                 bool quick) = 0;
};

/// A part of a reply: its record, and what pins it.
struct ReplyPart {
    base::ByteSpan record;
    std::shared_ptr<const void> pin;
    std::uint32_t number = 0;
    bool last = false;
    bool failure = false;
    bool progress = false;
};

/// One request, from its posting until its reply is taken. Constant, but what says otherwise is
/// guarded by the lock of its table.
struct Call {
    base::Seq seq = 0;
    base::Epoch epoch;
    base::Time deadline = base::kNever;
    std::string correlation_id;  ///< the caller's own; empty: none
    std::string name;            ///< of a recovered one: correlation id, else id
    bool idempotent = false;

    // Guarded.
    std::deque<ReplyPart> parts;   ///< not taken yet
    std::uint32_t parts_come = 0;  ///< of the present answer
    std::uint32_t parts_taken = 0;
    std::uint64_t taken_bytes = 0;
    std::uint64_t told_bytes = 0;  ///< of those, told to the replier
    std::uint64_t answer = 0;      ///< whose parts these are; 0 = none has come
    bool whole = false;            ///< the last part has come; with a spool it is being stored
    bool done = false;             ///< nothing more comes
    bool claimed = true;           ///< somebody waits for it, or may
    ErrorCode error{};             ///< how it failed, when `failed`
    bool failed = false;
    std::string text;
    base::Run stored;  ///< seqs of its reply's records in the spool; none: empty
    /// Called under the lock, once, with this call: must only pass it on.
    std::function<void(const std::shared_ptr<Call>&)> on_done;
    std::condition_variable changed;
};

struct CallStats {
    std::uint64_t in_flight = 0;
    std::uint64_t requests = 0;  ///< counters from here on
    std::uint64_t replies = 0;   ///< whole ones, failures of the handler included
    std::uint64_t remote_failures = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t outcome_unknown = 0;
    std::uint64_t late = 0;  ///< parts that nobody waited for any more: dropped
};

/// What the engine has to do for a table.
struct CallWork {
    base::RunSet idempotent;  ///< may be handed out again
    base::RunSet over;        ///< nobody waits for these any more
    struct Credit {
        base::Seq seq = 0;
        std::uint64_t taken_bytes = 0;
    };
    std::vector<Credit> credits;
    std::vector<base::Run> taken;  ///< records of stored replies that were taken
    [[nodiscard]] bool empty() const noexcept {
        return idempotent.empty() && over.empty() && credits.empty() && taken.empty();
    }
};

class Calls : public std::enable_shared_from_this<Calls> {
public:
    /// `replies` takes the replies that come to stored requests; null in memory.
    Calls(std::shared_ptr<OutStream> stream, std::shared_ptr<OutStream> replies,
          std::uint32_t in_flight_max, std::weak_ptr<CallHost> host, base::Clock& clock);

    // --- the application
    struct Options {
        base::Time deadline = base::kNever;
        bool idempotent = false;
        std::string_view correlation_id;  ///< must not be in flight already
        std::function<void(const std::shared_ptr<Call>&)> on_done;
        bool caller_drives = false;  ///< the caller waits at once: nobody else need be woken
    };
    /// Appends `record`. Throws Error: quota (in_flight_max, or no room), invalid_argument (the
    /// correlation id is in use), too_large, closed, io_error.
    std::shared_ptr<Call> post(record::Record& record, const Options& options);
    /// Waits until a part can be taken or nothing more comes; false at `deadline`. At the call's
    /// own deadline it ends as a time-out.
    [[nodiscard]] bool wait(Call& call, base::Time deadline);
    /// The same until nothing more comes; parts wait to be taken.
    [[nodiscard]] bool wait_done(Call& call, base::Time deadline);
    [[nodiscard]] base::Time now() { return clock_.now(); }
    [[nodiscard]] base::WallTime wall_now() { return clock_.wall_now(); }
    /// For those who want nothing but the last part, the others are dropped.
    enum class Wanted { next, last };
    /// The part that is wanted, if it is here.
    [[nodiscard]] std::optional<ReplyPart> take(Call& call, Wanted wanted);
    [[nodiscard]] bool done(const Call& call);
    /// Throws what the call failed with; nothing when it did not.
    void throw_failure(const Call& call);
    /// Ends the call as cancelled; false when it had ended before.
    bool cancel(Call& call);
    /// Nobody looks at it any more: in memory it is cancelled, stored its reply is for receive().
    void let_go(Call& call);
    /// A whole reply that nobody has claimed; nothing at `deadline`, and at once after close().
    [[nodiscard]] std::shared_ptr<Call> receive(base::Time deadline);
    /// Stored requests without a taken reply that nobody has claimed.
    [[nodiscard]] std::vector<std::shared_ptr<Call>> unclaimed();
    [[nodiscard]] CallStats stats();
    /// Told of parts that have come, and of ends.
    void set_notifier(std::shared_ptr<NotifierState> notifier);

    // --- the engine
    /// A request of an earlier process, found in the spool.
    void recover(const std::shared_ptr<Call>& call);
    /// One whose reply was found there, whole.
    void recover_answered(const std::shared_ptr<Call>& call);
    enum class Arrival : std::uint8_t {
        taken,      ///< waits for more
        whole,      ///< it was the last one
        duplicate,  ///< known already: came again after a lost link
        late,       ///< nobody waits: dropped and counted
        invalid,    ///< against the protocol
    };
    Arrival arrived(base::Seq seq, const base::Epoch& epoch, std::uint64_t answer, ReplyPart part);
    /// The parts of a whole reply, to be stored before stored() tells of them.
    struct WholeReply {
        std::vector<ReplyPart> parts;
        std::string correlation_id;
        std::string request;  ///< its id
    };
    [[nodiscard]] WholeReply whole_reply(base::Seq seq);
    void stored(base::Seq seq, base::Run records);
    void fail(base::Seq seq, ErrorCode error, const std::string& text);
    /// Ends what is overdue as a time-out.
    void expire(base::Time now);
    [[nodiscard]] base::Time next_deadline();
    [[nodiscard]] CallWork take_work();
    /// Also wakes those who wait. The peer is closed: what waits fails so.
    void close();

    /// Ends all that waits so.
    void fail_all(ErrorCode error, const std::string& text);

    [[nodiscard]] const std::shared_ptr<OutStream>& stream() const noexcept { return stream_; }
    [[nodiscard]] const std::shared_ptr<OutStream>& replies() const noexcept { return replies_; }
    /// What a returning user of recovered requests asks for.
    void set_in_flight_max(std::uint32_t in_flight_max);
    /// What the pattern keeps with it; set before anybody else knows the table.
    std::shared_ptr<void> client;
    /// Set while the table stands in the engine's list.
    std::atomic<bool> listed{false};

private:
    using Lock = std::unique_lock<std::mutex>;

    /// Waits until `ready`, which is asked under the lock; false at `deadline`.
    template <typename Ready>
    [[nodiscard]] bool wait_for(Call& call, base::Time deadline, Ready&& ready);
    std::shared_ptr<Call> find(base::Seq seq) const;
    void add(const std::shared_ptr<Call>& call);
    void finish(Call& call);
    void fail(Call& call, ErrorCode error, std::string text);
    void time_out(Call& call);
    void note_taken(Call& call, const ReplyPart& part);
    void told();
    void tell(bool at_once);
    bool drive(const std::function<bool()>& done, base::Time deadline, bool quick);

    const std::shared_ptr<OutStream> stream_;
    const std::shared_ptr<OutStream> replies_;
    const std::weak_ptr<CallHost> host_;
    base::Clock& clock_;

    std::mutex mutex_;
    std::uint32_t in_flight_max_;
    std::unordered_map<base::Seq, std::shared_ptr<Call>> calls_;  ///< not ended
    std::set<std::pair<base::Time, base::Seq>> deadlines_;
    std::unordered_set<std::string> correlation_ids_;  ///< the callers' own
    std::deque<std::shared_ptr<Call>> unclaimed_;      ///< whole
    base::Time answered_at_{};  ///< when somebody last got what he waited for
    std::condition_variable unclaimed_changed_;
    CallWork work_;
    bool closed_ = false;
    std::shared_ptr<NotifierState> notifier_;
    CallStats counters_;
};

}  // namespace peermq::detail
