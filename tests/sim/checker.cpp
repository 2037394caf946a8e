#include "sim/checker.hpp"

#include <algorithm>
#include <utility>

namespace peermq::sim {
namespace {

bool asks_to_finish(EventKind kind) { return kind == EventKind::ack || kind == EventKind::reject; }

/// Events after which a recovery may find another state than the one before.
bool touches_stream(EventKind kind) {
    return kind >= EventKind::intend && kind != EventKind::remains;
}

}  // namespace

bool Verdict::breaks(int invariant) const {
    return std::any_of(violations.begin(), violations.end(),
                       [&](const Violation& each) { return each.invariant == invariant; });
}

std::string Verdict::text() const {
    std::string all;
    for (const Violation& each : violations) {
        all += "INV-" + std::to_string(each.invariant) + " at event " + std::to_string(each.event) +
               ": " + each.text + "\n";
    }
    return all;
}

Verdict check(const History& history, CheckOptions options) {
    Checker checker(options);
    for (const Event& event : history.events()) checker.add(event);
    return checker.verdict();
}

Checker::Checker(CheckOptions options) : options_(options) {}

std::string Checker::describe(const Name& name) {
    return "message " + std::to_string(name.seq) + " of stream " + std::to_string(name.stream) +
           ", epoch " + std::to_string(name.epoch);
}

void Checker::violate(int invariant, std::string text) {
    ++violation_count_;
    if (violations_.size() < options_.violations_max) {
        violations_.push_back({invariant, index_, std::move(text)});
    }
}

Checker::Message* Checker::find(const Name& name) {
    const auto at = messages_.find(name);
    return at == messages_.end() ? nullptr : &at->second;
}

void Checker::add(const Event& event) {
    last_at_ = event.at;
    if (touches_stream(event.kind)) {
        producers_[streams_[event.stream].producer].untouched = false;
    }
    dispatch(event);
    ++index_;
}

void Checker::dispatch(const Event& event) {
    switch (event.kind) {
        case EventKind::stream:
            streams_[event.stream].producer = event.actor;
            streams_[event.stream].in_memory = event.again;
            streams_[event.stream].at_most_once = event.value == 1;
            return;
        case EventKind::opened: return on_opened(event);
        case EventKind::crash: return on_crash(event);
        case EventKind::healed: healed_at_ = std::min(healed_at_, event.at); return;
        case EventKind::drained: return on_drained(event);
        case EventKind::credit: actors_[event.actor].credit = event.value; return;
        case EventKind::gauge:
            if (event.value <= event.limit) return;
            return violate(8, std::to_string(event.value) + " is above the limit of " +
                                  std::to_string(event.limit));
        case EventKind::intend: return on_intend(event);
        case EventKind::durable: return on_durable(event);
        case EventKind::fail: return on_fail(event);
        case EventKind::deliver: return on_deliver(event);
        case EventKind::ack:
        case EventKind::nack:
        case EventKind::release:
        case EventKind::reject: return on_settle(event);
        case EventKind::accepted:
        case EventKind::refused:
        case EventKind::unknown: return on_outcome(event);
        case EventKind::dead: return on_dead(event);
        case EventKind::settled:
        case EventKind::expired:
        case EventKind::forgotten:
        case EventKind::purged:
        case EventKind::damaged:
        case EventKind::reclaimed:
        case EventKind::remains: return on_range(event);
        case EventKind::lapse: return on_lapse(event);
    }
}

// --- processes

void Checker::on_opened(const Event& event) {
    Producer& producer = producers_[event.actor];
    if (!producer.opened.insert(event.epoch).second) {
        violate(6, "epoch " + std::to_string(event.epoch) + " is opened a second time");
    }
    producer.epoch = event.epoch;
    producer.lease_epoch = event.value;
    const bool both_told = event.hash != 0 && producer.recovered_hash != 0;
    if (producer.untouched && both_told && event.hash != producer.recovered_hash) {
        violate(14, "a second recovery of the same files found another state");
    }
    producer.recovered_hash = event.hash;
    producer.untouched = true;
}

void Checker::on_crash(const Event& event) {
    ++stats_.crashes;
    Actor& actor = actors_[event.actor];
    for (auto& [name, held] : actor.held) free_key(event.actor, name, held);
    for (const Name& name : actor.asked) {
        Message* message = find(name);
        for (const Hold& hold : message->holds) {
            message->maybe_acked |= hold.actor == event.actor && asks_to_finish(hold.asked);
        }
    }
    actor = Actor();
    const auto forgets = [&](const Stream& stream) {
        return stream.in_memory && stream.producer == event.actor;
    };
    bool any = false;
    for (auto& [number, stream] : streams_) {
        if (!forgets(stream)) continue;
        stream.over = true;
        any = true;
    }
    if (!any) return;
    for (auto& [name, message] : messages_) message.excused |= forgets(streams_[name.stream]);
}

void Checker::on_drained(const Event& event) {
    if (healed_at_ != base::kNever && event.at - healed_at_ > options_.drain_limit) {
        violate(11, "drained too late after the faults had stopped");
    }
    healed_at_ = base::kNever;
    drained_ = true;
    for (const auto& [number, actor] : actors_) {
        for (const Name& name : actor.asked) {
            violate(16, "consumer " + std::to_string(number) + " never learned what came of " +
                            describe(name));
        }
    }
    for (const auto& [name, message] : messages_) {
        if (!message.durable && !message.delivered) continue;
        if (message.delivered && streams_[name.stream].at_most_once) continue;
        if (message.finished || message.excused || message.remains || message.maybe_acked) continue;
        const auto is_open = [](const Hold& hold) {
            return asks_to_finish(hold.asked) && hold.answer == EventKind::deliver;
        };
        const bool open = std::any_of(message.holds.begin(), message.holds.end(), is_open);
        if (!open) violate(1, describe(name) + " is lost");
    }
}

// --- sending

void Checker::on_intend(const Event& event) {
    drained_ = false;
    const auto [at, added] = streams_[event.stream].intents.try_emplace(event.hash);
    if (!added) {
        const Message* before = find(at->second.name);
        // Brought back from the dead letters: a new message with the old body.
        if (!before || !before->finished) {
            violate(0, "two messages have the hash " + std::to_string(event.hash));
        }
    }
    at->second = Intent{event.key, false, {}};
}

void Checker::on_fail(const Event& event) {
    Stream& stream = streams_[event.stream];
    const auto at = stream.intents.find(event.hash);
    if (at == stream.intents.end()) return violate(0, "a send failed that was never tried");
    at->second.failed = true;
    if (at->second.name.seq != 0) {
        violate(2, describe(at->second.name) + " is there although its send failed");
    }
}

void Checker::check_epoch(const Event& event) {
    const auto at = producers_.find(streams_[event.stream].producer);
    if (at == producers_.end() || at->second.opened.empty()) return;  // not recorded
    if (!at->second.opened.contains(event.epoch)) {
        violate(6, describe(name_of(event)) + " has an epoch that was never opened");
    } else if (event.kind == EventKind::durable && event.epoch != at->second.epoch) {
        violate(6, describe(name_of(event)) + " became durable in an epoch that is over");
    }
}

Checker::Message& Checker::name_message(const Event& event) {
    const Name name = name_of(event);
    check_epoch(event);
    Stream& stream = streams_[event.stream];
    stream.durable_max.try_emplace(event.epoch, 0);
    const auto [at, added] = messages_.try_emplace(name);
    Message& message = at->second;
    if (added) {
        message.hash = event.hash;
        message.key = event.key;
        message.excused = damaged_.contains(name);
        if (forgotten_.contains(name)) apply_forgotten(message);
    }
    const auto intent = stream.intents.find(event.hash);
    if (intent == stream.intents.end()) {
        violate(2, describe(name) + " was never sent, or its bytes were altered");
        return message;
    }
    if (message.hash != event.hash) {
        violate(6, describe(name) + " names two messages");
        return message;
    }
    if (intent->second.failed) violate(2, describe(name) + " is there although its send failed");
    if (intent->second.key != event.key) violate(2, describe(name) + " has another key than sent");
    if (intent->second.name.seq == 0) intent->second.name = name;
    if (intent->second.name != name) {
        violate(2, describe(name) + " is " + describe(intent->second.name) + " once more");
    }
    return message;
}

void Checker::on_durable(const Event& event) {
    drained_ = false;
    ++stats_.sent;
    Message& message = name_message(event);
    if (std::exchange(message.durable, true)) {
        violate(6, describe(name_of(event)) + " is used twice");
    }
    for (auto& [epoch, seq_max] : streams_[event.stream].durable_max) {
        if (epoch == event.epoch) {
            seq_max = std::max(seq_max, event.seq);
        } else if (seq_max >= event.seq) {
            violate(6, describe(name_of(event)) + " goes back behind seq " +
                           std::to_string(seq_max) + " of epoch " + std::to_string(epoch));
        }
    }
}

// --- verdict

Verdict Checker::verdict() {
    Verdict result;
    result.violations = violations_;
    result.violation_count = violation_count_;
    result.stats = stats_;
    if (healed_at_ != base::kNever && last_at_ - healed_at_ > options_.drain_limit) {
        ++result.violation_count;
        result.violations.push_back({11, index_, "not drained although the faults have stopped"});
    }
    if (result.violation_count > 0) {
        result.outcome = Outcome::invalid;
    } else {
        result.outcome = drained_ ? Outcome::valid : Outcome::unknown;
    }
    return result;
}

}  // namespace peermq::sim
