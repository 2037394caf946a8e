// The exact check of what Group promises about its state; tests and the simulator run it often.

#include <map>

#include "base/assert.hpp"
#include "delivery/group_impl.hpp"

namespace peermq::delivery {

void Group::Impl::check_invariants() const {
    check_spans();
    check_consumers();
    check_keys();
}

/// Spans, settled and fresh seqs part [1, end] among them.
void Group::Impl::check_spans() const {
    PEERMQ_ASSERT(floor_ <= end_ && cursor_ <= end_);
    PEERMQ_ASSERT(above_.empty() ||
                  (above_.front().first > floor_ + 1 && above_.back().last <= end_));
    std::array<std::uint64_t, kSpanStates> counts{};
    std::size_t special = 0;
    std::size_t delayed = 0;
    Seq after_last = floor_ + 1;
    std::uint64_t in_spans = 0;
    for (const auto& [first, span] : spans_.map()) {
        PEERMQ_ASSERT(after_last <= first && first <= span.last && span.last <= cursor_);
        after_last = span.last + 1;
        const Run run{first, span.last};
        PEERMQ_ASSERT(above_.count_in(run) == 0);
        in_spans += run.count();
        counts[static_cast<std::size_t>(span.state)] += run.count();
        const bool indexed = span.state == SpanState::available;
        PEERMQ_ASSERT(spans_.ordinary().contains(first) == (indexed && !span.alone));
        PEERMQ_ASSERT(spans_.alone().contains(first) == (indexed && span.alone));
        if (span.special) {
            ++special;
            check_special(first, span);
        }
        if (span.state == SpanState::delayed) ++delayed;
        if (span.state == SpanState::leased) PEERMQ_ASSERT(!span.open);
        const bool single = span.state == SpanState::blocked || span.state == SpanState::delayed ||
                            span.state == SpanState::storing || span.state == SpanState::dying;
        if (single || span.alone) PEERMQ_ASSERT(span.special);
    }
    for (std::size_t state = 0; state < kSpanStates; ++state) {
        PEERMQ_ASSERT(counts[state] == spans_.count(static_cast<SpanState>(state)));
    }
    PEERMQ_ASSERT(special == messages_.size() && delayed == delayed_.size());
    const std::uint64_t looked_at = std::max(cursor_, floor_) - floor_;
    PEERMQ_ASSERT(in_spans + above_.count_in({floor_ + 1, cursor_}) == looked_at);
    PEERMQ_ASSERT(unscanned_.empty() || unscanned_.back().last <= cursor_);
}

void Group::Impl::check_special(Seq first, const Span& span) const {
    PEERMQ_ASSERT(first == span.last);
    const auto found = messages_.find(first);
    PEERMQ_ASSERT(found != messages_.end());
    const Message& message = found->second;
    if (span.state == SpanState::delayed) {
        PEERMQ_ASSERT(delayed_.contains({message.retry.due, first}));
    }
    if (span.state == SpanState::storing) PEERMQ_ASSERT(message.retries_unstored > 0);
    if (message.key == 0) {
        PEERMQ_ASSERT(span.state != SpanState::blocked);
        return;
    }
    const KeyChains::Chain* chain = keys_.find(message.key);
    PEERMQ_ASSERT(chain != nullptr && chain->seqs.contains(first));
    if (span.state == SpanState::available) PEERMQ_ASSERT(keys_.may_go(message.key, first));
    if (span.state == SpanState::blocked) PEERMQ_ASSERT(!keys_.may_go(message.key, first));
}

void Group::Impl::check_consumers() const {
    struct Sum {
        std::uint64_t leased = 0;
        std::uint64_t bytes = 0;
        std::uint64_t alone = 0;
    };
    std::map<ConsumerId, Sum> sums;
    for (const auto& [first, span] : spans_.map()) {
        if (span.state != SpanState::leased) continue;
        Sum& sum = sums[span.holder];
        sum.leased += span.last - first + 1;
        sum.bytes += span.bytes;
        sum.alone += span.alone ? 1 : 0;
    }
    std::size_t active = 0;
    for (const Consumer* consumer : consumers_.all()) {
        const Sum sum = sums[consumer->id];
        PEERMQ_ASSERT(consumer->leased == sum.leased && consumer->leased_bytes == sum.bytes);
        PEERMQ_ASSERT(consumer->leased_alone == sum.alone);
        if (consumer->link == ConsumerLink::lapsed && options_.repeat == Repeat::always)
            PEERMQ_ASSERT(consumer->leased == 0);
        if (consumer->active) ++active;
        sums.erase(consumer->id);
    }
    PEERMQ_ASSERT(sums.empty());
    PEERMQ_ASSERT(options_.max_consumers == 0 || active <= options_.max_consumers);
    PEERMQ_ASSERT(spans_.count(SpanState::leased) == 0 || next_scan_ != base::kNever);
    const auto waiting = spans_.count(SpanState::unclear) + spans_.count(SpanState::settling);
    PEERMQ_ASSERT(waiting == 0 || recovered_at_ != base::kNever);
}

void Group::Impl::check_keys() const {
    std::size_t keyed = 0;
    for (const auto& [seq, message] : messages_) keyed += message.key != 0 ? 1 : 0;
    for (const auto& [key, chain] : keys_.all()) {
        PEERMQ_ASSERT(!chain.seqs.empty());
        std::uint64_t leased = 0;
        for (const Seq seq : chain.seqs) {
            const auto span = spans_.map().find(seq);
            PEERMQ_ASSERT(span != spans_.map().end() && messages_.at(seq).key == key);
            if (span->second.state == SpanState::leased) ++leased;
        }
        PEERMQ_ASSERT(leased == chain.leased);
        keyed -= chain.seqs.size();
    }
    PEERMQ_ASSERT(keyed == 0);
}

}  // namespace peermq::delivery
