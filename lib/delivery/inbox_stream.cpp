#include "delivery/inbox_stream.hpp"

#include <algorithm>

#include "base/limits.hpp"

namespace peermq::delivery::inbox {

namespace limits = base::limits;

Time Gate::deadline() const noexcept {
    return base::after(heard_at, limits::resume_grace - limits::gate_margin);
}

bool Gate::open(Time now) const noexcept {
    // An unjudged sign of life cannot matter: in time it only moves the deadline, late it closes.
    return validated && now < deadline();
}

void Gate::judge(Time now) noexcept {
    if (fresh == kNotHeard) return;
    const bool silent = now >= deadline();
    heard_at = std::max(heard_at, fresh);
    fresh = kNotHeard;
    if (!silent || held_due) return;
    validated = false;
    awaiting = false;
    live = true;
    held_due = true;
}

std::uint64_t Stream::exposure() const noexcept {
    return std::max<std::uint64_t>(window.granted, window.shrinking ? window.bound : held);
}

void Stream::slots_freed(std::uint64_t count) noexcept {
    held -= count;
    window.unsent_slots += count;
    if (window.shrinking) window.bound -= std::min(window.bound, count);
}

bool Stream::may_hand_out(Time now, Duration lease_duration) const noexcept {
    if (up) return gate.open(now);
    if (persistent) return false;
    return ended || now >= base::after(down_since, lease_duration);
}

}  // namespace peermq::delivery::inbox
