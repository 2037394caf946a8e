// Messages that are not meant for a group: neither handed out nor told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

TEST(GroupSkip, WhatIsSkippedIsNeitherHandedOutNorAFact) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(10);
    rig.group.skip({1, 3});
    rig.group.skip({6, 6});
    EXPECT_EQ(rig.group.fresh(), 6U);
    std::vector<Seqs> given;
    for (const Assignment& one : rig.give()) {
        given.push_back(one.run);
        rig.ack(one);
    }
    EXPECT_EQ(given, (std::vector<Seqs>{{4, 5}, {7, 10}}));
    EXPECT_EQ(rig.group.settled_floor(), 10U);
    EXPECT_EQ(rig.group.take_facts().settled, (std::vector<Seqs>{{4, 5}, {7, 10}}));
}

TEST(GroupSkip, WhatSomebodyHasStaysWithIt) {
    Rig rig;
    rig.consumer(1);
    rig.group.append(4);
    const Assignment given = rig.give_one();
    rig.group.skip({2, 3});
    EXPECT_EQ(rig.group.stats().in_flight, 4U);
    EXPECT_TRUE(rig.ack(given).empty());
    EXPECT_EQ(rig.group.stats().acked, 4U);
}

TEST(GroupSkip, WhatMayHaveBeenHandedOutBeforeARestartIsSkippedToo) {
    Rig rig(durable());
    rig.recover({{1, 2}}, 10, 8);
    rig.group.skip({4, 5});
    rig.group.skip({9, 9});
    rig.consumer(1);
    rig.pass(3s);
    rig.group.mark_stored(20);
    std::vector<Seqs> given;
    for (const Assignment& one : rig.give()) given.push_back(one.run);
    EXPECT_THAT(given, testing::UnorderedElementsAre(Seqs{3, 3}, Seqs{6, 8}, Seqs{10, 10}));
}

TEST(GroupSkip, DroppingTheOldestCountsOnlyWhatIsMeantForIt) {
    Rig rig;
    rig.group.append(10);
    for (Seq seq = 1; seq <= 10; seq += 2) rig.group.skip({seq, seq});
    EXPECT_EQ(rig.group.drop_oldest(3), 3U);
    EXPECT_EQ(rig.group.fresh(), 2U);
    EXPECT_EQ(rig.group.take_facts().settled, (std::vector<Seqs>{{2, 2}, {4, 4}, {6, 6}}));
    rig.group.check_invariants();
}

}  // namespace
}  // namespace peermq::delivery::test
