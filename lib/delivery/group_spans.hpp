#pragma once

/// The runs of one group that are neither fresh nor settled, each with its state: one ordered map,
/// so that no seq can be in two states. Private to Group.
///
/// A span is changed only between unindex() and index(); splitting keeps all indexes right. Spans
/// with state of their own per message ("special") always hold exactly one seq.

#include <array>
#include <cstdint>
#include <map>
#include <set>

#include "base/clock.hpp"
#include "base/ids.hpp"

namespace peermq::delivery {

enum class SpanState : std::uint8_t {
    leased,     ///< handed out, lease running
    available,  ///< may be handed out now
    blocked,    ///< an older or a leased message has the same key
    delayed,    ///< failed, waits until it is due
    storing,    ///< failed, its retry record is not durable yet
    unclear,    ///< may have been handed out before the restart
    settling,   ///< has ended, unless a later holder from before the restart is still to be heard
    dying,      ///< on its way to the dead letters
};
inline constexpr std::size_t kSpanStates = 8;

/// Somebody else says what becomes of it: whoever holds it, or has ended it.
[[nodiscard]] constexpr bool has_owner(SpanState state) {
    return state == SpanState::leased || state == SpanState::settling || state == SpanState::dying;
}

struct Span {
    base::Seq last = 0;
    SpanState state = SpanState::available;
    bool redelivered = false;  ///< leased: was sent with the flag; else: must be sent with it
    bool open = false;         ///< not leased, but the holder of the last lease may still settle
    bool special = false;      ///< has an entry in Group's table of messages
    bool alone = false;        ///< killed or may have killed workers: handed out by itself
    std::uint16_t attempt = 1;
    base::LeaseId lease;       ///< the last one granted; {0, 0} = none known
    std::uint64_t holder = 0;  ///< the consumer that it was granted to; 0 = none known
    base::Time expires{};
    std::uint64_t bytes = 0;  ///< leased: split in proportion when the span is split
};

class SpanTable {
public:
    using Map = std::map<base::Seq, Span>;
    using Iterator = Map::iterator;
    using Index = std::set<base::Seq>;

    /// The first span that ends at or after `seq`.
    [[nodiscard]] Iterator ending_at_or_after(base::Seq seq);
    [[nodiscard]] Iterator find(base::Seq first) { return spans_.find(first); }
    [[nodiscard]] Iterator begin() { return spans_.begin(); }
    [[nodiscard]] Iterator end() { return spans_.end(); }
    [[nodiscard]] const Map& map() const { return spans_; }

    /// Adds a span without indexing it; seqs mostly come in order, so the end is tried first.
    Iterator insert(base::Seq first, const Span& span);
    /// Removes a span that is not indexed.
    Iterator erase(Iterator it) { return spans_.erase(it); }
    /// Cuts an indexed span in two; returns the part that begins at `first`.
    Iterator split(Iterator it, base::Seq first);
    /// Cuts an indexed span so that one of its parts is exactly `part`, which is returned.
    Iterator isolate(Iterator it, base::Run part);

    void index(Iterator it);
    void unindex(Iterator it);

    [[nodiscard]] static base::Run run(Iterator it) { return {it->first, it->second.last}; }
    [[nodiscard]] std::uint64_t count(SpanState state) const {
        return counts_[static_cast<std::size_t>(state)];
    }
    /// First seqs of available spans: ordinary ones, and those that go alone.
    [[nodiscard]] const Index& ordinary() const { return ordinary_; }
    [[nodiscard]] const Index& alone() const { return alone_; }
    [[nodiscard]] std::uint64_t ordinary_count() const {
        return count(SpanState::available) - alone_.size();
    }

private:
    Map spans_;
    Index ordinary_;
    Index alone_;
    std::array<std::uint64_t, kSpanStates> counts_{};
};

}  // namespace peermq::delivery
