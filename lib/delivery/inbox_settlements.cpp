#include "delivery/inbox_settlements.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "delivery/inbox_pending.hpp"

namespace peermq::delivery::inbox {

namespace limits = base::limits;

namespace {

/// What an entry takes in a frame beside its reason, generously.
constexpr std::size_t kEntryBytes = 64;

bool is_final(SettleKind kind) { return kind == SettleKind::ack || kind == SettleKind::reject; }

bool is_mergeable(SettleKind kind) {
    return kind != SettleKind::nack && kind != SettleKind::reject;
}

bool same_kind(const Settled& a, const Settled& b) {
    return a.entry.kind == b.entry.kind && a.entry.lease == b.entry.lease && a.epoch == b.epoch &&
           is_mergeable(a.entry.kind);
}

}  // namespace

void RefusedSeqs::add(Run run) {
    if (run.count() > limits::kRefusedKeptMax) run.first = run.last - limits::kRefusedKeptMax + 1;
    for (Seq seq = run.first; seq <= run.last; ++seq) {
        if (seqs_.insert(seq).second) order_.push_back(seq);
    }
    while (order_.size() > limits::kRefusedKeptMax) {
        seqs_.erase(order_.front());
        order_.pop_front();
    }
}

void RefusedSeqs::forget(Run run) {
    if (seqs_.empty()) return;
    const std::size_t forgotten = run.count() == 1 ? seqs_.erase(run.first)
                                                   : std::erase_if(seqs_, [&](Seq seq) {
                                                         return run.contains(seq);
                                                     });
    if (forgotten == 0) return;
    std::erase_if(order_, [&](Seq seq) { return run.contains(seq); });
}

void Settlements::add(SettleKind kind, Run run, const LeaseId& lease, const base::Epoch& epoch,
                      std::optional<Duration> delay, std::string_view reason) {
    refused_.forget(run);
    if (!unknown_.empty()) unknown_.remove(run);
    unsent_count_ += run.count();
    if (!unsent_.empty() && is_mergeable(kind)) {
        Settled& last = unsent_.back();
        if (last.entry.kind == kind && last.entry.run.last + 1 == run.first &&
            last.entry.lease == lease && last.epoch == epoch) {
            last.entry.run.last = run.last;
            return;
        }
    }
    Settled& settled = unsent_.emplace_back();
    settled.entry.kind = kind;
    settled.entry.run = run;
    settled.entry.lease = lease;
    settled.epoch = epoch;
    if (is_mergeable(kind)) return;
    if (kind == SettleKind::nack) settled.entry.delay = delay;
    settled.entry.reason = reason.substr(0, limits::kReasonBytesMax);
}

void Settlements::merge_unsent() {
    if (unsent_.size() < 2) return;
    std::stable_sort(unsent_.begin(), unsent_.end(), [](const Settled& a, const Settled& b) {
        return std::tie(a.entry.kind, a.entry.lease, a.epoch, a.entry.run.first) <
               std::tie(b.entry.kind, b.entry.lease, b.epoch, b.entry.run.first);
    });
    std::size_t kept = 0;
    for (std::size_t i = 1; i < unsent_.size(); ++i) {
        Settled& last = unsent_[kept];
        if (same_kind(last, unsent_[i]) && last.entry.run.last + 1 == unsent_[i].entry.run.first) {
            last.entry.run.last = unsent_[i].entry.run.last;
        } else if (++kept != i) {
            unsent_[kept] = std::move(unsent_[i]);
        }
    }
    unsent_.resize(kept + 1);
}

void Settlements::flush(SourceId source, std::vector<InboxActions::Settle>& out) {
    merge_unsent();
    std::size_t next = 0;
    while (next < unsent_.size()) {
        InboxActions::Settle settle;
        settle.source = source;
        settle.number = ++number_;
        settle.confirmed = confirmed_;
        Sent& sent = sent_.emplace_back();
        sent.number = number_;
        std::size_t bytes = 0;
        while (next < unsent_.size() && sent.entries.size() < limits::kRunsPerFrameMax &&
               bytes < limits::kBatchBytesMax) {
            Settled& settled = unsent_[next++];
            bytes += kEntryBytes + settled.entry.reason.size();
            sent_set_.add(settled.entry.run);
            settle.entries.push_back(settled.entry);
            sent.entries.push_back(std::move(settled));
        }
        out.push_back(std::move(settle));
    }
    unsent_.clear();
    unsent_count_ = 0;
}

void Settlements::resend(bool renumber) {
    std::vector<Settled> all;
    for (Sent& sent : sent_)
        std::move(sent.entries.begin(), sent.entries.end(), std::back_inserter(all));
    std::move(unsent_.begin(), unsent_.end(), std::back_inserter(all));
    unsent_count_ += sent_set_.size();
    unsent_ = std::move(all);
    sent_.clear();
    sent_set_.clear();
    last_confirmed_.clear();
    if (renumber) {
        number_ = 0;
        confirmed_ = 0;
    }
}

std::vector<RefusedSettlement> Settlements::confirm(std::uint64_t number,
                                                    std::span<const RefusedRun> refused) {
    number = std::min(number, number_);  // from the wire: what we never sent cannot be confirmed
    if (number < confirmed_) return {};
    if (number > confirmed_) last_confirmed_.clear();
    confirmed_ = number;
    while (!sent_.empty() && sent_.front().number <= number) {
        for (Settled& settled : sent_.front().entries) {
            sent_set_.remove(settled.entry.run);
            last_confirmed_.push_back(std::move(settled));
        }
        sent_.pop_front();
    }
    if (refused.empty()) return {};
    base::RunSet late;
    base::RunSet unclear;
    for (const RefusedRun& one : refused) {
        const bool nobody_knows = one.reason == RefuseReason::settled_before_start;
        (nobody_knows ? unclear : late).add(base::bounded(one.run));
    }
    for (const Settled& settled : last_confirmed_) {
        for (const Run run : unclear.intersection(settled.entry.run)) unknown_.add(run);
    }
    return mark_refused(late);
}

std::vector<RefusedSettlement> Settlements::mark_refused(const base::RunSet& refused) {
    std::vector<RefusedSettlement> marked;
    for (const Settled& settled : last_confirmed_) {
        // What was given back unstarted was nobody's work: that it came too late harms nobody.
        if (settled.entry.kind == SettleKind::recalled) continue;
        for (const Run run : refused.intersection(settled.entry.run)) {
            refused_.add(run);
            marked.push_back({settled.epoch, run});
        }
    }
    return marked;
}

void Settlements::abandon() {
    for_each([&](const Settled& settled) { unknown_.add(settled.entry.run); });
    sent_.clear();
    sent_set_.clear();
    unsent_.clear();
    unsent_count_ = 0;
}

base::RunSet Settlements::final_overlap(Run run, const base::Epoch& epoch) const {
    base::RunSet found;
    const auto note = [&](const Settled& settled) {
        if (!is_final(settled.entry.kind) || settled.epoch != epoch) return;
        const Run entry = settled.entry.run;
        found.add({std::max(run.first, entry.first), std::min(run.last, entry.last)});
    };
    if (sent_set_.count_in(run) > 0) {
        for_each(note);
    } else {
        std::for_each(unsent_.begin(), unsent_.end(), note);
    }
    return found;
}

template <typename Take>
void Settlements::extract(const base::RunSet& which, Take&& take) {
    const auto split = [&](std::vector<Settled>& entries) {
        std::vector<Settled> kept;
        for (const Settled& settled : entries) {
            for_each_part(settled.entry.run, which, [&](Run run, bool inside) {
                Settled part = settled;
                part.entry.run = run;
                if (!inside || !take(part)) kept.push_back(std::move(part));
            });
        }
        entries = std::move(kept);
    };
    for (Sent& sent : sent_) split(sent.entries);
    split(unsent_);
    sent_set_.clear();
    unsent_count_ = 0;
    for (const Sent& sent : sent_) {
        for (const Settled& settled : sent.entries) sent_set_.add(settled.entry.run);
    }
    for (const Settled& settled : unsent_) unsent_count_ += settled.entry.run.count();
}

void Settlements::reissue(const base::RunSet& which, const LeaseId& lease) {
    if (which.empty()) return;
    std::vector<Settled> moved;
    extract(which, [&](Settled& settled) {
        if (!is_final(settled.entry.kind)) return false;
        moved.push_back(std::move(settled));
        return true;
    });
    for (Settled& settled : moved) {
        settled.entry.lease = lease;
        unsent_count_ += settled.entry.run.count();
        unsent_.push_back(std::move(settled));
    }
}

void Settlements::supersede(Run run) {
    if (unconfirmed() == 0) return;
    const auto overlaps = [&](const Settled& settled) {
        return settled.entry.run.first <= run.last && run.first <= settled.entry.run.last;
    };
    if (sent_set_.count_in(run) == 0 && std::none_of(unsent_.begin(), unsent_.end(), overlaps))
        return;
    extract(base::RunSet(run), [](const Settled&) { return true; });
}

Outcome Settlements::outcome(Seq seq) const {
    if (sent_set_.contains(seq)) return Outcome::pending;
    for (const Settled& settled : unsent_) {
        if (settled.entry.run.contains(seq)) return Outcome::pending;
    }
    if (refused_.contains(seq)) return Outcome::refused;
    if (unknown_.contains(seq)) return Outcome::unknown;
    return Outcome::accepted;
}

void Settlements::check_invariants() const {
    std::uint64_t unsent = 0;
    for (const Settled& settled : unsent_) unsent += settled.entry.run.count();
    PEERMQ_ASSERT(unsent == unsent_count_);
    base::RunSet sent;
    for (const Sent& one : sent_) {
        PEERMQ_ASSERT(one.number <= number_ && one.number > confirmed_);
        for (const Settled& settled : one.entries) sent.add(settled.entry.run);
    }
    PEERMQ_ASSERT(sent == sent_set_);
}

}  // namespace peermq::delivery::inbox
