#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

using ::testing::IsEmpty;

TEST(GroupRecover, WaitsForHoldersUpToTheMarkAndFlowsBeyondIt) {
    Rig rig(durable());
    rig.recover({{1, 2}, {4, 4}}, 10, 6);
    rig.group.mark_stored(100);
    EXPECT_EQ(rig.group.settled_floor(), 2U);
    EXPECT_EQ(rig.group.stats().waiting, 3U);
    rig.consumer(1);
    const Assignment fresh = rig.give_one();
    EXPECT_EQ(fresh.run, (Seqs{7, 10}));
    EXPECT_FALSE(fresh.redelivered);
    EXPECT_EQ(rig.group.next_deadline(), rig.now + 2s);
    rig.pass(2s);
    const auto out = rig.give();
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].run, (Seqs{3, 3}));
    EXPECT_EQ(out[1].run, (Seqs{5, 6}));
    EXPECT_TRUE(out[0].redelivered && out[1].redelivered);
}

TEST(GroupRecover, TakesAMarkBeyondTheEnd) {
    Rig rig(durable());
    rig.recover({}, 3, 100);
    rig.group.append(5);
    rig.consumer(1);
    const Assignment fresh = rig.give_one();
    EXPECT_EQ(fresh.run, (Seqs{4, 5}));
    EXPECT_FALSE(fresh.redelivered);
}

TEST(GroupRecover, CutsSettledRunsBeyondTheEnd) {
    Rig rig;
    rig.recover({{1, 3}, {5, 9}}, 6, 6);
    EXPECT_EQ(rig.group.stats().depth, 1U);
}

TEST(GroupRecover, AdoptsAnnouncedLeases) {
    Rig rig(durable());
    rig.recover({}, 4, 4);
    rig.consumer(1);
    EXPECT_THAT(rig.announce(1, {{{2, 3}, kOldLease, true}}), IsEmpty());
    rig.pass(2s);
    EXPECT_EQ(rig.group.stats().in_flight, 2U);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {2, 3}, kOldLease).empty());
    EXPECT_TRUE(rig.group.settled(2));
}

TEST(GroupRecover, RaisesNoAlarmForSettlementsThatMayHaveBeenStoredJustBeforeTheEnd) {
    Rig rig(durable());
    rig.recover({{1, 2}}, 4, 4);
    rig.consumer(1);
    auto refused = rig.settle(1, SettleKind::ack, {1, 2}, kOldLease);
    ASSERT_EQ(refused.size(), 1U);
    EXPECT_EQ(refused[0].run, (Seqs{1, 2}));
    EXPECT_EQ(refused[0].reason, RefuseReason::settled_before_start);
    EXPECT_EQ(rig.group.stats().refused, 0U);
    // What another consumer has settled since then is another matter.
    rig.consumer(2);
    rig.pass(2s);
    for (const Assignment& given : rig.give()) EXPECT_TRUE(rig.ack(given).empty());
    refused = rig.settle(1, SettleKind::ack, {3, 3}, kOldLease);
    ASSERT_EQ(refused.size(), 1U);
    EXPECT_EQ(refused[0].reason, RefuseReason::settled);
    EXPECT_EQ(rig.group.stats().refused, 1U);
}

TEST(GroupRecover, AcceptsAnAckForAnUnclearMessageOnceAllHoldersHadTheirTime) {
    Rig rig;
    rig.recover({}, 2, 2);
    rig.consumer(1);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 1}, kOldLease).empty());
    EXPECT_TRUE(rig.group.settling({1, 2}));
    EXPECT_FALSE(rig.group.settling({2, 2}));
    EXPECT_TRUE(rig.group.take_facts().empty());
    rig.pass(2s);
    EXPECT_TRUE(rig.group.settled(1));
    EXPECT_FALSE(rig.group.settling({1, 2}));
    EXPECT_EQ(rig.group.take_facts().settled, (std::vector<Seqs>{{1, 1}}));
    EXPECT_THAT(rig.group.overruled(1, {1, 1}), IsEmpty());
}

TEST(GroupRecover, AdoptsLateAnnouncementsUntilANewLeaseIsGranted) {
    Rig rig;
    rig.recover({}, 4, 4);
    rig.pass(2s);
    rig.consumer(1, 2);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 2}));
    rig.consumer(2);
    EXPECT_EQ(rig.announce(2, {{{1, 4}, kOldLease, true}}), (std::vector<Seqs>{{1, 2}}));
    EXPECT_EQ(rig.group.stats().in_flight, 4U);
}

TEST(GroupRecover, PrefersTheNewestOfOldLeases) {
    Rig rig;
    rig.recover({}, 1, 1);
    rig.consumer(1);
    rig.consumer(2);
    EXPECT_THAT(rig.announce(1, {{{1, 1}, kOldLease, true}}), IsEmpty());
    EXPECT_THAT(rig.announce(2, {{{1, 1}, {4, 2}, true}}), IsEmpty());
    EXPECT_EQ(rig.settle(1, SettleKind::ack, {1, 1}, kOldLease).at(0).reason,
              RefuseReason::newer_lease);
    EXPECT_TRUE(rig.settle(2, SettleKind::ack, {1, 1}, {4, 2}).empty());
}

TEST(GroupRecover, KeepsWhatAnEarlierHolderGivesBackForALaterOne) {
    for (const SettleKind kind : {SettleKind::release, SettleKind::recalled, SettleKind::nack}) {
        Rig rig(durable());
        rig.records.keys = {{1, 5}};
        rig.recover({}, 1, 1);
        rig.consumer(1);
        EXPECT_TRUE(rig.settle(1, kind, {1, 1}, kOldLease, 0s).empty());
        EXPECT_THAT(rig.give(), IsEmpty());
        rig.group.add_consumer(2, rig.now);
        EXPECT_THAT(rig.announce(2, {{{1, 1}, {4, 2}, true}}), IsEmpty());
        rig.store();
        rig.pass(2s);
        EXPECT_THAT(rig.give(), IsEmpty());
        EXPECT_TRUE(rig.settle(2, SettleKind::ack, {1, 1}, {4, 2}).empty());
        EXPECT_TRUE(rig.group.settled(1));
    }
}

// One consumer, out of reach for a while, was taken for lost, and another had the message after it:
// whichever way it ends the message, the later one may be in the key still.
class GroupRecoverEnds : public ::testing::TestWithParam<SettleKind> {
protected:
    GroupRecoverEnds() {
        GroupOptions options = durable();
        options.max_attempts = 1;  // a nack ends it, too
        rig_.emplace(options);
        rig_->records.keys = {{1, 5}, {2, 5}};
        rig_->recover({}, 2, 1);
        rig_->group.mark_stored(100);
        rig_->consumer(1);
        rig_->consumer(3);
        EXPECT_TRUE(rig_->settle(1, GetParam(), {1, 1}, kOldLease, 0s).empty());
        EXPECT_THAT(rig_->give(), IsEmpty());
    }
    std::optional<Rig> rig_;
};

TEST_P(GroupRecoverEnds, KeepTheKeyAndAreNotStoredUntilALaterHolderHadItsTime) {
    EXPECT_TRUE(rig_->group.settling({1, 1}));
    Facts facts = rig_->store();
    EXPECT_TRUE(facts.settled.empty() && facts.dead.empty());
    rig_->pass(2s);
    facts = rig_->store();
    EXPECT_EQ(facts.settled.size() + facts.dead.size(), 1U);
    EXPECT_TRUE(rig_->group.settled(1));
    EXPECT_EQ(rig_->give_one().run, (Seqs{2, 2}));
}

TEST_P(GroupRecoverEnds, AreOverruledByALaterHolder) {
    rig_->group.add_consumer(2, rig_->now);
    EXPECT_THAT(rig_->announce(2, {{{1, 1}, {4, 2}, true}}), IsEmpty());
    EXPECT_FALSE(rig_->group.settling({1, 1}));
    EXPECT_EQ(rig_->group.overruled(1, {1, 9}), (std::vector<Seqs>{{1, 1}}));
    EXPECT_EQ(rig_->settle(1, GetParam(), {1, 1}, kOldLease).at(0).reason,
              RefuseReason::newer_lease);
    rig_->store();
    rig_->pass(2s);
    EXPECT_THAT(rig_->give(), IsEmpty());  // it is inside the key
    EXPECT_TRUE(rig_->settle(2, SettleKind::ack, {1, 1}, {4, 2}).empty());
    EXPECT_EQ(rig_->store().settled.size(), 1U);
    EXPECT_EQ(rig_->give_one().run, (Seqs{2, 2}));
}

TEST_P(GroupRecoverEnds, AreOverruledByTheSettlementOfALaterHolder) {
    rig_->group.add_consumer(2, rig_->now);
    EXPECT_TRUE(rig_->settle(2, SettleKind::ack, {1, 1}, {4, 2}).empty());
    EXPECT_EQ(rig_->group.overruled(1, {1, 1}).size(), 1U);
    EXPECT_TRUE(rig_->group.settling({1, 1}));
    EXPECT_THAT(rig_->announce(2, {}), IsEmpty());
    rig_->pass(2s);
    const Facts facts = rig_->store();
    EXPECT_EQ(facts.settled, (std::vector<Seqs>{{1, 1}}));
    EXPECT_TRUE(facts.dead.empty());
}

TEST_P(GroupRecoverEnds, StandWhenAnEarlierHolderComes) {
    rig_->group.add_consumer(2, rig_->now);
    EXPECT_EQ(rig_->announce(2, {{{1, 1}, {2, 7}, true}}).size(), 1U);
    EXPECT_TRUE(rig_->group.settling({1, 1}));
    EXPECT_THAT(rig_->group.overruled(1, {1, 1}), IsEmpty());
    // Its own announcement, over another link, takes nothing back either.
    EXPECT_THAT(rig_->announce(1, {{{1, 1}, kOldLease, true}}), IsEmpty());
    EXPECT_TRUE(rig_->settle(1, GetParam(), {1, 1}, kOldLease).empty());
    rig_->remove(1, true);
    rig_->pass(2s);
    rig_->store();
    EXPECT_TRUE(rig_->group.settled(1));
}

INSTANTIATE_TEST_SUITE_P(Kinds, GroupRecoverEnds,
                         ::testing::Values(SettleKind::ack, SettleKind::reject, SettleKind::nack),
                         [](const auto& each) {
                             return std::string(each.param == SettleKind::ack      ? "Ack"
                                                : each.param == SettleKind::reject ? "Reject"
                                                                                   : "LastNack");
                         });

TEST(GroupRecover, PurgesWhatAHolderFromBeforeTurnsOutNotToHave) {
    Rig rig(durable());
    rig.recover({}, 3, 2);
    EXPECT_EQ(rig.group.purge(), 3U);
    rig.group.check_invariants();
    rig.consumer(1);
    EXPECT_THAT(rig.announce(1, {{{1, 1}, kOldLease, true}}), IsEmpty());
    rig.pass(2s);
    EXPECT_FALSE(rig.group.settled(1));
    EXPECT_TRUE(rig.group.settled(2) && rig.group.settled(3));
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 1}, kOldLease).empty());
    EXPECT_EQ(rig.group.stats().depth, 0U);
}

TEST(GroupRecover, DropsNothingThatAHolderFromBeforeMayHave) {
    Rig rig(durable());
    rig.recover({}, 3, 2);
    EXPECT_EQ(rig.group.drop_oldest(3), 1U);
    rig.group.check_invariants();
    EXPECT_EQ(rig.group.stats().waiting, 2U);
    rig.pass(2s);
    EXPECT_EQ(rig.group.drop_oldest(3), 2U);
}

TEST(GroupRecover, KeepsWhatADeadHolderHadForALaterOne) {
    Rig rig(durable());
    rig.recover({}, 1, 1);
    rig.consumer(1);
    EXPECT_THAT(rig.announce(1, {{{1, 1}, kOldLease, true}}), IsEmpty());
    rig.remove(1, true);
    rig.store();
    rig.consumer(3);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.group.add_consumer(2, rig.now);
    EXPECT_THAT(rig.announce(2, {{{1, 1}, {4, 2}, true}}), IsEmpty());
    EXPECT_EQ(rig.group.stats().in_flight, 1U);
}

TEST(GroupRecover, HandsOutWhatWasGivenBackWhenAllWereHeard) {
    Rig rig(durable());
    rig.recover({}, 1, 1);
    rig.consumer(1);
    EXPECT_TRUE(rig.settle(1, SettleKind::nack, {1, 1}, kOldLease, 0s).empty());
    EXPECT_TRUE(rig.settle(1, SettleKind::nack, {1, 1}, kOldLease, 0s).empty());
    const Facts facts = rig.store();
    ASSERT_EQ(facts.retries.size(), 1U);  // the repetition had no effect
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.pass(2s);
    EXPECT_EQ(rig.give_one().attempt, 2);
}

TEST(GroupRecover, WaitsForWhoHasComeAndNotAnnounced) {
    Rig rig(durable());
    rig.recover({}, 1, 1);
    rig.consumer(1);
    rig.group.add_consumer(2, rig.now);
    rig.pass(10s);
    EXPECT_THAT(rig.give(), IsEmpty());
    EXPECT_THAT(rig.announce(2, {}), IsEmpty());
    EXPECT_LE(rig.group.next_deadline(), rig.now);
    rig.pass(0s);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

TEST(GroupRecover, WaitsForASilentConsumerAsLongAsForALostLink) {
    Rig rig(durable());
    rig.recover({}, 1, 1);
    rig.consumer(1);
    rig.group.add_consumer(2, rig.now);
    rig.pass(1s);
    rig.group.suspect_consumer(2, rig.now);
    rig.pass(1900ms);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.pass(100ms);
    rig.pass(0s);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

TEST(GroupRecover, WaitsNoLongerThanALeaseLasts) {
    Rig rig(durable());
    rig.recover({}, 1, 1);
    rig.consumer(1);
    rig.group.add_consumer(2, rig.now);
    for (int i = 0; i < 30; ++i) {
        EXPECT_THAT(rig.give(), IsEmpty());
        rig.group.expect_holders(rig.now);
        rig.pass(1s);
    }
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

TEST(GroupRecover, WaitsForPeersThatHaveJustComeToSayWhetherTheyConsume) {
    Rig rig(durable());
    rig.recover({}, 1, 1);
    rig.consumer(1);
    rig.pass(1500ms);
    rig.group.expect_holders(rig.now);
    rig.pass(1900ms);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.pass(100ms);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

TEST(GroupRecover, RevokesAnOlderOfOldLeases) {
    Rig rig;
    rig.recover({}, 1, 1);
    rig.consumer(1);
    rig.consumer(2);
    EXPECT_THAT(rig.announce(2, {{{1, 1}, {4, 2}, true}}), IsEmpty());
    EXPECT_EQ(rig.announce(1, {{{1, 1}, kOldLease, true}}).size(), 1U);
}

TEST(GroupRecover, RevokesWhatIsSettledFreshOrUnknown) {
    Rig rig;
    rig.recover({{1, 1}}, 4, 2);
    rig.consumer(1);
    const auto revoked = rig.announce(1, {{{1, 6}, kOldLease, true}});
    base::RunSet set;
    for (const Seqs run : revoked) set.add(run);
    EXPECT_EQ(set.runs(), (std::vector<Seqs>{{1, 1}, {3, 6}}));
}

TEST(GroupRecover, KeepsFailuresAndTheirDelay) {
    Rig rig(durable());
    RetryState state;
    state.nacks = 2;
    state.due = rig.wall + 10s;
    rig.recover({}, 3, 3, {{2, state}});
    rig.consumer(1);
    rig.pass(2s);
    const auto out = rig.give();
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(rig.group.next_deadline(), rig.now + 8s);
    rig.pass(8s);
    const Assignment retry = rig.give_one();
    EXPECT_EQ(retry.run, (Seqs{2, 2}));
    EXPECT_EQ(retry.attempt, 3);
    EXPECT_TRUE(retry.redelivered);
}

TEST(GroupRecover, KeepsSuspectsAlone) {
    Rig rig(durable());
    RetryState state;
    state.suspicions = 2;
    rig.recover({}, 2, 2, {{1, state}});
    rig.pass(2s);
    rig.consumer(1);
    EXPECT_TRUE(rig.give_one().alone);
}

TEST(GroupRecover, IgnoresRetriesOfSettledOrUnknownMessages) {
    Rig rig(durable());
    rig.recover({{1, 2}}, 3, 0, {{1, {}}, {9, {}}, {0, {}}});
    EXPECT_EQ(rig.group.stats().fresh, 1U);
}

TEST(GroupRecover, FollowsTheWallClockForDueTimesOnly) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::nack, {1, 1}, given.lease, 1h);
    rig.wall += 2h;
    rig.group.tick(rig.now, rig.wall);
    EXPECT_EQ(rig.group.stats().in_flight, 1U);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

}  // namespace
}  // namespace peermq::delivery::test
