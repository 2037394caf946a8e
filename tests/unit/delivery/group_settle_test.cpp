#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

TEST(GroupSettle, MovesTheFloorWithAcksInOrder) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(10);
    const Assignment given = rig.give_one();
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 4}, given.lease).empty());
    EXPECT_EQ(rig.group.settled_floor(), 4U);
    EXPECT_EQ(rig.group.stats().oldest_unsettled, 5U);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {5, 10}, given.lease).empty());
    EXPECT_EQ(rig.group.settled_floor(), 10U);
    EXPECT_EQ(rig.group.stats().depth, 0U);
    EXPECT_EQ(rig.group.stats().oldest_unsettled, 0U);
    EXPECT_EQ(rig.group.take_facts().settled, (std::vector<Seqs>{{1, 10}}));
}

TEST(GroupSettle, KeepsAcksOutOfOrderAboveTheFloor) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(5);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::ack, {3, 4}, given.lease);
    EXPECT_EQ(rig.group.settled_floor(), 0U);
    EXPECT_EQ(rig.group.settled_above_floor().runs(), (std::vector<Seqs>{{3, 4}}));
    EXPECT_TRUE(rig.group.settled(3));
    EXPECT_FALSE(rig.group.settled(5));
    rig.settle(1, SettleKind::ack, {1, 2}, given.lease);
    EXPECT_EQ(rig.group.settled_floor(), 4U);
    EXPECT_TRUE(rig.group.settled_above_floor().empty());
}

TEST(GroupSettle, AcceptsOneEntryOverSeveralLeasesUnderTheNewest) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(6);
    const auto out = rig.give(1U << 20, 200);
    ASSERT_EQ(out.size(), 3U);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 6}, out[2].lease).empty());
    EXPECT_EQ(rig.group.settled_floor(), 6U);
}

TEST(GroupSettle, RefusesWhatWasNeverHandedOut) {
    Rig rig;
    rig.consumer(1, 2);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    const auto refused = rig.settle(1, SettleKind::ack, {1, 9}, given.lease);
    ASSERT_EQ(refused.size(), 2U);
    EXPECT_EQ(refused[0].run, (Seqs{3, 4}));
    EXPECT_EQ(refused[0].reason, RefuseReason::unknown);
    EXPECT_EQ(refused[1].run, (Seqs{5, 9}));
    EXPECT_EQ(rig.group.settled_floor(), 2U);
}

TEST(GroupSettle, SurvivesNonsenseFromTheWire) {
    Rig rig;
    rig.consumer(1, 2);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    const Seq huge = ~Seq{0};
    EXPECT_EQ(rig.settle(1, SettleKind::nack, {0, huge}, given.lease).size(), 1U);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {5, 4}, given.lease).empty());
    EXPECT_EQ(rig.settle(1, SettleKind::ack, {1, huge}, {}).size(), 3U);
    EXPECT_EQ(rig.settle(1, SettleKind::ack, {1, 2}, {Rig::kEpoch, given.lease.counter + 1}).size(),
              1U);
    EXPECT_EQ(rig.settle(1, SettleKind::ack, {1, 2}, {Rig::kEpoch + 1, 1}).size(), 1U);
    EXPECT_EQ(rig.group.settled_floor(), 0U);
    EXPECT_FALSE(rig.announce(1, {{{0, huge}, given.lease, true}}).empty());
    const std::vector<Seqs> all{{0, huge}};
    rig.group.renew(1, all, rig.now);
    rig.group.check_invariants();
}

TEST(GroupSettle, RefusesAnotherConsumersLease) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.consumer(2);
    EXPECT_EQ(rig.settle(2, SettleKind::ack, {1, 1}, given.lease).size(), 1U);
    EXPECT_FALSE(rig.group.settled(1));
    EXPECT_EQ(rig.settle(9, SettleKind::ack, {1, 1}, given.lease).at(0).reason,
              RefuseReason::unknown);
    EXPECT_EQ(rig.group.stats().refused, 2U);
}

TEST(GroupSettle, AcceptsALateAckUnderALeaseThatRanOut) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    rig.pass(30s);
    EXPECT_EQ(rig.group.stats().in_flight, 0U);
    EXPECT_TRUE(rig.ack(given).empty());
    EXPECT_EQ(rig.group.settled_floor(), 2U);
}

TEST(GroupSettle, RefusesALateAckOnceANewerLeaseWasGranted) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    rig.pass(30s);
    rig.consumer(2, 1);
    rig.group.set_window(1, 0, 0, 1);
    const Assignment newer = rig.give_one();
    EXPECT_EQ(newer.run, (Seqs{1, 1}));
    EXPECT_TRUE(newer.redelivered);
    const auto refused = rig.ack(given);
    ASSERT_EQ(refused.size(), 1U);
    EXPECT_EQ(refused[0].run, (Seqs{1, 1}));
    EXPECT_EQ(refused[0].reason, RefuseReason::newer_lease);
    EXPECT_TRUE(rig.group.settled(2));
}

TEST(GroupSettle, RefusesTheOldLeaseEvenWhenTheNewerOneCameBack) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.pass(30s);
    rig.group.set_window(1, 0, 0, 1);
    rig.consumer(2);
    rig.settle(SettleKind::release, rig.give_one());
    EXPECT_EQ(rig.ack(given).at(0).reason, RefuseReason::newer_lease);
}

TEST(GroupSettle, RefusesWhatAnotherSettled) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.pass(30s);
    rig.group.set_window(1, 0, 0, 1);
    rig.consumer(2);
    rig.ack(rig.give_one());
    EXPECT_EQ(rig.ack(given).at(0).reason, RefuseReason::settled);
}

TEST(GroupSettle, AcceptsRepetitionsUntilTheyAreConfirmed) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(3);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::ack, {1, 2}, given.lease);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 2}, given.lease).empty());
    rig.confirmed = rig.number;
    EXPECT_EQ(rig.settle(1, SettleKind::ack, {1, 2}, given.lease).at(0).reason,
              RefuseReason::settled);
    EXPECT_EQ(rig.group.stats().acked, 2U);
}

TEST(GroupSettle, AcceptsRepetitionsWhenNumbersStartAgain) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(3);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::ack, {1, 1}, given.lease);
    rig.settle(1, SettleKind::ack, {2, 2}, given.lease);
    rig.number = 0;
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 1}, given.lease).empty());
    rig.confirmed = 1;
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {2, 2}, given.lease).empty());
}

TEST(GroupSettle, CountsARepeatedNackOnce) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.settle(SettleKind::nack, given);
    EXPECT_TRUE(rig.settle(SettleKind::nack, given).empty());
    EXPECT_EQ(rig.group.stats().nacked, 1U);
    EXPECT_EQ(rig.group.take_facts().retries.size(), 1U);
}

TEST(GroupSettle, DelaysANackByBackOffWithJitter) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    Duration expected = 1s;
    for (int n = 1; n <= 5; ++n, expected *= 2) {
        const Assignment given = rig.give_one();
        EXPECT_EQ(given.attempt, n);
        rig.settle(SettleKind::nack, given);
        const Duration wait = rig.group.take_facts().retries.at(0).state.due - rig.wall;
        EXPECT_LE(rig.group.next_deadline(), rig.now + wait);
        EXPECT_GE(wait, expected * 8 / 10);
        EXPECT_LE(wait, expected * 12 / 10);
        EXPECT_FALSE(rig.group.ready());
        rig.pass(wait - 1ns);
        EXPECT_TRUE(rig.give().empty());
        rig.pass(1ns);
        EXPECT_TRUE(rig.group.ready());
    }
}

TEST(GroupSettle, BoundsTheBackOff) {
    GroupOptions options;
    options.max_attempts = 0;
    options.retry_wait_max = 4s;
    Rig rig(options);
    rig.consumer(1);
    rig.group.append(1);
    for (int n = 0; n < 40; ++n) {
        rig.settle(SettleKind::nack, rig.give_one());
        rig.pass(4800ms);
    }
    EXPECT_EQ(rig.give_one().attempt, 41);
}

TEST(GroupSettle, UsesTheGivenDelay) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::nack, {1, 1}, given.lease, Duration(0));
    rig.settle(1, SettleKind::nack, {2, 2}, given.lease, 7s);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
    rig.pass(7s);
    EXPECT_EQ(rig.give_one().run, (Seqs{2, 2}));
}

TEST(GroupSettle, ReturnsReleasedMessagesAtOnceAndUncounted) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    rig.settle(SettleKind::release, rig.give_one());
    const Assignment again = rig.give_one();
    EXPECT_EQ(again.attempt, 1);
    EXPECT_TRUE(again.redelivered);
    EXPECT_TRUE(rig.group.take_facts().empty());
}

TEST(GroupSettle, KeepsAnEarlierRedeliveredFlagThroughARecall) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    rig.settle(SettleKind::release, rig.give_one());
    rig.settle(SettleKind::recalled, rig.give_one());
    EXPECT_TRUE(rig.give_one().redelivered);
}

TEST(GroupSettle, SendsRejectedMessagesToTheDeadLetters) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    rig.settle(1, SettleKind::reject, {1, 1}, rig.give_one().lease, {}, "bad order");
    EXPECT_EQ(rig.group.stats().depth, 1U);
    EXPECT_FALSE(rig.group.settled(1));
    EXPECT_TRUE(rig.give().empty());
    const Facts facts = rig.group.take_facts();
    ASSERT_EQ(facts.dead.size(), 1U);
    EXPECT_EQ(facts.dead[0].reason, DeadReason::rejected);
    EXPECT_EQ(facts.dead[0].text, "bad order");
    rig.group.dead_stored(1);
    EXPECT_TRUE(rig.group.settled(1));
    EXPECT_EQ(rig.group.stats().dead, 1U);
}

TEST(GroupSettle, CountsADyingMessageThatCannotBeReadAsLost) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    rig.settle(1, SettleKind::reject, {1, 1}, rig.give_one().lease);
    rig.group.lose({1, 2});
    EXPECT_FALSE(rig.group.settled(1)) << "its letter may be on its way to the disk";
    rig.group.dead_lost(1);
    EXPECT_TRUE(rig.group.settled(1));
    rig.group.dead_lost(2);
    EXPECT_FALSE(rig.group.settled(2)) << "it is leased, not dying";
    EXPECT_EQ(rig.group.stats().lost, 1U);
    rig.group.check_invariants();
}

TEST(GroupSettle, LetsAMessageDieAtMaxAttempts) {
    GroupOptions options;
    options.max_attempts = 3;
    Rig rig(options);
    rig.consumer(1);
    rig.group.append(1);
    for (int n = 1; n <= 3; ++n) {
        EXPECT_TRUE(rig.group.take_facts().dead.empty());
        rig.settle(1, SettleKind::nack, {1, 1}, rig.give_one().lease, Duration(0), "no");
    }
    const Facts facts = rig.group.take_facts();
    ASSERT_EQ(facts.dead.size(), 1U);
    EXPECT_EQ(facts.dead[0].reason, DeadReason::max_attempts);
    EXPECT_EQ(facts.dead[0].state.nacks, 3U);
    EXPECT_EQ(facts.dead[0].state.last_error, "no");
}

TEST(GroupSettle, HandsOutARetryOnlyOnceItIsStored) {
    Rig rig(durable());
    rig.group.mark_stored(10);
    rig.consumer(1);
    rig.group.append(1);
    rig.settle(1, SettleKind::nack, {1, 1}, rig.give_one().lease, Duration(0));
    EXPECT_TRUE(rig.give().empty());
    EXPECT_EQ(rig.store().retries.size(), 1U);
    EXPECT_EQ(rig.give_one().attempt, 2);
}

TEST(GroupSettle, KeepsItsDelayWhileTheRetryIsStored) {
    Rig rig(durable());
    rig.group.mark_stored(10);
    rig.consumer(1);
    rig.group.append(1);
    rig.settle(1, SettleKind::nack, {1, 1}, rig.give_one().lease, 5s);
    rig.store();
    EXPECT_TRUE(rig.give().empty());
    rig.pass(5s);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

TEST(GroupSettle, IgnoresConfirmationsOfStoresThatNoLongerMatter) {
    Rig rig(durable());
    rig.group.mark_stored(10);
    rig.consumer(1);
    rig.group.append(1);
    rig.settle(SettleKind::nack, rig.give_one());
    EXPECT_EQ(rig.group.purge(), 1U);
    rig.store();
    rig.group.retry_stored(99);
    rig.group.dead_stored(99);
    rig.group.check_invariants();
    EXPECT_TRUE(rig.group.settled(1));
}

}  // namespace
}  // namespace peermq::delivery::test
