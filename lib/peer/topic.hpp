#pragma once

/// What the engine keeps of a publisher's topic and of each subscription to it. Private to
/// engine*.cpp.
///
/// A subscription is one Producer, so one Group, over the stream that all of them share; records
/// are encoded once and go from the same bytes to everybody. Its filter looks at records as they
/// come and has the group skip what is not wanted, so that a group's fresh messages are exactly
/// those that wait for its subscribers.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/run_set.hpp"
#include "delivery/group.hpp"
#include "peer/engine.hpp"
#include "peer/topic_filter.hpp"
#include "wire/frames.hpp"

namespace peermq::detail {

/// Groups from here on belong to live subscriptions, and are never stored.
inline constexpr spool::GroupIndex kLiveGroups = 0x8000'0000;

/// What supersedes a retained record.
enum class Supersede : std::uint8_t { nothing, same_topic, same_key };

struct TopicOptions {
    delivery::GroupOptions durable;  ///< how durable subscriptions hand out
    bool retain = false;             ///< keep what all have settled, within the limits that are set
    base::Duration age{};
    std::uint64_t bytes = 0;
    std::uint64_t count = 0;
    Supersede supersede = Supersede::nothing;
};

struct Topic {
    TopicOptions options;
    std::shared_ptr<OutStream> stream;
    std::shared_ptr<OutStream> dead_letters;
    std::vector<Producer*> groups;  ///< in order of appearance
    std::map<std::string, Producer*, std::less<>> durable;
    base::RunSet finished;        ///< forgotten: no new subscription can have them
    base::Seq kept_from = 1;      ///< with retention: what is below may be forgotten
    base::Time retain_after{};    ///< the limits of retention are looked at again
    bool retain_storing = false;  ///< what was let go is not stored yet, so bytes do not tell
    base::Seq valued = 0;         ///< up to here it is known what supersedes what
    base::RunSet superseded;      ///< not forgotten yet
    std::unordered_map<std::string, base::Seq> latest;  ///< by topic or key
    base::Seq settled = 0;      ///< all up to here is settled by every subscription
    base::Time sparse_after{};  ///< settled holes are looked for again
    spool::GroupIndex next_durable = 1;
    spool::GroupIndex next_live = kLiveGroups;
    std::deque<std::shared_ptr<const Chunk>>
        read_back{};          ///< when looked at without a subscription
    std::size_t holding = 0;  ///< subscriptions that hold the publisher
    bool dirty = false;       ///< something may be finished
};

/// Where a new subscription begins.
struct Beginning {
    base::Seq first = 1;
    bool exact = false;  ///< what is forgotten from there on is missed
};

struct Subscription {
    Topic* topic = nullptr;
    wire::Subscribe wanted;
    TopicFilter filter;
    base::Seq scanned = 0;     ///< the filter has looked at all up to here
    base::Seq scan_first = 0;  ///< nothing is handed out before it has come this far
    bool holding = false;      ///< the publisher waits for it
    bool draining = false;     ///< too slow: ends once what is under way has been received
    std::uint64_t missed = 0;
    base::Seq missed_before = 0;  ///< the latest of them came before this seq
    wire::GapReason missed_reason = wire::GapReason::slow;

    // Of durable ones.
    bool paused = false;
    bool expired = false;             ///< keeps nothing until a member comes back
    base::WallTime seen{};            ///< when a member was there
    std::uint64_t told = 0;           ///< of missed: what some member was told
    base::Seq stored_floor = 0;       ///< settled up to here, as the spool knows
    bool record_due = false;          ///< what the spool keeps of it has changed
    std::uint64_t record_ticket = 0;  ///< of its latest change

    [[nodiscard]] bool live() const noexcept { return wanted.name.empty(); }
};

}  // namespace peermq::detail
