/// Arriving, taking and settling: what the application gets, and what the producer is told.

#include "inbox_support.hpp"

namespace peermq::delivery {
namespace {

class InboxMessage : public InboxTest {};

TEST_F(InboxMessage, HandsOutInOrderOfArrivalWithPayloadPositions) {
    up(1);
    Arrival first = arrival(10, 12);
    first.payload_index = 4;
    ASSERT_TRUE(arrive(1, first));
    ASSERT_TRUE(arrive(1, arrival(3, 3, 2)));
    auto item = inbox.take(now);
    ASSERT_TRUE(item);
    EXPECT_EQ(item->payload_index, 4U);
    item = inbox.take(now);
    EXPECT_EQ(item->seq, 11U);
    EXPECT_EQ(item->payload_index, 5U);
    EXPECT_EQ(take(), (Seqs{12, 3}));
}

TEST_F(InboxMessage, RefusesARunBeyondTheWindowAndTakesNothingOfIt) {
    use_prefetch(4);
    up(1);
    EXPECT_FALSE(arrive(1, arrival(1, 5)));
    EXPECT_EQ(inbox.stats().received, 0U);
    EXPECT_TRUE(arrive(1, arrival(1, 4)));
    EXPECT_FALSE(arrive(1, arrival(5, 5)));
}

TEST_F(InboxMessage, RefusesEmptyAndZeroRuns) {
    up(1);
    EXPECT_FALSE(arrive(1, arrival(5, 4)));
    EXPECT_FALSE(arrive(1, arrival(0, 3)));
    EXPECT_FALSE(arrive(1, arrival(1, ~Seq{0})));
    EXPECT_FALSE(arrive(9, arrival(1, 1))) << "unknown source";
}

TEST_F(InboxMessage, MergesAcksOfOneLeaseIntoOneEntryWhateverTheirOrder) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 6)));
    take();
    for (const Seq seq : {3, 1, 2, 6, 5, 4}) EXPECT_TRUE(ack(1, seq));
    const InboxActions actions = step();
    ASSERT_EQ(actions.settles.size(), 1U);
    EXPECT_EQ(actions.settles[0].number, 1U);
    ASSERT_EQ(actions.settles[0].entries.size(), 1U);
    EXPECT_EQ(actions.settles[0].entries[0].run, (base::Run{1, 6}));
}

TEST_F(InboxMessage, KeepsLeasesAndKindsApart) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2, 1)));
    ASSERT_TRUE(arrive(1, arrival(3, 4, 2)));
    take();
    for (Seq seq = 1; seq <= 3; ++seq) ack(1, seq);
    inbox.settle(1, 4, SettleKind::release, std::nullopt, {});
    const InboxActions actions = step();
    ASSERT_EQ(actions.settles.at(0).entries.size(), 3U);
    EXPECT_EQ(actions.settles[0].entries[1].lease, (LeaseId{1, 2}));
    EXPECT_EQ(actions.settles[0].entries[2].kind, SettleKind::release);
}

TEST_F(InboxMessage, NackAndRejectKeepTheirOwnDelayAndReason) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    take();
    inbox.settle(1, 1, SettleKind::nack, 5s, "busy");
    inbox.settle(1, 2, SettleKind::nack, std::nullopt, "busy");
    inbox.settle(1, 3, SettleKind::reject, std::nullopt, std::string(5000, 'x'));
    const auto entries = step().settles.at(0).entries;
    ASSERT_EQ(entries.size(), 3U);
    EXPECT_EQ(entries[0].delay, std::optional<Duration>(5s));
    EXPECT_EQ(entries[0].reason, "busy");
    EXPECT_FALSE(entries[1].delay);
    EXPECT_EQ(entries[2].reason.size(), base::limits::kReasonBytesMax);
}

TEST_F(InboxMessage, SettlesOnlyOnceAndOnlyWhatWasStarted) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    EXPECT_FALSE(ack(1, 1));
    take(1);
    EXPECT_TRUE(ack(1, 1));
    EXPECT_FALSE(ack(1, 1));
    EXPECT_FALSE(ack(7, 1));
}

TEST_F(InboxMessage, CountsUnsentUntilActionsAreTaken) {
    use_prefetch(8);
    EXPECT_EQ(inbox.flush_threshold(), 2U);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    take();
    ack(1, 1);
    ack(1, 3);
    EXPECT_EQ(inbox.unsent(), 2U);
    step();
    EXPECT_EQ(inbox.unsent(), 0U);
    EXPECT_TRUE(step().empty());
}

TEST_F(InboxMessage, FlushThresholdIsNeverZero) {
    use_prefetch(1);
    EXPECT_EQ(inbox.flush_threshold(), 1U);
}

TEST_F(InboxMessage, SplitsManySettlementsOverNumberedFrames) {
    use_prefetch(10'000);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 5000)));
    take();
    for (Seq seq = 1; seq <= 5000; seq += 2) ack(1, seq);
    const InboxActions actions = step();
    ASSERT_EQ(actions.settles.size(), 3U);
    EXPECT_EQ(actions.settles[2].number, 3U);
    for (const auto& settle : actions.settles)
        EXPECT_LE(settle.entries.size(), base::limits::kRunsPerFrameMax);
}

TEST_F(InboxMessage, OutcomeIsPendingUntilConfirmedThenAccepted) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    take();
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::pending);
    ack(1, 1);
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::pending);
    step();
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::pending);
    EXPECT_FALSE(inbox.drained());
    inbox.confirmed(1, 1, {});
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::accepted);
    EXPECT_TRUE(inbox.drained());
}

TEST_F(InboxMessage, RefusedSettlementsAreReportedAndCounted) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3)));
    take();
    for (Seq seq = 1; seq <= 3; ++seq) ack(1, seq);
    step();
    const std::vector<RefusedRun> refused{{{2, ~Seq{0}}, RefuseReason::newer_lease}};
    inbox.confirmed(1, 1, refused);
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::accepted);
    EXPECT_EQ(inbox.outcome(1, 2), Outcome::refused);
    EXPECT_EQ(inbox.stats().refused, 2U);
}

TEST_F(InboxMessage, RefusalsOfOneConfirmMayComeInSeveralFrames) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    take();
    ack(1, 1);
    ack(1, 2);
    step();
    const std::vector<RefusedRun> one{{{1, 1}, RefuseReason::settled}};
    const std::vector<RefusedRun> two{{{2, 2}, RefuseReason::settled}};
    inbox.confirmed(1, 1, one);
    inbox.confirmed(1, 1, two);
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::refused);
    EXPECT_EQ(inbox.outcome(1, 2), Outcome::refused);
}

TEST_F(InboxMessage, DoesNotKnowWhoSettledBeforeTheProducersStart) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    take();
    ack(1, 1);
    ack(1, 2);
    step();
    const std::vector<RefusedRun> refused{{{1, 1}, RefuseReason::settled_before_start}};
    EXPECT_TRUE(inbox.confirmed(1, 1, refused).empty());
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::unknown);
    EXPECT_EQ(inbox.outcome(1, 2), Outcome::accepted);
}

TEST_F(InboxMessage, RemembersABoundedNumberOfRefusals) {
    use_prefetch(10'000);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 6000)));
    take();
    for (Seq seq = 1; seq <= 6000; ++seq) ack(1, seq);
    step();
    const std::vector<RefusedRun> all{{{1, 6000}, RefuseReason::unknown}};
    inbox.confirmed(1, 1, all);
    EXPECT_EQ(inbox.outcome(1, 6000), Outcome::refused);
    EXPECT_EQ(inbox.outcome(1, 6000 - base::limits::kRefusedKeptMax), Outcome::accepted);
}

TEST_F(InboxMessage, AConfirmOfWhatWasNeverSentConfirmsNothingUnsent) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    take();
    ack(1, 1);
    inbox.confirmed(1, 99, {});
    EXPECT_EQ(inbox.outcome(1, 1), Outcome::pending);
    EXPECT_EQ(step().settles.at(0).number, 1U);
}

TEST_F(InboxMessage, SettleCarriesTheHighestConfirmSeen) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2)));
    take();
    ack(1, 1);
    step();
    inbox.confirmed(1, 1, {});
    ack(1, 2);
    EXPECT_EQ(step().settles.at(0).confirmed, 1U);
}

TEST_F(InboxMessage, ADuplicateOfAPendingMessageAdoptsTheNewerLease) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3, 1)));
    ASSERT_TRUE(arrive(1, arrival(2, 2, 9)));
    EXPECT_EQ(take(), (Seqs{1, 2, 3}));
    EXPECT_EQ(inbox.stats().duplicates, 1U);
    ack(1, 2);
    EXPECT_EQ(step().settles.at(0).entries.at(0).lease, (LeaseId{1, 9}));
}

TEST_F(InboxMessage, ADuplicateOfAStartedMessageAdoptsTheNewerLease) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 3, 5)));
    take();
    ASSERT_TRUE(arrive(1, arrival(1, 3, 9)));
    ASSERT_TRUE(arrive(1, arrival(2, 2, 7))) << "an older lease changes nothing";
    EXPECT_TRUE(take().empty());
    for (Seq seq = 1; seq <= 3; ++seq) ack(1, seq);
    const auto entries = step().settles.at(0).entries;
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].lease, (LeaseId{1, 9}));
}

TEST_F(InboxMessage, AnAckedMessageThatComesAgainIsAckedAgain) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2, 1)));
    take();
    ack(1, 1);
    ack(1, 2);
    step();
    ASSERT_TRUE(arrive(1, arrival(2, 2, 8)));
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(inbox.unsent(), 1U);
    const auto entries = step().settles.at(0).entries;
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].run, (base::Run{2, 2}));
    EXPECT_EQ(entries[0].lease, (LeaseId{1, 8}));
    EXPECT_EQ(entries[0].kind, SettleKind::ack);
}

TEST_F(InboxMessage, AReleasedMessageThatComesAgainIsNew) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 2, 1)));
    take();
    inbox.settle(1, 1, SettleKind::release, std::nullopt, {});
    step();
    ASSERT_TRUE(arrive(1, arrival(1, 1, 2)));
    EXPECT_EQ(take(), Seqs{1});
    EXPECT_TRUE(ack(1, 1));
}

TEST_F(InboxMessage, AMixedRunIsSplitIntoHeldAndNew) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(2, 3, 1)));
    ASSERT_TRUE(arrive(1, arrival(1, 5, 2)));
    EXPECT_EQ(take(), (Seqs{2, 3, 1, 4, 5}));
    EXPECT_EQ(inbox.stats().received, 5U);
    EXPECT_EQ(inbox.stats().duplicates, 2U);
}

TEST_F(InboxMessage, TheSameSeqOfAnotherEpochIsAnotherMessage) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 1, 1)));
    take();
    inbox.source_down(1, true, now);
    up(2, true, 1);
    Arrival other = arrival(1, 1, 1);
    other.epoch = {2, 5};
    other.lease = {2, 1};
    ASSERT_TRUE(arrive(2, other));
    EXPECT_EQ(take(), Seqs{1});
    EXPECT_FALSE(ack(1, 1)) << "the old message must not settle the new one";
    EXPECT_TRUE(ack(2, 1));
}

TEST_F(InboxMessage, TakesTurnsAmongSourcesByRun) {
    up(1);
    up(2);
    for (int i = 0; i < 3; ++i) step();
    inbox.granted(1, 2);
    step();
    ASSERT_TRUE(arrive(1, arrival(1, 2, 1)));
    ASSERT_TRUE(arrive(1, arrival(3, 3, 2)));
    ASSERT_TRUE(arrive(2, arrival(100, 101)));
    EXPECT_EQ(take(), (Seqs{1, 2, 100, 101, 3}));
}

TEST_F(InboxMessage, AnAloneMessageRunsByItself) {
    up(1);
    Arrival alone = arrival(2, 2, 2);
    alone.alone = true;
    ASSERT_TRUE(arrive(1, arrival(1, 1)));
    ASSERT_TRUE(arrive(1, alone));
    ASSERT_TRUE(arrive(1, arrival(3, 3, 3)));
    EXPECT_EQ(take(), Seqs{1});
    EXPECT_FALSE(inbox.has_ready(now));
    ack(1, 1);
    EXPECT_TRUE(inbox.has_ready(now));
    EXPECT_EQ(take(), Seqs{2});
    EXPECT_FALSE(inbox.has_ready(now));
    ack(1, 2);
    EXPECT_EQ(take(), Seqs{3});
}

TEST_F(InboxMessage, RecallGivesBackUnstartedFromTheBack) {
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 5)));
    take(2);
    inbox.recall(1, 2);
    const auto entries = step().settles.at(0).entries;
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].kind, SettleKind::recalled);
    EXPECT_EQ(entries[0].run, (base::Run{4, 5}));
    EXPECT_EQ(take(), Seqs{3});
    inbox.recall(1, 100);
    EXPECT_TRUE(step().settles.empty()) << "started ones stay";
}

TEST_F(InboxMessage, StopGivesBackAndTakesNoMore) {
    use_prefetch(8);
    up(1);
    ASSERT_TRUE(arrive(1, arrival(1, 4)));
    take(1);
    inbox.stop();
    const InboxActions actions = step();
    EXPECT_EQ(actions.shrinks.at(0).messages, 0U);
    EXPECT_EQ(actions.settles.at(0).entries.at(0).run, (base::Run{2, 4}));
    ASSERT_TRUE(arrive(1, arrival(5, 6, 2))) << "was under way";
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(step().settles.at(0).entries.at(0).run, (base::Run{5, 6}));
    EXPECT_TRUE(ack(1, 1));
    step();
    inbox.confirmed(1, 3, {});
    EXPECT_TRUE(inbox.drained());
}

TEST_F(InboxMessage, CountsWhatHappened) {
    up(1);
    Arrival again = arrival(1, 4);
    again.redelivered = true;
    ASSERT_TRUE(arrive(1, again));
    take();
    ack(1, 1);
    inbox.settle(1, 2, SettleKind::nack, std::nullopt, {});
    inbox.settle(1, 3, SettleKind::release, std::nullopt, {});
    inbox.settle(1, 4, SettleKind::reject, std::nullopt, {});
    const InboxStats stats = inbox.stats();
    EXPECT_EQ(stats.redelivered, 4U);
    EXPECT_EQ(stats.acked, 1U);
    EXPECT_EQ(stats.nacked, 1U);
    EXPECT_EQ(stats.released, 1U);
    EXPECT_EQ(stats.rejected, 1U);
    EXPECT_EQ(stats.unconfirmed, 4U);
    EXPECT_EQ(stats.sources, 1U);
    EXPECT_EQ(stats.sources_ready, 1U);
    inbox.source_ready(1, false);
    EXPECT_EQ(inbox.stats().sources_ready, 0U);
}

}  // namespace
}  // namespace peermq::delivery
