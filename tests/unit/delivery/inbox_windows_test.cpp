/// Windows: fair, never more in sum than prefetch, and where the work is.

#include "delivery/inbox_windows.hpp"
#include "inbox_support.hpp"

namespace peermq::delivery {
namespace {

using inbox::share_windows;
using inbox::WindowClaim;
using Shares = std::vector<std::uint32_t>;

constexpr WindowClaim kReady{.ready = true};
constexpr WindowClaim kIdle{};

TEST(WindowShares, OneReadySourceHasAll) {
    EXPECT_EQ(share_windows(std::vector{kReady}, 64), Shares{64});
    EXPECT_EQ(share_windows(std::vector{kIdle}, 64), Shares{64});
    EXPECT_TRUE(share_windows({}, 64).empty());
}

TEST(WindowShares, ReadySourcesShareFairlyWithoutRemainder) {
    EXPECT_EQ(share_windows(std::vector{kReady, kReady, kReady}, 8), (Shares{3, 3, 2}));
}

TEST(WindowShares, IdleSourcesKeepOneMessageWhereThatCostsLittle) {
    EXPECT_EQ(share_windows(std::vector{kReady, kIdle}, 64), (Shares{63, 1}));
    EXPECT_EQ(share_windows(std::vector{kReady, kIdle}, 8), (Shares{8, 0}));
}

TEST(WindowShares, RecentSourcesKeepTheirShareWhileThereIsEnough) {
    const WindowClaim recent{.recent = true};
    EXPECT_EQ(share_windows(std::vector{kReady, recent}, 8), (Shares{4, 4}));
    EXPECT_EQ(share_windows(std::vector{kReady, recent}, 1), (Shares{1, 0}));
}

TEST(WindowShares, NothingChangesWhileNobodyIsShort) {
    const std::vector<WindowClaim> claims{{.window = 60}, {.window = 4}};
    EXPECT_EQ(share_windows(claims, 64), (Shares{60, 4}));
}

TEST(WindowShares, AnIdleNewcomerGetsAShareOfTheIdle) {
    EXPECT_EQ(share_windows(std::vector<WindowClaim>{{.window = 64}, {}}, 64), (Shares{32, 32}));
    EXPECT_EQ(share_windows(std::vector<WindowClaim>{{}, {.window = 1}, {}}, 1), (Shares{0, 1, 0}));
}

TEST(WindowShares, AUsedSlotGoesToWhoWaitsLongest) {
    const std::vector<WindowClaim> claims{{.ready = true, .used = true, .window = 1, .served = 5},
                                          {.ready = true, .served = 4},
                                          {.ready = true, .served = 2}};
    EXPECT_EQ(share_windows(claims, 1), (Shares{0, 0, 1}));
}

TEST(WindowShares, AnUnusedSlotStays) {
    const std::vector<WindowClaim> claims{{.ready = true, .window = 1, .served = 5},
                                          {.ready = true, .served = 1}};
    EXPECT_EQ(share_windows(claims, 1), (Shares{1, 0}));
}

TEST(WindowShares, NoCapacityMeansNoWindows) {
    EXPECT_EQ(share_windows(std::vector{kReady, kReady}, 0), (Shares{0, 0}));
    EXPECT_EQ(share_windows(std::vector{kIdle, kIdle}, 0), (Shares{0, 0}));
}

class InboxWindows : public InboxTest {};

TEST_F(InboxWindows, ASingleSourceHasThePrefetchAndNoGrantsInSteadyState) {
    use({.prefetch = 10, .prefetch_bytes = 1000, .concurrency = 3});
    const auto grants = up(1).grants;
    ASSERT_EQ(grants.size(), 1U);
    EXPECT_EQ(grants[0].messages, 10U);
    EXPECT_EQ(grants[0].bytes, 1000U);
    EXPECT_EQ(grants[0].concurrency, 3U);
    for (Seq seq = 1; seq < 100; ++seq) {
        ASSERT_TRUE(arrive(1, arrival(seq, seq)));
        take();
        ack(1, seq);
        const InboxActions actions = step();
        EXPECT_TRUE(actions.grants.empty() && actions.shrinks.empty());
    }
}

TEST_F(InboxWindows, ASecondSourceWaitsUntilTheFirstConfirmedItsSmallerWindow) {
    use_prefetch(8);
    up(1);
    const InboxActions actions = up(2);
    EXPECT_EQ(grant_for(actions.shrinks, 1)->messages, 4U);
    EXPECT_EQ(grant_for(actions.grants, 2), nullptr) << "all of the old window may be under way";
    inbox.granted(1, actions.shrinks[0].number);
    EXPECT_EQ(grant_for(step().grants, 2)->messages, 4U);
}

TEST_F(InboxWindows, ByteWindowsFollowTheMessageWindows) {
    use({.prefetch = 8, .prefetch_bytes = 801});
    up(1);
    const InboxActions actions = up(2);
    EXPECT_EQ(actions.shrinks.at(0).bytes, 400U);
}

TEST_F(InboxWindows, SlotsStillHeldAreGrantedAsTheyAreSettled) {
    use_prefetch(8);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 8)));
    const InboxActions actions = up(2);
    inbox.granted(1, actions.shrinks.at(0).number);
    EXPECT_EQ(grant_for(step().grants, 2), nullptr);
    take();
    ack(1, 1);
    ack(1, 2);
    EXPECT_EQ(grant_for(step().grants, 2)->messages, 2U);
    for (Seq seq = 3; seq <= 8; ++seq) ack(1, seq);
    EXPECT_EQ(grant_for(step().grants, 2)->messages, 4U);
}

TEST_F(InboxWindows, WithMoreSourcesThanSlotsTheWindowMovesWithTheSettlement) {
    use_prefetch(1);
    for (SourceId source = 1; source <= 4; ++source) up(source);
    std::vector<SourceId> served;
    SourceId holder = 1;
    for (Seq seq = 1; seq <= 8; ++seq) {
        ASSERT_TRUE(arrive(holder, arrival(seq, seq, seq)));
        take();
        now += base::limits::kSlotTurn;
        ack(holder, seq);
        const InboxActions actions = step();
        ASSERT_EQ(actions.shrinks.size(), 1U);
        EXPECT_EQ(actions.shrinks[0].source, holder);
        EXPECT_EQ(actions.settles.size(), 1U);
        ASSERT_EQ(actions.grants.size(), 1U);
        holder = actions.grants[0].source;
        served.push_back(holder);
    }
    EXPECT_EQ(served, (std::vector<SourceId>{2, 3, 4, 1, 2, 3, 4, 1}));
}

TEST_F(InboxWindows, ASlotThatOthersWantStaysForATurnOfQuickHandlers) {
    use_prefetch(1);
    for (SourceId source = 1; source <= 4; ++source) up(source);
    for (Seq seq = 1; seq <= 4; ++seq) {
        ASSERT_TRUE(arrive(1, arrival(seq, seq, seq)));
        take();
        now += base::limits::kSlotTurn / 4;
        ack(1, seq);
        const InboxActions actions = step();
        EXPECT_EQ(actions.settles.size(), 1U);
        EXPECT_EQ(actions.grants.size(), seq == 4 ? 1U : 0U);
    }
}

TEST_F(InboxWindows, DoesNotMoveAWindowOnAnUncertainSettlement) {
    use_prefetch(1);
    up(1);
    up(2);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    take();
    ack(1, 1);
    now += 5s;  // the first producer may have taken the message back and sent another
    EXPECT_TRUE(step().grants.empty());
}

TEST_F(InboxWindows, AnIdleSourceGivesItsShareUpAfterAMoment) {
    use_prefetch(4);
    up(1);
    const InboxActions second = up(2);
    inbox.granted(1, second.shrinks.at(0).number);
    step();
    inbox.source_ready(1, false);
    EXPECT_TRUE(step().shrinks.empty());
    EXPECT_EQ(inbox.next_deadline(), now + base::limits::kIdleClaim);
    now = inbox.next_deadline();
    const InboxActions actions = step();
    EXPECT_EQ(grant_for(actions.shrinks, 1)->messages, 0U);
    inbox.granted(1, actions.shrinks[0].number);
    EXPECT_EQ(grant_for(step().grants, 2)->messages, 4U);
}

TEST_F(InboxWindows, ALostLinkFreesWhatWasUnderWayAtOnce) {
    use_prefetch(8);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    up(2);
    inbox.source_down(1, false, now);
    EXPECT_EQ(grant_for(step().grants, 2)->messages, 5U);
}

TEST_F(InboxWindows, UnstartedMessagesOfAnAbsentSourceMakeRoomAfterTheGrace) {
    use_prefetch(8);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    take(1);
    up(2);
    inbox.source_down(1, false, now);
    step();
    now += base::limits::kResumeGrace;
    EXPECT_EQ(grant_for(step().grants, 2)->messages, 7U) << "the started one still counts";
    EXPECT_EQ(inbox.stats().ready, 0U);
}

TEST_F(InboxWindows, AResumedSourceGetsAWindowAnew) {
    use_prefetch(8);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 8)));
    inbox.source_down(1, false, now);
    step();
    const auto grants = up(1).grants;
    EXPECT_EQ(grants.at(0).messages, 8U);
    EXPECT_EQ(grants[0].number, 2U);
}

TEST_F(InboxWindows, AnOldGrantedDoesNotConfirmALaterShrink) {
    use_prefetch(9);
    up(1);
    const auto first = up(2).shrinks.at(0);
    const auto second = up(3).shrinks.at(0);
    EXPECT_LT(second.messages, first.messages);
    inbox.granted(1, first.number);
    EXPECT_TRUE(step().grants.empty());
    inbox.granted(1, second.number + 7);
    EXPECT_TRUE(step().grants.empty()) << "never sent";
    inbox.granted(1, second.number);
    EXPECT_EQ(step().grants.size(), 2U);
}

TEST_F(InboxWindows, ASmallerPrefetchShrinksAndALargerGrows) {
    use_prefetch(8);
    up(1);
    inbox.set_prefetch(2, 200);
    const auto shrinks = step().shrinks;
    EXPECT_EQ(shrinks.at(0).messages, 2U);
    EXPECT_TRUE(arrive(1, arrival(1, 8))) << "was under way under the old window";
    inbox.granted(1, shrinks[0].number);
    EXPECT_FALSE(arrive(1, arrival(9, 9)));
    inbox.set_prefetch(10, 200);
    EXPECT_EQ(step().grants.at(0).messages, 10U);
}

TEST_F(InboxWindows, AChangeOfConcurrencyIsToldWithTheSameWindow) {
    use_prefetch(8);
    up(1);
    inbox.set_concurrency(5);
    const auto grants = step().grants;
    EXPECT_EQ(grants.at(0).messages, 8U);
    EXPECT_EQ(grants[0].concurrency, 5U);
}

}  // namespace
}  // namespace peermq::delivery
