// How messages of a group move between states: the only place that touches the counts and indexes.

#include <algorithm>

#include "base/assert.hpp"
#include "delivery/group_impl.hpp"

namespace peermq::delivery {

void Group::Impl::note_time(Time now, base::WallTime wall_now) {
    now_ = std::max(now_, now);
    wall_ = wall_now;
}

void Group::Impl::account(SpanIt it, bool in) {
    const Span& span = it->second;
    if (span.state == SpanState::leased) account_lease(it, in);
    if (span.state == SpanState::delayed) {
        const std::pair entry{messages_.at(it->first).retry.due, it->first};
        if (in) {
            delayed_.insert(entry);
        } else {
            delayed_.erase(entry);
        }
    }
}

void Group::Impl::account_lease(SpanIt it, bool in) {
    const Span& span = it->second;
    Consumer* consumer = consumers_.find(span.holder);
    PEERMQ_ASSERT(consumer != nullptr);
    const std::uint64_t count = SpanTable::run(it).count();
    const std::uint64_t key = key_of(it);
    if (in) {
        consumer->leased += count;
        consumer->leased_bytes += span.bytes;
        consumer->leased_alone += span.alone ? 1 : 0;
        if (key != 0) keys_.lease(key);
        if (next_scan_ == base::kNever) next_scan_ = span.expires;
    } else {
        consumer->leased -= count;
        consumer->leased_bytes -= span.bytes;
        consumer->leased_alone -= span.alone ? 1 : 0;
        if (key != 0) keys_.end_lease(key);
    }
}

std::uint64_t Group::Impl::key_of(SpanIt it) const {
    return it->second.special ? messages_.at(it->first).key : 0;
}

SpanState Group::Impl::resting_state(SpanIt it) const {
    const bool unclear = may_be_held(it->second);
    if (!it->second.special) return unclear ? SpanState::unclear : SpanState::available;
    const Message& message = messages_.at(it->first);
    if (options_.durable && message.retries_unstored > 0) return SpanState::storing;
    if (unclear) return SpanState::unclear;
    if (message.retry.due > wall_) return SpanState::delayed;
    if (message.key != 0 && !keys_.may_go(message.key, it->first)) return SpanState::blocked;
    return SpanState::available;
}

void Group::Impl::come_back(SpanIt it, bool redelivered, bool open) {
    const std::uint64_t key = key_of(it);
    detach(it);
    Span& span = it->second;
    span.redelivered = span.redelivered || redelivered;
    span.open = open;
    span.bytes = 0;
    span.state = resting_state(it);
    attach(it);
    if (!unwanted_.empty()) unwanted_back_ = true;
    if (key != 0) refresh_key(key);
}

void Group::Impl::settle_down(SpanIt it) {
    const SpanState state = resting_state(it);
    if (state == it->second.state) return;
    detach(it);
    it->second.state = state;
    attach(it);
}

void Group::Impl::refresh_key(std::uint64_t key) {
    const KeyChains::Chain* chain = keys_.find(key);
    if (chain == nullptr) return;
    const SpanIt head = spans_.find(*chain->seqs.begin());
    const SpanState state = head->second.state;
    if (state == SpanState::blocked || state == SpanState::available) settle_down(head);
}

void Group::Impl::retire(SpanIt it) {
    const Run run = SpanTable::run(it);
    const std::uint64_t key = key_of(it);
    detach(it);
    if (it->second.special) {
        if (key != 0) keys_.erase(key, run.first);
        messages_.erase(run.first);
    }
    spans_.erase(it);
    mark_settled(run);
    if (key != 0) refresh_key(key);
}

void Group::Impl::mark_settled(Run run) {
    if (skipping_) {
        // Told by nobody.
    } else if (!facts_.settled.empty() && facts_.settled.back().last + 1 == run.first) {
        facts_.settled.back().last = run.last;
    } else {
        facts_.settled.push_back(run);
    }
    if (!unscanned_.empty()) unscanned_.remove(run);
    if (!repeatable_.empty()) repeatable_.remove(run);
    if (!unwanted_.empty()) unwanted_.remove(run);
    if (run.first != floor_ + 1) {
        above_.add(run);
        return;
    }
    floor_ = run.last;
    if (!above_.empty() && above_.front().first == floor_ + 1) {
        const Run next = above_.front();
        floor_ = next.last;
        above_.remove(next);
    }
}

Group::Impl::Message& Group::Impl::message_of(SpanIt it) {
    PEERMQ_ASSERT(it->first == it->second.last);
    if (it->second.state == SpanState::delayed) {  // its due time is the index, and may change now
        detach(it);
        it->second.state = SpanState::blocked;
        attach(it);
    }
    it->second.special = true;
    return messages_[it->first];
}

void Group::Impl::failed(SpanIt it, std::string_view text) {
    Message& message = messages_.at(it->first);
    RetryState& retry = message.retry;
    retry.last_error = std::string(text.substr(0, base::limits::kReasonBytesMax));
    const std::uint64_t counted = std::uint64_t{retry.nacks} + retry.crashes;
    if (options_.max_attempts > 0 && counted >= options_.max_attempts) {
        finish(it, Death{DeadReason::max_attempts, retry.last_error});
        return;
    }
    detach(it);
    store_retry(it->first, message);
    it->second.alone = retry.crashes > 0 || retry.suspicions >= 2;
    it->second.attempt = static_cast<std::uint16_t>(std::min<std::uint64_t>(1 + counted, 0xFFFF));
    attach(it);
    come_back(it, true, false);
}

void Group::Impl::store_retry(Seq seq, Message& message) {
    facts_.retries.push_back({seq, message.retry});
    if (options_.durable) ++message.retries_unstored;
}

void Group::Impl::die(SpanIt it, DeadReason reason, std::string text) {
    Message& message = message_of(it);
    detach(it);
    it->second.state = SpanState::dying;
    it->second.open = false;
    it->second.redelivered = true;
    it->second.bytes = 0;
    attach(it);
    if (text.size() > base::limits::kReasonBytesMax) text.resize(base::limits::kReasonBytesMax);
    facts_.dead.push_back({it->first, reason, message.retry, std::move(text)});
    ++counters_.dead;
    if (message.key != 0) refresh_key(message.key);
}

}  // namespace peermq::delivery
