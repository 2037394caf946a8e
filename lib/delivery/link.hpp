#pragma once

/// The life of one link: proof of life, suspicion, death, and the byte window that keeps at most a
/// fraction of a second of data under way, so that control frames and other streams never queue
/// long.
///
/// No I/O, no threads, no clock. One object per channel; a returning peer gets a new one.
/// Callers: lib/peer, the simulator.

#include <cstdint>

#include "base/clock.hpp"
#include "base/limits.hpp"

namespace peermq::delivery {

using base::Duration;
using base::Time;

struct LinkOptions {
    Duration heartbeat_interval = base::limits::kHeartbeatInterval;
    Duration suspect_after = base::limits::kSuspectAfter;
    Duration hello_timeout = base::limits::kHelloTimeout;
    std::uint64_t window_bytes_min = base::limits::kLinkWindowBytesMin;
    std::uint64_t window_bytes_max = base::limits::kLinkWindowBytesMax;
};

class Link {
public:
    enum class State {
        greeting,  ///< waiting for the other's HELLO
        up,        ///< frames flow
        suspect,   ///< silent for suspect_after: nothing more is handed to it
        dead,      ///< no HELLO in time, or silent for twice as long as makes it suspect
    };

    Link(LinkOptions options, Time now);

    /// The HELLO of the other side is accepted; `window_bytes` is what it takes before it confirms.
    void established(std::uint64_t window_bytes, Time now);
    /// Any valid frame came in. Returns true when a suspect link is up again.
    bool heard(Time now);

    // --- sending data
    /// Data bytes that may be sent now.
    [[nodiscard]] std::uint64_t room() const noexcept;
    void sent(std::uint64_t bytes) noexcept { sent_bytes_ += bytes; }
    /// The other side has taken `total` data bytes since HELLO. False when that is impossible.
    [[nodiscard]] bool confirmed(std::uint64_t total, Time now);

    // --- receiving data
    void received(std::uint64_t bytes) noexcept { received_bytes_ += bytes; }
    [[nodiscard]] std::uint64_t received_bytes() const noexcept { return received_bytes_; }
    /// True when enough came in since the last confirmation that the sender should hear of it now.
    [[nodiscard]] bool credit_due() const noexcept;
    void credit_sent() noexcept { credited_bytes_ = received_bytes_; }

    // --- heartbeat
    /// Token for a PING that is due now, 0 when none is. Tokens are our clock: the echo of one
    /// proves that the other side was reached after it was made.
    [[nodiscard]] std::uint64_t ping_due(Time now);
    /// A PONG: the time at which the echoed PING was sent; nothing for a token that was never sent.
    [[nodiscard]] bool ponged(std::uint64_t token, Time now, Time& sent_at);
    /// While messages wait here unstarted, proofs of life are wanted twice as often.
    void set_eager(bool eager) noexcept { eager_ = eager; }

    // --- time
    /// Moves to suspect or dead when it is time; returns the new state.
    State tick(Time now);
    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] Time next_deadline() const noexcept;

    [[nodiscard]] std::uint64_t sent_bytes() const noexcept { return sent_bytes_; }
    [[nodiscard]] std::uint64_t unconfirmed_bytes() const noexcept {
        return sent_bytes_ - confirmed_bytes_;
    }
    [[nodiscard]] Duration round_trip() const noexcept { return round_trip_; }
    [[nodiscard]] Time last_heard() const noexcept { return last_heard_; }

private:
    [[nodiscard]] Duration ping_interval() const noexcept;
    void adapt_window(Time now);

    LinkOptions options_;
    State state_ = State::greeting;
    Time created_;
    Time last_heard_;
    Time next_ping_;
    std::uint64_t last_token_ = 0;
    Duration round_trip_{};
    bool eager_ = false;

    std::uint64_t peer_window_bytes_ = 0;  ///< what the other side allows
    std::uint64_t window_bytes_;           ///< what we use of it
    std::uint64_t sent_bytes_ = 0;
    std::uint64_t confirmed_bytes_ = 0;
    std::uint64_t received_bytes_ = 0;
    std::uint64_t credited_bytes_ = 0;
    Time rate_since_;
    std::uint64_t rate_bytes_ = 0;  ///< confirmed since rate_since_
};

}  // namespace peermq::delivery
