#include "delivery/inbox_stream.hpp"

#include <algorithm>

#include "base/limits.hpp"

namespace peermq::delivery::inbox {

namespace limits = base::limits;

Time Gate::deadline() const noexcept {
    return base::after(heard_at, limits::kResumeGrace - limits::kGateMargin);
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
    if (awaiting) {
        broken = true;  // one HELD at a time: a slow link must not get more of them the slower it
                        // is
    } else {
        announce_again();
    }
}

void Gate::announce_again() noexcept {
    validated = false;
    broken = false;
    live = true;
    held_due = true;
}

void Gate::answered(Time now) noexcept {
    awaiting = false;
    if (broken && now >= base::after(held_sent_at, limits::kResumeGrace - limits::kGateMargin)) {
        announce_again();  // the producer may have been silent for too long after it answered
        return;
    }
    heard_at = broken ? held_sent_at : std::max(heard_at, held_sent_at);
    broken = false;
    validated = true;
}

std::uint64_t Stream::exposure() const noexcept {
    return std::max<std::uint64_t>(window.granted, window.shrinking ? window.bound : held);
}

void Stream::slots_freed(std::uint64_t count) noexcept {
    held -= count;
    window.unsent_slots += count;
}

void Stream::account_freed(Time now) noexcept {
    // With the gate open the producer took nothing back, so each of these was a slot of its window.
    // Otherwise it may have refilled the slot long ago: then only GRANTED tells.
    if (!gate.open(now) || gate.awaiting) window.unsent_slots = 0;
    if (window.shrinking)
        window.bound = std::max(held, window.bound - std::min(window.bound, window.unsent_slots));
}

bool Stream::may_hand_out(Time now, Duration lease_duration) const noexcept {
    if (up) return gate.open(now);
    if (persistent) return false;
    return ended || now >= base::after(down_since, lease_duration);
}

}  // namespace peermq::delivery::inbox
