#pragma once

/// All that an Inbox knows of one stream: its source, gate, window, and what is held and settled.
///
/// Outlives the source: when the producer returns under a new session, the holdings stay. Threads:
/// none.

#include <cstdint>
#include <limits>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "delivery/inbox.hpp"
#include "delivery/inbox_pending.hpp"
#include "delivery/inbox_settlements.hpp"
#include "delivery/inbox_started.hpp"

namespace peermq::delivery::inbox {

inline constexpr Time kNotHeard = Time::min();

/// Tells when messages may be handed to the application without another consumer having them.
///
/// The producer gives nothing to another before resume_grace after it last heard us. So the gate
/// closes a little earlier; once closed in time, it opens only after the holdings were announced
/// anew and the producer has said which of them are still ours (VALID).
struct Gate {
    Time heard_at{};         ///< our clock when we sent what the producer surely got
    Time fresh = kNotHeard;  ///< reported, not yet judged against the clock
    bool validated = false;
    bool held_due = false;  ///< HELD must be sent
    bool awaiting = false;  ///< HELD was sent, VALID has not come
    bool live = false;      ///< that HELD went over a link with messages possibly under way
    bool broken = false;    ///< there was another silence since
    std::uint32_t held_number = 0;
    Time held_sent_at{};

    [[nodiscard]] Time deadline() const noexcept;
    [[nodiscard]] bool open(Time now) const noexcept;
    /// Judges a fresh sign of life: after a silence the holdings must be announced.
    void judge(Time now) noexcept;
    /// The last VALID to the last HELD came.
    void answered(Time now) noexcept;
    void announce_again() noexcept;
};

/// What the producer may have under way. See exposure().
struct Window {
    std::uint32_t granted = 0;
    std::uint64_t bytes = 0;
    std::uint32_t number = 0;  ///< of the last GRANT
    bool shrinking = false;    ///< a smaller window was sent and not confirmed by GRANTED
    std::uint32_t shrink_number = 0;
    std::uint64_t bound = 0;         ///< while shrinking: held, and what may still come
    std::uint64_t unsent_slots = 0;  ///< settled here, the producer not told: it cannot refill them
    std::uint64_t served = 0;
    Time turn_ends{};      ///< until then a slot that others want stays here, see kSlotTurn
    bool regrant = false;  ///< same size, other particulars
};

struct Stream {
    base::StreamId id;
    SourceId source = 0;
    std::vector<SourceId> aliases;  ///< earlier sources under which something may have been started
    bool persistent = false;
    bool up = false;
    bool ended = false;   ///< the producer's process is known to have ended
    bool refused = false;  ///< nobody can be told what is settled
    bool unsure = false;  ///< when that was learned, others could have been given what is held
    bool ready = false;
    bool was_ready = false;  ///< ran dry, its claim not yet dated
    bool in_ring = false;
    Time claim_until = kNotHeard;
    Time down_since{};
    Time sure_until = kNotHeard;  ///< down: until then nobody else was given what is held
    Time timer = base::kNever;    ///< up: leases are renewed; down: see timer_when_gone()

    Gate gate;
    Window window;
    std::uint64_t held = 0;     ///< pending, and started that the producer counts as ours
    std::uint64_t overrun = 0;  ///< taken beyond the window while the producer's view was unclear
    Seq top = 0;                ///< highest seq that ever came
    Seq taken = 0;              ///< highest seq that the application was given

    PendingRuns pending;
    StartedRuns started;
    Settlements settlements;

    /// Most unsettled messages that the producer may have given us: held or on their way.
    [[nodiscard]] std::uint64_t exposure() const noexcept;
    /// Messages that the producer counted as ours are settled here.
    void slots_freed(std::uint64_t count) noexcept;
    /// Lowers the bound by what was settled since the last SETTLE, where that is certain. Once per
    /// SETTLE, before windows are planned.
    void account_freed(Time now) noexcept;
    [[nodiscard]] bool may_hand_out(Time now, Duration lease_duration) const noexcept;
    /// True when messages must be flagged although they came unflagged.
    [[nodiscard]] bool doubtful() const noexcept { return !up && (!ended || unsure); }
    [[nodiscard]] bool holds_nothing() const noexcept {
        return pending.empty() && started.empty() && settlements.unconfirmed() == 0;
    }
};

}  // namespace peermq::delivery::inbox
