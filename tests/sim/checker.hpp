#pragma once

/// Judges a history: were the promises kept?
///
/// Checks INV-1 to 8, 11, 14 and 16 of ARCHITECTURE.md, event by event, in memory that follows the
/// number of messages. What only the end can tell (was anything lost?) is judged at each `drained`;
/// a history that does not end so is "unknown", not "valid".
///
/// Rules beyond the wording of the invariants, since the log shows more than they say:
///   INV-1   a message that was delivered counts as durable; `settled` needs an ack or reject first
///   INV-2   one message has one name, and the name carries its hash and key
///   INV-3   a message that a consumer holds is not handed to it again
///   INV-1   damage that is told of a message excuses it also when it is delivered later, by a
///           frame that was on its way
///   INV-5   at most once: a delivery is the only one, and a message may end without any
///   INV-6   an epoch is opened once; seqs of a new epoch are above all durable ones before it
///   INV-16  who acks is told the outcome: at `drained` none is open; one accepted ack per message
///   0       the log itself makes no sense (an outcome without an ack): the recorder is wrong
///
/// A producer's process takes with it what only it knew. Of a stream in memory that is all: who was
/// inside a key, and what was acked (INV-4 and 5 are about the time before). Of others it is the
/// leases: a settlement cannot be stale because of one that an earlier process granted (INV-16).
///
/// Ranges with epoch 0 are of whatever epoch their seqs have.
///
/// Threads: none.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/history.hpp"

namespace peermq::sim {

struct CheckOptions {
    base::Duration drain_limit = std::chrono::seconds(120);  ///< from `healed` to `drained`
    std::size_t violations_max = 20;                         ///< more are counted, not described
};

struct Violation {
    int invariant = 0;
    std::size_t event = 0;  ///< index in the history; its size when the end shows it
    std::string text;
};

struct CheckStats {
    std::uint64_t sent = 0;        ///< durable
    std::uint64_t delivered = 0;   ///< deliveries in all
    std::uint64_t duplicates = 0;  ///< deliveries after the first
    std::uint64_t acked = 0;       ///< accepted acks
    std::uint64_t refused = 0;
    std::uint64_t dead = 0;
    std::uint64_t damaged = 0;
    std::uint64_t crashes = 0;
};

enum class Outcome : std::uint8_t { valid, invalid, unknown };

struct Verdict {
    Outcome outcome = Outcome::unknown;
    std::vector<Violation> violations;
    std::uint64_t violation_count = 0;
    CheckStats stats;

    [[nodiscard]] bool breaks(int invariant) const;
    /// One line per violation.
    [[nodiscard]] std::string text() const;
};

class Checker {
public:
    explicit Checker(CheckOptions options = {});

    void add(const Event& event);
    /// The judgement so far; call it when the history is over.
    [[nodiscard]] Verdict verdict();
    [[nodiscard]] const CheckStats& stats() const noexcept { return stats_; }
    [[nodiscard]] bool broken() const noexcept { return violation_count_ > 0; }

private:
    struct Name {
        StreamNumber stream = 0;
        EpochNumber epoch = 0;
        base::Seq seq = 0;
        friend auto operator<=>(const Name&, const Name&) = default;
    };
    struct NameHash {
        std::size_t operator()(const Name& name) const noexcept {
            const std::uint64_t place = std::uint64_t{name.stream} << 32 | name.epoch;
            return static_cast<std::size_t>((name.seq * 0x9E3779B97F4A7C15) ^ place);
        }
    };
    /// One consumer's part in one message; the last delivery counts.
    struct Hold {
        ActorId actor = 0;
        base::LeaseId lease;
        EventKind asked = EventKind::deliver;   ///< deliver = not settled yet
        EventKind answer = EventKind::deliver;  ///< deliver = none yet
    };
    struct Message {
        std::uint64_t hash = 0;
        std::uint64_t key = 0;
        bool durable = false;
        bool delivered = false;
        bool excused = false;   ///< damage is reported, or its process kept it in memory and ended
        bool finished = false;  ///< settled, dead, expired, purged or accepted: never again
        bool remains = false;
        bool forgotten = false;    ///< purged or dropped; comes all the same if that was not stored
        bool ack_asked = false;    ///< ack or reject, whatever came of it
        bool maybe_acked = false;  ///< nobody will ever learn what came of it
        std::vector<Hold> holds;
    };
    struct Intent {
        std::uint64_t key = 0;
        bool failed = false;
        Name name;  ///< seq 0 = not known yet
    };
    struct Held {
        std::uint64_t key = 0;
        bool lapsed = false;
    };
    struct Actor {
        std::uint64_t credit = UINT64_MAX;
        std::map<Name, Held> held;
        std::set<Name> asked;  ///< settlements without an outcome
    };
    struct Key {
        std::pair<EpochNumber, base::Seq> first_delivered;  ///< the latest delivered so far
        std::map<ActorId, std::uint64_t> holders;
    };
    struct Stream {
        ActorId producer = 0;
        bool in_memory = false;
        bool at_most_once = false;
        bool over = false;                             ///< in memory, and its process has ended
        std::map<EpochNumber, base::Seq> durable_max;  ///< of all epochs with known messages
        std::unordered_map<std::uint64_t, Intent> intents;  ///< by hash
        std::unordered_map<std::uint64_t, Key> keys;
    };
    struct Producer {
        std::set<EpochNumber> opened;
        EpochNumber epoch = 0;
        std::uint64_t lease_epoch = 0;  ///< of the leases that it grants; 0 = untold
        std::uint64_t recovered_hash = 0;
        bool untouched = false;  ///< nothing has happened since it was opened
    };

    void violate(int invariant, std::string text);
    void dispatch(const Event& event);
    void on_opened(const Event& event);
    void on_crash(const Event& event);
    void on_drained(const Event& event);
    void on_intend(const Event& event);
    void on_durable(const Event& event);
    void on_fail(const Event& event);
    void on_deliver(const Event& event);
    void check_key(const Event& event, bool first);
    void check_repeated(const Event& event);
    void add_hold(const Event& event, Message& message);
    void on_settle(const Event& event);
    void on_outcome(const Event& event);
    void on_accepted(const Event& event, Message& message, Hold& hold);
    [[nodiscard]] bool is_stale(const Event& event, const Hold& hold, const Hold& other);
    void on_range(const Event& event);
    static void apply_forgotten(Message& message) {
        message.forgotten = message.ack_asked = message.maybe_acked = true;
    }
    void apply_to(const Event& event, const Name& name, Message& message);
    void on_dead(const Event& event);
    void on_lapse(const Event& event);
    void end_hold(ActorId actor, const Name& name);
    void free_key(ActorId actor, const Name& name, Held& held);
    void check_epoch(const Event& event);
    /// Binds a message to its name, or complains that this is not possible.
    Message& name_message(const Event& event);
    [[nodiscard]] Message* find(const Name& name);
    [[nodiscard]] static Name name_of(const Event& event) {
        return {event.stream, event.epoch, event.seq};
    }
    [[nodiscard]] static std::string describe(const Name& name);

    CheckOptions options_;
    CheckStats stats_;
    std::size_t index_ = 0;
    std::vector<Violation> violations_;
    std::uint64_t violation_count_ = 0;
    std::unordered_map<Name, Message, NameHash> messages_;
    std::set<Name>
        damaged_;  ///< reported one by one, perhaps before anything else is known of them
    std::set<Name> forgotten_;  ///< purged or dropped before their receipts came
    std::map<StreamNumber, Stream> streams_;
    std::map<ActorId, Actor> actors_;
    std::map<ActorId, Producer> producers_;
    base::Time healed_at_ = base::kNever;
    base::Time last_at_{};
    bool drained_ = false;  ///< nothing was sent or delivered since
};

[[nodiscard]] Verdict check(const History& history, CheckOptions options = {});

}  // namespace peermq::sim
