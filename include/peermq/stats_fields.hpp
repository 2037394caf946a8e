#pragma once

/// The fields of the stats by name, for who shows or stores them: JSON, metrics, other languages.
///
///     struct Show { void operator()(std::string_view name, const auto& value) { ... } };
///     peermq::for_each_field(peer.stats(), Show{});
///
/// Values are std::uint64_t, bool, std::string, std::chrono::nanoseconds, std::vector<std::string>,
/// one of the stats, or a std::vector of them. The names are those of the fields and never change.

#include <concepts>
#include <type_traits>

#include "peermq/stats.hpp"

namespace peermq {

template <typename Stats, typename Which>
concept StatsOf = std::same_as<std::remove_cvref_t<Stats>, Which>;

template <StatsOf<PushStats> Stats, typename Visit>
void for_each_field(Stats&& stats, Visit&& visit) {
    visit("queue", stats.queue);
    visit("durability", stats.durability);
    visit("depth", stats.depth);
    visit("bytes", stats.bytes);
    visit("in_flight", stats.in_flight);
    visit("waiting", stats.waiting);
    visit("posted", stats.posted);
    visit("acked", stats.acked);
    visit("nacked", stats.nacked);
    visit("released", stats.released);
    visit("rejected", stats.rejected);
    visit("redelivered", stats.redelivered);
    visit("dead", stats.dead);
    visit("dropped", stats.dropped);
    visit("purged", stats.purged);
    visit("lost", stats.lost);
    visit("refused", stats.refused);
    visit("lease_expired", stats.lease_expired);
    visit("suspicions", stats.suspicions);
    visit("crashes", stats.crashes);
    visit("consumers", stats.consumers);
    visit("standby", stats.standby);
    visit("oldest_age", stats.oldest_age);
    visit("paused", stats.paused);
}

template <StatsOf<PullStats> Stats, typename Visit>
void for_each_field(Stats&& stats, Visit&& visit) {
    visit("queue", stats.queue);
    visit("ready", stats.ready);
    visit("started", stats.started);
    visit("unconfirmed", stats.unconfirmed);
    visit("received", stats.received);
    visit("redelivered", stats.redelivered);
    visit("acked", stats.acked);
    visit("nacked", stats.nacked);
    visit("released", stats.released);
    visit("rejected", stats.rejected);
    visit("recalled", stats.recalled);
    visit("refused", stats.refused);
    visit("duplicates", stats.duplicates);
    visit("unsettled_drops", stats.unsettled_drops);
    visit("producers", stats.producers);
    visit("producers_ready", stats.producers_ready);
}

template <StatsOf<PublisherStats> Stats, typename Visit>
void for_each_field(Stats&& stats, Visit&& visit) {
    visit("name", stats.name);
    visit("first", stats.first);
    visit("last", stats.last);
    visit("durability", stats.durability);
    visit("published", stats.published);
    visit("bytes", stats.bytes);
    visit("subscribers", stats.subscribers);
}

template <StatsOf<SubscriberStats> Stats, typename Visit>
void for_each_field(Stats&& stats, Visit&& visit) {
    visit("name", stats.name);
    visit("ready", stats.ready);
    visit("started", stats.started);
    visit("unconfirmed", stats.unconfirmed);
    visit("received", stats.received);
    visit("redelivered", stats.redelivered);
    visit("duplicates", stats.duplicates);
    visit("missed", stats.missed);
    visit("publishers", stats.publishers);
    visit("peers", stats.peers);
    visit("refusals", stats.refusals);
}

template <StatsOf<LinkStats> Stats, typename Visit>
void for_each_field(Stats&& stats, Visit&& visit) {
    visit("peer", stats.peer);
    visit("remote", stats.remote);
    visit("state", stats.state);
    visit("sent_bytes", stats.sent_bytes);
    visit("received_bytes", stats.received_bytes);
    visit("unconfirmed_bytes", stats.unconfirmed_bytes);
    visit("round_trip", stats.round_trip);
    visit("last_heard", stats.last_heard);
}

template <StatsOf<SpoolStats> Stats, typename Visit>
void for_each_field(Stats&& stats, Visit&& visit) {
    visit("live_bytes", stats.live_bytes);
    visit("dead_bytes", stats.dead_bytes);
    visit("disk_bytes", stats.disk_bytes);
    visit("segments", stats.segments);
    visit("syncs", stats.syncs);
    visit("sync_mean", stats.sync_mean);
    visit("sync_max", stats.sync_max);
    visit("space_low", stats.space_low);
}

template <StatsOf<PeerStats> Stats, typename Visit>
void for_each_field(Stats&& stats, Visit&& visit) {
    visit("peer", stats.peer);
    visit("pushes", stats.pushes);
    visit("pulls", stats.pulls);
    visit("publishers", stats.publishers);
    visit("subscribers", stats.subscribers);
    visit("links", stats.links);
    visit("spool", stats.spool);
    visit("rejected_links", stats.rejected_links);
    visit("protocol_errors", stats.protocol_errors);
    visit("damage", stats.damage);
    visit("events_dropped", stats.events_dropped);
    visit("callback_failures", stats.callback_failures);
}

}  // namespace peermq
