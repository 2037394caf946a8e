#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

TEST(GroupHandOut, GivesAllInOneRunWithinTheWindow) {
    Rig rig;
    rig.consumer(1, 100);
    rig.group.append(100);
    const Assignment given = rig.give_one();
    EXPECT_EQ(given.run, (Seqs{1, 100}));
    EXPECT_EQ(given.consumer, 1U);
    EXPECT_EQ(given.lease, (LeaseId{Rig::kEpoch, 1}));
    EXPECT_EQ(given.attempt, 1);
    EXPECT_FALSE(given.redelivered);
    EXPECT_FALSE(given.alone);
    EXPECT_EQ(given.bytes, 10'000U);
}

TEST(GroupHandOut, StopsAtTheMessageWindow) {
    Rig rig;
    rig.consumer(1, 10);
    rig.group.append(11);
    const Assignment given = rig.give_one();
    EXPECT_EQ(given.run, (Seqs{1, 10}));
    EXPECT_TRUE(rig.give().empty());
    rig.settle(1, SettleKind::ack, {1, 1}, given.lease);
    EXPECT_EQ(rig.give_one().run, (Seqs{11, 11}));
}

TEST(GroupHandOut, GivesNothingWithoutAWindow) {
    Rig rig;
    rig.group.add_consumer(1, rig.now);
    rig.group.append(5);
    EXPECT_TRUE(rig.give().empty());
    EXPECT_TRUE(rig.group.ready());
}

TEST(GroupHandOut, StopsAtTheByteWindow) {
    Rig rig;
    rig.consumer(1, 100, 1, 250);
    rig.group.append(5);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 2}));
    EXPECT_TRUE(rig.give().empty());
}

TEST(GroupHandOut, GivesOneMessageLargerThanTheByteWindowToAnEmptyConsumer) {
    Rig rig;
    rig.consumer(1, 100, 1, 50);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    EXPECT_EQ(given.run, (Seqs{1, 1}));
    EXPECT_TRUE(rig.give().empty());
    rig.ack(given);
    EXPECT_EQ(rig.give_one().run, (Seqs{2, 2}));
}

TEST(GroupHandOut, CutsAssignmentsAtTheBatchSize) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(5);
    const auto out = rig.give(1U << 20, 200);
    ASSERT_EQ(out.size(), 3U);
    EXPECT_EQ(out[0].run, (Seqs{1, 2}));
    EXPECT_EQ(out[2].run, (Seqs{5, 5}));
    EXPECT_LT(out[0].lease, out[1].lease);
}

TEST(GroupHandOut, GivesARecordLargerThanABatchByItself) {
    Rig rig;
    rig.consumer(1);
    rig.records.sizes[2] = 1000;
    rig.group.append(3);
    const auto out = rig.give(1U << 20, 300);
    ASSERT_EQ(out.size(), 3U);
    EXPECT_EQ(out[1].run, (Seqs{2, 2}));
    EXPECT_EQ(out[1].bytes, 1000U);
}

TEST(GroupHandOut, SaysThatMoreCouldGoWhenTheBudgetIsSpent) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(5);
    EXPECT_EQ(rig.give(300).size(), 1U);
    EXPECT_TRUE(rig.more);
    EXPECT_EQ(rig.give(300).size(), 1U);
    EXPECT_FALSE(rig.more);
}

TEST(GroupHandOut, LetsOneRecordExceedAnUnusedBudget) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    EXPECT_EQ(rig.give(10).size(), 1U);
    EXPECT_TRUE(rig.more);
}

TEST(GroupHandOut, LeavesOutConsumersWhoseLinkIsFull) {
    Rig rig;
    rig.consumer(1);
    rig.consumer(2);
    rig.records.rooms[1] = 0;
    rig.group.append(4);
    for (const auto& given : rig.give()) EXPECT_EQ(given.consumer, 2U);
    EXPECT_EQ(rig.group.stats().in_flight, 4U);
}

TEST(GroupHandOut, KeepsToTheRoomOfALink) {
    Rig rig;
    rig.consumer(1);
    rig.records.rooms[1] = 250;
    rig.group.append(5);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 2}));
    rig.records.rooms[1] = 1;
    EXPECT_EQ(rig.give_one().run, (Seqs{3, 3}));
}

TEST(GroupHandOut, SharesAFewMessagesAmongIdleConsumers) {
    Rig rig;
    for (ConsumerId id = 1; id <= 4; ++id) rig.consumer(id, 64);
    rig.group.append(10);
    std::map<ConsumerId, std::uint64_t> got;
    for (const auto& given : rig.give()) got[given.consumer] += given.run.count();
    ASSERT_EQ(got.size(), 4U);
    for (const auto& [id, count] : got) EXPECT_LE(count, 3U) << id;
}

TEST(GroupHandOut, PrefersTheConsumerWithTheLargestFreeShare) {
    Rig rig;
    rig.consumer(1, 10);
    rig.group.append(8);
    rig.give();
    rig.consumer(2, 4);
    rig.group.append(9);
    EXPECT_EQ(rig.give_one().consumer, 2U);
}

TEST(GroupHandOut, GivesReturnedMessagesBeforeFreshOnes) {
    Rig rig;
    rig.consumer(1, 4);
    rig.group.append(8);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::release, {2, 3}, given.lease);
    const Assignment again = rig.give_one();
    EXPECT_EQ(again.run, (Seqs{2, 3}));
    EXPECT_TRUE(again.redelivered);
    EXPECT_EQ(again.attempt, 1);
}

TEST(GroupHandOut, JoinsNeighboursThatCameBackOneByOne) {
    Rig rig;
    rig.consumer(1, 4);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    for (Seq seq = 1; seq <= 4; ++seq) rig.settle(1, SettleKind::release, {seq, seq}, given.lease);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 4}));
}

TEST(GroupHandOut, DoesNotMixRedeliveredWithUnflaggedOnes) {
    Rig rig;
    rig.consumer(1, 4);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::release, {1, 2}, given.lease);
    rig.settle(1, SettleKind::recalled, {3, 4}, given.lease);
    const auto out = rig.give();
    ASSERT_EQ(out.size(), 2U);
    EXPECT_TRUE(out[0].redelivered);
    EXPECT_FALSE(out[1].redelivered);
}

TEST(GroupHandOut, GoesOnWithFreshOnesWhileReturnedOnesCannotBeRead) {
    Rig rig;
    rig.consumer(1, 10);
    rig.group.append(2);
    rig.settle(SettleKind::release, rig.give_one());
    rig.records.unreadable.insert(1);
    rig.group.append(4);
    EXPECT_EQ(rig.give_one().run, (Seqs{3, 4}));
    rig.records.unreadable.clear();
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 2}));
}

TEST(GroupHandOut, TakesShortSlicesOneAfterTheOther) {
    Rig rig;
    rig.consumer(1, 10);
    rig.records.slice_max = 3;
    rig.group.append(7);
    EXPECT_EQ(rig.give().size(), 3U);
    EXPECT_EQ(rig.group.stats().in_flight, 7U);
}

TEST(GroupHandOut, SettlesLostMessagesWithoutHandingThemOut) {
    Rig rig;
    rig.consumer(1, 10);
    rig.group.append(6);
    rig.group.lose({3, 4});
    const auto out = rig.give();
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[1].run, (Seqs{5, 6}));
    EXPECT_TRUE(rig.group.settled(3));
    EXPECT_EQ(rig.group.stats().lost, 2U);
}

TEST(GroupHandOut, LeavesLeasedMessagesWhenTheyAreLostOnDisk) {
    Rig rig;
    rig.consumer(1, 2);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    rig.group.lose({1, 4});
    EXPECT_EQ(rig.group.stats().lost, 2U);
    EXPECT_TRUE(rig.ack(given).empty());
    EXPECT_EQ(rig.group.settled_floor(), 4U);
}

TEST(GroupHandOut, PausesWithoutTouchingLeases) {
    Rig rig;
    rig.consumer(1, 2);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    rig.group.pause();
    EXPECT_FALSE(rig.group.ready());
    EXPECT_TRUE(rig.ack(given).empty());
    EXPECT_TRUE(rig.give().empty());
    rig.group.resume();
    EXPECT_EQ(rig.give_one().run, (Seqs{3, 4}));
}

TEST(GroupHandOut, PurgesAllButLeasedMessages) {
    Rig rig;
    rig.consumer(1, 3);
    rig.group.append(10);
    const Assignment given = rig.give_one();
    rig.settle(1, SettleKind::release, {2, 2}, given.lease);
    EXPECT_EQ(rig.group.purge(), 8U);
    rig.group.check_invariants();
    EXPECT_EQ(rig.group.stats().depth, 2U);
    EXPECT_EQ(rig.group.stats().purged, 8U);
    rig.group.append(11);
    EXPECT_EQ(rig.give_one().run, (Seqs{11, 11}));
}

TEST(GroupHandOut, SettlesAtOnceWithoutAcks) {
    GroupOptions options;
    options.ack_required = false;
    Rig rig(options);
    rig.consumer(1, 10);
    rig.group.append(25);
    const Assignment given = rig.give_one();
    EXPECT_EQ(given.run, (Seqs{1, 10}));
    EXPECT_EQ(rig.group.settled_floor(), 10U);
    EXPECT_EQ(rig.group.take_facts().settled, (std::vector<Seqs>{{1, 10}}));
    // The window holds all the same: an ack frees its slots and says nothing else.
    EXPECT_TRUE(rig.give().empty());
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 4}, given.lease).empty());
    EXPECT_EQ(rig.give_one().run, (Seqs{11, 14}));
    EXPECT_EQ(rig.group.stats().refused, 0U);
    rig.group.check_invariants();
}

TEST(GroupHandOut, LetsOnlyTheFirstConsumersServeUnderMaxConsumers) {
    GroupOptions options;
    options.max_consumers = 1;
    Rig rig(options);
    rig.consumer(1, 2);
    rig.consumer(2, 2);
    rig.group.append(4);
    EXPECT_EQ(rig.give_one().consumer, 1U);
    EXPECT_EQ(rig.group.stats().standby, 1U);
    rig.group.suspect_consumer(1, rig.now);
    EXPECT_TRUE(rig.give().empty());
    rig.pass(2s);
    for (const auto& given : rig.give()) EXPECT_EQ(given.consumer, 2U);
    EXPECT_EQ(rig.group.stats().in_flight, 2U);
    rig.group.resume_consumer(1, rig.now);
    rig.announce(1, {});
    EXPECT_EQ(rig.group.stats().standby, 1U);
}

TEST(GroupHandOut, TellsWhoServesUnderMaxConsumersAndWhenThatChanges) {
    GroupOptions options;
    options.max_consumers = 1;
    Rig rig(options);
    EXPECT_FALSE(rig.group.active(1));
    rig.consumer(1);
    rig.consumer(2);
    EXPECT_TRUE(rig.group.active(1));
    EXPECT_FALSE(rig.group.active(2));
    const std::uint64_t before = rig.group.activity();
    rig.group.suspect_consumer(1, rig.now);
    EXPECT_TRUE(rig.group.active(1)) << "it may come back";
    rig.pass(2s);
    EXPECT_FALSE(rig.group.active(1));
    EXPECT_TRUE(rig.group.active(2));
    EXPECT_NE(rig.group.activity(), before);
    options.max_consumers = 0;
    rig.group.configure(options);
    rig.group.resume_consumer(1, rig.now);
    EXPECT_TRUE(rig.group.active(1));
    EXPECT_TRUE(rig.group.active(2));
}

TEST(GroupMark, HoldsFreshMessagesUntilTheMarkIsStored) {
    Rig rig(durable());
    rig.group.append(10);
    EXPECT_EQ(rig.group.mark_wanted(), 0U);
    rig.consumer(1, 100);
    EXPECT_TRUE(rig.give().empty());
    EXPECT_EQ(rig.group.mark_wanted(), base::limits::kHandoutMarkBlockMin);
    EXPECT_EQ(rig.group.mark_wanted(), base::limits::kHandoutMarkBlockMin);
    rig.group.mark_stored(4);
    EXPECT_EQ(rig.give_one().run, (Seqs{1, 4}));
    EXPECT_EQ(rig.group.mark_wanted(), base::limits::kHandoutMarkBlockMin);
    rig.group.mark_stored(base::limits::kHandoutMarkBlockMin);
    EXPECT_EQ(rig.group.mark_wanted(), 0U);
    EXPECT_EQ(rig.give_one().run, (Seqs{5, 10}));
}

TEST(GroupMark, AsksForTheNextBlockWhenHalfIsUsed) {
    constexpr Seq kBlock = base::limits::kHandoutMarkBlockMin;
    Rig rig(durable());
    rig.records.slice_max = kBlock;
    rig.consumer(1, kBlock);
    rig.group.mark_stored(kBlock);
    rig.group.append(kBlock / 2);
    rig.give(1U << 30, 1U << 30);
    EXPECT_EQ(rig.group.mark_wanted(), 0U);
    rig.group.append(kBlock / 2 + 1);
    rig.give(1U << 30, 1U << 30);
    EXPECT_EQ(rig.group.mark_wanted(), kBlock / 2 + 1 + kBlock);
}

TEST(GroupMark, BlockFollowsTheRate) {
    constexpr Seq kBlock = base::limits::kHandoutMarkBlockMin;
    Rig rig(durable());
    rig.records.slice_max = kBlock;
    rig.consumer(1, 1000 * kBlock);
    rig.group.append(1000 * kBlock);
    rig.give();
    EXPECT_EQ(rig.group.mark_wanted(), kBlock);
    rig.group.mark_stored(kBlock);
    rig.give(1U << 30, 1U << 30);
    EXPECT_EQ(rig.group.mark_wanted(), kBlock + 2 * kBlock);  // at once: twice as far
    rig.group.mark_stored(3 * kBlock);
    rig.pass(1s);
    rig.give(1U << 30, 1U << 30);
    EXPECT_EQ(rig.group.mark_wanted(), 3 * kBlock + kBlock);  // a second later: half as far
}

TEST(GroupRecall, AsksBackHalfOfTheExcessForAnIdleConsumer) {
    Rig rig;
    rig.consumer(1, 100, 2);
    rig.group.append(12);
    const Assignment given = rig.give_one();
    rig.consumer(2, 100, 2);
    EXPECT_TRUE(rig.group.take_recalls(rig.now + 19ms).empty());
    EXPECT_EQ(rig.group.next_deadline(), rig.now + 20ms);
    rig.pass(20ms);
    const auto recalls = rig.group.take_recalls(rig.now);
    ASSERT_EQ(recalls.size(), 1U);
    EXPECT_EQ(recalls[0].consumer, 1U);
    EXPECT_EQ(recalls[0].messages, 5U);
    EXPECT_TRUE(rig.group.take_recalls(rig.now + 999ms).empty());
    rig.settle(1, SettleKind::recalled, {8, 12}, given.lease);
    for (const auto& again : rig.give()) {
        EXPECT_FALSE(again.redelivered);
        EXPECT_EQ(again.attempt, 1);
    }
}

TEST(GroupRecall, AsksAgainAfterASecondWithoutAnswer) {
    Rig rig;
    rig.consumer(1, 100, 1);
    rig.group.append(2);
    rig.give();
    rig.consumer(2, 100, 1);
    rig.pass(20ms);
    EXPECT_EQ(rig.group.take_recalls(rig.now).size(), 1U);
    rig.pass(999ms);
    EXPECT_TRUE(rig.group.take_recalls(rig.now).empty());
    rig.pass(1ms);
    EXPECT_EQ(rig.group.take_recalls(rig.now).size(), 1U);
}

TEST(GroupTakeBack, FreesTheSlotsAndGivesAgainUnflagged) {
    Rig rig;
    rig.consumer(1, 4);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    EXPECT_TRUE(rig.give().empty());
    rig.group.take_back(1, {3, 4}, given.lease);
    EXPECT_EQ(rig.group.stats().in_flight, 2U);
    const Assignment again = rig.give_one();
    EXPECT_EQ(again.run, (Seqs{3, 4}));
    EXPECT_EQ(again.attempt, 1);
    EXPECT_FALSE(again.redelivered);
    EXPECT_TRUE(rig.settle(1, SettleKind::ack, {1, 2}, given.lease).empty());
    EXPECT_TRUE(rig.ack(again).empty());
}

TEST(GroupTakeBack, LeavesWhatHasAnotherLeaseOrHolder) {
    Rig rig;
    rig.consumer(1);
    rig.consumer(2);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.group.take_back(given.consumer == 1 ? 2 : 1, {1, 1}, given.lease);
    rig.group.take_back(given.consumer, {1, 1}, kOldLease);
    rig.group.take_back(given.consumer, {2, 9}, given.lease);
    EXPECT_EQ(rig.group.stats().in_flight, 1U);
}

TEST(GroupTakeBack, LetsADamagedMessageBeGivenUp) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(1);
    const Assignment given = rig.give_one();
    rig.group.take_back(1, {1, 1}, given.lease);
    rig.group.lose({1, 1});
    EXPECT_EQ(rig.group.stats().lost, 1U);
    EXPECT_EQ(rig.group.stats().depth, 0U);
}

TEST(GroupRecall, LeavesWhatAConsumerIsWorkingOn) {
    Rig rig;
    rig.consumer(1, 100, 4);
    rig.group.append(4);
    rig.give();
    rig.consumer(2, 100, 1);
    rig.pass(1s);
    EXPECT_TRUE(rig.group.take_recalls(rig.now).empty());
}

}  // namespace
}  // namespace peermq::delivery::test
