#include "delivery/link.hpp"

#include <algorithm>

namespace peermq::delivery {
namespace {

using namespace std::chrono_literals;

/// The window follows the confirmed rate so that about this much time of data is under way.
constexpr Duration kWindowTime = 200ms;
constexpr Duration kRateInterval = 50ms;

}  // namespace

Link::Link(LinkOptions options, Time now)
    : options_(options),
      created_(now),
      last_heard_(now),
      next_ping_(now),
      window_bytes_(options.window_bytes_min * 4),
      rate_since_(now) {}

void Link::established(std::uint64_t window_bytes, Time now) {
    peer_window_bytes_ = window_bytes;
    state_ = State::up;
    last_heard_ = now;
    next_ping_ = now;  // the first PING measures the round trip and proves us alive
    rate_since_ = now;
}

bool Link::heard(Time now) {
    last_heard_ = now;
    if (state_ != State::suspect) return false;
    state_ = State::up;
    return true;
}

std::uint64_t Link::room() const noexcept {
    if (state_ != State::up) return 0;
    const std::uint64_t window = std::min(window_bytes_, peer_window_bytes_);
    const std::uint64_t under_way = unconfirmed_bytes();
    return under_way >= window ? 0 : window - under_way;
}

bool Link::confirmed(std::uint64_t total, Time now) {
    if (total > sent_bytes_) return false;
    if (total <= confirmed_bytes_) return true;  // an older frame, or nothing new
    rate_bytes_ += total - confirmed_bytes_;
    confirmed_bytes_ = total;
    adapt_window(now);
    return true;
}

void Link::adapt_window(Time now) {
    const Duration elapsed = now - rate_since_;
    if (elapsed < kRateInterval) return;
    const double seconds = std::chrono::duration<double>(elapsed).count();
    const double rate = static_cast<double>(rate_bytes_) / seconds;
    const auto target = static_cast<std::uint64_t>(
        rate * std::chrono::duration<double>(kWindowTime).count());
    // Grow at once, shrink slowly: an idle moment says nothing about what the link can carry.
    const std::uint64_t wanted = std::max(target, window_bytes_ - window_bytes_ / 16);
    window_bytes_ = std::clamp(wanted, options_.window_bytes_min, options_.window_bytes_max);
    rate_bytes_ = 0;
    rate_since_ = now;
}

bool Link::credit_due() const noexcept {
    return received_bytes_ - credited_bytes_ >= options_.window_bytes_min / 4;
}

Duration Link::ping_interval() const noexcept {
    return eager_ ? options_.heartbeat_interval / 2 : options_.heartbeat_interval;
}

std::uint64_t Link::ping_due(Time now) {
    if (state_ == State::greeting || state_ == State::dead || now < next_ping_) return 0;
    next_ping_ = base::after(now, ping_interval());
    last_token_ = std::max(last_token_ + 1,
                           static_cast<std::uint64_t>(now.time_since_epoch().count()));
    return last_token_;
}

bool Link::ponged(std::uint64_t token, Time now, Time& sent_at) {
    const auto at = Time(Duration(static_cast<std::int64_t>(token)));
    if (token == 0 || token > last_token_ || at < created_ || at > now) return false;
    sent_at = at;
    round_trip_ = now - at;
    return true;
}

Link::State Link::tick(Time now) {
    if (state_ == State::greeting && now - created_ >= options_.hello_timeout) state_ = State::dead;
    if (state_ == State::up && now - last_heard_ >= options_.suspect_after) state_ = State::suspect;
    if (state_ == State::suspect && now - last_heard_ >= 2 * options_.suspect_after)
        state_ = State::dead;
    return state_;
}

Time Link::next_deadline() const noexcept {
    switch (state_) {
        case State::greeting: return base::after(created_, options_.hello_timeout);
        case State::up:
            return std::min(next_ping_, base::after(last_heard_, options_.suspect_after));
        case State::suspect:
            return std::min(next_ping_, base::after(last_heard_, 2 * options_.suspect_after));
        case State::dead: break;
    }
    return base::kNever;
}

}  // namespace peermq::delivery
