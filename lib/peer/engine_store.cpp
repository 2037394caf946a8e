/// The sending side: what a group says becomes changes in the spool, and dead letters.

#include <utility>

#include "peer/dead_letter.hpp"
#include "peer/engine_hand_out.hpp"

namespace peermq::detail {
namespace {

spool::StateChange settled_change(const Producer& producer, base::Run run) {
    spool::StateChange change;
    change.kind = spool::StateChange::Kind::settled;
    change.stream = producer.stream->config().index;
    change.group = producer.index;
    change.run = run;
    return change;
}

std::string dead_reason(delivery::DeadReason reason) {
    switch (reason) {
        case delivery::DeadReason::max_attempts: return "max_attempts";
        case delivery::DeadReason::rejected: return "rejected";
        case delivery::DeadReason::expired: return "expired";
        case delivery::DeadReason::unclear: return "unclear";
    }
    return "unknown";
}

}  // namespace

void Engine::pump(Producer& producer) {
    store_facts(producer);
    wake(producer);
}

void Engine::store_facts(Producer& producer) {
    delivery::Facts facts = producer.group.take_facts();
    if (facts.empty() || producer.ending) return;
    const base::Seq floor = producer.group.settled_floor();
    OutStream& stream = *producer.stream;
    const bool stored = commits_ != nullptr && producer.stored();
    std::vector<spool::StateChange> changes;
    for (const base::Run run : facts.settled) {
        // A topic's stream waits for all of its subscriptions.
        if (!producer.subscription) stream.settle(run);
        // Of a subscription the floor tells what lies below it, in one piece.
        const bool told = producer.subscription && run.last <= floor;
        if (stored && !told) changes.push_back(settled_change(producer, run));
    }
    if (stored && producer.subscription) add_subscription_changes(producer, changes);
    if (producer.subscription) note_progress(*producer.subscription->topic);
    bool urgent = false;
    std::vector<base::Seq> retried;
    for (const delivery::Facts::Retry& retry : facts.retries) {
        if (!stored) {
            producer.group.retry_stored(retry.seq);
            continue;
        }
        spool::StateChange change;
        change.kind = spool::StateChange::Kind::retry;
        change.stream = stream.config().index;
        change.group = producer.index;
        change.retry = {retry.seq,           retry.state.nacks,
                        retry.state.crashes, retry.state.suspicions,
                        retry.state.due,     retry.state.last_error};
        changes.push_back(std::move(change));
        retried.push_back(retry.seq);
        urgent = true;  // it is not handed out before this is stored
    }
    if (!changes.empty()) {
        const std::uint64_t ticket = commits_->add_changes(std::move(changes), {}, urgent);
        if (!retried.empty()) {
            when_stored(ticket, [this, &producer, retried = std::move(retried)] {
                for (const base::Seq seq : retried) producer.group.retry_stored(seq);
                pump(producer);
            });
        }
    }
    for (const delivery::Facts::Dead& dead : facts.dead) bury(producer, dead);
    wake(producer);
}

void Engine::bury(Producer& producer, const delivery::Facts::Dead& dead) {
    if (producer.calls) return end_unclear(producer, dead);
    // There is no second grave: a dead letter ends only by a reject, which discards it.
    if (producer.dead_letters == nullptr) return drop_dead_letter(producer, dead);
    HandOut source(*this, producer);
    const OutStream::Cached found = source.find(dead.seq);
    if (found.chunk) {
        move_to_dead_letters(producer, dead, found.chunk->bytes({dead.seq, dead.seq}));
    } else if (source.lost().empty() && producer.stream->stored()) {
        producer.unburied.push_back(dead);  // it cannot be read now: again at the next tick
    } else {
        producer.group.dead_lost(dead.seq);
    }
}

void Engine::drop_dead_letter(Producer& producer, const delivery::Facts::Dead& dead) {
    OutStream& stream = *producer.stream;
    const auto finish = [this, &producer, seq = dead.seq] {
        producer.group.dead_stored(seq);
        ++producer.dropped;
        pump(producer);
    };
    if (commits_ != nullptr && producer.stored()) {
        when_stored(
            commits_->add_changes({settled_change(producer, {dead.seq, dead.seq})}, {}, true),
            finish);
    } else {
        finish();
    }
    events_.emit({EventKind::dropped, "", stream.config().name, 1,
                  "dead letter " + std::to_string(dead.seq) + " of \"" + stream.config().name +
                      "\" is dropped: " + dead_reason(dead.reason) +
                      (dead.text.empty() ? "" : " (" + dead.text + ")")});
}

void Engine::move_to_dead_letters(Producer& producer, const delivery::Facts::Dead& dead,
                                  base::ByteSpan record) {
    const auto finish = [this, &producer, seq = dead.seq] {
        producer.group.dead_stored(seq);
        ++producer.dead;
        pump(producer);
    };
    OutStream& stream = *producer.stream;
    const bool stored = commits_ != nullptr && producer.stored();
    const std::string attempts = std::to_string(dead.state.nacks + dead.state.crashes);
    const std::string sequence = std::to_string(dead.seq);
    const std::string reason = dead_reason(dead.reason);
    const std::string& error = dead.text.empty() ? dead.state.last_error : dead.text;
    record::Record letter = record::parts(record);
    const std::string headers = dead_letter_headers(
        letter.headers, {stream.config().name, reason, error, attempts, sequence});
    letter.headers = base::as_bytes(headers);
    letter.flags = 0;
    try {
        (void)producer.dead_letters->append(letter, WhenFull::never_full);
    } catch (const Error& failure) {
        // The spool has failed or is closed: the message stays for the next opening.
        if (failure.code() == ErrorCode::closed || failure.code() == ErrorCode::io_error) return;
        throw;
    }
    if (stored) {
        const std::uint64_t ticket = commits_->add_changes(
            {settled_change(producer, {dead.seq, dead.seq})}, {producer.dead_letters}, true);
        when_stored(ticket, finish);
    } else {
        finish();
    }
    events_.emit({EventKind::dead_letter, "", stream.config().name, 1,
                  "message " + sequence + " of \"" + stream.config().name + "\" went to \"" +
                      producer.dead_letters->config().name + "\" after " + attempts +
                      " failures: " + reason + (error.empty() ? "" : " (" + error + ")")});
    if (Producer* letters = find(*producer.dead_letters)) limit_dead_letters(*letters);
}

void Engine::limit_dead_letters(Producer& producer) {
    const std::uint64_t bytes = spool_ != nullptr && producer.stream->stored()
                                    ? spool_->stats().dead_bytes
                                    : producer.stream->memory_bytes();
    if (bytes <= options_.dead_bytes_max) return;
    const std::uint64_t count = drop_oldest(*producer.stream, bytes - options_.dead_bytes_max);
    if (count == 0) return;
    events_.emit({EventKind::dropped, "", producer.stream->config().name, count,
                  "dead letters exceed dead_bytes_max: the oldest " + std::to_string(count) +
                      " are dropped"});
}

void Engine::store_mark(Producer& producer) {
    const base::Seq mark = producer.group.mark_wanted();
    if (mark == 0 || mark == producer.mark_asked) return;
    producer.mark_asked = mark;
    if (commits_ == nullptr || !producer.stored()) {
        producer.group.mark_stored(mark);
        return;
    }
    spool::StateChange change;
    change.kind = spool::StateChange::Kind::mark;
    change.stream = producer.stream->config().index;
    change.group = producer.index;
    change.mark = mark;
    when_stored(commits_->add_changes({std::move(change)}, {}, true), [this, &producer, mark] {
        producer.group.mark_stored(mark);
        wake(producer);
    });
}

}  // namespace peermq::detail
