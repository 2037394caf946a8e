#include "req_rep/circuit_breaker.hpp"

#include <gtest/gtest.h>

namespace peermq::detail {
namespace {

using namespace std::chrono_literals;
using Admission = CircuitBreaker::Admission;
using Outcome = CircuitBreaker::Outcome;

struct Rig {
    CircuitBreaker breaker{2, 4, 5s};
    base::Time now{std::chrono::seconds(1000)};

    void run(Outcome outcome) {
        const Admission admission = breaker.admit(now);
        ASSERT_NE(Admission::refused, admission);
        breaker.ended(admission, outcome, now);
    }
};

TEST(CircuitBreaker, OpensWhenTooManyOfTheLatestFailed) {
    Rig rig;
    rig.run(Outcome::failure);
    EXPECT_EQ(BreakerState::closed, rig.breaker.state(rig.now));
    rig.run(Outcome::success);
    rig.run(Outcome::failure);
    EXPECT_EQ(BreakerState::open, rig.breaker.state(rig.now));
    EXPECT_EQ(Admission::refused, rig.breaker.admit(rig.now));
}

TEST(CircuitBreaker, ForgetsFailuresThatLieFurtherBackThanItsWindow) {
    Rig rig;
    rig.run(Outcome::failure);
    for (int i = 0; i < 4; ++i) rig.run(Outcome::success);
    rig.run(Outcome::failure);
    EXPECT_EQ(BreakerState::closed, rig.breaker.state(rig.now));
}

TEST(CircuitBreaker, LetsOneTrialThroughAfterTheWait) {
    Rig rig;
    rig.run(Outcome::failure);
    rig.run(Outcome::failure);
    rig.now += 5s;
    EXPECT_EQ(BreakerState::half_open, rig.breaker.state(rig.now));
    EXPECT_EQ(Admission::trial, rig.breaker.admit(rig.now));
    EXPECT_EQ(Admission::refused, rig.breaker.admit(rig.now));
}

TEST(CircuitBreaker, ClosesWhenTheTrialSucceedsAndBeginsAnew) {
    Rig rig;
    rig.run(Outcome::failure);
    rig.run(Outcome::failure);
    rig.now += 5s;
    rig.run(Outcome::success);
    EXPECT_EQ(BreakerState::closed, rig.breaker.state(rig.now));
    rig.run(Outcome::failure);
    EXPECT_EQ(BreakerState::closed, rig.breaker.state(rig.now));
}

TEST(CircuitBreaker, StaysOpenForAnotherWaitWhenTheTrialFails) {
    Rig rig;
    rig.run(Outcome::failure);
    rig.run(Outcome::failure);
    rig.now += 5s;
    rig.run(Outcome::failure);
    rig.now += 5s - 1ns;
    EXPECT_EQ(Admission::refused, rig.breaker.admit(rig.now));
    rig.now += 1ns;
    EXPECT_EQ(Admission::trial, rig.breaker.admit(rig.now));
}

TEST(CircuitBreaker, CancelledTrialMakesRoomForAnother) {
    Rig rig;
    rig.run(Outcome::failure);
    rig.run(Outcome::failure);
    rig.now += 5s;
    rig.run(Outcome::nothing);
    EXPECT_EQ(BreakerState::half_open, rig.breaker.state(rig.now));
    EXPECT_EQ(Admission::trial, rig.breaker.admit(rig.now));
}

TEST(CircuitBreaker, OlderRequestsDoNotDecideForTheTrial) {
    Rig rig;
    const Admission before = rig.breaker.admit(rig.now);
    rig.run(Outcome::failure);
    rig.run(Outcome::failure);
    rig.breaker.ended(before, Outcome::success, rig.now);
    EXPECT_EQ(BreakerState::open, rig.breaker.state(rig.now));
}

TEST(CircuitBreaker, WithoutALimitItNeverOpens) {
    CircuitBreaker breaker(0, 4, 5s);
    const base::Time now{std::chrono::seconds(1000)};
    for (int i = 0; i < 100; ++i) breaker.ended(breaker.admit(now), Outcome::failure, now);
    EXPECT_EQ(BreakerState::closed, breaker.state(now));
}

}  // namespace
}  // namespace peermq::detail
