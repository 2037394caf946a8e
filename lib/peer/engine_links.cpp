/// Channels, HELLO, sessions, heartbeat, and the order in which frames leave.

#include <algorithm>

#include "base/assert.hpp"
#include "peer/engine.hpp"
#include "peer/engine_state.hpp"

namespace peermq::detail {
namespace {

/// Control frames that the transport does not take wait here; a peer that lets so many pile up is
/// gone.
constexpr std::size_t kPendingBytesMax = 32 * base::limits::kMiB;
/// A session whose link is lost is kept this long beyond the resume grace: its late settlements
/// still find their leases.
constexpr auto kSessionKept = 2 * base::limits::kLeaseDuration;
/// Wall clocks that differ by less count as equal.
constexpr auto kClockSkewSeen = std::chrono::seconds(1);

template <typename... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

void Engine::opened(net::ChannelId channel, net::TargetId target, std::string_view remote) {
    if (links_.size() >= base::limits::kLinksPerPeerMax || closing_) {
        transport_.close(channel);
        return;
    }
    auto link = std::make_unique<LinkState>(channel, target, std::string(remote), options_.link,
                                            now_);
    link->nonce = random_.next() | 1;  // never 0, which means "not known yet"
    LinkState& added = *link;
    links_.emplace(channel, std::move(link));
    // Who connects speaks first, so that a stranger's connection costs nothing but its socket.
    if (target != 0) send(added, 0, make_hello(added));
}

wire::Hello Engine::make_hello(const LinkState& link) const {
    wire::Hello hello;
    hello.nonce = link.nonce;
    hello.echo = link.peer_nonce;
    hello.peer = options_.peer;
    hello.session = options_.session;
    hello.frame_bytes_max = base::limits::kFrameBytesMax;
    hello.message_bytes_max = options_.message_bytes_max;
    hello.window_bytes = base::limits::kLinkWindowBytesMax;
    hello.wall_time_ns = wall_now_.time_since_epoch().count();
    hello.host = options_.host;
    hello.agent = options_.agent;
    return hello;
}

void Engine::received(net::ChannelId channel, net::Received frame) {
    const auto it = links_.find(channel);
    if (it == links_.end() || it->second->closed) return;
    LinkState& link = *it->second;
    const wire::DecodedFrame decoded = frame.two_parts
                                           ? wire::decode_parts(frame.head, frame.records)
                                           : wire::decode(frame.head);
    if (!decoded.ok()) {
        if (!link.greeted) {
            return reject(link, wire::RejectCode::protocol,
                          "first frame is not a HELLO of peermq (" +
                              std::string(to_string(decoded.error)) + ")");
        }
        return protocol_error(link, "unreadable frame: " + std::string(to_string(decoded.error)));
    }
    if (const auto* hello = std::get_if<wire::Hello>(&decoded.frame.body))
        return on_hello(link, *hello);
    if (const auto* refusal = std::get_if<wire::Reject>(&decoded.frame.body)) {
        if (refusal->code != wire::RejectCode::duplicate &&
            refusal->code != wire::RejectCode::closing) {
            ++rejected_links_;
            events_.emit({EventKind::peer_rejected, link.greeted ? link.hello.peer.hex() : "", "",
                          1, link.remote + " refuses us: " + refusal->text});
        }
        return close_link(link, "refused by the other side: " + refusal->text);
    }
    if (!link.greeted) return reject(link, wire::RejectCode::protocol, "frame before HELLO");
    // A frame meant for an earlier connection or another peer.
    if (decoded.frame.header.nonce != link.nonce)
        return protocol_error(link, "frame with a foreign session nonce");
    if (link.session == nullptr) {
        attach(link);
        if (!link.up()) return;
    }
    if (link.machine.heard(now_)) {
        // What it holds it announces by itself: its own gate has closed during the silence.
        for (const auto& [handle, outgoing] : link.outgoing) {
            outgoing.producer->group.resume_consumer(outgoing.consumer, now_);
            wake(*outgoing.producer);
        }
    }
    on_frame(link, decoded.frame, frame);
}

void Engine::on_hello(LinkState& link, const wire::Hello& hello) {
    if (link.greeted) return protocol_error(link, "second HELLO");
    if (hello.version_max < wire::kProtocolVersionMin ||
        hello.version_min > wire::kProtocolVersion) {
        return reject(link, wire::RejectCode::version,
                      "protocol versions " + std::to_string(hello.version_min) + " to " +
                          std::to_string(hello.version_max) + " offered, " +
                          std::to_string(wire::kProtocolVersionMin) + " to " +
                          std::to_string(wire::kProtocolVersion) + " spoken here");
    }
    if (hello.session == options_.session) {
        return reject(link, wire::RejectCode::self, "a peer cannot connect to itself");
    }
    if (hello.nonce == 0 || (link.target != 0 && hello.echo != link.nonce)) {
        return reject(link, wire::RejectCode::protocol, "HELLO does not answer ours");
    }
    link.greeted = true;
    link.hello = hello;
    // Less may be the time that the HELLO was on its way.
    const base::Duration skew = std::chrono::nanoseconds(hello.wall_time_ns) -
                                wall_now_.time_since_epoch();
    if (std::chrono::abs(skew) > kClockSkewSeen) link.clock_skew = skew;
    link.peer_nonce = hello.nonce;
    link.machine.established(hello.window_bytes, now_);
    if (link.target == 0) {
        // The other side decides which of several links it keeps: ours counts from its next frame
        // on.
        send(link, 0, make_hello(link));
    } else {
        attach(link);
    }
}

void Engine::attach(LinkState& link) {
    const wire::Hello& hello = link.hello;
    auto it = sessions_.find(hello.session);
    if (it == sessions_.end()) {
        // Another session of the same peer means that its process, or its peer object, has ended.
        std::vector<Session*> ended;
        for (const auto& [id, session] : sessions_) {
            if (session->peer == hello.peer) ended.push_back(session.get());
        }
        for (Session* session : ended) end_session(*session, true, "the peer was restarted");
        auto session = std::make_unique<Session>();
        session->peer = hello.peer;
        session->id = hello.session;
        it = sessions_.emplace(hello.session, std::move(session)).first;
    }
    Session& session = *it->second;
    if (LinkState* old = session.link; old != nullptr) {
        const bool old_lives = old->machine.state() == delivery::Link::State::up;
        const bool ours = link.target != 0;
        // Of two links dialled from both ends, both sides keep the one dialled by the smaller
        // session.
        const bool crossed = ours != (old->target != 0);
        const bool preferred = ours == (options_.session < hello.session);
        if (old_lives && (crossed ? !preferred : ours)) {
            return reject(link, wire::RejectCode::duplicate, "another link to this peer is in use");
        }
        detach(*old);
        reject(*old, wire::RejectCode::duplicate, "replaced by another link to this peer");
    }
    link.session = &session;
    session.link = &link;
    for (const auto& [key, producer] : producers_) producer->group.expect_holders(now_);
    std::erase_if(session.consumes, [](const auto& entry) {
        Producer& producer = *entry.first.first;
        // Its pull was closed, but the UNWANT went down with the link.
        const bool forgotten = !producer.group.has_consumer(entry.second);
        if (forgotten) producer.consumers.erase(entry.second);
        return forgotten;
    });
    // Heard, though this link may be lost before its WANT comes.
    for (const auto& [key, consumer] : session.consumes)
        key.first->group.suspect_consumer(consumer, now_);
    if (link.target != 0) target_sessions_[link.target] = session.id;
    transport_.accept(link.channel);
    const wire::HostInfo& host = options_.host;
    if (session.watch == 0 && hello.host.pid != 0 && hello.host.boot_id == host.boot_id &&
        hello.host.pid_namespace == host.pid_namespace && hello.host.pid != host.pid) {
        const std::uint64_t watch = next_id_++;
        if (transport_.watch_process(watch, hello.host.pid, hello.host.start_time))
            session.watch = watch;
    }
    events_.emit(
        {EventKind::peer_up, session.peer.hex(), "", 1, "link to " + link.remote + " is up"});
    // At once, so that the other side knows its link is the one that counts.
    if (const std::uint64_t token = link.machine.ping_due(now_)) {
        send(link, 0, wire::Ping{token, link.machine.received_bytes()});
    }
    for (const auto& consumer : consumers_) {
        send_wants(link, *consumer);
        if (consumer->subscribe) tell_confirmed(*consumer);
    }
}

void Engine::detach(LinkState& link) {
    Session* session = link.session;
    if (session == nullptr) return;
    link.session = nullptr;
    link.outgoing.clear();
    link.incoming.clear();
    session->link = nullptr;
    for (const auto& consumer : consumers_) {
        consumer->confirmed.erase(link.channel);
        if (consumer->subscribe) tell_confirmed(*consumer);
    }
    session->lost_at = now_;
    const bool silent = link.machine.state() == delivery::Link::State::suspect;
    for (const auto& [key, consumer] : session->consumes) {
        Producer* producer = key.first;
        if (!silent) producer->group.suspect_consumer(consumer, now_);  // else it is so already
        producer->consumers[consumer].handle = 0;
        wake(*producer);
        if (producer->subscription) count_subscribers(*producer->subscription->topic);
    }
    for (const auto& entry : session->sources) {
        const auto& source = entry.second;
        source.stream->with_inbox(
            [&](delivery::Inbox& inbox) { inbox.source_down(source.id, false, now_); });
        if (Replies* replies = source.stream->replies()) replies->link_down(entry.first.first);
    }
}

void Engine::end_session(Session& session, bool crashed, std::string_view why) {
    if (LinkState* link = session.link; link != nullptr) {
        detach(*link);
        close_link(*link, why);
    }
    for (const auto& [key, consumer] : session.consumes) {
        Producer* producer = key.first;
        producer->group.remove_consumer(consumer, crashed, now_);
        producer->consumers.erase(consumer);
        pump(*producer);
        if (producer->subscription) member_left(*producer);
    }
    for (const auto& [name, producer] : std::exchange(session.own_services, {}))
        end_private(*producer);
    for (const auto& entry : session.sources) {
        const auto& source = entry.second;
        source.stream->with_inbox(
            [&](delivery::Inbox& inbox) { inbox.source_down(source.id, true, now_); });
        Replies* replies = source.stream->replies();
        if (replies != nullptr && !source.persistent) replies->end(entry.first.first);
        for (const auto& consumer : consumers_) {
            if (consumer->stream.get() == source.stream) consumer->sources.erase(source.id);
        }
    }
    if (session.watch != 0) transport_.unwatch_process(session.watch);
    const base::PeerId peer = session.peer;
    sessions_.erase(session.id);
    producer_ended(peer);
}

void Engine::reject(LinkState& link, wire::RejectCode code, const std::string& text) {
    send(link, 0, wire::Reject{code, text});
    if (code != wire::RejectCode::duplicate) {
        ++rejected_links_;
        events_.emit({EventKind::peer_rejected, link.greeted ? link.hello.peer.hex() : "", "", 1,
                      link.remote + ": " + text});
    }
    close_link(link, text);
}

void Engine::protocol_error(LinkState& link, const std::string& text) {
    ++protocol_errors_;
    if (++link.errors < base::limits::kProtocolErrorsMax) return;
    reject(link, wire::RejectCode::protocol, "too many protocol errors, the last: " + text);
}

void Engine::close_link(LinkState& link, std::string_view why) {
    if (link.closed) return;
    if (link.session != nullptr) {
        events_.emit({EventKind::peer_down, link.session->peer.hex(), "", 1,
                      "link to " + link.remote + " ended: " + std::string(why)});
    }
    detach(link);
    link.closed = true;
    transport_.close(link.channel);
    closed_links_.push_back(link.channel);
}

void Engine::drop_closed_links() {
    for (const net::ChannelId channel : closed_links_) links_.erase(channel);
    closed_links_.clear();
}

void Engine::lost(net::ChannelId channel, net::LossReason reason, std::string_view text) {
    const auto it = links_.find(channel);
    if (it == links_.end() || it->second->closed) return;
    LinkState& link = *it->second;
    if (!link.greeted && reason == net::LossReason::foreign) {
        ++rejected_links_;
        events_.emit({EventKind::peer_rejected, "", "", 1, link.remote + ": " + std::string(text)});
    }
    close_link(link, text);
}

void Engine::attempt_failed(net::TargetId target, net::LossReason reason, std::string_view text) {
    if (reason == net::LossReason::foreign) {
        ++rejected_links_;
        events_.emit({EventKind::peer_rejected, "", "", 1, std::string(text)});
        return;
    }
    events_.emit({EventKind::connect_failed, "", "", 1, std::string(text)});
    if (reason != net::LossReason::refused) return;
    // Nobody listens there any more: the process that did, and that we had a session with, has
    // ended.
    const auto known = target_sessions_.find(target);
    if (known == target_sessions_.end()) return;
    const auto session = sessions_.find(known->second);
    target_sessions_.erase(known);
    if (session != sessions_.end() && session->second->link == nullptr) {
        end_session(*session->second, true, "nobody listens there any more");
    }
}

void Engine::process_ended(std::uint64_t watch) {
    for (const auto& [id, session] : sessions_) {
        if (session->watch != watch) continue;
        session->watch = 0;
        end_session(*session, true, "its process has ended");
        return;
    }
}

void Engine::on_frame(LinkState& link, const wire::Frame& frame, const net::Received& received) {
    const std::uint32_t handle = frame.header.stream;
    const auto data = [&] {
        link.machine.received(received.head.size() + received.records.size());
    };
    const auto with_incoming = [&](auto&& use) {
        const auto it = link.incoming.find(handle);
        if (it == link.incoming.end()) return;  // we have stopped pulling: late frames are no error
        it->second.consumer->stream->with_inbox(
            [&](delivery::Inbox& inbox) { use(it->second.source, inbox); });
        flush_pull(*it->second.consumer);
    };
    std::visit(Overloaded{
                   [&](const wire::Ping& ping) { on_ping(link, ping); },
                   [&](const wire::Pong& pong) { on_pong(link, pong); },
                   [&](const wire::Credit& credit) {
                       if (!link.machine.confirmed(credit.received_bytes, now_))
                           return protocol_error(link, "impossible CREDIT");
                       for (const auto& [ours, outgoing] : link.outgoing) wake(*outgoing.producer);
                       flush_replies(link);
                   },
                   [&](const wire::Bye& bye) {
                       Session& session = *link.session;
                       end_session(session, false,
                                   bye.text.empty() ? "closed by the other side" : bye.text);
                   },
                   [&](const wire::Want& want) { on_want(link, want); },
                   [&](const wire::Unwant& unwant) { on_unwant(link, unwant); },
                   [&](const wire::Subscribe& wanted) { on_subscribe(link, wanted); },
                   [&](const wire::Subscribed& subscribed) { on_subscribed(link, subscribed); },
                   [&](const wire::Gap& gap) { on_gap(link, handle, gap); },
                   [&](const wire::Offer& offer) { on_offer(link, handle, offer); },
                   [&](const wire::Unoffer&) { on_unoffer(link, handle); },
                   [&](const wire::State& state) {
                       with_incoming([&](delivery::SourceId source, delivery::Inbox& inbox) {
                           inbox.source_ready(source, state.ready);
                       });
                   },
                   [&](const wire::Grant& grant) { on_grant(link, handle, grant); },
                   [&](const wire::Granted& granted) {
                       with_incoming([&](delivery::SourceId source, delivery::Inbox& inbox) {
                           inbox.granted(source, granted.number);
                       });
                   },
                   [&](const wire::Held& held) { on_held(link, handle, held); },
                   [&](const wire::Valid& valid) {
                       with_incoming([&](delivery::SourceId source, delivery::Inbox& inbox) {
                           inbox.validated(source, valid.number, valid.revoked, valid.done, now_);
                       });
                   },
                   [&](const wire::Batch& batch) {
                       data();
                       on_batch(link, handle, batch, received);
                   },
                   [&](const wire::Fragment& fragment) {
                       data();
                       on_fragment(link, handle, fragment);
                   },
                   [&](const wire::Reply& reply) {
                       data();
                       on_reply(link, handle, reply, received);
                   },
                   [&](const wire::ReplyCredit& credit) { on_reply_credit(link, handle, credit); },
                   [&](const wire::Cancel& cancel) { on_cancel(link, handle, cancel); },
                   [&](const wire::Settle& settle) { on_settle(link, handle, settle); },
                   [&](const wire::Confirm& confirm) { on_confirm(link, handle, confirm); },
                   [&](const wire::Renew& renew) { on_renew(link, handle, renew); },
                   [&](const wire::Recall& recall) {
                       with_incoming([&](delivery::SourceId source, delivery::Inbox& inbox) {
                           inbox.recall(source, recall.messages);
                       });
                   },
                   [](const auto&) {},  // Skipped; HELLO and REJECT are handled before
               },
               frame.body);
    if (!link.closed && link.machine.credit_due()) {
        link.machine.credit_sent();
        send(link, 0, wire::Credit{link.machine.received_bytes()});
    }
}

void Engine::on_ping(LinkState& link, const wire::Ping& ping) {
    if (!link.machine.confirmed(ping.received_bytes, now_))
        return protocol_error(link, "impossible byte count in PING");
    link.machine.credit_sent();
    send(link, 0, wire::Pong{ping.token, link.machine.received_bytes()});
}

void Engine::on_pong(LinkState& link, const wire::Pong& pong) {
    if (!link.machine.confirmed(pong.received_bytes, now_))
        return protocol_error(link, "impossible byte count in PONG");
    base::Time sent_at;
    if (!link.machine.ponged(pong.token, now_, sent_at))
        return protocol_error(link, "PONG without PING");
    note_heard(link, sent_at);
    for (const auto& [ours, outgoing] : link.outgoing) wake(*outgoing.producer);
    flush_replies(link);
}

void Engine::send(LinkState& link, std::uint32_t handle, const wire::Body& body) {
    if (link.closed) return;
    std::vector<std::byte> bytes;
    wire::encode(handle, link.peer_nonce, body, bytes);
    if (link.pending.empty()) {
        const net::SendResult result = transport_.send(link.channel, bytes);
        if (result != net::SendResult::full) return;  // gone: lost() tells
    }
    link.pending_bytes += bytes.size();
    PendingFrame frame;
    frame.head = std::move(bytes);
    // VALID and GRANTED speak of the batches that were sent before them, and must not overtake one.
    const bool after_data = std::holds_alternative<wire::Valid>(body) ||
                            std::holds_alternative<wire::Granted>(body);
    frame.data = after_data;
    // All else goes before data that waits, behind control that waits.
    const auto place = after_data ? link.pending.end()
                                  : std::find_if(link.pending.begin(), link.pending.end(),
                                                 [](const PendingFrame& f) { return f.data; });
    link.pending.insert(place, std::move(frame));
    if (link.pending_bytes > kPendingBytesMax) close_link(link, "it does not take our frames");
}

void Engine::send_data(LinkState& link, std::vector<std::byte> head, base::ByteSpan records,
                       std::shared_ptr<const void> pin) {
    link.machine.sent(head.size() + records.size());
    if (link.pending.empty()) {
        const net::SendResult result = records.empty()
                                           ? transport_.send(link.channel, head)
                                           : transport_.send(link.channel, head, records, pin);
        if (result != net::SendResult::full) return;
    }
    link.pending_bytes += head.size();
    link.pending.push_back({std::move(head), records, std::move(pin), true});
}

void Engine::flush_pending(LinkState& link) {
    while (!link.pending.empty() && !link.closed) {
        const PendingFrame& frame = link.pending.front();
        const net::SendResult result = frame.records.empty()
                                           ? transport_.send(link.channel, frame.head)
                                           : transport_.send(link.channel, frame.head,
                                                             frame.records, frame.pin);
        if (result == net::SendResult::full) return;
        link.pending_bytes -= frame.head.size();
        link.pending.pop_front();
    }
    for (const auto& [handle, outgoing] : link.outgoing) wake(*outgoing.producer);
    flush_replies(link);
}

void Engine::note_heard(LinkState& link, base::Time heard_at) {
    for (const auto& entry : link.incoming) {
        const Incoming& incoming = entry.second;
        incoming.consumer->stream->with_inbox(
            [&](delivery::Inbox& inbox) { inbox.source_heard(incoming.source, heard_at); });
        flush_pull(*incoming.consumer);
    }
}

void Engine::tick_links() {
    std::vector<LinkState*> dead;
    for (const auto& [channel, link] : links_) {
        if (link->closed) continue;
        const delivery::Link::State before = link->machine.state();
        const delivery::Link::State after = link->machine.tick(now_);
        if (after == delivery::Link::State::dead) {
            dead.push_back(link.get());
            continue;
        }
        if (before != after && after == delivery::Link::State::suspect &&
            link->session != nullptr) {
            events_.emit({EventKind::link_suspect, link->session->peer.hex(), "", 1,
                          "nothing heard from " + link->remote + " for 3 s"});
            for (const auto& [handle, outgoing] : link->outgoing) {
                outgoing.producer->group.suspect_consumer(outgoing.consumer, now_);
            }
        }
        if (!link->greeted || link->session == nullptr) continue;
        if (const std::uint64_t token = link->machine.ping_due(now_)) {
            link->machine.credit_sent();
            send(*link, 0, wire::Ping{token, link->machine.received_bytes()});
        }
    }
    for (LinkState* link : dead) {
        if (link->greeted) {
            close_link(*link, "nothing heard for 6 s");
        } else {
            reject(*link, wire::RejectCode::hello_timeout,
                   "no HELLO within 5 s: not a peer of ours");
        }
    }
    std::vector<Session*> expired;
    for (const auto& [id, session] : sessions_) {
        if (session->link == nullptr && now_ - session->lost_at > kSessionKept)
            expired.push_back(session.get());
    }
    for (Session* session : expired) end_session(*session, false, "it did not come back");
}

}  // namespace peermq::detail
