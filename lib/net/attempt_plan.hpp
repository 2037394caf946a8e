#pragma once

/// When and where to connect next. Pure: told the time and what happened, it does nothing itself.
///
/// A round tries every address of a target in turn; a round without success is followed by a wait
/// that doubles, with jitter, up to a maximum. accept() makes the next wait short again.

#include <cstddef>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "net/transport.hpp"

namespace peermq::net {

/// Doubling waits: each is drawn from the upper half of [0, ceiling], so that many who lost the
/// same peer do not come back in step.
class Backoff {
public:
    Backoff(base::Duration wait_min, base::Duration wait_max);
    [[nodiscard]] base::Duration next(base::Random& random);
    void reset() noexcept { ceiling_ = wait_min_; }

private:
    base::Duration wait_min_;
    base::Duration wait_max_;
    base::Duration ceiling_;
};

class AttemptPlan {
public:
    enum class State {
        waiting,     ///< until due(); then begin()
        resolving,   ///< for resolved() or failed()
        probing,     ///< address(): is anybody listening?
        connecting,  ///< address(): libzmq is at it
        linked,      ///< until lost()
    };

    AttemptPlan(base::Duration wait_min, base::Duration wait_max, base::Time now);

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] base::Time due() const noexcept { return due_; }
    [[nodiscard]] std::size_t address() const noexcept { return address_; }

    /// Starts a round: waiting -> resolving. Requires that due() has come.
    void begin(base::Time now);
    /// Starts a round now instead of at due(), for somebody just began to listen.
    void hurry(base::Time now) noexcept;
    /// `count` addresses to try. The very first attempt goes straight to libzmq; each later one is
    /// probed before, since libzmq does not tell refused from unreachable.
    void resolved(std::size_t count);
    void probe_passed() noexcept;
    void connected() noexcept;

    enum class Verdict {
        go_on,       ///< see state(): the same address is probed, or the next one tried
        round_over,  ///< see reason(): report, then wait until due()
    };
    /// The step under way failed. `explained`: false when libzmq gave no cause, so that a probe has
    /// to find one.
    [[nodiscard]] Verdict failed(LossReason reason, bool explained, base::Time now,
                                 base::Random& random);
    /// Of the whole round: `refused` only when every address refused.
    [[nodiscard]] LossReason reason() const noexcept { return reason_; }
    void lost(base::Time now, base::Random& random);
    void accept() noexcept { backoff_.reset(); }

private:
    void wait(base::Time now, base::Random& random);

    Backoff backoff_;
    State state_ = State::waiting;
    base::Time due_;
    std::size_t address_ = 0;
    std::size_t address_count_ = 0;
    bool probed_ = false;
    bool first_ = true;
    bool any_failure_ = false;
    LossReason reason_ = LossReason::disconnected;
};

}  // namespace peermq::net
