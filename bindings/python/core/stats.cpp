#include "stats.hpp"

#include <nanobind/stl/string.h>

#include "convert.hpp"

namespace peermq::python {

namespace nb = nanobind;

nb::dict to_dict(const LinkStats& stats) {
    nb::dict dict;
    dict["peer"] = stats.peer;
    dict["remote"] = stats.remote;
    dict["state"] = stats.state;
    dict["sent_bytes"] = stats.sent_bytes;
    dict["received_bytes"] = stats.received_bytes;
    dict["unconfirmed_bytes"] = stats.unconfirmed_bytes;
    dict["round_trip"] = to_seconds(stats.round_trip);
    dict["last_heard"] = to_seconds(stats.last_heard);
    return dict;
}

nb::dict to_dict(const SpoolStats& stats) {
    nb::dict dict;
    dict["live_bytes"] = stats.live_bytes;
    dict["dead_bytes"] = stats.dead_bytes;
    dict["disk_bytes"] = stats.disk_bytes;
    dict["segments"] = stats.segments;
    dict["syncs"] = stats.syncs;
    dict["sync_mean"] = to_seconds(stats.sync_mean);
    dict["sync_max"] = to_seconds(stats.sync_max);
    dict["space_low"] = stats.space_low;
    return dict;
}

namespace {

template <typename Stats>
nb::list to_list(const std::vector<Stats>& all) {
    nb::list list;
    for (const Stats& one : all) list.append(to_dict(one));
    return list;
}

}  // namespace

nb::dict to_dict(const PushStats& stats) {
    nb::dict dict;
    dict["queue"] = stats.queue;
    dict["durability"] = stats.durability;
    dict["depth"] = stats.depth;
    dict["bytes"] = stats.bytes;
    dict["in_flight"] = stats.in_flight;
    dict["waiting"] = stats.waiting;
    dict["posted"] = stats.posted;
    dict["acked"] = stats.acked;
    dict["nacked"] = stats.nacked;
    dict["released"] = stats.released;
    dict["rejected"] = stats.rejected;
    dict["redelivered"] = stats.redelivered;
    dict["dead"] = stats.dead;
    dict["dropped"] = stats.dropped;
    dict["purged"] = stats.purged;
    dict["lost"] = stats.lost;
    dict["refused"] = stats.refused;
    dict["lease_expired"] = stats.lease_expired;
    dict["suspicions"] = stats.suspicions;
    dict["crashes"] = stats.crashes;
    dict["consumers"] = stats.consumers;
    dict["standby"] = stats.standby;
    dict["oldest_age"] = to_seconds(stats.oldest_age);
    dict["paused"] = stats.paused;
    return dict;
}

nb::dict to_dict(const PullStats& stats) {
    nb::dict dict;
    dict["queue"] = stats.queue;
    dict["ready"] = stats.ready;
    dict["started"] = stats.started;
    dict["unconfirmed"] = stats.unconfirmed;
    dict["received"] = stats.received;
    dict["redelivered"] = stats.redelivered;
    dict["acked"] = stats.acked;
    dict["nacked"] = stats.nacked;
    dict["released"] = stats.released;
    dict["rejected"] = stats.rejected;
    dict["recalled"] = stats.recalled;
    dict["refused"] = stats.refused;
    dict["duplicates"] = stats.duplicates;
    dict["unsettled_drops"] = stats.unsettled_drops;
    dict["producers"] = stats.producers;
    return dict;
}

nb::dict to_dict(const PublisherStats& stats) {
    nb::dict dict;
    dict["name"] = stats.name;
    dict["first"] = stats.first;
    dict["last"] = stats.last;
    dict["durability"] = stats.durability;
    dict["published"] = stats.published;
    dict["bytes"] = stats.bytes;
    dict["subscribers"] = stats.subscribers;
    return dict;
}

nb::dict to_dict(const SubscriberStats& stats) {
    nb::list refusals;
    for (const std::string& one : stats.refusals) refusals.append(one);
    nb::dict dict;
    dict["name"] = stats.name;
    dict["ready"] = stats.ready;
    dict["started"] = stats.started;
    dict["unconfirmed"] = stats.unconfirmed;
    dict["received"] = stats.received;
    dict["redelivered"] = stats.redelivered;
    dict["duplicates"] = stats.duplicates;
    dict["missed"] = stats.missed;
    dict["publishers"] = stats.publishers;
    dict["peers"] = stats.peers;
    dict["refusals"] = refusals;
    return dict;
}

namespace {

const char* name_of(BreakerState state) {
    switch (state) {
        case BreakerState::closed: return "closed";
        case BreakerState::open: return "open";
        case BreakerState::half_open: return "half_open";
    }
    return "unknown";
}

}  // namespace

nb::dict to_dict(const RequesterStats& stats) {
    nb::dict dict;
    dict["service"] = stats.service;
    dict["durability"] = stats.durability;
    dict["in_flight"] = stats.in_flight;
    dict["requests"] = stats.requests;
    dict["replies"] = stats.replies;
    dict["remote_failures"] = stats.remote_failures;
    dict["timeouts"] = stats.timeouts;
    dict["cancelled"] = stats.cancelled;
    dict["outcome_unknown"] = stats.outcome_unknown;
    dict["late_replies"] = stats.late_replies;
    dict["retries"] = stats.retries;
    dict["rejected"] = stats.rejected;
    dict["callback_failures"] = stats.callback_failures;
    dict["repliers"] = stats.repliers;
    dict["breaker"] = name_of(stats.breaker);
    return dict;
}

nb::dict to_dict(const ReplierStats& stats) {
    nb::dict dict;
    dict["service"] = stats.service;
    dict["ready"] = stats.ready;
    dict["started"] = stats.started;
    dict["unconfirmed"] = stats.unconfirmed;
    dict["received"] = stats.received;
    dict["redelivered"] = stats.redelivered;
    dict["replies"] = stats.replies;
    dict["failures"] = stats.failures;
    dict["replayed"] = stats.replayed;
    dict["expired"] = stats.expired;
    dict["cancelled"] = stats.cancelled;
    dict["dropped"] = stats.dropped;
    dict["requesters"] = stats.requesters;
    return dict;
}

nb::dict to_dict(const PeerStats& stats) {
    nb::dict dict;
    dict["peer"] = stats.peer;
    dict["pushes"] = to_list(stats.pushes);
    dict["pulls"] = to_list(stats.pulls);
    dict["publishers"] = to_list(stats.publishers);
    dict["subscribers"] = to_list(stats.subscribers);
    dict["links"] = to_list(stats.links);
    dict["spool"] = to_dict(stats.spool);
    dict["rejected_links"] = stats.rejected_links;
    dict["protocol_errors"] = stats.protocol_errors;
    dict["damage"] = stats.damage;
    dict["events_dropped"] = stats.events_dropped;
    dict["callback_failures"] = stats.callback_failures;
    return dict;
}

}  // namespace peermq::python
