#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "sim/checker.hpp"
#include "sim/history.hpp"
#include "support/seeded_random.hpp"

/// Good histories that a machine made stay good; one edit makes each of them bad.

namespace peermq::sim {
namespace {

using test::SeededRandom;

constexpr base::Seq kMessages = 60;
constexpr std::uint64_t kKeys = 5;

Event make(EventKind kind, base::Seq seq, ActorId actor = 0) {
    Event event;
    event.kind = kind;
    event.seq = seq;
    event.actor = actor;
    if (kind == EventKind::intend || kind == EventKind::durable || kind == EventKind::deliver) {
        event.hash = 1000 + seq;
        event.key = 1 + seq % kKeys;
    }
    return event;
}

/// Messages of a few keys, handed out in order to three consumers that ack, nack and crash.
std::vector<Event> good_history(SeededRandom& random) {
    std::vector<Event> log;
    for (base::Seq seq = 1; seq <= kMessages; ++seq) {
        log.push_back(make(EventKind::intend, seq));
        log.push_back(make(EventKind::durable, seq));
    }
    std::uint64_t lease = 0;
    for (base::Seq seq = 1; seq <= kMessages; ++seq) {
        for (std::uint16_t attempt = 1;; ++attempt) {
            const auto actor = static_cast<ActorId>(random.between(1, 3));
            Event delivered = make(EventKind::deliver, seq, actor);
            delivered.attempt = attempt;
            delivered.again = attempt > 1;
            delivered.lease = {1, ++lease};
            log.push_back(delivered);
            const std::uint64_t fate = random.below(10);
            if (fate == 0) {
                log.push_back(make(EventKind::crash, 0, actor));
                continue;
            }
            log.push_back(make(fate == 1 ? EventKind::nack : EventKind::ack, seq, actor));
            log.push_back(make(EventKind::accepted, seq, actor));
            if (fate != 1) break;
        }
    }
    log.push_back(make(EventKind::drained, 0));
    return log;
}

std::size_t pick(const std::vector<Event>& log, EventKind kind, SeededRandom& random) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < log.size(); ++i) {
        if (log[i].kind == kind) found.push_back(i);
    }
    return found[random.below(found.size())];
}

void drop(std::vector<Event>& log, SeededRandom& random) {
    const base::Seq seq = random.between(1, kMessages);
    std::erase_if(log, [&](const Event& event) {
        return event.seq == seq && event.kind != EventKind::intend &&
               event.kind != EventKind::durable;
    });
}

void copy_unflagged(std::vector<Event>& log, SeededRandom& random) {
    const std::size_t at = pick(log, EventKind::deliver, random);
    Event copy = log[at];
    copy.again = false;
    const auto to = static_cast<std::ptrdiff_t>(random.between(at + 1, log.size() - 1));
    log.insert(log.begin() + to, copy);
}

/// Swaps the bodies of two messages, as a receiver that mixes up its buffers would.
void swap_bodies(std::vector<Event>& log, SeededRandom& random) {
    const std::size_t one = pick(log, EventKind::deliver, random);
    std::size_t other = one;
    while (log[other].seq == log[one].seq) other = pick(log, EventKind::deliver, random);
    std::swap(log[one].hash, log[other].hash);
}

/// Two messages of one key change places.
void swap_order(std::vector<Event>& log, SeededRandom& random) {
    const base::Seq seq = random.between(1, kMessages - kKeys);
    for (Event& event : log) {
        if (event.kind == EventKind::intend || event.kind == EventKind::durable) continue;
        const base::Seq before = event.seq;
        if (before == seq) event.seq = seq + kKeys;
        if (before == seq + kKeys) event.seq = seq;
        if (event.kind == EventKind::deliver) event.hash = 1000 + event.seq;
    }
}

void alter_hash(std::vector<Event>& log, SeededRandom& random) {
    log[pick(log, EventKind::deliver, random)].hash ^= std::uint64_t{1} << random.below(64);
}

void forge_name(std::vector<Event>& log, SeededRandom& random) {
    Event& event = log[pick(log, EventKind::deliver, random)];
    event.seq += kMessages;
}

void foreign_ack(std::vector<Event>& log, SeededRandom& random) {
    Event& event = log[pick(log, EventKind::accepted, random)];
    event.actor += 1;
}

using Edit = void (*)(std::vector<Event>&, SeededRandom&);
constexpr std::array<Edit, 7> kEdits{drop,       copy_unflagged, swap_bodies, swap_order,
                                     alter_hash, forge_name,     foreign_ack};

Verdict judge(const std::vector<Event>& log) {
    Checker checker;
    for (const Event& event : log) checker.add(event);
    return checker.verdict();
}

TEST(CheckerEdits, OneEditOfAGoodHistoryIsAlwaysFlagged) {
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        SeededRandom random(seed);
        std::vector<Event> log = good_history(random);
        const Verdict before = judge(log);
        ASSERT_EQ(before.outcome, Outcome::valid) << "seed " << seed << "\n" << before.text();
        const std::size_t edit = seed % kEdits.size();
        kEdits[edit](log, random);
        EXPECT_EQ(judge(log).outcome, Outcome::invalid) << "seed " << seed << " edit " << edit;
    }
}

TEST(CheckerEdits, TextKeepsTheJudgement) {
    SeededRandom random(1);
    History history;
    for (const Event& event : good_history(random)) history.add(event);
    const History again = History::parse(history.text());
    EXPECT_EQ(again.events(), history.events());
    EXPECT_EQ(check(again).outcome, Outcome::valid);
}

}  // namespace
}  // namespace peermq::sim
