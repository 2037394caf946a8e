#pragma once

/// The inside of Group. Every unsettled seq up to the cursor lies in exactly one span; seqs above
/// the cursor are fresh unless settled. A span is changed only between detach() and attach(), which
/// keep the counts of consumers, keys, timers and states right.
///
/// Split over group_*.cpp by responsibility: state changes, stream and facts, settlements,
/// consumers, hand-out, keys found after a restart, time, ends without a settlement.

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "delivery/group.hpp"
#include "delivery/group_consumers.hpp"
#include "delivery/group_keys.hpp"
#include "delivery/group_spans.hpp"

namespace peermq::delivery {

class Group::Impl {
public:
    Impl(GroupOptions options, std::uint32_t epoch, base::Random& random)
        : options_(options),
          epoch_(epoch),
          random_(random),
          consumers_(options.max_consumers),
          repeat_budget_(std::uint64_t{100} * options.repeat_burst) {}

    void configure(GroupOptions options);
    [[nodiscard]] bool ack_required() const { return options_.ack_required; }

    // group_stream.cpp
    void recover(base::RunSet settled, Seq end, Seq mark, std::vector<Facts::Retry> retries,
                 Time now, base::WallTime wall_now);
    bool append(Seq end);
    std::uint64_t purge();
    std::uint64_t drop_oldest(std::uint64_t count);
    void set_paused(bool paused) { paused_ = paused; }
    [[nodiscard]] bool paused() const { return paused_; }
    [[nodiscard]] Facts take_facts() {
        drop_unwanted();
        return std::exchange(facts_, {});
    }
    void retry_stored(Seq seq);
    void dead_stored(Seq seq);
    void dead_lost(Seq seq);
    [[nodiscard]] Seq mark_wanted() const;
    void adapt_mark_block() const;
    void mark_stored(Seq mark);
    [[nodiscard]] GroupStats stats() const;
    [[nodiscard]] std::uint64_t fresh_count() const;
    [[nodiscard]] bool settled(Seq seq) const { return seq <= floor_ || above_.contains(seq); }
    [[nodiscard]] Seq settled_floor() const { return floor_; }
    [[nodiscard]] const base::RunSet& settled_above_floor() const { return above_; }

    // group_consumer.cpp
    void add_consumer(ConsumerId id);
    void set_window(ConsumerId id, std::uint32_t messages, std::uint64_t bytes,
                    std::uint32_t concurrency);
    void suspect_consumer(ConsumerId id, Time now);
    void resume_consumer(ConsumerId id);
    void close_window(ConsumerId id);
    void remove_consumer(ConsumerId id, bool crashed, Time now);
    [[nodiscard]] std::vector<Run> announce(ConsumerId id, std::span<const HeldRun> held,
                                            bool complete, Time now);
    void renew(ConsumerId id, std::span<const Run> runs, Time now);
    [[nodiscard]] bool has_consumer(ConsumerId id) const { return consumers_.find(id) != nullptr; }
    [[nodiscard]] bool active(ConsumerId id) const {
        const Consumer* consumer = consumers_.find(id);
        return consumer != nullptr && consumer->active;
    }
    [[nodiscard]] std::uint64_t activity() const { return consumers_.activity(); }

    // group_settle.cpp
    [[nodiscard]] std::vector<RefusedRun> settle(ConsumerId id, std::uint64_t number,
                                                 std::uint64_t confirmed, const SettleEntry& entry,
                                                 Time now, base::WallTime wall_now);

    // group_recovery.cpp
    void expect_holders(Time now);
    [[nodiscard]] bool settling(Run run) const;
    [[nodiscard]] std::vector<Run> overruled(ConsumerId id, Run run) const;

    // group_hand_out.cpp
    bool hand_out(HandOutContext& context, std::size_t bytes_max, std::size_t batch_bytes_max,
                  Time now, base::WallTime wall_now, std::vector<Assignment>& out);
    void take_back(ConsumerId id, Run run, LeaseId lease);
    [[nodiscard]] bool ready() const { return !paused_ && has_work(); }

    // group_time.cpp
    [[nodiscard]] std::vector<Recall> take_recalls(Time now);
    void tick(Time now, base::WallTime wall_now);
    [[nodiscard]] Time next_deadline() const;

    // group_end.cpp
    void lose(Run run);
    void skip(Run run);
    std::vector<Held> abandon(Run run);
    void repeatable(Run run);

    // group_check.cpp
    void check_invariants() const;

private:
    using SpanIt = SpanTable::Iterator;

    struct Death {
        DeadReason reason{};
        std::string text;
    };
    struct Message {
        RetryState retry;
        std::optional<Death> death;  ///< settling: what becomes of it; none = it was acked
        std::uint64_t key = 0;       ///< 0 = none, or not looked at yet
        std::uint32_t retries_unstored = 0;
    };

    /// One hand_out() under way.
    struct Pass {
        HandOutContext& context;
        std::size_t bytes_max;
        std::size_t batch_bytes_max;
        std::vector<Assignment>& out;
        std::size_t used = 0;
        bool returned_stopped = false;  ///< what was returned cannot be read now
        bool fresh_stopped = false;  ///< fresh ones cannot be read now, or too many wait for keys
    };
    enum class Step : std::uint8_t {
        given,        ///< handed out, or the state changed: try again
        nothing,      ///< nothing left here
        passed_over,  ///< does not fit this consumer now
        budget,       ///< bytes_max reached
    };
    struct Fit {
        std::uint64_t count = 0;
        std::size_t bytes = 0;
        Step step = Step::given;
    };
    struct Verdict {
        bool accepted = false;
        RefuseReason reason{};
    };

    // group_state.cpp
    void note_time(Time now, base::WallTime wall_now);
    void detach(SpanIt it) {
        account(it, false);
        spans_.unindex(it);
    }
    void attach(SpanIt it) {
        spans_.index(it);
        account(it, true);
    }
    void account(SpanIt it, bool in);
    void account_lease(SpanIt it, bool in);
    [[nodiscard]] std::uint64_t key_of(SpanIt it) const;
    [[nodiscard]] SpanState resting_state(SpanIt it) const;
    /// Ends the lease, if any; the messages wait again. `open`: its holder may still settle them.
    void come_back(SpanIt it, bool redelivered, bool open);
    /// Moves a waiting span to the state that it should have now.
    void settle_down(SpanIt it);
    /// The head of a key may have become free, or must wait for a leased one.
    void refresh_key(std::uint64_t key);
    void retire(SpanIt it);
    void mark_settled(Run run);
    Message& message_of(SpanIt it);
    /// Counted failure of the single seq at `it`, already recorded in its retry state.
    void failed(SpanIt it, std::string_view text);
    void die(SpanIt it, DeadReason reason, std::string text);
    void store_retry(Seq seq, Message& message);
    [[nodiscard]] Seq fresh_last() const;
    [[nodiscard]] bool has_work() const;

    // group_settle.cpp
    [[nodiscard]] Verdict judge(const Span& span, ConsumerId id, LeaseId lease) const;
    void apply(SpanIt it, const SettleEntry& entry);
    void settle_outside(const Consumer& consumer, Run run, LeaseId lease,
                        std::vector<RefusedRun>& refused);
    void nack(SpanIt it, const SettleEntry& entry);
    [[nodiscard]] Duration back_off(std::uint32_t nacks);
    void refuse(std::vector<RefusedRun>& refused, Run run, RefuseReason reason);
    void refuse_settled(Run run, LeaseId lease, std::vector<RefusedRun>& refused);

    // group_consumer.cpp
    void lapse(Consumer& consumer, Time now);
    /// Charges the first `budget` messages of the span; returns how many that were.
    std::uint64_t charge(SpanIt it, std::uint64_t budget);
    [[nodiscard]] std::vector<Seq> held_in_hand_out_order(ConsumerId id);
    [[nodiscard]] bool adoptable(const Span& span, ConsumerId id, LeaseId lease) const;
    [[nodiscard]] bool key_taken(SpanIt it, ConsumerId id, bool started);
    void adopt(SpanIt it, Consumer& consumer, LeaseId lease, Time now);
    void announce_run(Consumer& consumer, const HeldRun& held, Time now, std::vector<Run>& revoked);

    // group_hand_out.cpp
    [[nodiscard]] Step step(Pass& pass);
    [[nodiscard]] Step give_alone(Pass& pass);
    [[nodiscard]] Step give_returned(Pass& pass, Consumer& consumer, std::uint64_t limit);
    [[nodiscard]] Step give_fresh(Pass& pass, Consumer& consumer, std::uint64_t limit);
    [[nodiscard]] Consumer* pick(std::uint64_t& eligible);
    [[nodiscard]] bool can_take(const Consumer& consumer) const;
    void reserve_for_alone();
    [[nodiscard]] Run next_returned(std::uint64_t limit);
    void skip_settled_fresh();
    [[nodiscard]] static Slice read(HandOutContext& context, Run wanted);
    [[nodiscard]] Fit fit(const Pass& pass, const Consumer& consumer, const Slice& slice,
                          std::uint64_t limit) const;
    [[nodiscard]] std::uint64_t keys_free(const Slice& slice, std::uint64_t limit) const;
    [[nodiscard]] bool park(const Slice& slice, std::uint64_t limit);
    /// Books an assignment; returns the span that its seqs become.
    Span give(Pass& pass, Consumer& consumer, Run run, const Fit& fit, const Span& like);
    void lease_returned(Run run, const Slice& slice, const Span& leased);
    void lease_fresh(Run run, const Slice& slice, const Span& leased);
    SpanIt insert_keyed(Seq seq, std::uint64_t key, Span span);

    // group_scan.cpp
    [[nodiscard]] bool scan(HandOutContext& context, Run run);
    [[nodiscard]] bool scan_all(HandOutContext& context);
    void learn_key(Seq seq, std::uint64_t key);

    // group_recovery.cpp
    /// Not all from before the restart are heard: one of them may hold it under a newer lease.
    [[nodiscard]] bool may_be_held(const Span& span) const {
        return recovered_at_ != base::kNever && span.redelivered && span.lease.epoch < epoch_;
    }
    [[nodiscard]] Time recovery_end() const;
    void end_recovery();
    /// Whoever settles what may be held by several from before the restart becomes its holder.
    void own(SpanIt it, ConsumerId id, LeaseId lease);
    /// Settles the span, or lets it die; later, when a later holder may be still to be heard.
    void finish(SpanIt it, std::optional<Death> death);
    /// A later holder was heard: what an earlier one said of a settling span does not count.
    void overrule(SpanIt it, ConsumerId by);

    // group_time.cpp
    void wake_due();
    void expire_leases(Time now);
    [[nodiscard]] std::uint64_t recall_need() const;
    [[nodiscard]] static std::uint64_t excess(const Consumer& consumer);
    [[nodiscard]] Time recall_time(const Consumer& consumer) const;

    // group_end.cpp
    /// Settles what nobody holds of `run`; calls `held(it, part)` for the rest; returns how many.
    template <typename VisitHeld>
    std::uint64_t drop_unheld(Run run, VisitHeld&& held);
    void drop_unwanted();
    /// Whether the message may be handed out again although its holder has not said what became of
    /// it; that spends from the budget.
    [[nodiscard]] bool spend_repeat(Seq seq);
    [[nodiscard]] bool may_repeat(Seq seq) const;
    /// Ends the lease of a holder who will not say any more what became of the messages: they come
    /// back, or end as unclear. `it` stays at the first of them.
    void give_up(SpanIt it, bool open);
    void end_unclear(SpanIt it);
    /// The same for all that this consumer holds.
    void give_up_all(ConsumerId id);

    // group_check.cpp
    void check_spans() const;
    void check_special(Seq first, const Span& span) const;
    void check_consumers() const;
    void check_keys() const;

    GroupOptions options_;
    std::uint32_t epoch_;
    base::Random& random_;

    Seq end_ = 0;
    Seq cursor_ = 0;      ///< every seq up to here is in a span or settled
    Seq floor_ = 0;       ///< every seq up to here is settled
    base::RunSet above_;  ///< settled seqs above the floor, never touching it
    base::RunSet settled_at_start_;
    SpanTable spans_;
    std::unordered_map<Seq, Message> messages_;
    KeyChains keys_;
    std::set<std::pair<base::WallTime, Seq>> delayed_;
    base::RunSet unscanned_;  ///< unsettled since before the restart, keys not looked at
    ConsumerTable consumers_;
    ConsumerId reserved_ = 0;  ///< is being emptied, for a message that goes alone; 0 = none

    Seq mark_ = 0;
    mutable Seq mark_asked_ = 0;
    mutable Seq mark_block_ = base::limits::kHandoutMarkBlockMin;
    mutable Time mark_asked_at_{};
    std::uint64_t lease_counter_ = 0;
    std::uint64_t turn_ = 0;
    bool paused_ = false;

    Time now_{};
    base::WallTime wall_{};
    Time recovered_at_ = base::kNever;  ///< when unclear messages are given up as unheld, unless
                                        ///< somebody who has come has not announced yet
    Time recovered_latest_ = base::kNever;  ///< then they are in any case
    Time next_scan_ = base::kNever;         ///< when leases are looked through

    base::RunSet repeatable_;          ///< unsettled ones; empty with Repeat::always
    base::RunSet unwanted_;            ///< abandoned, somebody holds them
    bool unwanted_back_ = false;       ///< one of them may have come back
    std::uint64_t repeat_budget_ = 0;  ///< in hundredths of a message

    Facts facts_;
    bool skipping_ = false;  ///< what is settled now is no fact
    GroupStats counters_;
};

}  // namespace peermq::delivery
