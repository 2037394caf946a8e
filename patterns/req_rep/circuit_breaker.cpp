#include "req_rep/circuit_breaker.hpp"

#include <algorithm>

namespace peermq::detail {

CircuitBreaker::CircuitBreaker(std::uint32_t failures, std::uint32_t window, base::Duration wait)
    : failures_max_(failures), wait_(wait), latest_(window, false) {}

CircuitBreaker::Admission CircuitBreaker::admit(base::Time now) {
    if (!open_) return Admission::admitted;
    if (now < open_until_ || trying_) return Admission::refused;
    trying_ = true;
    return Admission::trial;
}

void CircuitBreaker::ended(Admission admission, Outcome outcome, base::Time now) {
    if (failures_max_ == 0) return;
    if (admission == Admission::trial) {
        trying_ = false;
        if (outcome == Outcome::failure) open(now);
        if (outcome != Outcome::success) return;
        open_ = false;
        std::fill(latest_.begin(), latest_.end(), false);
        failures_ = 0;
        return;
    }
    // While it is open, requests from before tell nothing of how the service is now.
    if (open_ || outcome == Outcome::nothing) return;
    note(outcome == Outcome::failure);
    if (failures_ >= failures_max_) open(now);
}

void CircuitBreaker::note(bool failure) {
    failures_ -= latest_[next_] ? 1 : 0;
    failures_ += failure ? 1 : 0;
    latest_[next_] = failure;
    next_ = (next_ + 1) % latest_.size();
}

void CircuitBreaker::open(base::Time now) {
    open_ = true;
    open_until_ = base::after(now, wait_);
}

BreakerState CircuitBreaker::state(base::Time now) const {
    if (!open_) return BreakerState::closed;
    return now < open_until_ ? BreakerState::open : BreakerState::half_open;
}

}  // namespace peermq::detail
