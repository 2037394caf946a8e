#pragma once

/// What happened in a run, as one log of events that checkers judge and people read.
///
/// Recorders write down what they see, when they see it; in doubt they write nothing, since an
/// outcome that nobody learned of (a send when the producer died) may have happened or not. One
/// line of text per event, both ways, so that a run can be kept, edited by hand and judged again:
///
///     deliver 5 stream=1 epoch=2 by=3 hash=5 key=7 attempt=2 again lease=2.9 at=1500000000
///
/// Threads: none. Callers: simulator, process tests, Checker.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"

namespace peermq::sim {

/// A peer: producer, consumer or both.
using ActorId = std::uint32_t;
using StreamNumber = std::uint32_t;
using EpochNumber = std::uint32_t;

enum class EventKind : std::uint8_t {
    // Surroundings
    stream,   ///< of producer `actor`; with `again`, lost when its process ends (memory); with a
              ///< `value` of 1, at most once
    opened,   ///< producer: a new `epoch` is in force; `hash` of the recovered state, 0 = untold;
              ///< its leases carry `value`
    crash,    ///< process `actor` ended, orderly or not: it holds nothing any more
    healed,   ///< no faults from here on
    drained,  ///< all queues are seen to be empty
    credit,   ///< consumer: at most `value` unsettled messages from now on
    gauge,    ///< something that must not be above `limit` is `value`
    // Sending
    intend,   ///< a message with this `hash` and `key` is about to be sent
    durable,  ///< its receipt came: it is `epoch`, `seq`
    fail,     ///< it was certainly not accepted
    // At the consumer
    deliver,  ///< handed to the application; `again` = flagged as redelivered
    ack,      ///< the application asks for it; the outcome follows
    nack,
    release,
    reject,
    accepted,  ///< outcome: stored by the producer
    refused,   ///< outcome: stale, and the application was told
    unknown,   ///< outcome: the producer has gone and cannot be asked
    // At the producer, once it is durable; seq to `last` where that is given
    settled,
    dead,  ///< moved to the dead letters, stream `other`
    expired,
    forgotten,  ///< asked to be purged or dropped: may end from now on, or come all the same
    purged,
    damaged,    ///< reported as lost by damage
    reclaimed,  ///< in no file any more
    remains,    ///< found unsettled in the spool at the end
    lapse,      ///< what `actor` holds of `stream` may be given to others from now on
};
inline constexpr std::size_t kEventKinds = static_cast<std::size_t>(EventKind::lapse) + 1;

[[nodiscard]] std::string_view to_string(EventKind kind) noexcept;

struct Event {
    EventKind kind{};
    bool again = false;
    std::uint16_t attempt = 0;
    ActorId actor = 0;
    StreamNumber stream = 1;
    EpochNumber epoch = 1;
    StreamNumber other = 0;
    base::Seq seq = 0;
    base::Seq last = 0;      ///< of ranges; 0 = only seq
    std::uint64_t hash = 0;  ///< of the body
    std::uint64_t key = 0;   ///< 0 = none
    std::uint64_t value = 0;
    std::uint64_t limit = 0;
    base::LeaseId lease;
    base::Time at{};

    friend bool operator==(const Event&, const Event&) = default;
};

/// One line, without what has its usual value.
[[nodiscard]] std::string to_text(const Event& event);

class History {
public:
    void add(const Event& event);

    [[nodiscard]] const std::vector<Event>& events() const noexcept { return events_; }
    /// Equal for equal runs.
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

    /// Small numbers for what is named by random bytes, in order of first sight, from 1.
    [[nodiscard]] StreamNumber number_of(const base::StreamId& stream);
    [[nodiscard]] EpochNumber number_of(const base::Epoch& epoch);

    /// All events, one per line.
    [[nodiscard]] std::string text() const;
    /// Reads what text() wrote. Where nothing is given: the hash is the seq, and each event is 1 ms
    /// after the one before. '#' starts a comment, ';' works like a new line. Throws
    /// std::invalid_argument with the line.
    [[nodiscard]] static History parse(std::string_view text);

private:
    std::vector<Event> events_;
    std::uint64_t hash_ = 0;
    std::map<base::StreamId, StreamNumber> streams_;
    std::map<base::Epoch, EpochNumber> epochs_;
};

}  // namespace peermq::sim
