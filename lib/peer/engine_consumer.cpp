/// The receiving side: wants, offers, batches, and what pulls have to say.

#include <algorithm>

#include "base/assert.hpp"
#include "peer/dead_letter.hpp"
#include "peer/engine.hpp"
#include "peer/engine_state.hpp"
#include "peer/to_wire.hpp"
#include "record/headers.hpp"

namespace peermq::detail {
namespace {

delivery::Arrival arrival_of(const wire::BatchRun& run, const base::Epoch& epoch,
                             std::uint32_t lease_epoch) {
    delivery::Arrival arrival;
    arrival.epoch = epoch;
    arrival.run = run.run;
    arrival.lease = {lease_epoch, run.lease};
    arrival.attempt = run.attempt;
    arrival.redelivered = (run.flags & wire::kRedelivered) != 0;
    arrival.alone = (run.flags & wire::kAlone) != 0;
    return arrival;
}

}  // namespace

void Engine::add_consumer(const std::shared_ptr<InStream>& stream) {
    auto consumer = std::make_unique<Consumer>();
    consumer->stream = stream;
    consumer->want = static_cast<std::uint32_t>(next_id_++);
    consumers_.push_back(std::move(consumer));
    for (const auto& [channel, link] : links_) {
        if (link->up()) send_wants(*link, *consumers_.back());
    }
}

std::vector<std::shared_ptr<InStream>> Engine::pulls() const {
    std::vector<std::shared_ptr<InStream>> streams;
    for (const auto& consumer : consumers_) streams.push_back(consumer->stream);
    return streams;
}

void Engine::release_stopped_pulls() {
    std::erase_if(consumers_, [&](const std::unique_ptr<Consumer>& consumer) {
        const InStream* stream = consumer->stream.get();
        if (!stream->stopped() || closing_) return false;
        if (!consumer->stream->with_inbox(
                [](const delivery::Inbox& inbox) { return inbox.drained(); }))
            return false;
        // A producer that may come back has to hear of it.
        const bool all_hear = std::all_of(
            consumer->sources.begin(), consumer->sources.end(),
            [](const auto& entry) { return entry.second.first->link != nullptr; });
        if (!all_hear) return false;
        for (const auto& [channel, link] : links_) {
            if (!link->up()) continue;
            send(*link, 0, wire::Unwant{consumer->want});
            std::erase_if(link->incoming, [&](const auto& entry) {
                return entry.second.consumer == consumer.get();
            });
        }
        for (const auto& [id, session] : sessions_) {
            std::erase_if(session->sources,
                          [&](const auto& entry) { return entry.second.stream == stream; });
        }
        return true;
    });
}

void Engine::send_wants(LinkState& link, const Consumer& consumer) {
    if (consumer.subscribe) return send_subscribe(link, consumer);
    const bool service = consumer.stream->replies() != nullptr;
    send(link, 0,
         wire::Want{consumer.want, service ? wire::StreamKind::service : wire::StreamKind::queue,
                    consumer.stream->queue()});
}

void Engine::on_offer(LinkState& link, std::uint32_t handle, const wire::Offer& offer) {
    const auto found = std::find_if(
        consumers_.begin(), consumers_.end(),
        [&](const auto& consumer) { return consumer->want == offer.want; });
    if (found == consumers_.end()) return;  // no longer wanted
    Consumer& consumer = **found;
    if (consumer.stream->single_producer()) {
        if (consumer.only_producer.is_zero()) consumer.only_producer = link.session->peer;
        if (consumer.only_producer != link.session->peer) {
            // It must not count us among its consumers; wanted again when the first one has gone.
            send(link, 0, wire::Unwant{consumer.want});
            ++rejected_links_;
            events_.emit({EventKind::peer_rejected, link.session->peer.hex(),
                          consumer.stream->queue(), 1,
                          "second producer of \"" + consumer.stream->queue() +
                              "\" refused: single_producer is set"});
            // What it handed out before another took its place is settled with nobody.
            consumer.stream->with_inbox(
                [&](delivery::Inbox& inbox) { inbox.stream_refused(offer.stream); });
            return;
        }
    }
    auto& source = link.session->sources[{offer.stream, consumer.stream.get()}];
    if (source.stream == nullptr) source = {consumer.stream.get(), next_id_++};
    source.persistent = offer.level != wire::Level::memory;
    Incoming incoming;
    incoming.consumer = &consumer;
    incoming.source = source.id;
    incoming.stream = offer.stream;
    link.incoming[handle] = std::move(incoming);
    consumer.ended.erase(offer.stream);
    consumer.sources[source.id] = {link.session, handle};
    if (consumer.stream->replies() != nullptr) consumer.source_of[offer.stream] = source.id;
    consumer.stream->with_inbox([&](delivery::Inbox& inbox) {
        inbox.source_up(source.id, offer.stream, offer.level != wire::Level::memory, offer.ready,
                        now_);
        inbox.source_heard(source.id, now_);
    });
    if (Replies* replies = consumer.stream->replies()) replies->link_up(offer.stream);
    flush_pull(consumer);
}

void Engine::producer_ended(const base::PeerId& peer) {
    for (const auto& consumer : consumers_) {
        if (consumer->only_producer != peer) continue;
        consumer->only_producer = {};
        for (const auto& [channel, link] : links_) {
            if (link->up()) send_wants(*link, *consumer);
        }
    }
}

void Engine::on_unoffer(LinkState& link, std::uint32_t handle) {
    const auto it = link.incoming.find(handle);
    if (it == link.incoming.end()) return;
    Consumer& consumer = *it->second.consumer;
    consumer.stream->with_inbox([&](delivery::Inbox& inbox) {
        if (consumer.subscribe) {
            inbox.source_ended(it->second.source, now_);
        } else {
            inbox.source_down(it->second.source, false, now_);
        }
    });
    if (consumer.subscribe) consumer.ended.insert(it->second.stream);
    link.incoming.erase(it);
}

std::size_t Engine::record_bytes_max(const Incoming& incoming) const {
    // The headers that say why it died do not count against the limit of a message.
    return options_.message_bytes_max + (holds_dead_letters(incoming.consumer->stream->queue())
                                             ? base::limits::kDeadLetterExtraBytes
                                             : 0);
}

void Engine::on_batch(LinkState& link, std::uint32_t handle, const wire::Batch& batch,
                      const net::Received& received) {
    const auto it = link.incoming.find(handle);
    if (it == link.incoming.end()) return;  // we have stopped pulling
    Incoming& incoming = it->second;
    if (incoming.epoch != batch.epoch) {
        incoming.epoch = batch.epoch;
        incoming.seed = record::Seed::of(incoming.stream, batch.epoch);
    }
    auto content = std::make_shared<InBatch>();
    content->records = batch.records;
    content->pin = received.pin;
    content->stream = incoming.stream;
    content->clock_skew = link.clock_skew;
    std::uint64_t count = 0;
    for (const wire::BatchRun& run : batch.runs) count += run.run.count();
    if (count > batch.records.size() / record::kHeaderBytes)
        return protocol_error(link, "BATCH names more records than it has");
    content->offsets.reserve(count + 1);
    content->offsets.push_back(0);
    const std::size_t bytes_max = record_bytes_max(incoming);
    std::size_t offset = 0;
    for (const wire::BatchRun& run : batch.runs) {
        for (base::Seq seq = run.run.first; seq <= run.run.last; ++seq) {
            const record::Decoded decoded = record::decode(batch.records.subspan(offset),
                                                           incoming.seed, bytes_max);
            if (!decoded.ok() || decoded.record.seq != seq) {
                return protocol_error(
                    link, "BATCH with a damaged record: " + std::string(to_string(decoded.error)));
            }
            offset += decoded.bytes;
            content->offsets.push_back(static_cast<std::uint32_t>(offset));
        }
    }
    if (offset != batch.records.size())
        return protocol_error(link, "BATCH with bytes behind its records");
    const bool within = incoming.consumer->stream->with_inbox([&](delivery::Inbox& inbox) {
        std::uint32_t index = 0;
        for (const wire::BatchRun& run : batch.runs) {
            delivery::Arrival arrival = arrival_of(run, batch.epoch, batch.lease_epoch);
            arrival.payload = content;
            arrival.payload_index = index;
            const auto end = index + static_cast<std::uint32_t>(run.run.count());
            arrival.bytes = content->offsets[end] - content->offsets[index];
            index = end;
            if (!inbox.arrived(incoming.source, arrival, now_)) return false;
        }
        return true;
    });
    if (!within) return protocol_error(link, "more messages than granted");
    taken_in_ += count;
    flush_pull(*incoming.consumer);
}

void Engine::on_fragment(LinkState& link, std::uint32_t handle, const wire::Fragment& fragment) {
    const auto it = link.incoming.find(handle);
    if (it == link.incoming.end()) return;
    Incoming& incoming = it->second;
    if (fragment.total > record_bytes_max(incoming)) {
        return reject(link, wire::RejectCode::limit,
                      "message of " + std::to_string(fragment.total) +
                          " bytes exceeds message_bytes_max of " +
                          std::to_string(options_.message_bytes_max) + " here");
    }
    if (fragment.offset == 0) {
        incoming.fragments.clear();
        incoming.fragments_seq = fragment.run.run.first;
        incoming.fragments_total = fragment.total;
    }
    if (fragment.run.run.first != incoming.fragments_seq ||
        fragment.total != incoming.fragments_total ||
        fragment.offset != incoming.fragments.size() ||
        fragment.offset + fragment.bytes.size() > fragment.total) {
        return protocol_error(link, "FRAGMENT out of order");
    }
    incoming.fragments.insert(incoming.fragments.end(), fragment.bytes.begin(),
                              fragment.bytes.end());
    if (incoming.fragments.size() < fragment.total) return;
    auto whole = std::make_shared<const std::vector<std::byte>>(std::move(incoming.fragments));
    incoming.fragments = {};
    wire::Batch batch;
    batch.epoch = fragment.epoch;
    batch.lease_epoch = fragment.lease_epoch;
    batch.runs = {fragment.run};
    batch.records = *whole;
    net::Received received;
    received.pin = whole;
    on_batch(link, handle, batch, received);
}

void Engine::on_confirm(LinkState& link, std::uint32_t handle, const wire::Confirm& confirm) {
    const auto it = link.incoming.find(handle);
    if (it == link.incoming.end()) return;
    const Incoming& incoming = it->second;
    std::vector<delivery::RefusedRun> refused;
    for (const wire::RefusedRun& run : confirm.refused)
        refused.push_back({run.run, to_delivery(run.reason)});
    const std::shared_ptr<InStream> stream = incoming.consumer->stream;
    const auto told = stream->with_inbox([&](delivery::Inbox& inbox) {
        return inbox.confirmed(incoming.source, confirm.number, refused);
    });
    forget_confirmed(incoming);
    for (const delivery::RefusedSettlement& late : told) {
        events_.emit({EventKind::ack_refused, link.session->peer.hex(), stream->queue(),
                      late.run.count(),
                      "settlement of " + std::to_string(late.run.count()) + " message(s) of \"" +
                          stream->queue() + "\" from sequence " + std::to_string(late.run.first) +
                          " came too late"});
        for (base::Seq seq = late.run.first; seq <= late.run.last; ++seq) {
            events_.refused(stream, incoming.stream.hex() + "-" +
                                        std::to_string(late.epoch.counter) + "-" +
                                        std::to_string(seq));
        }
    }
    flush_pull(*incoming.consumer);
}

void Engine::flush_pull(Consumer& consumer) {
    if (consumer.stream->replies() != nullptr) send_replies(consumer);
    const delivery::InboxActions actions = consumer.stream->with_inbox(
        [&](delivery::Inbox& inbox) { return inbox.take_actions(now_); });
    if (actions.empty()) return;
    // Actions of a source whose link is lost are not sent: what they say is said again by the next
    // HELD.
    const auto to = [&](delivery::SourceId source, auto&& use) {
        const auto it = consumer.sources.find(source);
        if (it == consumer.sources.end() || it->second.first->link == nullptr) return;
        use(*it->second.first->link, it->second.second);
    };
    for (const auto& held : actions.helds) {
        to(held.source, [&](LinkState& link, std::uint32_t handle) {
            std::vector<wire::HeldRun> runs;
            for (const auto& entry : held.runs) {
                runs.push_back({entry.epoch, entry.held.run, entry.held.lease, entry.held.started});
            }
            in_frames(runs, [&](std::vector<wire::HeldRun> part, bool last) {
                send(link, handle, wire::Held{held.number, last, std::move(part)});
            });
        });
    }
    const auto grant = [&](const delivery::InboxActions::Grant& window) {
        to(window.source, [&](LinkState& link, std::uint32_t handle) {
            send(link, handle,
                 wire::Grant{window.number, window.messages, window.bytes, window.concurrency});
            link.machine.set_eager(true);
        });
    };
    for (const auto& window : actions.shrinks) grant(window);
    for (const auto& settle : actions.settles) {
        to(settle.source, [&](LinkState& link, std::uint32_t handle) {
            std::vector<wire::SettleEntry> entries;
            for (const delivery::SettleEntry& entry : settle.entries) {
                wire::SettleEntry out{to_wire(entry.kind), entry.run, entry.lease,
                                      wire::kDefaultDelay, entry.reason};
                if (entry.delay) {
                    const auto delay = std::chrono::ceil<std::chrono::milliseconds>(*entry.delay)
                                           .count();
                    out.delay_ms = static_cast<std::uint32_t>(
                        std::clamp<std::int64_t>(delay, 0, std::int64_t{wire::kDefaultDelay} - 1));
                }
                entries.push_back(std::move(out));
            }
            in_frames(entries, [&](std::vector<wire::SettleEntry> part, bool last) {
                // Only the last part carries the number: it is confirmed when all of it is.
                send(link, handle,
                     wire::Settle{last ? settle.number : settle.number - 1, settle.confirmed,
                                  std::move(part)});
            });
        });
    }
    for (const auto& window : actions.grants) grant(window);
    for (const auto& renew : actions.renews) {
        to(renew.source, [&](LinkState& link, std::uint32_t handle) {
            in_frames(renew.runs, [&](std::vector<base::Run> part, bool) {
                if (!part.empty()) send(link, handle, wire::Renew{std::move(part)});
            });
        });
    }
}

void Engine::tick_consumers() {
    release_stopped_pulls();
    for (const auto& consumer : consumers_) {
        consumer->stream->with_inbox([&](delivery::Inbox& inbox) {
            if (now_ >= inbox.next_deadline()) inbox.tick(now_);
        });
        flush_pull(*consumer);
    }
}

}  // namespace peermq::detail
