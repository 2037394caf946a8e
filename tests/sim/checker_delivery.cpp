/// The part of Checker that follows messages from the first delivery to their end.

#include <algorithm>
#include <utility>

#include "sim/checker.hpp"

namespace peermq::sim {
namespace {

bool asks_to_finish(EventKind kind) { return kind == EventKind::ack || kind == EventKind::reject; }

}  // namespace

// --- deliveries

void Checker::on_deliver(const Event& event) {
    drained_ = false;
    ++stats_.delivered;
    Message& message = name_message(event);
    const bool first = !message.delivered;
    if (!first) check_repeated(event);
    message.delivered = true;
    // At most once it ends by being handed out, which is before it comes.
    const bool expected = first && streams_[event.stream].at_most_once;
    if (message.finished && !streams_[event.stream].over && !expected) {
        violate(5, describe(name_of(event)) + " came again after its end");
    }
    if (event.key != 0) check_key(event, first && !message.forgotten);
    add_hold(event, message);
}

void Checker::check_repeated(const Event& event) {
    ++stats_.duplicates;
    if (streams_[event.stream].at_most_once) {
        violate(5, describe(name_of(event)) + " of a queue with at most once came a second time");
    }
    if (!event.again) {
        violate(3, describe(name_of(event)) + " came again without the redelivered flag");
    }
    if (actors_[event.actor].held.contains(name_of(event))) {
        violate(3, describe(name_of(event)) + " was handed to its holder again");
    }
}

void Checker::check_key(const Event& event, bool first) {
    Stream& stream = streams_[event.stream];
    Key& key = stream.keys[event.key];
    for (const auto& [holder, count] : key.holders) {
        if (holder != event.actor && count > 0 && !stream.over) {
            violate(4, describe(name_of(event)) + " went to consumer " +
                           std::to_string(event.actor) + " while consumer " +
                           std::to_string(holder) + " was inside its key");
        }
    }
    if (!first) return;
    // In the order in which they were sent, which is by epoch first: seqs of messages that never
    // became durable come again in a later epoch.
    const std::pair place{event.epoch, event.seq};
    if (place < key.first_delivered) {
        violate(4, describe(name_of(event)) + " came for the first time after seq " +
                       std::to_string(key.first_delivered.second) + " of epoch " +
                       std::to_string(key.first_delivered.first) + " of its key");
    }
    key.first_delivered = std::max(key.first_delivered, place);
}

void Checker::add_hold(const Event& event, Message& message) {
    const Name name = name_of(event);
    auto hold = std::find_if(message.holds.begin(), message.holds.end(),
                             [&](const Hold& each) { return each.actor == event.actor; });
    if (hold == message.holds.end()) hold = message.holds.insert(hold, Hold{});
    message.maybe_acked |= asks_to_finish(hold->asked) && hold->answer == EventKind::deliver;
    *hold = Hold{event.actor, event.lease, EventKind::deliver, EventKind::deliver};

    Actor& actor = actors_[event.actor];
    actor.asked.erase(name);
    // The producer has forgotten what is lost, and does not guard its key.
    const bool added = actor.held.try_emplace(name, Held{event.key, message.excused}).second;
    if (added && event.key != 0 && !message.excused)
        ++streams_[event.stream].keys[event.key].holders[event.actor];
    if (actor.held.size() > actor.credit) {
        violate(8, "consumer " + std::to_string(event.actor) + " holds " +
                       std::to_string(actor.held.size()) + " messages with a credit of " +
                       std::to_string(actor.credit));
    }
}

void Checker::free_key(ActorId actor, const Name& name, Held& held) {
    if (held.key == 0 || std::exchange(held.lapsed, true)) return;
    auto& holders = streams_[name.stream].keys[held.key].holders;
    if (--holders[actor] == 0) holders.erase(actor);
}

void Checker::end_hold(ActorId number, const Name& name) {
    Actor& actor = actors_[number];
    const auto held = actor.held.find(name);
    free_key(number, name, held->second);
    actor.held.erase(held);
}

void Checker::on_lapse(const Event& event) {
    for (auto& [name, held] : actors_[event.actor].held) {
        if (name.stream == event.stream) free_key(event.actor, name, held);
    }
}

// --- settlements

void Checker::on_settle(const Event& event) {
    const Name name = name_of(event);
    Actor& actor = actors_[event.actor];
    if (!actor.held.contains(name)) {
        return violate(0, "consumer " + std::to_string(event.actor) + " settles " + describe(name) +
                              " without holding it");
    }
    end_hold(event.actor, name);
    actor.asked.insert(name);
    Message& message = *find(name);
    message.ack_asked |= asks_to_finish(event.kind);
    for (Hold& hold : message.holds) {
        if (hold.actor == event.actor) hold.asked = event.kind;
    }
}

void Checker::on_outcome(const Event& event) {
    const Name name = name_of(event);
    if (actors_[event.actor].asked.erase(name) == 0) {
        return violate(0, "consumer " + std::to_string(event.actor) + " learns the outcome of " +
                              describe(name) + " without having asked");
    }
    Message& message = *find(name);
    const auto hold = std::find_if(message.holds.begin(), message.holds.end(),
                                   [&](const Hold& each) { return each.actor == event.actor; });
    hold->answer = event.kind;
    hold->lease = std::max(hold->lease, event.lease);
    stats_.refused += event.kind == EventKind::refused ? 1 : 0;
    if (event.kind == EventKind::unknown) message.maybe_acked |= asks_to_finish(hold->asked);
    if (event.kind == EventKind::accepted) on_accepted(event, message, *hold);
}

bool Checker::is_stale(const Event& event, const Hold& hold, const Hold& other) {
    if (hold.lease == base::LeaseId{} || hold.lease >= other.lease) return false;
    return other.lease.epoch >= producers_[streams_[event.stream].producer].lease_epoch;
}

void Checker::on_accepted(const Event& event, Message& message, Hold& hold) {
    // What gives a message back makes room for the next lease, so its outcome may well be learned
    // after that one was granted and used.
    if (!asks_to_finish(hold.asked)) return;
    const Name name = name_of(event);
    for (const Hold& each : message.holds) {
        if (each.actor == event.actor) continue;
        if (is_stale(event, hold, each)) {
            violate(16, describe(name) + ": a stale settlement of consumer " +
                            std::to_string(event.actor) + " was accepted");
        }
        if (asks_to_finish(each.asked) && each.answer == EventKind::accepted) {
            violate(16, describe(name) + " was accepted from two consumers");
        }
    }
    stats_.acked += hold.asked == EventKind::ack ? 1 : 0;
    message.finished = true;
}

// --- ends

void Checker::on_dead(const Event& event) {
    ++stats_.dead;
    Message* message = find(name_of(event));
    if (message) message->finished = true;
    if (event.other == 0) return;
    // The same bytes go on in another stream, also those of a send whose outcome nobody learned.
    const std::uint64_t hash = message ? message->hash : event.hash;
    const std::uint64_t key = message ? message->key : event.key;
    streams_[event.other].intents.insert_or_assign(hash, Intent{key, false, {}});
}

void Checker::on_range(const Event& event) {
    const base::Seq last = std::max(event.seq, event.last);
    if (event.kind == EventKind::damaged && event.epoch != 0 && last == event.seq) {
        damaged_.insert(name_of(event));
    }
    if (event.kind == EventKind::forgotten) {
        const EpochNumber epoch = producers_[streams_[event.stream].producer].epoch;
        forgotten_.insert({event.stream, epoch, event.seq});
    }
    const auto visit = [&](const Name& name) {
        if (Message* message = find(name)) apply_to(event, name, *message);
    };
    for (const auto& [epoch, ignored] : streams_[event.stream].durable_max) {
        if (event.epoch != 0 && event.epoch != epoch) continue;
        if (last - event.seq > messages_.size()) {
            for (auto& [name, message] : messages_) {
                const bool inside = name.stream == event.stream && name.epoch == epoch &&
                                    event.seq <= name.seq && name.seq <= last;
                if (inside) apply_to(event, name, message);
            }
        } else {
            for (base::Seq seq = event.seq; seq <= last; ++seq) visit({event.stream, epoch, seq});
        }
    }
}

void Checker::apply_to(const Event& event, const Name& name, Message& message) {
    switch (event.kind) {
        case EventKind::settled:
            if (!message.ack_asked && !message.finished && !message.excused &&
                !streams_[name.stream].at_most_once) {
                violate(1, describe(name) + " was settled, but nobody had acked it");
            }
            message.finished = true;
            break;
        case EventKind::forgotten: apply_forgotten(message); break;
        case EventKind::damaged:
            ++stats_.damaged;
            message.excused = true;
            for (const Hold& hold : message.holds) {
                auto& holdings = actors_[hold.actor].held;
                const auto held = holdings.find(name);
                if (held != holdings.end()) free_key(hold.actor, name, held->second);
            }
            break;
        case EventKind::reclaimed:
            if (!message.finished && !message.excused) {
                violate(7, describe(name) + " was removed from the disk before its end");
            }
            break;
        case EventKind::remains:
            if (message.finished) {
                violate(5, describe(name) + " is unsettled again after its end");
            }
            message.remains = true;
            break;
        default: message.finished = true; break;  // expired, purged
    }
}

}  // namespace peermq::sim
