#include <algorithm>

#include "delivery/inbox_impl.hpp"
#include "delivery/inbox_windows.hpp"

namespace peermq::delivery {

namespace limits = base::limits;

std::uint64_t Inbox::Impl::exposure_sum() const {
    std::uint64_t sum = 0;
    for (const auto& stream : streams_) sum += stream->exposure();
    return sum;
}

std::uint64_t Inbox::Impl::bytes_for(std::uint32_t messages) const noexcept {
    if (messages == 0) return 0;
    const std::uint64_t whole = options_.prefetch_bytes / options_.prefetch;
    const std::uint64_t rest = options_.prefetch_bytes % options_.prefetch;
    return std::max<std::uint64_t>(1, whole * messages + rest * messages / options_.prefetch);
}

/// Sources that ran dry keep their claim for a moment from the first time that we look at the
/// clock.
void Inbox::Impl::date_claims(Time now) {
    for (const auto& stream : streams_) {
        if (stream->was_ready) stream->claim_until = base::after(now, limits::kIdleClaim);
        if (!stream->was_ready && now >= stream->claim_until)
            stream->claim_until = inbox::kNotHeard;
        stream->was_ready = false;
    }
    deadline_known_ = false;
}

/// What connected sources may have: the prefetch less what is held of those that are gone. What was
/// not started of a persistent one that stays away makes room for others: its producer has it
/// still.
std::uint32_t Inbox::Impl::capacity(Time now) {
    const bool wanted = std::any_of(streams_.begin(), streams_.end(),
                                    [](const auto& stream) { return stream->ready; });
    std::uint64_t reserved = 0;
    for (const auto& stream : streams_) {
        if (stream->up) continue;
        const bool away = now >= base::after(stream->down_since, limits::kResumeGrace);
        if (wanted && away && stream->persistent) drop_pending(*stream);
        reserved += stream->held;
    }
    return reserved >= options_.prefetch ? 0
                                         : options_.prefetch - static_cast<std::uint32_t>(reserved);
}

void Inbox::Impl::send_grant(Stream& stream, std::uint32_t messages, Time now,
                             std::vector<InboxActions::Grant>& out) {
    if (stream.window.granted == 0 && messages > 0) {
        stream.window.served = ++served_ticket_;
        stream.window.turn_ends = base::after(now, limits::kSlotTurn);
    }
    stream.window.granted = messages;
    stream.window.bytes = bytes_for(messages);
    stream.window.regrant = false;
    out.push_back({stream.source, ++stream.window.number, messages, stream.window.bytes,
                   options_.concurrency});
}

void Inbox::Impl::shrink(Stream& stream, std::uint32_t messages, Time now, InboxActions& actions) {
    inbox::Window& window = stream.window;
    // The producer may have used the old window fully, refilling what we settled. What it has not
    // been told of yet it will learn after this shrink: those slots cannot come back.
    const std::uint64_t full = window.granted -
                               std::min<std::uint64_t>(window.granted, window.unsent_slots);
    window.bound = std::max(full, window.shrinking ? window.bound : stream.held);
    window.shrinking = true;
    send_grant(stream, messages, now, actions.shrinks);
    window.shrink_number = window.number;
}

void Inbox::Impl::plan_windows(Time now, InboxActions& actions) {
    plan_due_ = false;
    date_claims(now);
    const std::uint32_t slots = stopped_ ? 0 : capacity(now);
    std::vector<Stream*> up;
    std::vector<inbox::WindowClaim> claims;
    for (const auto& stream : streams_) {
        if (!stream->up) continue;
        up.push_back(stream.get());
        const inbox::Window& window = stream->window;
        claims.push_back(
            {.ready = stream->ready,
             .recent = stream->claim_until > now,
             .used = stream->held == 0 && window.unsent_slots > 0 && now >= window.turn_ends,
             .window = window.granted,
             .served = window.served});
    }
    const std::vector<std::uint32_t> shares = inbox::share_windows(claims, slots);
    for (std::size_t i = 0; i < up.size(); ++i) {
        if (shares[i] < up[i]->window.granted) shrink(*up[i], shares[i], now, actions);
    }
    ceiling_ = std::max<std::uint64_t>(options_.prefetch, std::min(ceiling_, exposure_sum()));
    grow_windows(up, shares, now, actions);
    plan_due_ = false;
}

/// Grants what is free, to those with the least first; the rest follows as slots come back.
void Inbox::Impl::grow_windows(const std::vector<Stream*>& up,
                               const std::vector<std::uint32_t>& shares, Time now,
                               InboxActions& actions) {
    const std::uint64_t sum = exposure_sum();
    std::uint64_t free = sum >= options_.prefetch ? 0 : options_.prefetch - sum;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < up.size(); ++i) {
        if (shares[i] > up[i]->window.granted || up[i]->window.regrant) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return up[a]->window.granted < up[b]->window.granted;
    });
    short_ = ceiling_ > options_.prefetch;
    for (const std::size_t i : order) {
        Stream& stream = *up[i];
        const std::uint64_t before = stream.exposure();
        const std::uint64_t possible = std::min<std::uint64_t>(shares[i], before + free);
        const auto messages = std::max(stream.window.granted, static_cast<std::uint32_t>(possible));
        if (messages < shares[i]) short_ = true;
        if (messages == stream.window.granted && !stream.window.regrant) continue;
        send_grant(stream, messages, now, actions.grants);
        free -= stream.exposure() - before;
    }
    // While more are ready than there are slots, every settlement moves a window.
    short_ = short_ || std::any_of(up.begin(), up.end(), [](const Stream* stream) {
                 return stream->ready && stream->window.granted == 0;
             });
}

}  // namespace peermq::delivery
