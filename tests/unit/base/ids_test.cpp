#include "base/ids.hpp"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace peermq::base {
namespace {

constexpr Seq kSeqMax = ~Seq{0};

TEST(Id16, KindsAreDifferentTypes) {
    static_assert(!std::is_convertible_v<PeerId, SessionId>);
    static_assert(!std::is_convertible_v<StreamId, SpoolId>);
}

TEST(Id16, HexIsThirtyTwoLowerCaseDigits) {
    PeerId id;
    EXPECT_EQ(id.hex(), std::string(32, '0'));
    id.bytes[0] = std::byte{0xab};
    id.bytes[15] = std::byte{0x0f};
    EXPECT_EQ(id.hex(), "ab00000000000000000000000000000f");
}

TEST(Id16, OnlyAllZeroBytesAreZero) {
    PeerId id;
    EXPECT_TRUE(id.is_zero());
    id.bytes[15] = std::byte{1};
    EXPECT_FALSE(id.is_zero());
}

TEST(Id16, EqualIdsAreOneInASet) {
    PeerId id;
    id.bytes[3] = std::byte{7};
    const std::unordered_set<PeerId> ids{id, id, PeerId{}};
    EXPECT_EQ(ids.size(), 2u);
    EXPECT_TRUE(ids.contains(id));
}

TEST(Run, DefaultIsEmpty) {
    EXPECT_TRUE(base::Run{}.empty());
    EXPECT_EQ(base::Run{}.count(), 0u);
    EXPECT_FALSE(base::Run{}.contains(0));
    EXPECT_FALSE(base::Run{}.contains(1));
}

TEST(Run, BothEndsBelongToIt) {
    const base::Run run{5, 9};
    EXPECT_EQ(run.count(), 5u);
    EXPECT_FALSE(run.contains(4));
    EXPECT_TRUE(run.contains(5));
    EXPECT_TRUE(run.contains(9));
    EXPECT_FALSE(run.contains(10));
    EXPECT_EQ((base::Run{7, 7}.count()), 1u);
}

TEST(Run, CountOfAllSeqsDoesNotOverflow) { EXPECT_EQ((base::Run{1, kSeqMax}.count()), kSeqMax); }

TEST(LeaseId, LaterEpochBeatsAHigherCounter) {
    EXPECT_LT((LeaseId{1, 99}), (LeaseId{2, 1}));
    EXPECT_LT((LeaseId{2, 1}), (LeaseId{2, 2}));
    EXPECT_LT(LeaseId{}, (LeaseId{0, 1}));
}

TEST(Epoch, NonceTellsEpochsOfOneCounterApart) {
    EXPECT_NE((Epoch{1, 2}), (Epoch{1, 3}));
    EXPECT_LT((Epoch{1, 9}), (Epoch{2, 0}));
}

}  // namespace
}  // namespace peermq::base
