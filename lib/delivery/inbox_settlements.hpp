#pragma once

/// What the application settled of one stream and the producer has not confirmed: first unsent,
/// then sent under the number of a SETTLE. Also what became of it: refused, or never to be known.
///
/// Settling in order extends the last entry; what comes out of order is merged into runs when it is
/// sent. A seq is in at most one entry. Threads: none.

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/ids.hpp"
#include "base/run_set.hpp"
#include "delivery/inbox.hpp"

namespace peermq::delivery::inbox {

struct Settled {
    SettleEntry entry;
    base::Epoch epoch;
};

/// The newest `limits::kRefusedKeptMax` refused seqs.
class RefusedSeqs {
public:
    void add(Run run);
    void forget(Run run);
    [[nodiscard]] bool contains(Seq seq) const { return !seqs_.empty() && seqs_.contains(seq); }

private:
    std::unordered_set<Seq> seqs_;
    std::deque<Seq> order_;
};

class Settlements {
public:
    /// `delay` and `reason` are for one seq; entries that have them are never merged.
    void add(SettleKind kind, Run run, const LeaseId& lease, const base::Epoch& epoch,
             std::optional<Duration> delay, std::string_view reason);

    [[nodiscard]] std::uint64_t unsent() const noexcept { return unsent_count_; }
    [[nodiscard]] std::uint64_t unconfirmed() const noexcept {
        return unsent_count_ + sent_set_.size();
    }

    /// Moves all that is unsent into numbered SETTLEs that each fit a frame, and appends them to
    /// `out`.
    void flush(SourceId source, std::vector<InboxActions::Settle>& out);
    /// What was sent may be lost: all of it is unsent again. `renumber`: numbers start again at 1.
    void resend(bool renumber);
    /// SETTLEs up to `number` were applied, all but `refused`; returns which of ours were refused.
    std::vector<RefusedSettlement> confirm(std::uint64_t number,
                                           std::span<const RefusedRun> refused);
    /// Nobody is left to confirm: the outcome of all that is unconfirmed stays unknown.
    void abandon();

    /// Seqs of `run` whose unconfirmed settlement is final (acked or rejected).
    [[nodiscard]] base::RunSet final_overlap(Run run, const base::Epoch& epoch) const;
    /// The settlements of these seqs are sent (again) with a newer lease.
    void reissue(const base::RunSet& which, const LeaseId& lease);

    /// These came again as new messages, so the producer has applied what we said of them before.
    void supersede(Run run);

    [[nodiscard]] Outcome outcome(Seq seq) const;

    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const Sent& sent : sent_) {
            for (const Settled& settled : sent.entries) visit(settled);
        }
        for (const Settled& settled : unsent_) visit(settled);
    }

    template <typename Visit>
    void for_each_unsent(Visit&& visit) const {
        for (const Settled& settled : unsent_) visit(settled);
    }

    void check_invariants() const;

private:
    struct Sent {
        std::uint64_t number = 0;
        std::vector<Settled> entries;
    };

    void merge_unsent();
    /// Offers the parts of all entries inside `which` to `take`, and removes those that it takes.
    template <typename Take>
    void extract(const base::RunSet& which, Take&& take);
    std::vector<RefusedSettlement> mark_refused(const base::RunSet& refused);

    std::vector<Settled> unsent_;
    std::uint64_t unsent_count_ = 0;
    std::deque<Sent> sent_;
    base::RunSet sent_set_;
    std::vector<Settled> last_confirmed_;  ///< a CONFIRM with many refusals comes in several frames
    std::uint64_t number_ = 0;             ///< of the last SETTLE
    std::uint64_t confirmed_ = 0;
    RefusedSeqs refused_;
    base::RunSet unknown_;
};

}  // namespace peermq::delivery::inbox
