/// Requests and replies: what requesters give up, and what repliers answer.

#include <algorithm>
#include <utility>

#include "peer/engine.hpp"
#include "peer/engine_state.hpp"
#include "peer/stored_reply.hpp"

namespace peermq::detail {

// --- the side that asks

void Engine::add_service(const std::shared_ptr<Calls>& calls, delivery::GroupOptions options) {
    Producer& producer = new_producer(calls->stream(), options, nullptr);
    producer.calls = calls;
    introduce(producer, wire::StreamKind::service);
}

std::vector<std::shared_ptr<Calls>> Engine::each_replier(
    const std::string& service, const std::function<std::shared_ptr<Calls>()>& make) {
    const StreamName wanted{wire::StreamKind::service, service};
    std::vector<std::shared_ptr<Calls>> all;
    for (const auto& [channel, link] : links_) {
        if (!link->up()) continue;
        const auto want = std::find_if(link->wants.begin(), link->wants.end(),
                                       [&](const auto& one) { return one.second == wanted; });
        if (want == link->wants.end()) continue;
        Producer*& own = link->session->own_services[service];
        if (own == nullptr) {
            delivery::GroupOptions once;
            once.repeat = delivery::Repeat::if_told;
            const std::shared_ptr<Calls> calls = make();
            own = &new_producer(calls->stream(), once, nullptr);
            own->calls = calls;
            own->only = link->session;
            offer(*link, want->first, *own);
        }
        all.push_back(own->calls);
    }
    return all;
}

void Engine::end_private(Producer& producer) {
    if (std::exchange(producer.ending, true)) return;
    producer.calls->fail_all(
        ErrorCode::outcome_unknown,
        "service \"" + producer.stream->config().name + "\": the replier that was asked has gone");
    ending_.push_back(&producer);
}

void Engine::on_reply(LinkState& link, std::uint32_t handle, const wire::Reply& reply,
                      const net::Received& received) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end() || it->second.producer->calls == nullptr)
        return protocol_error(link, "REPLY for something that is no service");
    Outgoing& outgoing = it->second;
    if (reply.total > options_.message_bytes_max) {
        return reject(link, wire::RejectCode::limit,
                      "reply of " + std::to_string(reply.total) +
                          " bytes exceeds message_bytes_max of " +
                          std::to_string(options_.message_bytes_max));
    }
    if (reply.offset == 0) outgoing.reply.clear();
    if (reply.offset != outgoing.reply.size()) return protocol_error(link, "REPLY out of order");
    if (outgoing.reply.empty() && reply.bytes.size() == reply.total)
        return take_reply(link, outgoing, reply, received.pin);
    outgoing.reply.insert(outgoing.reply.end(), reply.bytes.begin(), reply.bytes.end());
    if (outgoing.reply.size() < reply.total) return;
    const auto joined = std::make_shared<const std::vector<std::byte>>(
        std::exchange(outgoing.reply, {}));
    wire::Reply whole = reply;
    whole.bytes = *joined;
    take_reply(link, outgoing, whole, joined);
}

void Engine::take_reply(LinkState& link, Outgoing& outgoing, const wire::Reply& reply,
                        const std::shared_ptr<const void>& pin) {
    Producer& producer = *outgoing.producer;
    const auto seed = record::Seed::of(producer.stream->config().id, reply.epoch);
    const record::Decoded decoded = record::decode(reply.bytes, seed, reply.bytes.size());
    if (!decoded.ok() || decoded.bytes != reply.bytes.size() ||
        decoded.record.seq != reply.request) {
        return protocol_error(
            link, "REPLY with a damaged record: " + std::string(to_string(decoded.error)));
    }
    ReplyPart part;
    part.record = reply.bytes;
    part.pin = pin;
    part.number = reply.part;
    part.last = (reply.flags & wire::kLastPart) != 0;
    part.failure = (reply.flags & wire::kFailure) != 0;
    part.progress = (reply.flags & wire::kProgress) != 0;
    const bool last = part.last;
    switch (producer.calls->arrived(reply.request, reply.epoch, reply.answer, std::move(part))) {
        case Calls::Arrival::taken: producer.streaming[reply.request] = outgoing.consumer; break;
        case Calls::Arrival::whole:
            if (producer.calls->replies() != nullptr) store_reply(producer, reply.request);
            give_up_request(producer, {reply.request, reply.request}, outgoing.consumer);
            break;
        case Calls::Arrival::duplicate: break;
        case Calls::Arrival::late:
            if (!last) {
                const base::Run one{reply.request, reply.request};
                const auto binding = producer.consumers.find(outgoing.consumer);
                if (binding != producer.consumers.end())
                    send(link, binding->second.handle, wire::Cancel{{one}});
            }
            break;
        case Calls::Arrival::invalid: return protocol_error(link, "REPLY with parts left out");
    }
    flush_calls(producer);
}

/// The reply becomes part of our spool in the batch that settles its request: there is always one
/// of them. It is shown once that is stored.
void Engine::store_reply(Producer& producer, base::Seq seq) {
    const std::shared_ptr<OutStream>& replies = producer.calls->replies();
    base::Run records{1, 0};
    const Calls::WholeReply reply = producer.calls->whole_reply(seq);
    for (const ReplyPart& part : reply.parts) {
        record::Record record = record::parts(part.record);
        const std::string topic = stored_part_name(seq, part);
        const std::string headers = stored_headers(record.headers, reply);
        record.topic = topic;
        record.headers = base::as_bytes(headers);
        record.flags = 0;
        std::optional<base::Seq> stored;
        try {
            stored = replies->append(record, WhenFull::never_full);
        } catch (const Error& failure) {
            // The spool has failed or is closed: the replier keeps the reply for the next opening.
            if (failure.code() == ErrorCode::closed || failure.code() == ErrorCode::io_error)
                return;
            throw;
        }
        if (records.empty()) records.first = *stored;
        records.last = *stored;
    }
    spool::StateChange change;
    change.kind = spool::StateChange::Kind::settled;
    change.stream = producer.stream->config().index;
    change.run = {seq, seq};
    when_stored(commits_->add_changes({std::move(change)}, {replies}, true),
                [calls = producer.calls, seq, records] { calls->stored(seq, records); });
}

/// Nobody waits for `run` any more: it is not handed out, and who works on it is told.
void Engine::give_up_request(Producer& producer, base::Run run, delivery::ConsumerId answered_by) {
    for (base::Seq seq = run.first; seq <= run.last && !producer.streaming.empty(); ++seq)
        producer.streaming.erase(seq);
    for (const delivery::Group::Held& held : producer.group.abandon(run)) {
        const auto it = producer.consumers.find(held.consumer);
        if (held.consumer == answered_by || it == producer.consumers.end()) continue;
        LinkState* link = it->second.session->link;
        if (link == nullptr || it->second.handle == 0) continue;
        send(*link, it->second.handle, wire::Cancel{{held.run}});
    }
}

void Engine::flush_calls(Producer& producer) {
    const CallWork work = producer.calls->take_work();
    if (work.empty()) return;
    work.idempotent.for_each([&](base::Run run) { producer.group.repeatable(run); });
    if (!work.over.empty()) {
        (void)catch_up(producer);
        work.over.for_each([&](base::Run run) { give_up_request(producer, run, 0); });
        pump(producer);
    }
    if (!work.taken.empty()) {
        std::vector<spool::StateChange> changes;
        for (const base::Run run : work.taken) {
            spool::StateChange& change = changes.emplace_back();
            change.kind = spool::StateChange::Kind::settled;
            change.stream = producer.calls->replies()->config().index;
            change.run = run;
            producer.calls->replies()->settle(run);
        }
        (void)commits_->add_changes(std::move(changes), {}, false);
    }
    for (const CallWork::Credit& credit : work.credits) {
        const auto sender = producer.streaming.find(credit.seq);
        if (sender == producer.streaming.end()) continue;
        const auto it = producer.consumers.find(sender->second);
        if (it == producer.consumers.end() || it->second.handle == 0) continue;
        if (LinkState* link = it->second.session->link)
            send(*link, it->second.handle, wire::ReplyCredit{credit.seq, credit.taken_bytes});
    }
}

/// Its replier is lost, and it must not run twice.
void Engine::end_unclear(Producer& producer, const delivery::Facts::Dead& dead) {
    const OutStream& stream = *producer.stream;
    producer.calls->fail(dead.seq, ErrorCode::outcome_unknown,
                         "service \"" + stream.config().name +
                             "\": " + (dead.text.empty() ? dead.state.last_error : dead.text));
    const auto finish = [this, &producer, seq = dead.seq] {
        producer.group.dead_stored(seq);
        pump(producer);
    };
    if (commits_ == nullptr || !stream.stored()) return finish();
    spool::StateChange change;
    change.kind = spool::StateChange::Kind::settled;
    change.stream = stream.config().index;
    change.run = {dead.seq, dead.seq};
    when_stored(commits_->add_changes({std::move(change)}, {}, true), finish);
}

// --- the side that answers

void Engine::send_replies(Consumer& consumer) {
    Replies& replies = *consumer.stream->replies();
    for (const base::StreamId& stream : replies.waiting()) {
        const auto source = consumer.source_of.find(stream);
        if (source == consumer.source_of.end()) continue;
        const auto where = consumer.sources.find(source->second);
        if (where == consumer.sources.end()) continue;
        LinkState* link = where->second.first->link;
        if (link == nullptr || link->closed) continue;
        while (link->pending.empty() && link->machine.room() > 0) {
            const auto piece = replies.next(stream);
            if (!piece) break;
            send_piece(*link, where->second.second, *piece);
            if (!piece->finished) continue;
            // The requester has the whole reply before it hears that the request is settled.
            (void)consumer.stream->with_inbox([&](delivery::Inbox& inbox) {
                return inbox.settle(piece->request.source, piece->request.seq,
                                    delivery::SettleKind::ack, std::nullopt, {});
            });
        }
    }
}

void Engine::send_piece(LinkState& link, std::uint32_t handle, const Replies::Piece& piece) {
    wire::Reply reply;
    reply.epoch = piece.request.epoch;
    reply.request = piece.request.seq;
    reply.answer = piece.answer;
    reply.part = piece.part;
    reply.flags = piece.flags;
    reply.total = piece.total;
    reply.offset = piece.offset;
    reply.bytes = piece.bytes;
    std::vector<std::byte> head(wire::kReplyHeadBytes);
    wire::encode_reply_head(handle, link.peer_nonce, reply, head);
    send_data(link, std::move(head), piece.bytes, piece.pin);
}

void Engine::flush_replies(LinkState& link) {
    // Sending may end the link, and with it what it has.
    std::vector<Consumer*> repliers;
    for (const auto& [handle, incoming] : link.incoming) {
        if (incoming.consumer->stream->replies() != nullptr) repliers.push_back(incoming.consumer);
    }
    for (Consumer* replier : repliers) flush_pull(*replier);
}

void Engine::on_reply_credit(LinkState& link, std::uint32_t handle,
                             const wire::ReplyCredit& credit) {
    const auto it = link.incoming.find(handle);
    if (it == link.incoming.end() || it->second.consumer->stream->replies() == nullptr) return;
    it->second.consumer->stream->replies()->credited(it->second.stream, credit.request,
                                                     credit.taken_bytes);
    flush_pull(*it->second.consumer);
}

void Engine::on_cancel(LinkState& link, std::uint32_t handle, const wire::Cancel& cancel) {
    const auto it = link.incoming.find(handle);
    if (it == link.incoming.end() || it->second.consumer->stream->replies() == nullptr) return;
    for (const base::Run run : cancel.requests)
        it->second.consumer->stream->replies()->cancel(it->second.stream, run);
    // Handlers that wait for room look again.
    it->second.consumer->stream->with_inbox([](delivery::Inbox&) {});
}

/// Replies whose settlement the requester has confirmed are not needed any more.
void Engine::forget_confirmed(const Incoming& incoming) {
    InStream& stream = *incoming.consumer->stream;
    if (stream.replies() == nullptr) return;
    stream.replies()->confirm(incoming.stream, [&](delivery::SourceId source, base::Seq seq) {
        return stream.outcome(source, seq) == delivery::Outcome::pending;
    });
}

}  // namespace peermq::detail
