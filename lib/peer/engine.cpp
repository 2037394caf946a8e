#include "peer/engine.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "peer/engine_state.hpp"

namespace peermq::detail {
namespace {

/// Slow checks (leases, readiness, silent links) run when one of them is due, but no more often
/// than this, and this often while there is anything to check.
constexpr auto kTickInterval = std::chrono::milliseconds(10);
constexpr auto kIdleTickInterval = std::chrono::milliseconds(250);

}  // namespace

void Notifications::stream_advanced(const std::shared_ptr<OutStream>& stream) {
    const std::lock_guard lock(mutex_);
    advanced_.push_back(stream);
}

void Notifications::committed(const std::vector<std::shared_ptr<OutStream>>& streams,
                              std::uint64_t ticket) {
    const std::lock_guard lock(mutex_);
    advanced_.insert(advanced_.end(), streams.begin(), streams.end());
    ticket_ = std::max(ticket_, ticket);
}

void Notifications::pull_wants_flush(const std::shared_ptr<InStream>& stream) {
    const std::lock_guard lock(mutex_);
    pulls_.push_back(stream);
}

void Notifications::calls_changed(const std::shared_ptr<Calls>& calls) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(calls);
}

Engine::Engine(EngineOptions options, base::Random& random, net::Transport& transport,
               spool::Spool* spool, CommitQueue* commits, EventSink& events)
    : options_(std::move(options)),
      random_(random),
      transport_(transport),
      spool_(spool),
      commits_(commits),
      events_(events) {}

Engine::~Engine() = default;

void Engine::set_now(base::Time now, base::WallTime wall_now) {
    now_ = now;
    wall_now_ = wall_now;
}

void Engine::step() {
    std::vector<std::shared_ptr<OutStream>> advanced;
    std::vector<std::shared_ptr<InStream>> pulls;
    std::vector<std::shared_ptr<Calls>> calls;
    std::uint64_t ticket = 0;
    {
        const std::lock_guard lock(notifications_.mutex_);
        advanced.swap(notifications_.advanced_);
        pulls.swap(notifications_.pulls_);
        calls.swap(notifications_.calls_);
        ticket = notifications_.ticket_;
    }
    for (const auto& stream : advanced) {
        if (Topic* topic = find_topic(*stream)) {
            advance(*topic);
            continue;
        }
        Producer* producer = find(*stream);
        if (producer == nullptr) continue;
        producer->group.append(stream->handable_end());
        wake(*producer);
    }
    for (const auto& one : calls) {
        one->listed.store(false);
        if (Producer* producer = find(*one->stream())) {
            (void)catch_up(*producer);
            flush_calls(*producer);
        }
    }
    while (!awaiting_store_.empty() && awaiting_store_.front().ticket <= ticket) {
        const std::function<void()> action = std::move(awaiting_store_.front().action);
        awaiting_store_.pop_front();
        action();
    }
    for (const auto& stream : pulls) {
        stream->listed.store(false);
        for (const auto& consumer : consumers_) {
            if (consumer->stream == stream) flush_pull(*consumer);
        }
    }
    if (now_ >= tick_after_ && now_ >= next_deadline()) {
        tick_links();
        tick_producers();
        tick_consumers();
        const bool busy = !active_.empty() || !awaiting_store_.empty();
        tick_after_ = base::after(now_, kTickInterval);
        tick_at_ = base::after(now_, busy ? kTickInterval : kIdleTickInterval);
    }
    for (const auto& [channel, link] : links_) {
        if (!link->pending.empty()) flush_pending(*link);
    }
    // Round robin over streams, a quantum each, until none gets any further.
    for (std::size_t stuck = 0; stuck < active_.size();) {
        Producer* producer = active_.front();
        active_.pop_front();
        const bool more = hand_out(*producer);
        if (more) {
            active_.push_back(producer);
            stuck = 0;
        } else if (producer->group.ready()) {
            active_.push_back(producer);  // nobody can take it now
            ++stuck;
        } else if (took_all(*producer)) {
            producer->active = false;
        } else {
            active_.push_back(producer);
            stuck = 0;
        }
    }
    end_subscriptions();
    finish_topics();
    drop_closed_links();
}

base::Time Engine::next_deadline() const {
    base::Time deadline = tick_at_;
    for (const auto& [channel, link] : links_)
        deadline = std::min(deadline, link->machine.next_deadline());
    for (const auto& [key, producer] : producers_) {
        deadline = std::min(deadline, producer->group.next_deadline());
        if (producer->calls) deadline = std::min(deadline, producer->calls->next_deadline());
    }
    // Not before the next tick may come, or whoever waits for this would spin until then.
    return std::max(deadline, tick_after_);
}

void Engine::when_stored(std::uint64_t ticket, std::function<void()> action) {
    if (commits_ != nullptr && commits_->failed()) return;
    awaiting_store_.push_back({ticket, std::move(action)});
}

Producer* Engine::find(const OutStream& stream) const {
    const auto it = producers_.find({&stream, 0});
    return it == producers_.end() ? nullptr : it->second.get();
}

base::Seq Engine::catch_up(Producer& producer) {
    const base::Seq end = producer.stream->handable_end();
    producer.group.append(end);
    wake(producer);
    return end;
}

/// Of a stream in memory: asks to be told of the next record, then looks whether there is one.
/// While records wait for room at a consumer, more of them are no news that would be worth a
/// wake-up.
bool Engine::took_all(Producer& producer) {
    OutStream& stream = *producer.stream;
    if (producer.ending || stream.stored() || producer.group.paused()) return true;
    stream.listed.store(false);
    // Read under the stream's lock: who posts after it finds the flag cleared.
    if (producer.subscription) return producer.subscription->scanned >= stream.accepted_end();
    return !producer.group.append(stream.accepted_end());
}

void Engine::wake(Producer& producer) {
    if (producer.active || producer.ending) return;
    producer.active = true;
    active_.push_back(&producer);
}

void Engine::begin_close() {
    closing_ = true;
    for (const auto& [key, producer] : producers_) {
        producer->group.pause();
        if (producer->calls) producer->calls->close();
    }
    for (const auto& consumer : consumers_) consumer->stream->stop();
}

bool Engine::drained() {
    if (!awaiting_store_.empty()) return false;
    return std::all_of(consumers_.begin(), consumers_.end(), [](const auto& consumer) {
        return consumer->stream->with_inbox(
            [](const delivery::Inbox& inbox) { return inbox.drained(); });
    });
}

void Engine::say_bye() {
    for (const auto& [channel, link] : links_) {
        if (link->closed || !link->greeted) continue;
        send(*link, 0, wire::Bye{"closing"});
        transport_.close(channel);
        link->closed = true;
    }
}

const delivery::Group& Engine::group(const OutStream& stream) const {
    const Producer* producer = find(stream);
    PEERMQ_ASSERT(producer != nullptr);
    return producer->group;
}

void Engine::check_invariants() const {
    for (const auto& [key, producer] : producers_) producer->group.check_invariants();
    for (const auto& consumer : consumers_) {
        consumer->stream->with_inbox(
            [](const delivery::Inbox& inbox) { inbox.check_invariants(); });
    }
}

PushStats Engine::push_stats(const OutStream& stream) {
    PushStats stats;
    Producer* producer = find(stream);
    if (producer == nullptr) return stats;
    const base::Seq handable = catch_up(*producer);
    const delivery::GroupStats group = producer->group.stats();
    stats.depth = group.depth + (producer->stream->accepted_end() - handable);
    stats.in_flight = group.in_flight;
    stats.waiting = group.waiting;
    stats.acked = group.acked;
    stats.nacked = group.nacked;
    stats.released = group.released;
    stats.rejected = group.rejected;
    stats.redelivered = group.redelivered;
    stats.dead = producer->dead;
    stats.dropped = producer->dropped;
    stats.purged = group.purged;
    stats.lost = group.lost;
    stats.refused = group.refused + producer->refused;
    stats.lease_expired = group.lease_expired;
    stats.suspicions = group.suspicions;
    stats.crashes = group.crashes;
    stats.consumers = group.consumers;
    stats.standby = group.standby;
    stats.paused = producer->group.paused();
    stats.bytes = unsettled_bytes(*producer);
    if (group.oldest_unsettled != 0) {
        const base::WallTime enqueued = enqueued_at(*producer, group.oldest_unsettled);
        if (enqueued != base::WallTime{})
            stats.oldest_age = std::max(wall_now_ - enqueued, base::Duration{});
    }
    return stats;
}

std::vector<LinkStats> Engine::link_stats() const {
    std::vector<LinkStats> all;
    for (const auto& [channel, link] : links_) {
        if (!link->up()) continue;
        LinkStats stats;
        stats.peer = link->session->peer.hex();
        stats.remote = link->remote;
        stats.state = link->machine.state() == delivery::Link::State::suspect ? "suspect" : "up";
        stats.sent_bytes = link->machine.sent_bytes();
        stats.received_bytes = link->machine.received_bytes();
        stats.unconfirmed_bytes = link->machine.unconfirmed_bytes();
        stats.round_trip = link->machine.round_trip();
        stats.last_heard = now_ - link->machine.last_heard();
        all.push_back(std::move(stats));
    }
    return all;
}

}  // namespace peermq::detail
