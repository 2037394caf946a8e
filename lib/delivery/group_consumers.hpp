#pragma once

/// The consumers of one group: windows, links, order of arrival, and what each has settled and may
/// settle again after a lost confirmation. Private to Group.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/run_set.hpp"

namespace peermq::delivery {

/// What one consumer settled and has not seen confirmed, so that a repetition is told from a stale
/// settlement. Bounded: the oldest is forgotten first, after which its repetition would be refused.
class SettledMemory {
public:
    /// Must precede the entries of each SETTLE frame. Numbers that start again (a new link) keep
    /// what came before until they start again once more, since nobody can say what they confirm.
    void begin(std::uint64_t number, std::uint64_t confirmed);
    void remember(base::LeaseId lease, base::Run run);
    /// The parts of `run` that were not settled under `lease`.
    [[nodiscard]] std::vector<base::Run> missing(base::LeaseId lease, base::Run run) const;
    /// Its repetition will be refused: a later holder was heard.
    void forget(base::Run run);

private:
    struct Entry {
        std::uint64_t number = 0;
        base::LeaseId lease;
        base::Run run;
    };
    void forget_first(std::deque<Entry>& entries);

    std::uint64_t number_ = 0;
    std::deque<Entry> entries_;
    std::deque<Entry> earlier_;  ///< of the numbering before
    std::map<base::LeaseId, base::RunSet> by_lease_;
};

enum class ConsumerLink : std::uint8_t {
    up,
    resuming,  ///< back, but has not yet announced what arrived: nothing is handed to it
    suspect,   ///< lost; leases stay until `deadline`
    lapsed,    ///< lost and leases returned; forgotten at `deadline`
};

struct Consumer {
    std::uint64_t id = 0;
    std::uint32_t window_messages = 0;
    std::uint64_t window_bytes = 0;
    std::uint32_t concurrency = 1;
    ConsumerLink link = ConsumerLink::up;
    bool active = true;  ///< within max_consumers
    std::uint64_t leased = 0;
    std::uint64_t leased_bytes = 0;
    std::uint64_t leased_alone = 0;
    /// Not leased, yet in its hands and filling its window: leases that ran out, and without
    /// ack_required all that it has not settled.
    base::RunSet overdue;
    base::RunSet announced;  ///< adopted so far by the parts of an announcement
    base::RunSet overruled;  ///< settled by it after a restart, then claimed by a later holder
    bool announced_once = false;
    bool announcing = false;  ///< some parts of an announcement came, not yet all
    SettledMemory settled;
    base::Time deadline = base::kNever;
    base::Time granted_at{};    ///< last hand-out
    base::Time recall_after{};  ///< not asked back again before
    std::uint64_t picked = 0;   ///< turn of the last hand-out
    // Within one hand_out():
    std::size_t room = 0;
    bool passed_over = false;
    bool given_now = false;

    [[nodiscard]] std::uint64_t used() const { return leased + overdue.size(); }
    [[nodiscard]] std::uint64_t free() const {
        return used() < window_messages ? window_messages - used() : 0;
    }
    /// May be given messages as far as link and place go.
    [[nodiscard]] bool serving() const { return active && link == ConsumerLink::up; }
    [[nodiscard]] bool idle() const { return leased == 0 && overdue.empty(); }
};

class ConsumerTable {
public:
    explicit ConsumerTable(std::uint32_t active_max) : active_max_(active_max) {}

    void set_active_max(std::uint32_t active_max);
    Consumer& add(std::uint64_t id);
    void remove(std::uint64_t id);
    [[nodiscard]] Consumer* find(std::uint64_t id);
    [[nodiscard]] const Consumer* find(std::uint64_t id) const;
    /// Its place in the standby order is lost: it goes to the end.
    void requeue(std::uint64_t id);
    /// In order of arrival. Pointers stay valid until removal.
    [[nodiscard]] const std::vector<Consumer*>& all() const { return order_; }
    /// Counts the changes of who is active.
    [[nodiscard]] std::uint64_t activity() const { return activity_; }

private:
    void choose_active();

    std::uint32_t active_max_;
    std::uint64_t activity_ = 0;
    std::map<std::uint64_t, Consumer> table_;
    std::vector<Consumer*> order_;
};

}  // namespace peermq::delivery
