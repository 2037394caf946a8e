/// Negative controls: the judge is fed with histories that are known to be wrong.

#include "ledger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scene.hpp"

namespace peermq::test {
namespace {

using namespace std::chrono_literals;

std::vector<LedgerEvent> history(std::initializer_list<std::pair<int, std::string_view>> lines) {
    std::vector<LedgerEvent> events;
    for (const auto& [process, line] : lines) {
        LedgerEvent event;
        EXPECT_TRUE(parse_event(line, process, event)) << line;
        events.push_back(event);
    }
    return events;
}

LedgerEvent died(int process, Nanoseconds at) {
    LedgerEvent event;
    event.begin = event.end = at;
    event.kind = "died";
    event.process = process;
    return event;
}

/// Two messages of one key, each delivered and acked once.
std::vector<LedgerEvent> good() {
    return history({{1, "intent 1 1-1 a k"},
                    {1, "durable 2 1-1"},
                    {1, "intent 3 1-2 b k"},
                    {1, "durable 4 1-2"},
                    {2, "deliver 5 6 1-1 orders a k 1 0"},
                    {2, "ask 7 1-1 orders ack"},
                    {2, "accepted 8 1-1 orders ack"},
                    {2, "deliver 9 10 1-2 orders b k 1 0"},
                    {2, "ask 11 1-2 orders ack"},
                    {2, "accepted 12 1-2 orders ack"}});
}

std::vector<LedgerEvent> with(std::vector<LedgerEvent> events,
                              std::initializer_list<std::pair<int, std::string_view>> lines) {
    const std::vector<LedgerEvent> more = history(lines);
    events.insert(events.end(), more.begin(), more.end());
    return events;
}

std::vector<LedgerEvent> without(std::vector<LedgerEvent> events, std::string_view kind,
                                 std::string_view id) {
    std::erase_if(events, [&](const LedgerEvent& event) {
        return event.id == id && (event.kind == kind || kind.empty());
    });
    return events;
}

/// The rules that `events` break, each once.
std::set<std::string> broken(const std::vector<LedgerEvent>& events) {
    std::set<std::string> rules;
    for (const LedgerFinding& finding : judge(events).findings) rules.insert(finding.rule);
    return rules;
}

using Rules = std::set<std::string>;

TEST(Ledger, FindsNothingInAGoodHistory) { EXPECT_EQ(broken(good()), Rules{}); }

TEST(Ledger, FindsADurableMessageThatWasNeverDelivered) {
    auto events = good();
    std::erase_if(events,
                  [](const LedgerEvent& event) { return event.id == "1-2" && event.process == 2; });
    EXPECT_EQ(broken(events), Rules{"lost"});
}

TEST(Ledger, FindsADurableMessageWhoseAckHasNoOutcome) {
    EXPECT_EQ(broken(without(good(), "accepted", "1-1")), Rules{"lost"});
}

TEST(Ledger, FindsAMessageThatWasRejectedButIsNotInTheDeadLetters) {
    auto events = without(good(), "accepted", "1-1");
    events = with(without(events, "ask", "1-1"),
                  {{2, "ask 7 1-1 orders reject"}, {2, "accepted 8 1-1 orders reject"}});
    EXPECT_EQ(broken(events), Rules{"lost"});
    events = with(events, {{2, "deliver 13 14 1-1 orders.dead a k 1 0"},
                           {2, "ask 15 1-1 orders.dead ack"},
                           {2, "accepted 16 1-1 orders.dead ack"}});
    EXPECT_EQ(broken(events), Rules{});
}

TEST(Ledger, LeavesAnAckInDoubtToTheProcessThatDiedWithIt) {
    auto events = without(good(), "accepted", "1-1");
    events.push_back(died(2, 30));
    EXPECT_EQ(broken(events), Rules{});
    EXPECT_EQ(judge(events).ambiguous, 1u);
}

TEST(Ledger, LeavesARefusedAckInDoubtOnlyWhenAProcessDiedBeforeTheAnswer) {
    auto events = with(without(good(), "accepted", "1-1"), {{2, "refused 25 1-1 orders ack"}});
    EXPECT_EQ(broken(events), Rules{"lost"});
    events.push_back(died(1, 30));
    EXPECT_EQ(broken(events), Rules{"lost"});
    events.back() = died(1, 20);
    EXPECT_EQ(broken(events), Rules{});
}

TEST(Ledger, AsksNothingOfAMessageThatNeverBecameDurable) {
    EXPECT_EQ(broken(with(good(), {{1, "intent 20 1-3 c -"}})), Rules{});
}

TEST(Ledger, FindsOtherBytesAndAnotherKey) {
    auto events = good();
    for (LedgerEvent& event : events) event.hash += event.kind == "deliver" && event.id == "1-1";
    EXPECT_EQ(broken(events), Rules{"altered"});
    events = good();
    for (LedgerEvent& event : events) {
        if (event.kind == "deliver" && event.id == "1-2") event.key = "other";
    }
    EXPECT_EQ(broken(events), Rules{"altered"});
}

TEST(Ledger, FindsWhatWasNeverSentOrWhoseSendFailed) {
    EXPECT_EQ(broken(with(good(), {{2, "deliver 20 21 9-9 orders c - 1 0"}})), Rules{"invented"});
    EXPECT_EQ(broken(with(good(), {{1, "intent 20 1-3 c -"},
                                   {1, "fail 21 1-3 quota"},
                                   {2, "deliver 22 23 1-3 orders c - 1 0"}})),
              Rules{"invented"});
}

TEST(Ledger, FindsARepeatWithoutFlag) {
    const auto events = without(good(), "accepted", "1-2");
    EXPECT_EQ(broken(with(events, {{3, "deliver 13 14 1-2 orders b k 1 0"},
                                   {3, "accepted 15 1-2 orders ack"}})),
              Rules{"unflagged"});
    EXPECT_EQ(broken(with(events, {{3, "deliver 13 14 1-2 orders b k 1 1"},
                                   {3, "accepted 15 1-2 orders ack"}})),
              Rules{});
}

TEST(Ledger, FindsTheFirstDeliveryFlaggedAndTheSecondNot) {
    auto events = without(good(), "accepted", "1-2");
    for (LedgerEvent& event : events) event.redelivered = event.kind == "deliver";
    EXPECT_EQ(broken(with(events, {{3, "deliver 13 14 1-2 orders b k 1 0"},
                                   {3, "accepted 15 1-2 orders ack"}})),
              Rules{"unflagged"});
    // Not certain which of the two was first: the second was waited for all the time.
    EXPECT_EQ(broken(with(events, {{3, "deliver 1 14 1-2 orders b k 1 0"},
                                   {3, "accepted 15 1-2 orders ack"}})),
              Rules{});
}

TEST(Ledger, FindsFirstDeliveriesOfAKeyInAnotherOrder) {
    auto events = good();
    for (LedgerEvent& event : events) {
        if (event.kind != "deliver") continue;
        event.begin = event.id == "1-1" ? 9 : 5;
        event.end = event.begin + 1;
    }
    for (LedgerEvent& event : events) {
        if (event.kind == "accepted") event.begin = event.end = 20;
    }
    EXPECT_EQ(broken(events), Rules{"disordered"});
}

TEST(Ledger, FindsADeliveryAfterItsAckWasAccepted) {
    EXPECT_EQ(broken(with(good(), {{3, "deliver 9 14 1-1 orders a k 2 1"}})), Rules{"undead"});
    EXPECT_EQ(broken(with(good(), {{3, "deliver 7 14 1-1 orders a k 2 1"}})), Rules{});
}

TEST(Ledger, ReportsEachDurableMessageThatIsRemovedFromARealHistory) {
    Scene scene({});
    scene.start_producer({"count=200", "level=os"});
    scene.add_worker();
    ASSERT_TRUE(scene.until("all durable", 60s, [&] { return scene.producer().durable == 200; }));
    ASSERT_TRUE(scene.drain(60s));
    scene.end();
    const std::vector<LedgerEvent>& events = scene.ledger().events();
    ASSERT_EQ(broken(events), Rules{});

    std::size_t removed = 0;
    for (const LedgerEvent& durable : events) {
        if (durable.kind != "durable") continue;
        auto fewer = events;
        std::erase_if(fewer, [&](const LedgerEvent& event) {
            return event.id == durable.id && !event.queue.empty();
        });
        const LedgerVerdict verdict = judge(fewer);
        ASSERT_EQ(verdict.findings.size(), 1u) << durable.id;
        EXPECT_TRUE(verdict.breaks("lost"));
        EXPECT_NE(verdict.findings[0].text.find(durable.id + " "), std::string::npos);
        ++removed;
    }
    EXPECT_EQ(removed, 200u);
}

}  // namespace
}  // namespace peermq::test
