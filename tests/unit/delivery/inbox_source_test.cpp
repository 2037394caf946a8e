/// Links that come and go: announcing, the gate, and what becomes of holdings.

#include "inbox_support.hpp"

namespace peermq::delivery {
namespace {

class InboxSource : public InboxTest {};

TEST_F(InboxSource, AnnouncesEvenNothingAndOpensAtOnceForWhatArrivesThen) {
    inbox.source_up(1, stream_id(1), true, true, now);
    const InboxActions actions = step();
    ASSERT_EQ(actions.helds.size(), 1U);
    EXPECT_EQ(actions.helds[0].number, 1U);
    EXPECT_TRUE(actions.helds[0].runs.empty());
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    EXPECT_EQ(take(), Seqs{1});
}

TEST_F(InboxSource, ClosesTheGateBeforeTheProducerMayGiveMessagesToAnother) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    now += base::limits::kResumeGrace - base::limits::kGateMargin - 1ns;
    EXPECT_TRUE(inbox.has_ready(now));
    now += 1ns;
    EXPECT_FALSE(inbox.has_ready(now));
    EXPECT_TRUE(take().empty());
}

TEST_F(InboxSource, SignsOfLifeInTimeKeepTheGateOpen) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    for (int i = 0; i < 20; ++i) {
        now += 1s;
        hear(1);
    }
    EXPECT_TRUE(step().helds.empty());
    EXPECT_EQ(take(), Seqs{1});
}

TEST_F(InboxSource, AfterASilenceAnnouncesAndWaitsForValid) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 4)));
    take(1);
    now += 5s;
    hear(1);
    EXPECT_FALSE(inbox.has_ready(now));
    const auto held = step().helds.at(0);
    EXPECT_EQ(held.number, 2U);
    ASSERT_EQ(held.runs.size(), 2U);
    EXPECT_TRUE(held.runs[0].held.started);
    EXPECT_EQ(held.runs[1].held.run, (base::Run{2, 4}));
    const std::vector<base::Run> revoked{{1, 2}};
    inbox.validated(1, 1, {}, true, now);
    EXPECT_FALSE(inbox.has_ready(now)) << "answers an earlier HELD";
    inbox.validated(1, 2, revoked, false, now);
    EXPECT_FALSE(inbox.has_ready(now)) << "more is to come";
    inbox.validated(1, 2, {}, true, now);
    EXPECT_EQ(take(), (Seqs{3, 4}));
    EXPECT_EQ(inbox.stats().revoked, 1U);
    EXPECT_TRUE(ack(1, 1)) << "started ones are settled, and refused by the producer";
}

TEST_F(InboxSource, GivesBackWhatWasUnderWayWhenItAnnounced) {
    up(1);
    now += 5s;
    hear(1);
    ASSERT_EQ(step().helds.size(), 1U);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    EXPECT_TRUE(take().empty());
    inbox.validated(1, 2, {}, true, now);
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(step().settles.at(0).entries.at(0).kind, SettleKind::recalled);
    ASSERT_TRUE(arrive(1, arrival(1, 1, 2)));
    EXPECT_EQ(take(), Seqs{1});
}

TEST_F(InboxSource, ANewerLeaseAfterHeldSurvivesItsRevocation) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 1, 1)));
    inbox.source_down(1, false, now);
    inbox.source_up(1, stream_id(1), true, true, now);
    step();
    ASSERT_TRUE(arrive(1, arrival(1, 1, 2)));
    const std::vector<base::Run> revoked{{1, 1}};
    inbox.validated(1, 2, revoked, true, now);
    EXPECT_EQ(take(), Seqs{1});
}

TEST_F(InboxSource, SendsOneHeldAtATimeOverASlowLink) {
    up(1);
    now += 5s;
    hear(1);
    EXPECT_EQ(step().helds.size(), 1U);
    for (int i = 0; i < 5; ++i) {
        now += 5s;
        hear(1);
        EXPECT_TRUE(step().helds.empty());
    }
    inbox.validated(1, 2, {}, true, now);
    EXPECT_EQ(step().helds.at(0).number, 3U) << "too late to be believed";
}

TEST_F(InboxSource, FreezesWhatAPersistentSourceLeftUntilAnnouncedToItsSuccessor) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    take(1);
    inbox.source_down(1, true, now);
    EXPECT_TRUE(take().empty());
    EXPECT_TRUE(ack(1, 1));
    EXPECT_TRUE(step().settles.empty());
    now += base::limits::kResumeGrace - base::limits::kGateMargin - 1ns;
    inbox.source_up(2, stream_id(1), true, true, now);
    const InboxActions actions = step();
    EXPECT_EQ(actions.helds.at(0).source, 2U);
    EXPECT_EQ(actions.helds[0].runs.size(), 2U);
    EXPECT_EQ(actions.settles.at(0).source, 2U);
    EXPECT_EQ(actions.settles[0].number, 1U);
    EXPECT_TRUE(take().empty());
    inbox.validated(2, 1, {}, true, now);
    EXPECT_EQ(take(), (Seqs{2, 3}));
    EXPECT_TRUE(ack(2, 2));
}

TEST_F(InboxSource, LeavesToASuccessorWhatOthersMayHaveHadMeanwhile) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    take(1);
    inbox.source_down(1, true, now);
    now += base::limits::kResumeGrace - base::limits::kGateMargin;
    inbox.source_up(2, stream_id(1), true, true, now);
    const InboxActions actions = step();
    ASSERT_EQ(actions.helds.at(0).runs.size(), 1U);
    EXPECT_EQ(actions.helds[0].runs[0].held.run, (base::Run{1, 1})) << "what was started stays";
    inbox.validated(2, 1, {}, true, now);
    EXPECT_TRUE(take().empty());
    EXPECT_TRUE(ack(1, 1));
}

TEST_F(InboxSource, ResendsUnconfirmedSettlementsAfterResume) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    take();
    ack(1, 1);
    step();
    inbox.confirmed(1, 1, {});
    ack(1, 2);
    step();
    inbox.source_down(1, false, now);
    inbox.source_up(1, stream_id(1), true, true, now);
    const InboxActions actions = step();
    EXPECT_EQ(actions.helds.at(0).number, 2U);
    ASSERT_EQ(actions.settles.size(), 1U);
    EXPECT_EQ(actions.settles[0].number, 3U);
    EXPECT_EQ(actions.settles[0].confirmed, 1U);
    EXPECT_EQ(actions.settles[0].entries.at(0).run, (base::Run{2, 2}));
}

TEST_F(InboxSource, StartedUnderAnEarlierSourceIsSettledToTheLatest) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    take();
    inbox.source_down(1, true, now);
    up(2, true, 1);
    EXPECT_TRUE(ack(1, 1));
    EXPECT_EQ(step().settles.at(0).source, 2U);
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::pending);
    inbox.confirmed(2, 1, {});
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::accepted);
}

TEST_F(InboxSource, HandsOutTheRestOfAnEndedMemorySourceUnflagged) {
    up(1, true, 1, false);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    inbox.source_down(1, true, now);
    const auto item = inbox.take(now);
    ASSERT_TRUE(item);
    EXPECT_FALSE(item->redelivered);
    EXPECT_TRUE(ack(1, 1));
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::unknown);
    EXPECT_TRUE(inbox.drained());
}

TEST_F(InboxSource, FlagsTheRestOfAMemorySourceThatWasSilentBeforeItEnded) {
    up(1, true, 1, false);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    now += base::limits::kResumeGrace;
    inbox.source_down(1, true, now);
    const auto item = inbox.take(now);
    ASSERT_TRUE(item);
    EXPECT_TRUE(item->redelivered) << "another consumer may have had it meanwhile";
}

TEST_F(InboxSource, FlagsTheRestOfALostMemorySourceOnlyIfItMayHaveOutlivedTheGrace) {
    const Duration grace = base::limits::kResumeGrace - base::limits::kGateMargin;
    for (const bool late : {false, true}) {
        const SourceId source = late ? 2 : 1;
        up(source, true, 0, false);
        ASSERT_TRUE(arrive(source, arrival(1, 1)));
        inbox.source_down(source, false, now);
        now += late ? grace : grace - 1ns;
        EXPECT_FALSE(inbox.has_ready(now));
        inbox.source_down(source, true, now);
        now += 1h;  // what matters is when its end was learned
        const auto item = inbox.take(now);
        ASSERT_TRUE(item);
        EXPECT_EQ(item->redelivered, late);
    }
}

TEST_F(InboxSource, HandsOutALostMemorySourceFlaggedAfterTheLease) {
    up(1, true, 1, false);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    inbox.source_down(1, false, now);
    now += base::limits::kLeaseDuration - 1ns;
    EXPECT_FALSE(inbox.has_ready(now));
    now += 1ns;
    const auto item = inbox.take(now);
    ASSERT_TRUE(item);
    EXPECT_TRUE(item->redelivered);
}

TEST_F(InboxSource, WakesWhenALostMemorySourceMayBeHandedOut) {
    up(1, true, 1, false);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    const Time lost = now;
    inbox.source_down(1, false, now);
    step();
    for (int i = 0; i < 10 && !inbox.has_ready(now); ++i) {
        ASSERT_GT(inbox.next_deadline(), now);
        now = inbox.next_deadline();
        step();
    }
    EXPECT_EQ(now, lost + base::limits::kLeaseDuration);
}

TEST_F(InboxSource, ForgetsAPersistentSourceThatNeverReturns) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    take(1);
    ack(1, 1);
    inbox.source_down(1, true, now);
    now += base::limits::kMaxProcessingDefault;
    step();
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::unknown);
    EXPECT_TRUE(inbox.drained());
    EXPECT_EQ(inbox.stats().ready, 0U);
}

TEST_F(InboxSource, AMemorySourceWithMessagesIsNotForgotten) {
    up(1, true, 1, false);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    inbox.source_down(1, true, now);
    now += 3 * base::limits::kMaxProcessingDefault;
    step();
    EXPECT_EQ(take(), Seqs{1});
}

TEST_F(InboxSource, RenewsWhatIsHeldEveryThirdOfALease) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 4)));
    take(2);
    ack(1, 1);
    step();
    EXPECT_EQ(inbox.next_deadline(), now + base::limits::kLeaseDuration / 3);
    now = inbox.next_deadline();
    const auto renews = step().renews;
    ASSERT_EQ(renews.size(), 1U);
    EXPECT_EQ(renews[0].runs, (std::vector<base::Run>{{2, 4}}));
    EXPECT_TRUE(step().renews.empty());
}

TEST_F(InboxSource, DoesNotRenewWhatWasStartedLongerAgoThanMaxProcessing) {
    use({.prefetch = 8, .lease_duration = 30s, .max_processing = 60s});
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    take(1);
    for (int i = 0; i < 7; ++i) {
        now += 10s;
        const auto renews = step().renews;
        ASSERT_EQ(renews.size(), 1U);
        EXPECT_EQ(renews[0].runs[0].first, i < 6 ? 1U : 2U) << i;
    }
}

TEST_F(InboxSource, IgnoresFramesOfALinkThatIsGone) {
    up(1);
    inbox.source_down(1, false, now);
    EXPECT_TRUE(arrive(1, arrival(1, 1))) << "late, not wrong";
    inbox.source_ready(1, true);
    inbox.granted(1, 1);
    inbox.source_heard(1, now);
    inbox.recall(1, 3);
    EXPECT_EQ(inbox.stats().received, 0U);
    EXPECT_TRUE(step().empty());
}

TEST_F(InboxSource, KeepsABoundedNumberOfSourcesThatAreGone) {
    for (unsigned i = 1; i <= base::limits::kGoneSourcesMax + 50; ++i) {
        inbox.source_up(i, stream_id(i), true, false, now);
        (void)inbox.take_actions(now);
        inbox.source_down(i, true, now);
        now += 1ms;
    }
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::unknown) << "forgotten";
    EXPECT_EQ(inbox.outcome(1000, 1), Outcome::accepted) << "remembered";
}

TEST_F(InboxSource, SettlementsOfARefusedStreamHaveAnUnknownOutcome) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    EXPECT_EQ(take(2), (Seqs{1, 2}));
    ASSERT_TRUE(ack(1, 1));
    inbox.source_down(1, true, now);
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::pending);
    inbox.stream_refused(stream_id(1));
    step();
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::unknown);
    EXPECT_EQ(inbox.stats().ready, 0U);
    ASSERT_TRUE(ack(1, 2));
    EXPECT_EQ(inbox.outcome(1, 2), Outcome::unknown);
    EXPECT_TRUE(inbox.drained());
    // Taken again, it is told as ever.
    up(2, true, 1);
    ASSERT_TRUE(arrive(2, arrival(3, 3, 2)));
    EXPECT_EQ(take(), Seqs{3});
    ASSERT_TRUE(ack(2, 3));
    EXPECT_EQ(inbox.outcome(2, 3), Outcome::pending);
}

}  // namespace
}  // namespace peermq::delivery
