/// The sending side: streams with their groups, who consumes them, what users ask of them.

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "peer/engine_hand_out.hpp"

namespace peermq::detail {
namespace {

wire::Level to_wire(Durability durability) {
    switch (durability) {
        case Durability::memory: return wire::Level::memory;
        case Durability::os: return wire::Level::os;
        case Durability::disk: return wire::Level::disk;
    }
    return wire::Level::memory;
}

}  // namespace

Producer& Engine::new_producer(const std::shared_ptr<OutStream>& stream,
                               delivery::GroupOptions options,
                               const std::shared_ptr<OutStream>& dead_letters) {
    PEERMQ_ASSERT(find(*stream) == nullptr);
    options.durable = stream->stored();
    auto producer = std::make_unique<Producer>(
        Producer{stream,
                 delivery::Group(options, stream->config().epoch.counter, random_),
                 dead_letters,
                 {},
                 {},
                 {}});
    Producer& added = *producer;
    producers_.emplace(added.key(), std::move(producer));
    if (closing_) added.group.pause();
    return added;
}

void Engine::introduce(Producer& producer, wire::StreamKind kind) {
    const StreamName wanted{kind, producer.stream->config().name};
    producers_by_name_[wanted] = &producer;
    for (const auto& [channel, link] : links_) {
        if (!link->up()) continue;
        for (const auto& [handle, name] : link->wants) {
            if (name == wanted) offer(*link, handle, producer);
        }
    }
}

void Engine::add_producer(const std::shared_ptr<OutStream>& stream, delivery::GroupOptions options,
                          const std::shared_ptr<OutStream>& dead_letters) {
    introduce(new_producer(stream, options, dead_letters), wire::StreamKind::queue);
}

void Engine::recover_producer(const OutStream& stream, const spool::RecoveredStream& recovered) {
    Producer& producer = *find(stream);
    std::vector<delivery::Facts::Retry> retries;
    base::RunSet settled;
    base::Seq mark = 0;
    for (const spool::GroupState& group : recovered.groups) {
        if (group.group != 0) continue;
        settled = group.settled;
        mark = group.mark;
        for (const spool::RetryRecord& retry : group.retries) {
            retries.push_back(
                {retry.seq,
                 {retry.nacks, retry.crashes, retry.suspicions, retry.due, retry.last_error}});
        }
    }
    producer.group.recover(std::move(settled), recovered.end, mark, std::move(retries), now_,
                           wall_now_);
    wake(producer);
}

void Engine::configure_producer(const OutStream& stream, delivery::GroupOptions options) {
    Producer& producer = *find(stream);
    options.durable = stream.stored();
    producer.group.configure(options);
    wake(producer);
}

// --- consumers of our streams

void Engine::on_want(LinkState& link, const wire::Want& want) {
    if (link.wants.size() >= base::limits::kStreamsPerLinkMax)
        return protocol_error(link, "too many WANTs");
    if (want.kind == wire::StreamKind::topic) return;  // topics are asked for by SUBSCRIBE
    const StreamName wanted{want.kind, want.name};
    link.wants[want.handle] = wanted;
    const auto it = producers_by_name_.find(wanted);
    if (it != producers_by_name_.end()) offer(link, want.handle, *it->second);
    if (want.kind != wire::StreamKind::service) return;
    const auto own = link.session->own_services.find(want.name);
    if (own != link.session->own_services.end()) offer(link, want.handle, *own->second);
}

void Engine::on_unwant(LinkState& link, const wire::Unwant& unwant) {
    link.wants.erase(unwant.handle);
    link.subscribes.erase(unwant.handle);
    // It has nothing left to settle: whatever is still leased to it never came to it.
    std::erase_if(link.outgoing, [&](const auto& entry) {
        const Outgoing& outgoing = entry.second;
        if (outgoing.want != unwant.handle) return false;
        Producer& producer = *outgoing.producer;
        producer.group.remove_consumer(outgoing.consumer, false, now_);
        producer.consumers.erase(outgoing.consumer);
        link.session->consumes.erase({&producer, unwant.handle});
        pump(producer);
        if (producer.subscription) member_left(producer);
        if (producer.only != nullptr) {
            link.session->own_services.erase(producer.stream->config().name);
            end_private(producer);
        }
        return true;
    });
}

void Engine::offer(LinkState& link, std::uint32_t want, Producer& producer) {
    for (const auto& [handle, outgoing] : link.outgoing) {
        if (outgoing.producer == &producer && outgoing.want == want) return;  // offered already
    }
    Session& session = *link.session;
    const std::uint32_t handle = link.next_handle++;
    auto [known, is_new] = session.consumes.try_emplace({&producer, want}, 0);
    const bool joins = is_new || !producer.group.has_consumer(known->second);
    if (joins) {
        if (!is_new) producer.consumers.erase(known->second);
        known->second = next_id_++;
        producer.group.add_consumer(known->second, now_);
    } else {
        producer.group.resume_consumer(known->second, now_);
        // What it granted on the link before counts no more: the inbox starts anew with every link.
        producer.group.close_window(known->second);
    }
    // One that stands by is told IDLE: what it grants here could not be used, and may be all it
    // has.
    const bool ready = (producer.announced_ready || producer.group.ready()) &&
                       producer.group.active(known->second);
    Producer::Binding& binding = producer.consumers[known->second];
    binding.session = &session;
    binding.handle = handle;
    binding.told_ready = ready;
    binding.missed_told = 0;
    if (joins && producer.subscription) {
        // What was missed while nobody was there is told to the first who comes.
        binding.missed_base = producer.subscription->told;
    }
    link.outgoing[handle] = Outgoing{&producer, known->second, want, 0, {}, {}};
    send(link, handle,
         wire::Offer{want, producer.stream->config().id,
                     to_wire(producer.stream->config().durability), ready,
                     producer.group.stats().depth});
    wake(producer);
    if (producer.subscription) count_subscribers(*producer.subscription->topic);
}

void Engine::on_grant(LinkState& link, std::uint32_t handle, const wire::Grant& grant) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end()) return protocol_error(link, "GRANT for an unknown stream");
    Outgoing& outgoing = it->second;
    const std::uint32_t messages = std::min(grant.messages, base::limits::kPrefetchMax);
    outgoing.producer->group.set_window(outgoing.consumer, messages, grant.bytes,
                                        grant.concurrency);
    if (messages < outgoing.grant_messages) {
        // It speaks of the batches before it, of those as well that wait for the disk.
        after_settled(*outgoing.producer, link,
                      [this, handle, number = grant.number](LinkState& on) {
                          send(on, handle, wire::Granted{number});
                      });
    }
    outgoing.grant_messages = messages;
    wake(*outgoing.producer);
}

void Engine::on_renew(LinkState& link, std::uint32_t handle, const wire::Renew& renew) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end()) return;
    it->second.producer->group.renew(it->second.consumer, renew.runs, now_);
}

void Engine::tick_producers() {
    for (const auto& [key, producer] : producers_) {
        if (now_ >= producer->group.next_deadline()) producer->group.tick(now_, wall_now_);
        for (const delivery::Facts::Dead& dead : std::exchange(producer->unburied, {}))
            bury(*producer, dead);
        if (producer->calls) {
            producer->calls->expire(now_);
            flush_calls(*producer);
        }
        store_facts(*producer);
        answer_settlements(*producer);
        for (const delivery::Group::Recall& recall : producer->group.take_recalls(now_)) {
            const Producer::Binding& binding = producer->consumers.at(recall.consumer);
            if (binding.handle == 0 || binding.session->link == nullptr) continue;
            send(*binding.session->link, binding.handle, wire::Recall{recall.messages});
        }
        announce_readiness(*producer);
        if (producer->subscription) {
            (void)take_in(*producer);
            note_members(*producer);
            store_subscription(*producer);
            tell_missed(*producer);
        }
        if (producer->group.ready()) wake(*producer);
    }
    for (const auto& [name, topic] : topics_) {
        if (topic->options.retain) note_progress(*topic);
    }
}

base::WallTime Engine::enqueued_at(Producer& producer, base::Seq seq) {
    HandOut source(*this, producer);
    const OutStream::Cached found = source.find(seq);
    if (!found.chunk) return {};
    return record::parts(found.chunk->bytes({seq, seq})).enqueued;
}

std::uint64_t Engine::purge(const OutStream& stream) {
    Producer& producer = *find(stream);
    (void)catch_up(producer);
    const std::uint64_t count = producer.group.purge();
    pump(producer);
    return count;
}

void Engine::pause(const OutStream& stream, bool paused) {
    Producer& producer = *find(stream);
    paused ? producer.group.pause() : producer.group.resume();
    wake(producer);
}

std::uint64_t Engine::unsettled_bytes(const Producer& producer) const {
    OutStream& stream = *producer.stream;
    if (spool_ == nullptr || !stream.stored()) return stream.memory_bytes();
    return spool_->stream_bytes(stream.config().index) + stream.unwritten_bytes();
}

std::uint64_t Engine::drop_oldest(const OutStream& stream, std::uint64_t bytes) {
    Producer& producer = *find(stream);
    (void)catch_up(producer);
    const delivery::GroupStats stats = producer.group.stats();
    // Sizes of single messages are not known without reading them: their mean serves.
    const std::uint64_t mean = std::max<std::uint64_t>(
        1, unsettled_bytes(producer) / std::max<std::uint64_t>(1, stats.depth));
    const std::uint64_t dropped = producer.group.drop_oldest(bytes / mean + 1);
    producer.dropped += dropped;
    pump(producer);
    return dropped;
}

}  // namespace peermq::detail
