#pragma once

/// The parts of Inbox behind its pimpl: sources (inbox_sources.cpp), messages (inbox_messages.cpp),
/// windows (inbox_credit.cpp), output and time (inbox_actions.cpp). Threads: none.

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "delivery/inbox.hpp"
#include "delivery/inbox_stream.hpp"

namespace peermq::delivery {

class Inbox::Impl {
public:
    using Stream = inbox::Stream;

    explicit Impl(InboxOptions options);

    // Sources.
    void source_up(SourceId source, const base::StreamId& id, bool persistent, bool ready,
                   Time now);
    void source_ready(SourceId source, bool ready);
    void source_down(SourceId source, bool ended, Time now);
    void source_ended(SourceId source, Time now);
    void stream_refused(const base::StreamId& id);
    void source_heard(SourceId source, Time heard_at);
    void validated(SourceId source, std::uint32_t number, std::span<const Run> revoked, bool done,
                   Time now);
    void granted(SourceId source, std::uint32_t number);

    // Messages.
    [[nodiscard]] bool arrived(SourceId source, const Arrival& arrival, Time now);
    [[nodiscard]] bool take_into(Time now, Item& item);
    [[nodiscard]] bool has_ready(Time now) const;
    bool settle(SourceId source, Seq seq, SettleKind kind, std::optional<Duration> delay,
                std::string_view reason);
    void recall(SourceId source, std::uint32_t messages);
    void stop();
    std::vector<RefusedSettlement> confirmed(SourceId source, std::uint64_t number,
                                             std::span<const RefusedRun> refused);
    [[nodiscard]] Outcome outcome(SourceId source, Seq seq) const;

    // Output and time.
    [[nodiscard]] std::uint64_t unsent() const noexcept { return unsent_up_; }
    [[nodiscard]] std::uint64_t flush_threshold() const noexcept;
    [[nodiscard]] InboxActions take_actions(Time now);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;
    void set_prefetch(std::uint32_t messages, std::uint64_t bytes);
    void set_concurrency(std::uint32_t concurrency);

    // Looking.
    [[nodiscard]] InboxStats stats() const;
    [[nodiscard]] std::vector<std::pair<base::StreamId, Seq>> taken() const;
    [[nodiscard]] bool drained() const;
    void check_invariants() const;

private:
    /// What of an arrival is known already.
    struct Known {
        base::RunSet pending;
        base::RunSet started;
        base::RunSet settled;
        [[nodiscard]] std::uint64_t size() const noexcept {
            return pending.size() + started.size() + settled.size();
        }
    };

    [[nodiscard]] Stream* find(SourceId source) const;
    /// The stream whose live link this is; null for earlier sources and lost links.
    [[nodiscard]] Stream* find_live(SourceId source) const;
    Stream& stream_of(const base::StreamId& id);
    void move_to_source(Stream& stream, SourceId source);
    void lose_link(Stream& stream, Time now);
    [[nodiscard]] Time timer_when_gone(const Stream& stream, Time now) const;
    void check_gone(Stream& stream, Time now);
    void prune_aliases(Stream& stream);
    void forget(Stream& stream);
    void forget_idle_gone();
    void judge_all(Time now);

    [[nodiscard]] Known known(Stream& stream, const Arrival& arrival) const;
    [[nodiscard]] bool fits(Stream& stream, std::uint64_t count, std::size_t bytes, Time now);
    void adopt(Stream& stream, const Arrival& arrival, const Known& known);
    void take_new(Stream& stream, const Arrival& arrival, Run run);
    void evict(Stream& stream, Run run);
    [[nodiscard]] Stream* next_stream(Time now);
    void start_front(Stream& stream, Time now, Item& item);
    void note_settled(Stream& stream, SettleKind kind, Run run, const LeaseId& lease,
                      const base::Epoch& epoch, std::optional<Duration> delay,
                      std::string_view reason);
    void give_back(Stream& stream, const inbox::PendingRun& piece);
    void drop_pending(Stream& stream);
    void count(SettleKind kind, std::uint64_t messages) noexcept;

    void send_held(Stream& stream, Time now, InboxActions& actions);
    void send_renewals(Stream& stream, Time now, InboxActions& actions);
    void orphan_overdue(Stream& stream, Time now);
    // Credit (inbox_credit.cpp).
    void plan_windows(Time now, InboxActions& actions);
    [[nodiscard]] std::uint32_t capacity(Time now);
    [[nodiscard]] std::uint64_t exposure_sum() const;
    void shrink(Stream& stream, std::uint32_t messages, Time now, InboxActions& actions);
    void grow_windows(const std::vector<Stream*>& up, const std::vector<std::uint32_t>& shares,
                      Time now, InboxActions& actions);
    void send_grant(Stream& stream, std::uint32_t messages, Time now,
                    std::vector<InboxActions::Grant>& out);
    [[nodiscard]] std::uint64_t bytes_for(std::uint32_t messages) const noexcept;
    void date_claims(Time now);

    InboxOptions options_;
    std::vector<std::unique_ptr<Stream>> streams_;  ///< in order of appearance, so that runs repeat
    std::unordered_map<base::StreamId, Stream*> by_id_;
    std::unordered_map<SourceId, Stream*> by_source_;
    mutable SourceId last_source_ = 0;  ///< of the latest look-up, which is mostly the next
    mutable Stream* last_stream_ = nullptr;

    std::deque<Stream*> ring_;  ///< streams with pending messages; the front one has the turn
    std::uint64_t started_total_ = 0;
    std::uint64_t unsent_up_ = 0;
    std::uint64_t ceiling_ = 0;  ///< exposure may not exceed it; above prefetch only while it falls
    std::uint64_t ceiling_bytes_ = 0;
    std::uint64_t served_ticket_ = 0;
    std::int64_t second_ = 0;  ///< the current one, up to second_end_
    Time second_end_ = Time::min();
    bool alone_running_ = false;
    bool stopped_ = false;
    bool plan_due_ = false;
    bool short_ = false;  ///< some window is smaller than it should be
    bool held_due_ = false;
    bool heard_due_ = false;
    mutable bool deadline_known_ = false;
    mutable Time deadline_{};
    InboxStats counters_;
};

}  // namespace peermq::delivery
