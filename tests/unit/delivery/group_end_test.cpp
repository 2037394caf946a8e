// Messages that end without a settlement: abandoned ones, and those that must not run twice.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

using ::testing::IsEmpty;

GroupOptions once_only() {
    GroupOptions options;
    options.repeat = Repeat::if_told;
    return options;
}

TEST(GroupOnce, MessageOfADeadHolderEndsUnlessItIsRepeatable) {
    Rig rig(once_only());
    rig.consumer(1);
    rig.group.append(3);
    rig.group.repeatable({2, 2});
    rig.give();
    rig.remove(1, true);
    const Facts facts = rig.store();
    ASSERT_EQ(2U, facts.dead.size());
    EXPECT_EQ(1U, facts.dead[0].seq);
    EXPECT_EQ(3U, facts.dead[1].seq);
    EXPECT_EQ(DeadReason::unclear, facts.dead[0].reason);
    EXPECT_TRUE(rig.group.settled(1));
    rig.consumer(2);
    const Assignment again = rig.give_one();
    EXPECT_EQ((Seqs{2, 2}), again.run);
    EXPECT_TRUE(again.redelivered);
}

TEST(GroupOnce, LostLinkIsWaitedForAsLongAsTheLeaseLasts) {
    Rig rig(once_only());
    rig.consumer(1);
    rig.group.append(2);
    rig.group.repeatable({2, 2});
    const Assignment given = rig.give_one();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(2s);
    EXPECT_EQ(1U, rig.group.stats().in_flight);  // the other may go elsewhere now
    EXPECT_EQ(1U, rig.group.stats().waiting);
    rig.group.resume_consumer(1, rig.now);
    EXPECT_THAT(rig.announce(1, {{{1, 1}, given.lease, true}}), IsEmpty());
    EXPECT_THAT(rig.settle(1, SettleKind::ack, {1, 1}, given.lease), IsEmpty());
    EXPECT_TRUE(rig.group.settled(1));
}

TEST(GroupOnce, LeaseThatRunsOutDuringALostLinkEndsTheMessage) {
    Rig rig(once_only());
    rig.consumer(1);
    rig.group.append(1);
    rig.give();
    rig.group.suspect_consumer(1, rig.now);
    rig.pass(2s);
    EXPECT_THAT(rig.store().dead, IsEmpty());
    rig.pass(30s);
    ASSERT_EQ(1U, rig.store().dead.size());
    EXPECT_EQ(0U, rig.group.stats().depth);
}

TEST(GroupOnce, WhatItsHolderGivesBackIsHandedOutAgain) {
    Rig rig(once_only());
    rig.consumer(1);
    rig.group.append(1);
    rig.settle(SettleKind::recalled, rig.give_one());
    EXPECT_THAT(rig.store().dead, IsEmpty());
    EXPECT_EQ((Seqs{1, 1}), rig.give_one().run);
}

TEST(GroupOnce, WhatNeverCameToItsConsumerIsHandedOutAgain) {
    Rig rig(once_only());
    rig.consumer(1);
    rig.group.append(1);
    rig.give();
    rig.group.suspect_consumer(1, rig.now);
    rig.group.resume_consumer(1, rig.now);
    EXPECT_THAT(rig.announce(1, {}), IsEmpty());
    EXPECT_THAT(rig.store().dead, IsEmpty());
    EXPECT_EQ((Seqs{1, 1}), rig.give_one().run);
}

TEST(GroupOnce, UnclearMessageEndsWhenNobodyAnnouncesItAfterARestart) {
    GroupOptions options = once_only();
    options.durable = true;
    Rig rig(options);
    rig.recover({}, 2, 2);
    rig.group.repeatable({2, 2});
    rig.pass(3s);
    const Facts facts = rig.store();
    ASSERT_EQ(1U, facts.dead.size());
    EXPECT_EQ(1U, facts.dead.front().seq);
}

TEST(GroupOnce, BudgetLimitsRepetitions) {
    GroupOptions options = once_only();
    options.repeat_percent = 10;
    options.repeat_burst = 1;
    Rig rig(options);
    rig.consumer(1);
    rig.group.append(3);
    rig.group.repeatable({1, 3});
    rig.give();
    rig.remove(1, true);
    EXPECT_EQ(2U, rig.store().dead.size());
    // Ten more messages earn one more repetition.
    rig.consumer(2);
    rig.group.append(13);
    rig.group.repeatable({4, 13});
    rig.give();
    rig.remove(2, true);
    EXPECT_EQ(10U, rig.store().dead.size());
}

TEST(GroupAbandon, WhatNobodyHoldsIsSettledAtOnce) {
    Rig rig;
    rig.group.append(5);
    EXPECT_THAT(rig.group.abandon({2, 3}), IsEmpty());
    rig.group.check_invariants();
    EXPECT_EQ((std::vector<Seqs>{{2, 3}}), rig.group.take_facts().settled);
    EXPECT_EQ(2U, rig.group.stats().abandoned);
    rig.consumer(1);
    std::uint64_t given = 0;
    for (const Assignment& one : rig.give()) {
        EXPECT_FALSE(one.run.contains(2) || one.run.contains(3));
        given += one.run.count();
    }
    EXPECT_EQ(3U, given);
}

TEST(GroupAbandon, HolderIsNamedAndSettlesInPeace) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    const Assignment given = rig.give_one();
    const auto held = rig.group.abandon({2, 2});
    ASSERT_EQ(1U, held.size());
    EXPECT_EQ(1U, held.front().consumer);
    EXPECT_EQ((Seqs{2, 2}), held.front().run);
    EXPECT_THAT(rig.ack(given), IsEmpty());
    EXPECT_EQ(2U, rig.group.stats().acked);
}

TEST(GroupAbandon, WhatComesBackIsNotHandedOutAgain) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(2);
    rig.give();
    EXPECT_EQ(1U, rig.group.abandon({1, 1}).size());
    rig.remove(1, false);
    rig.consumer(2);
    EXPECT_EQ((Seqs{2, 2}), rig.give_one().run);
    EXPECT_TRUE(rig.group.settled(1));
}

TEST(GroupAbandon, SeqsBeyondTheStreamAreIgnored) {
    Rig rig;
    rig.group.append(1);
    EXPECT_THAT(rig.group.abandon({2, 9}), IsEmpty());
    rig.group.check_invariants();
    EXPECT_EQ(1U, rig.group.stats().depth);
}

}  // namespace
}  // namespace peermq::delivery::test
