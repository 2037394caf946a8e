#include "net/attempt_plan.hpp"

#include <gtest/gtest.h>

#include "support/fake_clock.hpp"
#include "support/seeded_random.hpp"

namespace peermq::net {
namespace {

using namespace std::chrono_literals;
using State = AttemptPlan::State;
using Verdict = AttemptPlan::Verdict;

TEST(Backoff, DoublesFromTheMinimumToTheMaximumWithJitter) {
    test::SeededRandom random(1);
    Backoff backoff(100ms, 1s);
    for (const auto ceiling : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
        const base::Duration wait = backoff.next(random);
        EXPECT_GE(wait, ceiling / 2);
        EXPECT_LE(wait, ceiling);
    }
}

TEST(Backoff, SpreadsThoseWhoStartTogether) {
    test::SeededRandom random(2);
    base::Duration least = 1h;
    base::Duration most = 0s;
    for (int index = 0; index < 100; ++index) {
        const base::Duration wait = Backoff(100ms, 1s).next(random);
        least = std::min(least, wait);
        most = std::max(most, wait);
    }
    EXPECT_LT(least, 60ms);
    EXPECT_GT(most, 90ms);
}

TEST(Backoff, StartsAnewAfterReset) {
    test::SeededRandom random(3);
    Backoff backoff(100ms, 10s);
    for (int index = 0; index < 5; ++index) static_cast<void>(backoff.next(random));
    backoff.reset();
    EXPECT_LE(backoff.next(random), 100ms);
}

TEST(Backoff, AcceptsAMaximumBelowTheMinimum) {
    test::SeededRandom random(4);
    Backoff backoff(100ms, 1ms);
    for (int index = 0; index < 5; ++index) EXPECT_LE(backoff.next(random), 100ms);
}

class Plan : public ::testing::Test {
protected:
    Verdict fail(LossReason reason, bool explained = true) {
        return plan.failed(reason, explained, clock.now(), random);
    }
    void start(std::size_t addresses) {
        clock.advance_to(plan.due());
        plan.begin(clock.now());
        plan.resolved(addresses);
    }

    test::FakeClock clock;
    test::SeededRandom random{5};
    AttemptPlan plan{100ms, 10s, clock.now()};
};

TEST_F(Plan, TriesAtOnceAndDirectlyTheFirstTime) {
    EXPECT_EQ(State::waiting, plan.state());
    EXPECT_EQ(clock.now(), plan.due());
    start(1);
    EXPECT_EQ(State::connecting, plan.state());
}

TEST_F(Plan, ProbesForTheCauseOfAnUnexplainedFailure) {
    start(1);
    EXPECT_EQ(Verdict::go_on, fail(LossReason::disconnected, false));
    EXPECT_EQ(State::probing, plan.state());
    EXPECT_EQ(Verdict::round_over, fail(LossReason::refused));
    EXPECT_EQ(LossReason::refused, plan.reason());
}

TEST_F(Plan, ProbesOnlyOncePerAddress) {
    start(1);
    EXPECT_EQ(Verdict::go_on, fail(LossReason::disconnected, false));
    plan.probe_passed();
    EXPECT_EQ(Verdict::round_over, fail(LossReason::disconnected, false));
}

TEST_F(Plan, ProbesBeforeEachLaterAttempt) {
    start(1);
    EXPECT_EQ(Verdict::round_over, fail(LossReason::disconnected));
    start(1);
    EXPECT_EQ(State::probing, plan.state());
    plan.probe_passed();
    EXPECT_EQ(State::connecting, plan.state());
}

TEST_F(Plan, TriesAllAddressesInTurnBeforeItWaits) {
    start(3);
    for (std::size_t address = 0; address < 2; ++address) {
        EXPECT_EQ(address, plan.address());
        EXPECT_EQ(Verdict::go_on, fail(LossReason::refused));
    }
    EXPECT_EQ(2u, plan.address());
    EXPECT_EQ(Verdict::round_over, fail(LossReason::refused));
    EXPECT_EQ(State::waiting, plan.state());
    EXPECT_GT(plan.due(), clock.now());
    EXPECT_EQ(LossReason::refused, plan.reason());
}

TEST_F(Plan, CallsARoundRefusedOnlyWhenAllAddressesRefuse) {
    start(2);
    EXPECT_EQ(Verdict::go_on, fail(LossReason::refused));
    EXPECT_EQ(Verdict::round_over, fail(LossReason::disconnected));
    EXPECT_EQ(LossReason::disconnected, plan.reason());
    start(3);
    EXPECT_EQ(Verdict::go_on, fail(LossReason::disconnected));
    EXPECT_EQ(Verdict::go_on, fail(LossReason::refused));
    EXPECT_EQ(Verdict::round_over, fail(LossReason::refused));
    EXPECT_EQ(LossReason::disconnected, plan.reason());
}

TEST_F(Plan, WaitsLongerAfterEachRoundUntilAccepted) {
    base::Duration last = 0s;
    for (int round = 0; round < 4; ++round) {
        start(1);
        EXPECT_EQ(Verdict::round_over, fail(LossReason::refused));
        last = plan.due() - clock.now();
    }
    EXPECT_GE(last, 400ms);
    start(1);
    plan.probe_passed();
    plan.connected();
    EXPECT_EQ(State::linked, plan.state());
    plan.accept();
    plan.lost(clock.now(), random);
    EXPECT_LE(plan.due() - clock.now(), 100ms);
}

TEST_F(Plan, KeepsBackingOffFromAPeerThatIsNeverAccepted) {
    base::Duration last = 0s;
    for (int round = 0; round < 6; ++round) {
        start(1);
        if (plan.state() == State::probing) plan.probe_passed();
        plan.connected();
        plan.lost(clock.now(), random);
        last = plan.due() - clock.now();
    }
    EXPECT_GE(last, 1600ms);
}

TEST_F(Plan, WaitsAfterAFailedLookUp) {
    plan.begin(clock.now());
    EXPECT_EQ(Verdict::round_over, fail(LossReason::disconnected));
    EXPECT_EQ(State::waiting, plan.state());
}

TEST_F(Plan, HurriesWhenSomebodyBeginsToListen) {
    start(1);
    EXPECT_EQ(Verdict::round_over, fail(LossReason::refused));
    plan.hurry(clock.now());
    EXPECT_EQ(clock.now(), plan.due());
}

}  // namespace
}  // namespace peermq::net
