#include "sim/history.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "sim/checker.hpp"
#include "support/seeded_random.hpp"

namespace peermq::sim {
namespace {

using test::SeededRandom;

// --- the log

TEST(History, IsTheSameAfterWritingAndReading) {
    const History history = History::parse(
        "stream stream=2 by=1 again\n"
        "opened by=1 epoch=3 hash=77\n"
        "intend 5 hash=9 key=4 stream=2 at=5000  # a comment\n"
        "deliver 5 stream=2 epoch=3 by=2 hash=9 key=4 attempt=2 again lease=3.8\n"
        "dead 5 to=6; settled 6 last=8; credit by=2 value=10; gauge value=1 limit=2; drained");
    ASSERT_EQ(history.events().size(), 9u);
    const Event& delivered = history.events()[3];
    EXPECT_EQ(delivered.kind, EventKind::deliver);
    EXPECT_EQ(delivered.lease, (base::LeaseId{3, 8}));
    EXPECT_EQ(delivered.at - history.events()[2].at, std::chrono::milliseconds(1));
    const History again = History::parse(history.text());
    EXPECT_EQ(again.events(), history.events());
    EXPECT_EQ(again.hash(), history.hash());
}

TEST(History, EveryKindHasANameOfItsOwn) {
    for (std::size_t kind = 0; kind < kEventKinds; ++kind) {
        Event event;
        event.kind = static_cast<EventKind>(kind);
        EXPECT_EQ(History::parse(to_text(event)).events().at(0).kind, event.kind);
    }
}

TEST(History, RefusesLinesThatItDoesNotUnderstand) {
    for (const char* line : {"nonsense", "deliver x", "deliver 1 by=", "deliver 1 colour=3",
                             "deliver 1 lease=3", "deliver 99999999999999999999999"}) {
        EXPECT_THROW(static_cast<void>(History::parse(line)), std::invalid_argument) << line;
    }
}

TEST(History, NumbersIdentitiesInOrderOfFirstSight) {
    History history;
    SeededRandom random(1);
    const auto first = random.id<base::StreamId>();
    const auto second = random.id<base::StreamId>();
    EXPECT_EQ(history.number_of(first), 1u);
    EXPECT_EQ(history.number_of(second), 2u);
    EXPECT_EQ(history.number_of(first), 1u);
    EXPECT_EQ(history.number_of(base::Epoch{1, 5}), 1u);
    EXPECT_EQ(history.number_of(base::Epoch{1, 6}), 2u);
}

// --- the judgement

struct Case {
    const char* name;
    int invariant;  ///< 0 in good ones: none
    std::string text;
};

std::string send(int seq, const std::string& more = "") {
    const std::string tail = std::to_string(seq) + " " + more;
    return "intend " + tail + ";durable " + tail + ";";
}

std::string take(int seq, int consumer, const std::string& more = "") {
    return "deliver " + std::to_string(seq) + " by=" + std::to_string(consumer) + " " + more + ";";
}

std::string ack(int seq, int consumer, const std::string& more = "") {
    const std::string tail = " " + std::to_string(seq) + " by=" + std::to_string(consumer);
    return "ack" + tail + ";accepted" + tail + " " + more + ";";
}

std::string work(int seq, int consumer, const std::string& more = "") {
    return take(seq, consumer, more) + ack(seq, consumer);
}

const std::string kNack = "nack 1 by=1;accepted 1 by=1;";

std::vector<Case> bad_cases() {
    return {
        {"never delivered", 1, send(1) + "drained"},
        {"one of three is missing", 1,
         send(1) + send(2) + send(3) + work(1, 1) + work(3, 1) + "drained"},
        {"delivered but never settled", 1, send(1) + take(1, 1) + "drained"},
        {"lost after a nack", 1, send(1) + take(1, 1) + kNack + "drained"},
        {"lost after its consumer crashed", 1, send(1) + take(1, 1) + "crash by=1;drained"},
        {"lost after the only ack was refused", 1,
         send(1) + take(1, 1) + "ack 1 by=1;refused 1 by=1;drained"},
        {"delivered without a receipt, then lost", 1, "intend 1;" + take(1, 1) + kNack + "drained"},
        {"settled by nobody", 1, send(1) + "settled 1"},
        {"settled after a nack only", 1, send(1) + take(1, 1) + kNack + "settled 1"},
        {"a durable message lost with the producer", 1, send(1) + "crash;opened epoch=2;drained"},
        {"lost beside reported damage", 1, send(1) + send(2) + "damaged 1;drained"},
        {"lost in another epoch than the reported damage", 1,
         "opened;damaged 1;crash;opened epoch=2;" + send(1, "epoch=2") + "drained"},

        {"never sent", 2, take(7, 1)},
        {"bytes altered", 2, send(1) + take(1, 1, "hash=99")},
        {"sent on another stream", 2, send(1) + take(1, 1, "stream=2")},
        {"came although its send failed", 2, "intend 1;fail hash=1;" + take(1, 1)},
        {"send failed after it came", 2, "intend 1;" + take(1, 1) + "fail hash=1"},
        {"came under a second name", 2, send(1) + work(1, 1) + take(2, 1, "hash=1 again")},
        {"came with another key", 2, send(1, "key=3") + take(1, 1, "key=4")},

        {"second delivery not flagged", 3, send(1) + take(1, 1) + kNack + work(1, 2)},
        {"not flagged after a crash", 3, send(1) + take(1, 1) + "crash by=1;" + work(1, 2)},
        {"not flagged after the producer restarted", 3,
         "opened;" + send(1) + take(1, 1) + "crash;crash by=1;opened epoch=2;" + work(1, 2)},
        {"not flagged after its producer in memory ended", 3,
         "stream by=3 again;" + send(1) + work(1, 2) + "crash by=3;" + take(1, 1)},
        {"third delivery not flagged", 3,
         send(1) + take(1, 1) + kNack + take(1, 2, "again") + "crash by=2;" + take(1, 1)},
        {"handed to its holder again", 3, send(1) + take(1, 1) + take(1, 1, "again")},

        {"first deliveries of a key out of order", 4,
         send(1, "key=9") + send(2, "key=9") + work(2, 1, "key=9") + work(1, 1, "key=9")},
        {"two consumers inside one key", 4,
         send(1, "key=9") + send(2, "key=9") + take(1, 1, "key=9") + take(2, 2, "key=9")},
        {"key given away while one message is left", 4,
         send(1, "key=9") + send(2, "key=9") + send(3, "key=9") + take(1, 1, "key=9") +
             take(2, 1, "key=9") + ack(1, 1) + take(3, 2, "key=9")},
        {"redelivery beside the holder of the key", 4,
         send(1, "key=9") + take(1, 1, "key=9") + take(1, 2, "key=9 again")},

        {"an older epoch after a newer one, in one key", 4,
         "opened;" + send(1, "key=9") + "crash;opened epoch=2;" + send(2, "key=9 epoch=2") +
             "deliver 2 epoch=2 by=1 key=9;" + take(1, 1, "key=9")},

        {"delivered again after its ack was accepted", 5,
         send(1) + work(1, 1) + take(1, 2, "again")},
        {"delivered again after the producer restarted", 5,
         "opened;" + send(1) + work(1, 1) + "crash;opened epoch=2;" + take(1, 1, "again")},
        {"delivered after it died", 5,
         send(1) + take(1, 1) + "reject 1 by=1;accepted 1 by=1;dead 1 to=2;" + take(1, 2, "again")},
        {"delivered after it expired", 5, send(1) + "expired 1;" + take(1, 1)},
        {"unsettled again in the spool", 5, send(1) + work(1, 1) + "remains 1"},

        {"one name for two messages", 6, send(1) + "intend hash=8;durable 1 hash=8"},
        {"name used again after its end", 6,
         send(1) + work(1, 1) + "intend hash=8;" + take(1, 1, "hash=8 again")},
        {"epoch opened twice", 6, "opened epoch=4;crash;opened epoch=4"},
        {"seq goes back in a new epoch", 6,
         "opened;" + send(5) + "crash;opened epoch=2;intend hash=8;durable 5 epoch=2 hash=8"},
        {"durable in an epoch that is over", 6, "opened;opened epoch=2;" + send(1)},
        {"an epoch that nobody opened", 6,
         "opened;" + send(1) + "intend hash=2;" + take(2, 1, "epoch=9")},
        {"one receipt too many", 6, send(1) + "durable 1"},

        {"removed from disk unsettled", 7, send(1) + "reclaimed 1"},
        {"a range removed with one message left", 7,
         send(1) + send(2) + send(3) + work(1, 1) + work(3, 1) + "reclaimed 1 last=3"},
        {"removed after a nack", 7, send(1) + take(1, 1) + kNack + "reclaimed 1 epoch=0"},
        {"removed in a range larger than the log", 7, send(1) + "reclaimed 1 last=1000000000000"},

        {"more messages than credit", 8,
         "credit by=1 value=1;" + send(1) + send(2) + take(1, 1) + take(2, 1)},
        {"credit was taken back before", 8,
         "credit by=1 value=9;credit by=1 value=0;" + send(1) + take(1, 1)},
        {"a queue above its limit", 8, "gauge value=11 limit=10"},

        {"drained too late", 11, "healed at=1000000000;drained at=200000000000"},
        {"never drained", 11, send(1) + "healed at=1000000000;crash by=5 at=200000000000"},

        {"second recovery differs", 14, "opened hash=5;crash;opened epoch=2 hash=6"},
        {"recovery after a crash within recovery differs", 14,
         "opened hash=5;" + send(1) +
             "crash;opened epoch=2 hash=6;crash;crash;opened epoch=3 hash=7"},

        {"a stale ack was accepted", 16,
         send(1) + take(1, 1, "lease=1.1") + take(1, 2, "again lease=1.2") + ack(1, 1)},
        {"a stale ack was accepted, with leases of this process", 16,
         "opened value=2;" + send(1) + take(1, 1, "lease=1.1") + take(1, 2, "again lease=2.1") +
             ack(1, 1)},
        {"accepted from two consumers", 16,
         send(1) + take(1, 1) + take(1, 2, "again") + ack(1, 1) + ack(1, 2)},
        {"an ack was never answered", 16, send(1) + take(1, 1) + "ack 1 by=1;drained"},

        {"an outcome without an ack", 0, send(1) + take(1, 1) + "accepted 1 by=1"},
        {"an ack by another consumer", 0, send(1) + take(1, 1) + "ack 1 by=2"},
    };
}

std::vector<Case> good_cases() {
    return {
        {"nothing", 0, "drained"},
        {"one message", 0, send(1) + work(1, 1) + "settled 1;reclaimed 1;drained"},
        {"a send of which nobody learned", 0, "intend 1;drained"},
        {"a send of which nobody learned comes", 0, "intend 1;" + work(1, 1) + "drained"},
        {"a receipt after the delivery", 0,
         "intend 1;" + take(1, 1) + "durable 1;" + ack(1, 1) + "drained"},
        {"a failed send", 0, "intend 1;fail hash=1;drained"},
        {"nack, then flagged", 0, send(1) + take(1, 1) + kNack + work(1, 2, "again") + "drained"},
        {"back to the same consumer", 0,
         send(1) + take(1, 1) + kNack + work(1, 1, "again") + "drained"},
        {"released", 0,
         send(1) + take(1, 1) + "release 1 by=1;accepted 1 by=1;" + work(1, 2, "again") +
             "drained"},
        {"flagged though it is the first", 0, send(1) + work(1, 1, "again") + "drained"},
        {"consumer crash", 0,
         send(1) + take(1, 1) + "crash by=1;" + work(1, 1, "again") + "drained"},
        {"consumer crash after asking, ack arrived", 0,
         send(1) + take(1, 1) + "ack 1 by=1;crash by=1;settled 1;drained"},
        {"consumer crash after asking, ack lost", 0,
         send(1) + take(1, 1) + "ack 1 by=1;crash by=1;" + work(1, 2, "again") + "drained"},
        {"ack asked again after the producer restarted", 0,
         "opened;" + send(1) + take(1, 1) +
             "ack 1 by=1;crash;opened epoch=2;accepted 1 by=1;"
             "drained"},
        {"producer gone, outcome unknown", 0,
         send(1) + take(1, 1) + "ack 1 by=1;unknown 1 by=1;drained"},
        {"rejected to the dead letters", 0,
         send(1) + take(1, 1) + "reject 1 by=1;accepted 1 by=1;dead 1 to=2;drained"},
        {"dead letter consumed", 0,
         send(1) + take(1, 1) +
             "reject 1 by=1;accepted 1 by=1;dead 1 to=2;"
             "durable 1 stream=2;deliver 1 stream=2 by=1;ack 1 stream=2 by=1;"
             "accepted 1 stream=2 by=1;drained"},
        {"dead letter brought back", 0,
         send(1) + take(1, 1) +
             "reject 1 by=1;accepted 1 by=1;dead 1 to=2;"
             "intend hash=1;durable 2 hash=1;" +
             take(2, 1, "hash=1") + ack(2, 1) + "drained"},
        {"a dead send of which nobody learned", 0,
         "intend hash=4;dead 9 to=2 hash=4;deliver 1 stream=2 by=1 hash=4;ack 1 stream=2 by=1;"
         "accepted 1 stream=2 by=1;drained"},
        {"expired", 0, send(1) + "expired 1;drained"},
        {"purged in a range", 0, send(1) + send(2) + send(3) + "purged 1 last=3;drained"},
        {"damage reported", 0, send(1) + send(2) + work(2, 1) + "damaged 1;drained"},
        {"damage in a range of unknown epoch", 0, send(3) + "damaged 1 last=9 epoch=0;drained"},
        {"nobody guards the key of a lost message", 0,
         "opened;" + send(2, "key=9") + take(2, 1, "key=9") + "damaged 2;crash;opened epoch=2;" +
             send(3, "key=9 epoch=2") +
             "deliver 3 epoch=2 by=2 key=9;ack 3 epoch=2 by=2;accepted 3 epoch=2 by=2;"
             "ack 2 by=1;refused 2 by=1;drained"},
        {"damage reported before it is delivered", 0,
         "opened;intend 1;damaged 1;crash;opened epoch=2;intend hash=8;durable 1 epoch=2 hash=8;"
         "deliver 1 epoch=2 by=1 hash=8;" +
             take(1, 2) + "ack 1 epoch=2 by=1;settled 1 epoch=0;accepted 1 epoch=2 by=1;" +
             "ack 1 by=2;refused 1 by=2;drained"},
        {"damage reported, yet delivered", 0,
         send(1) + take(1, 1) + "damaged 1;" + ack(1, 1) + "drained"},
        {"still in the spool", 0, send(1) + "remains 1;drained"},
        {"still in the spool after a nack", 0, send(1) + take(1, 1) + kNack + "remains 1;drained"},
        {"memory ends with the process", 0, "stream again;" + send(1) + "crash;drained"},
        {"memory ends with the process, delivered", 0,
         "stream by=3 again;" + send(1) + take(1, 1) + "crash by=3;drained"},
        {"acks in memory end with the process", 0,
         "stream by=3 again;" + send(1) + work(1, 2) + "crash by=3;" + take(1, 1, "again") +
             "ack 1 by=1;unknown 1 by=1;drained"},
        {"nobody guards the keys of a process that ended", 0,
         "stream by=3 again;" + send(1, "key=9") + send(2, "key=9") + work(1, 2, "key=9") +
             take(2, 2, "key=9") + "crash by=3;" + take(1, 1, "key=9 again") +
             "ack 1 by=1;unknown 1 by=1;ack 2 by=2;unknown 2 by=2;drained"},
        {"a seq comes again after a lost tail, in the order of its key", 0,
         "opened;intend hash=8 key=9;deliver 8 by=1 key=9;damaged 8;ack 8 by=1;refused 8 by=1;"
         "crash;opened epoch=2;intend hash=5 key=9;durable 2 epoch=2 hash=5 key=9;"
         "deliver 2 epoch=2 by=1 hash=5 key=9;ack 2 epoch=2 by=1;accepted 2 epoch=2 by=1;drained"},
        {"keys in order", 0,
         send(1, "key=9") + send(2, "key=9") + take(1, 1, "key=9") + take(2, 1, "key=9") +
             ack(2, 1) + ack(1, 1) + "drained"},
        {"key moves after the ack", 0,
         send(1, "key=9") + send(2, "key=9") + work(1, 1, "key=9") + work(2, 2, "key=9") +
             "drained"},
        {"key moves after a lapse", 0,
         send(1, "key=9") + take(1, 1, "key=9") + "lapse by=1;" + take(1, 2, "key=9 again") +
             ack(1, 2) + "ack 1 by=1;refused 1 by=1;drained"},
        {"key moves after a crash", 0,
         send(1, "key=9") + send(2, "key=9") + take(1, 1, "key=9") + "crash by=1;" +
             work(1, 2, "key=9 again") + work(2, 2, "key=9") + "drained"},
        {"two keys, two consumers", 0,
         send(1, "key=8") + send(2, "key=9") + take(2, 1, "key=9") + take(1, 2, "key=8") +
             ack(1, 2) + ack(2, 1) + "drained"},
        {"one key on two streams", 0,
         send(1, "key=9") + send(1, "key=9 stream=2 hash=7") + take(1, 1, "key=9") +
             take(1, 2, "key=9 stream=2 hash=7") + ack(1, 1) +
             "ack 1 by=2 stream=2;accepted 1 by=2 stream=2;drained"},
        {"an old message again after newer ones", 0,
         send(1, "key=9") + send(2, "key=9") + take(1, 1, "key=9") + kNack + work(2, 1, "key=9") +
             work(1, 1, "key=9 again") + "drained"},
        {"without keys in any order", 0,
         send(1) + send(2) + take(2, 1) + take(1, 2) + ack(1, 2) + ack(2, 1) + "drained"},
        {"stale ack refused", 0,
         send(1) + take(1, 1, "lease=1.1") + take(1, 2, "again lease=1.2") +
             "ack 1 by=1;refused 1 by=1;" + ack(1, 2) + "drained"},
        {"a restarted producer knows no leases", 0,
         "opened value=1;" + send(1) + take(1, 1, "lease=1.1") + "lapse by=1;" +
             take(1, 2, "again lease=1.2") + "crash;opened epoch=2 value=2;" + ack(1, 1) +
             "ack 1 by=2;refused 1 by=2;drained"},
        {"lease adopted again by its first holder", 0,
         send(1) + take(1, 1, "lease=1.1") + "lapse by=1;" + take(1, 2, "again lease=1.2") +
             "release 1 by=2;accepted 1 by=2;" + ack(1, 1, "lease=1.3") + "drained"},
        {"survivor of an old epoch", 0,
         "opened;" + send(1) + "crash;opened epoch=2;" + work(1, 1, "again") +
             "intend 2 epoch=2;durable 2 epoch=2;deliver 2 epoch=2 by=1;ack 2 epoch=2 by=1;"
             "accepted 2 epoch=2 by=1;drained"},
        {"credit at its limit", 0,
         "credit by=1 value=2;" + send(1) + send(2) + take(1, 1) + take(2, 1) +
             "credit by=1 value=1;" + ack(1, 1) + ack(2, 1) + "gauge value=10 limit=10;drained"},
        {"healed and drained in time", 0,
         send(1) + "healed at=1000000000;" + work(1, 1) + "drained at=120000000000"},
        {"recoveries agree", 0,
         "opened hash=5;crash;opened epoch=2 hash=5;crash;crash;opened epoch=3 hash=5;drained"},
        {"recoveries differ after work", 0,
         "opened hash=5;" + send(1) + "crash;opened epoch=2 hash=6;" + work(1, 1, "again") +
             "crash;opened epoch=3 hash=7;drained"},
    };
}

TEST(Checker, FlagsEveryBrokenRule) {
    const auto cases = bad_cases();
    EXPECT_GE(cases.size(), 40u);
    std::map<int, int> broken;
    for (const Case& each : cases) {
        const Verdict verdict = check(History::parse(each.text));
        EXPECT_EQ(verdict.outcome, Outcome::invalid) << each.name;
        EXPECT_TRUE(verdict.breaks(each.invariant)) << each.name << "\n" << verdict.text();
        ++broken[each.invariant];
    }
    for (const int invariant : {1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 16}) {
        EXPECT_GE(broken[invariant], 2) << invariant;
    }
}

TEST(Checker, AcceptsEveryHistoryThatKeepsTheRules) {
    const auto cases = good_cases();
    EXPECT_GE(cases.size(), 40u);
    for (const Case& each : cases) {
        const Verdict verdict = check(History::parse(each.text));
        EXPECT_EQ(verdict.outcome, Outcome::valid) << each.name << "\n" << verdict.text();
    }
}

TEST(Checker, SaysUnknownUnlessDrained) {
    EXPECT_EQ(check(History::parse(send(1) + work(1, 1))).outcome, Outcome::unknown);
    EXPECT_EQ(check(History::parse(send(1) + work(1, 1) + "drained;" + send(2))).outcome,
              Outcome::unknown);
}

TEST(Checker, CountsWhatItDoesNotDescribe) {
    std::string text;
    for (int i = 1; i <= 100; ++i) text += send(i);
    const Verdict verdict = check(History::parse(text + "drained"));
    EXPECT_EQ(verdict.violation_count, 100u);
    EXPECT_EQ(verdict.violations.size(), CheckOptions().violations_max);
}

TEST(Checker, TellsWhatItSaw) {
    const Verdict verdict = check(History::parse(send(1) + send(2) + take(1, 1) + kNack +
                                                 work(1, 2, "again") + work(2, 1) + "drained"));
    EXPECT_EQ(verdict.stats.sent, 2u);
    EXPECT_EQ(verdict.stats.delivered, 3u);
    EXPECT_EQ(verdict.stats.duplicates, 1u);
    EXPECT_EQ(verdict.stats.acked, 2u);
}

}  // namespace
}  // namespace peermq::sim
