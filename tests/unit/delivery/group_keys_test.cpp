#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

using ::testing::IsEmpty;

TEST(GroupKeys, LeasesOneMessageOfAKeyAtATime) {
    Rig rig;
    rig.records.keys = {{1, 5}, {2, 5}, {3, 5}};
    rig.consumer(1);
    rig.consumer(2);
    rig.group.append(3);
    for (Seq seq = 1; seq <= 3; ++seq) {
        const Assignment given = rig.give_one();
        EXPECT_EQ(given.run, (Seqs{seq, seq}));
        EXPECT_FALSE(given.redelivered);
        EXPECT_THAT(rig.give(), IsEmpty());
        rig.ack(given);
    }
}

TEST(GroupKeys, LetsOtherKeysFlowPastABlockedOne) {
    Rig rig;
    rig.records.keys = {{1, 5}, {2, 5}, {3, 6}};
    rig.consumer(1);
    rig.group.append(4);
    const auto out = rig.give();
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].run, (Seqs{1, 1}));
    EXPECT_EQ(out[1].run, (Seqs{3, 4}));
    EXPECT_EQ(rig.group.stats().waiting, 1U);
    EXPECT_FALSE(rig.group.ready());
}

TEST(GroupKeys, PutsDifferentKeysIntoOneAssignment) {
    Rig rig;
    rig.records.keys = {{1, 5}, {2, 6}, {4, 7}};
    rig.consumer(1);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    EXPECT_EQ(given.run, (Seqs{1, 4}));
    EXPECT_TRUE(rig.ack(given).empty());
    EXPECT_EQ(rig.group.settled_floor(), 4U);
}

TEST(GroupKeys, KeepsThePlaceOfARetry) {
    Rig rig;
    rig.records.keys = {{1, 5}, {2, 5}};
    rig.consumer(1);
    rig.group.append(2);
    rig.settle(1, SettleKind::nack, {1, 1}, rig.give_one().lease, 3s);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.pass(3s);
    const Assignment retry = rig.give_one();
    EXPECT_EQ(retry.run, (Seqs{1, 1}));
    rig.ack(retry);
    EXPECT_EQ(rig.give_one().run, (Seqs{2, 2}));
}

TEST(GroupKeys, BlocksTheKeyUntilADeadMessageIsStored) {
    Rig rig(durable());
    rig.group.mark_stored(100);
    rig.records.keys = {{1, 5}, {2, 5}};
    rig.consumer(1);
    rig.group.append(2);
    rig.settle(SettleKind::reject, rig.give_one());
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.store();
    EXPECT_EQ(rig.give_one().run, (Seqs{2, 2}));
}

TEST(GroupKeys, FreesTheKeyWhenItsHolderDies) {
    Rig rig;
    rig.records.keys = {{1, 5}, {2, 5}};
    rig.consumer(1);
    rig.group.append(2);
    rig.give();
    rig.remove(1, false);
    rig.consumer(2);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

TEST(GroupKeys, StopsLookingAheadAtTheLimit) {
    GroupOptions options;
    options.key_lookahead_max = 2;
    Rig rig(options);
    rig.records.keys = {{1, 5}, {2, 5}, {3, 5}, {4, 5}};
    rig.consumer(1);
    rig.group.append(5);
    const Assignment given = rig.give_one();
    EXPECT_EQ(given.run, (Seqs{1, 1}));
    EXPECT_EQ(rig.group.stats().waiting, 2U);
    EXPECT_EQ(rig.group.stats().fresh, 2U);
    EXPECT_FALSE(rig.group.ready());
    rig.ack(given);
    EXPECT_TRUE(rig.group.ready());
    const auto out = rig.give();
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].run, (Seqs{2, 2}));
    EXPECT_EQ(out[1].run, (Seqs{5, 5}));
}

TEST(GroupKeys, LooksAheadUpToTheLimit) {
    GroupOptions options;
    options.key_lookahead_max = 3;
    Rig rig(options);
    rig.records.keys = {{1, 5}, {2, 5}, {3, 5}};
    rig.consumer(1);
    rig.group.append(4);
    EXPECT_EQ(rig.give().size(), 2U);
}

TEST(GroupKeys, WaitsForOlderMessagesOfTheKeyAfterARestart) {
    Rig rig;
    rig.records.keys = {{2, 5}, {8, 5}};
    rig.recover({}, 9, 4);
    rig.consumer(1);
    const auto out = rig.give();
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].run, (Seqs{5, 7}));
    EXPECT_EQ(out[1].run, (Seqs{9, 9}));
    rig.pass(2s);
    for (const auto& again : rig.give()) {
        EXPECT_LE(again.run.last, 4U);
        EXPECT_TRUE(again.redelivered);
        rig.ack(again);
    }
    EXPECT_EQ(rig.give_one().run, (Seqs{8, 8}));
}

TEST(GroupKeys, WaitsForAnAnnouncedHolderOfTheKey) {
    Rig rig;
    rig.records.keys = {{2, 5}, {5, 5}};
    rig.recover({{1, 1}, {3, 4}}, 6, 4);
    rig.consumer(1);
    EXPECT_THAT(rig.announce(1, {{{2, 2}, kOldLease, true}}), IsEmpty());
    rig.consumer(2);
    EXPECT_EQ(rig.give_one().run, (Seqs{6, 6}));
    rig.settle(1, SettleKind::ack, {2, 2}, kOldLease);
    EXPECT_THAT(rig.give(), IsEmpty());  // another may hold it under a later lease
    rig.pass(2s);
    EXPECT_EQ(rig.give_one().run, (Seqs{5, 5}));
}

TEST(GroupKeys, LeavesTheNextOfAKeyToAConsumerThatStillHasToTellOfTheOneBefore) {
    Rig rig(durable());
    rig.records.keys = {{1, 5}, {2, 5}, {3, 5}};
    rig.recover({}, 3, 2);
    rig.group.mark_stored(100);
    rig.consumer(2);
    EXPECT_THAT(rig.give(), IsEmpty());  // reads the keys
    // It had acked the first, and the process before had heard it, when it was given the second.
    rig.group.add_consumer(1, rig.now);
    EXPECT_THAT(rig.announce(1, {{{1, 1}, kOldLease, true}, {{2, 2}, {3, 51}, true}}), IsEmpty());
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 1}, kOldLease).empty());
    rig.pass(2s);
    EXPECT_THAT(rig.give(), IsEmpty());
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {2, 2}, {3, 51}).empty());
    EXPECT_EQ(rig.give_one().run, (Seqs{3, 3}));
}

TEST(GroupKeys, LeavesWhatAnotherHasStartedToItBeforeTheSettlementOfTheOneBeforeHasCome) {
    for (const bool started : {true, false}) {
        Rig rig(durable());
        rig.records.keys = {{1, 5}, {2, 5}};
        rig.recover({}, 2, 2);
        rig.consumer(3);
        rig.group.mark_stored(100);
        rig.group.append(3);
        rig.records.keys[3] = 6;
        EXPECT_EQ(rig.give_one().run, (Seqs{3, 3}));  // reads the keys
        rig.group.add_consumer(1, rig.now);
        rig.group.add_consumer(2, rig.now);
        EXPECT_THAT(rig.announce(1, {{{1, 1}, kOldLease, true}}), IsEmpty());
        EXPECT_EQ(rig.announce(2, {{{2, 2}, {3, 51}, started}}).empty(), started);
    }
}

TEST(GroupKeys, KeepsAnOlderOneBackWhileAYoungerIsHeld) {
    Rig rig;
    rig.records.keys = {{1, 5}, {2, 5}};
    rig.recover({}, 2, 2);
    rig.consumer(1);
    rig.announce(1, {{{2, 2}, kOldLease, true}});
    rig.pass(2s);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.settle(1, SettleKind::ack, {2, 2}, kOldLease);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 1}));
}

TEST(GroupKeys, HoldsKeyedMessagesBackWhileOlderRecordsCannotBeRead) {
    Rig rig;
    rig.records.keys = {{4, 5}};
    rig.records.unreadable = {2};
    rig.recover({}, 4, 2);
    rig.consumer(1);
    EXPECT_THAT(rig.give(), IsEmpty());
    rig.group.lose({2, 2});
    EXPECT_EQ(rig.give_one().run, (Seqs{3, 4}));
}

}  // namespace
}  // namespace peermq::delivery::test
