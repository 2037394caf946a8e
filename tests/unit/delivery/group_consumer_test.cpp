#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

using ::testing::IsEmpty;

TEST(GroupLease, ReturnsUnsettledRunsWhenItExpires) {
    Rig rig;
    rig.consumer(1, 4);
    rig.group.append(3);
    const Assignment given = rig.give_one();
    EXPECT_EQ(rig.group.next_deadline(), rig.now + 30s);
    rig.settle(1, SettleKind::ack, {2, 2}, given.lease);
    rig.pass(30s - 1ns);
    EXPECT_EQ(rig.group.stats().in_flight, 2U);
    rig.pass(1ns);
    EXPECT_EQ(rig.group.stats().in_flight, 0U);
    EXPECT_EQ(rig.group.stats().lease_expired, 2U);
    EXPECT_EQ(rig.group.next_deadline(), base::kNever);
}

TEST(GroupLease, LivesOnWhenRenewed) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(4);
    rig.give();
    rig.pass(20s);
    const std::vector<Seqs> runs{{1, 2}};
    rig.group.renew(1, runs, rig.now);
    rig.pass(10s);
    EXPECT_EQ(rig.group.stats().in_flight, 2U);
    rig.pass(20s);
    EXPECT_EQ(rig.group.stats().in_flight, 0U);
}

TEST(GroupLease, IsNotRenewedByOthers) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    rig.give();
    rig.consumer(2);
    rig.pass(20s);
    const std::vector<Seqs> runs{{1, 1}};
    rig.group.renew(2, runs, rig.now);
    rig.pass(10s);
    EXPECT_EQ(rig.group.stats().lease_expired, 1U);
}

TEST(GroupLease, RevivesWhenRenewedLateButBeforeAnother) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.pass(30s);
    const std::vector<Seqs> runs{{1, 1}};
    rig.group.renew(1, runs, rig.now);
    rig.group.check_invariants();
    EXPECT_EQ(rig.group.stats().in_flight, 1U);
    EXPECT_TRUE(rig.ack(given).empty());
}

TEST(GroupLease, StillFillsTheWindowOfASilentConsumerAfterExpiry) {
    Rig rig;
    rig.consumer(1, 2);
    rig.group.append(4);
    rig.give();
    rig.pass(30s);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.settle(1, SettleKind::ack, {1, 1}, {Rig::kEpoch, 1});
    const auto out = rig.give();  // what it holds again needs no second slot
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].run, (Seqs{2, 2}));
    EXPECT_EQ(out[1].run, (Seqs{3, 3}));
}

TEST(GroupSuspect, KeepsLeasesForTheGraceAndGetsNothing) {
    Rig rig;
    rig.consumer(1, 4);
    rig.group.append(2);
    rig.give();
    rig.group.append(4);
    rig.group.suspect_consumer(1, rig.now);
    EXPECT_EQ(rig.group.next_deadline(), rig.now + 2s);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.pass(2s - 1ns);
    EXPECT_EQ(rig.group.stats().in_flight, 2U);
    rig.pass(1ns);
    EXPECT_EQ(rig.group.stats().in_flight, 0U);
    EXPECT_EQ(rig.group.stats().lease_expired, 0U);
    EXPECT_TRUE(rig.group.has_consumer(1));
}

TEST(GroupSuspect, MaySettleLateAndIsForgottenAfterTheLease) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(2s);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 1}, given.lease).empty());
    rig.pass(30s);
    EXPECT_FALSE(rig.group.has_consumer(1));
    EXPECT_EQ(rig.settle(1, SettleKind::ack, {2, 2}, given.lease).size(), 1U);
}

TEST(GroupSuspect, KeepsWhatItAnnouncesOnReturn) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(6);
    const Assignment given = rig.give_one();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(1s);
    rig.group.resume_consumer(1, rig.now);
    EXPECT_THAT(rig.give(), IsEmpty());
    EXPECT_THAT(rig.announce(1, {{{1, 2}, given.lease, true}, {{3, 4}, given.lease, false}}),
                IsEmpty());
    const Assignment again = rig.give_one();
    EXPECT_EQ(again.run, (Seqs{5, 6}));
    EXPECT_FALSE(again.redelivered);
    rig.pass(10s);
    EXPECT_EQ(rig.group.stats().in_flight, 6U);
}

TEST(GroupSuspect, AnnouncesInParts) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    rig.group.suspect_consumer(1, rig.now);
    rig.group.resume_consumer(1, rig.now);
    rig.announce(1, {{{1, 2}, given.lease, true}}, false);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.announce(1, {{{3, 3}, given.lease, true}}, true);
    EXPECT_EQ(rig.give_one().run, (Seqs{4, 4}));
}

TEST(GroupSuspect, AdoptsAfterTheGraceWhatNobodyElseGot) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(3s);
    rig.consumer(2, 2);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 2}));
    rig.group.resume_consumer(1, rig.now);
    EXPECT_EQ(rig.announce(1, {{{1, 4}, given.lease, true}}), (std::vector<Seqs>{{1, 2}}));
    EXPECT_EQ(rig.group.stats().in_flight, 4U);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {3, 4}, given.lease).empty());
}

TEST(GroupSuspect, DoesNotRevokeWhatItSettledUnconfirmed) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::ack, {1, 1}, given.lease);
    rig.group.suspect_consumer(1, rig.now);
    rig.group.resume_consumer(1, rig.now);
    EXPECT_THAT(rig.announce(1, {{{1, 2}, given.lease, true}}), IsEmpty());
}

TEST(GroupSuspect, MayComeBackAsANewConsumerOnceForgotten) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(2s);
    rig.pass(30s);
    rig.consumer(2);
    EXPECT_THAT(rig.announce(2, {{{1, 1}, given.lease, true}}), IsEmpty());
    EXPECT_TRUE(rig.settle(2, SettleKind::ack, {1, 1}, given.lease).empty());
}

TEST(GroupDeath, ReturnsAllUncountedOnBye) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(3);
    rig.give();
    rig.remove(1, false);
    EXPECT_FALSE(rig.group.has_consumer(1));
    rig.consumer(2);
    const Assignment again = rig.give_one();
    EXPECT_EQ(again.run, (Seqs{1, 3}));
    EXPECT_TRUE(again.redelivered);
    EXPECT_TRUE(rig.group.take_facts().empty());
}

TEST(GroupDeath, SuspectsOnlyTheFirstConcurrencyMessages) {
    Rig rig;
    rig.consumer(1, 10, 2);
    rig.group.append(6);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::ack, {2, 2}, given.lease);
    rig.remove(1, true);
    const Facts facts = rig.store();
    ASSERT_EQ(facts.retries.size(), 2U);
    EXPECT_EQ(facts.retries[0].seq, 1U);
    EXPECT_EQ(facts.retries[1].seq, 3U);
    EXPECT_EQ(facts.retries[0].state.suspicions, 1U);
    EXPECT_EQ(facts.retries[0].state.crashes, 0U);
    rig.consumer(2);
    for (const auto& again : rig.give()) {
        EXPECT_EQ(again.attempt, 1);
        EXPECT_TRUE(again.redelivered);
        EXPECT_FALSE(again.alone);
    }
    EXPECT_EQ(rig.group.stats().suspicions, 2U);
}

TEST(GroupDeath, ChargesInHandOutOrderNotInSeqOrder) {
    Rig rig;
    rig.consumer(1, 4, 1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::release, {1, 1}, given.lease);
    rig.give();
    rig.remove(1, true);
    EXPECT_EQ(rig.store().retries.at(0).seq, 2U);
}

TEST(GroupDeath, StoresASuspicionBeforeTheNextHandOut) {
    Rig rig(durable());
    rig.group.mark_stored(100);
    rig.consumer(1, 1);
    rig.group.append(1);
    rig.give();
    rig.remove(1, true);
    rig.consumer(2);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.store();
    EXPECT_EQ(rig.give().size(), 1U);
}

/// Lets message 1 be in a dying worker's hands `deaths` times.
void kill_with_first(Rig& rig, int deaths) {
    for (int n = 0; n < deaths; ++n) {
        const auto id = static_cast<ConsumerId>(100 + n);
        rig.consumer(id, 1);
        rig.give();
        rig.remove(id, true);
        rig.store();
    }
}

TEST(GroupDeath, HandsOutASuspectOfTwoDeathsAlone) {
    Rig rig;
    rig.group.append(5);
    kill_with_first(rig, 2);
    rig.consumer(1, 10);
    const Assignment alone = rig.give_one();
    EXPECT_EQ(alone.run, (Seqs{1, 1}));
    EXPECT_TRUE(alone.alone);
    EXPECT_TRUE(alone.redelivered);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.consumer(2, 10);
    EXPECT_EQ(rig.give_one().run, (Seqs{2, 5}));
    EXPECT_TRUE(rig.ack(alone).empty());
    rig.group.append(6);
    EXPECT_EQ(rig.give_one().consumer, 1U);
}

TEST(GroupDeath, EmptiesOneBusyConsumerForAMessageThatGoesAlone) {
    Rig rig;
    rig.group.append(1);
    kill_with_first(rig, 1);
    rig.consumer(50, 1);
    rig.give();  // the suspect is with 50
    rig.consumer(1, 2);
    rig.group.append(3);
    const Assignment busy = rig.give_one();
    rig.remove(50, true);
    rig.store();
    rig.group.append(9);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.settle(1, SettleKind::ack, {2, 2}, busy.lease);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.settle(1, SettleKind::ack, {3, 3}, busy.lease);
    EXPECT_TRUE(rig.give_one().alone);
}

TEST(GroupDeath, CountsACrashWhenTheMessageWasAlone) {
    Rig rig;
    rig.group.append(1);
    kill_with_first(rig, 3);
    rig.consumer(1, 10);
    const Assignment given = rig.give_one();
    EXPECT_TRUE(given.alone);
    EXPECT_EQ(given.attempt, 2);
    EXPECT_EQ(rig.group.stats().crashes, 1U);
    EXPECT_EQ(rig.group.stats().suspicions, 2U);
}

TEST(GroupDeath, LetsAKillerDieAtMaxAttempts) {
    GroupOptions options;
    options.max_attempts = 2;
    Rig rig(options);
    rig.group.append(1);
    kill_with_first(rig, 3);
    rig.consumer(1, 1);
    rig.give();
    rig.remove(1, true);
    const Facts facts = rig.store();
    ASSERT_EQ(facts.dead.size(), 1U);
    EXPECT_EQ(facts.dead[0].state.crashes, 2U);
    EXPECT_TRUE(rig.group.settled(1));
}

TEST(GroupDeath, ClearsASuspectByItsAck) {
    Rig rig;
    rig.group.append(2);
    kill_with_first(rig, 1);
    rig.consumer(1, 10);
    for (const auto& given : rig.give()) EXPECT_TRUE(rig.ack(given).empty());
    EXPECT_EQ(rig.group.stats().depth, 0U);
}

TEST(GroupDeath, ChargesWhatCameBackFromItButWentToNobodyElse) {
    Rig rig;
    rig.consumer(1, 3, 1);
    rig.group.append(3);
    rig.give();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(2s);
    rig.remove(1, true);
    EXPECT_EQ(rig.store().retries.at(0).seq, 1U);
    EXPECT_EQ(rig.group.stats().waiting, 3U);
}

TEST(GroupConsumer, HasANewGraceWhenItWasHeardAgain) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(1900ms);
    rig.group.suspect_consumer(1, rig.now);
    rig.consumer(2);
    rig.pass(1900ms);
    EXPECT_TRUE(rig.give().empty());
    rig.pass(100ms);
    EXPECT_EQ(rig.give_one().run, given.run);
}

}  // namespace
}  // namespace peermq::delivery::test
