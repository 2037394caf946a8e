#include "net/attempt_plan.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace peermq::net {

Backoff::Backoff(base::Duration wait_min, base::Duration wait_max)
    : wait_min_(std::max(wait_min, base::Duration(std::chrono::milliseconds(1)))),
      wait_max_(std::max(wait_max, wait_min_)),
      ceiling_(wait_min_) {}

base::Duration Backoff::next(base::Random& random) {
    const base::Duration half = ceiling_ / 2;
    const auto jitter = random.below(static_cast<std::uint64_t>((ceiling_ - half).count()) + 1);
    ceiling_ = ceiling_ > wait_max_ / 2 ? wait_max_ : ceiling_ * 2;
    return half + base::Duration(static_cast<std::int64_t>(jitter));
}

AttemptPlan::AttemptPlan(base::Duration wait_min, base::Duration wait_max, base::Time now)
    : backoff_(wait_min, wait_max), due_(now) {}

void AttemptPlan::begin(base::Time now) {
    PEERMQ_ASSERT(state_ == State::waiting && now >= due_);
    state_ = State::resolving;
    any_failure_ = false;
}

void AttemptPlan::hurry(base::Time now) noexcept {
    if (state_ == State::waiting) due_ = std::min(due_, now);
}

void AttemptPlan::resolved(std::size_t count) {
    PEERMQ_ASSERT(state_ == State::resolving && count > 0);
    address_ = 0;
    address_count_ = count;
    probed_ = false;
    state_ = first_ ? State::connecting : State::probing;
    first_ = false;
}

void AttemptPlan::probe_passed() noexcept {
    probed_ = true;
    state_ = State::connecting;
}

void AttemptPlan::connected() noexcept { state_ = State::linked; }

AttemptPlan::Verdict AttemptPlan::failed(LossReason reason, bool explained, base::Time now,
                                         base::Random& random) {
    if (state_ == State::connecting && !explained && !probed_) {
        state_ = State::probing;
        return Verdict::go_on;
    }
    const bool mixed = any_failure_ && reason_ != reason;
    if (mixed) {
        // What is wrong with a peer that answers says more than one that does not.
        const bool foreign = reason == LossReason::foreign || reason_ == LossReason::foreign;
        reason_ = foreign ? LossReason::foreign : LossReason::disconnected;
    } else {
        reason_ = reason;
    }
    any_failure_ = true;
    if (state_ != State::resolving && address_ + 1 < address_count_) {
        ++address_;
        probed_ = false;
        state_ = State::probing;
        return Verdict::go_on;
    }
    wait(now, random);
    return Verdict::round_over;
}

void AttemptPlan::lost(base::Time now, base::Random& random) { wait(now, random); }

void AttemptPlan::wait(base::Time now, base::Random& random) {
    first_ = false;
    state_ = State::waiting;
    due_ = base::after(now, backoff_.next(random));
}

}  // namespace peermq::net
