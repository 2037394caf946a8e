#include "spool_fixture.hpp"

/// Commits: many streams, large records, failing syncs and writes.

namespace peermq::spool::test {
namespace {

using peermq::test::CrashPolicy;
using peermq::test::Fault;
using peermq::test::Operation;

TEST(SpoolCommit, KeepsStreamsApart) {
    Bench bench;
    bench.open();
    const StreamIndex other = bench.open_stream(StreamKind::topic, "other");
    for (Seq seq = 1; seq <= 100; seq += 10) {
        Batch batch;
        batch.parts.push_back(bench.part(bench.queue, {seq, seq + 9}));
        batch.parts.push_back(bench.part(other, {seq, seq + 9}));
        ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
    }
    EXPECT_EQ(bench.read_all(bench.queue, 1, 100).seqs, seqs(1, 100));
    EXPECT_EQ(bench.read_all(other, 1, 100).seqs, seqs(1, 100));
}

TEST(SpoolCommit, TakesRecordsInSeveralPieces) {
    Bench bench;
    bench.open();
    StreamPart part = bench.part(bench.queue, {1, 1});
    const StreamPart more = bench.part(bench.queue, {2, 6});
    part.run.last = 6;
    part.bytes.insert(part.bytes.end(), more.bytes.begin(), more.bytes.end());
    part.pins.insert(part.pins.end(), more.pins.begin(), more.pins.end());
    Batch batch;
    batch.parts.push_back(part);
    ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
    EXPECT_EQ(bench.read_all(bench.queue, 1, 6).seqs, seqs(1, 6));
}

TEST(SpoolCommit, GivesARecordLargerThanASegmentOneOfItsOwn) {
    Bench bench;
    bench.open();
    bench.commit({1, 3});
    bench.commit({4, 4}, 200'000);
    bench.commit({5, 7});
    EXPECT_EQ(bench.read_all(bench.queue, 1, 7).seqs, seqs(1, 7));
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    const auto got = bench.read_all(7);
    EXPECT_EQ(got.seqs, seqs(1, 7));
    EXPECT_FALSE(got.altered);
}

TEST(SpoolCommit, TakesSeqsWithGaps) {
    Bench bench;
    bench.open();
    bench.commit({1, 3});
    bench.commit({10, 12});
    const auto got = bench.read_all(bench.queue, 1, 12);
    EXPECT_EQ(got.seqs, (std::vector<Seq>{1, 2, 3, 10, 11, 12}));
    EXPECT_EQ(got.lost, seqs(4, 9));
}

TEST(SpoolCommit, AnEmptyBatchIsNothing) {
    Bench bench;
    bench.open();
    const std::uint64_t before = bench.spool->stats().bytes_written;
    EXPECT_EQ(bench.spool->write({}), CommitResult::ok);
    EXPECT_EQ(bench.spool->sync(), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().bytes_written, before);
}

TEST(SpoolCommit, TakesABatchWholeOrNotAtAll) {
    // A move to the dead letters: record there, settlement here, at every tear.
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        Bench bench(seed);
        bench.open();
        const StreamIndex dead = bench.open_stream(StreamKind::dead, "other");
        bench.commit({1, 3});
        Batch batch;
        batch.parts.push_back(bench.part(dead, {1, 3}, 3000));
        batch.changes.push_back({StateChange::Kind::settled, bench.queue, 0, {1, 3}, 0, {}});
        ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
        bench.crash(seed % 2 == 0 ? CrashPolicy::tear() : CrashPolicy::corrupt());
        bench.open();
        const bool moved = bench.end_of("other") == 3;
        EXPECT_EQ(bench.settled_of("orders").size(), moved ? 3u : 0u) << seed;
        const auto got = bench.read_all(bench.open_stream(StreamKind::dead, "other"), 1, 3);
        EXPECT_EQ(got.seqs.size(), moved ? 3u : 0u) << seed;
    }
}

TEST(SpoolCommit, WritesAgainElsewhereWhatAFailedSyncMayHaveLost) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    ASSERT_EQ(bench.write({6, 10}), CommitResult::ok);
    ASSERT_EQ(bench.write({11, 15}), CommitResult::ok);
    bench.files.fail_call(Operation::sync, 1, EIO);
    EXPECT_EQ(bench.spool->sync(), CommitResult::ok) << bench.spool->failure();
    ASSERT_EQ(bench.reports.size(), 1u);
    EXPECT_EQ(bench.reports[0].kind, Damage::Kind::io_error);
    EXPECT_NE(bench.reports[0].text.find("errno 5"), std::string::npos);
    bench.commit({16, 20});
    EXPECT_EQ(bench.read_all(bench.queue, 1, 20).seqs, seqs(1, 20));
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    EXPECT_EQ(bench.read_all(20).seqs, seqs(1, 20));
    EXPECT_EQ(bench.spool->recovery().records_unsettled, 20u);
}

TEST(SpoolCommit, NeverSyncsAPoisonedFileAgain) {
    Bench bench;
    bench.open();
    bench.files.set_rate(Fault::sync_error, 1'000'000);
    ASSERT_EQ(bench.write({1, 5}), CommitResult::ok);
    EXPECT_EQ(bench.spool->sync(), CommitResult::failed);
    bench.files.clear_rates();
    EXPECT_EQ(bench.spool->sync(), CommitResult::failed);
    EXPECT_EQ(bench.write({6, 6}), CommitResult::failed);
    EXPECT_FALSE(bench.spool->failure().empty());
    EXPECT_FALSE(bench.spool->maintain());
}

TEST(SpoolCommit, OpensAgainAfterAFinalFailure) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    ASSERT_EQ(bench.write({6, 9}), CommitResult::ok);
    bench.files.fail_call(Operation::sync, 1, EIO, true);
    EXPECT_EQ(bench.spool->sync(), CommitResult::failed);
    bench.kill();
    bench.files.clear_failures();
    bench.open();
    const auto got = bench.read_all(bench.end_of());
    ASSERT_GE(got.seqs.size(), 5u);
    EXPECT_EQ(got.seqs, seqs(1, got.seqs.size()));
    bench.commit({bench.end_of() + 1, bench.end_of() + 5});
}

TEST(SpoolCommit, MovesOnFromAFileThatCannotBeWritten) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    bench.files.fail_call(Operation::write, 1, EIO);
    ASSERT_EQ(bench.write({6, 10}), CommitResult::ok) << bench.spool->failure();
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    EXPECT_EQ(bench.read_all(10).seqs, seqs(1, 10));
}

TEST(SpoolCommit, FinishesShortWrites) {
    Bench bench;
    bench.files.set_rate(Fault::short_write, 500'000);
    bench.files.set_rate(Fault::interrupted, 200'000);
    bench.open();
    for (Seq seq = 1; seq <= 300; seq += 10) bench.commit({seq, seq + 9}, 300);
    EXPECT_EQ(bench.read_all(bench.queue, 1, 300).seqs, seqs(1, 300));
}

TEST(SpoolCommit, SyncsByItselfBeforeTooMuchIsPinned) {
    Bench bench;
    bench.options.segment_bytes = base::limits::kSegmentBytesDefault;
    bench.open();
    const std::uint64_t before = bench.spool->stats().syncs;
    for (Seq seq = 1; seq <= 40; ++seq)
        ASSERT_EQ(bench.write({seq, seq}, 1'000'000), CommitResult::ok);
    EXPECT_GT(bench.spool->stats().syncs, before);
}

TEST(SpoolCommit, SettlesEachGroupForItself) {
    Bench bench;
    bench.open();
    bench.commit({1, 10});
    const std::uint64_t live = bench.spool->stats().live_bytes;
    ASSERT_EQ(bench.settle({1, 10}, 3), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().live_bytes, live) << "group 0 alone decides";
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    const RecoveredStream* stream = bench.recovered_stream("orders");
    ASSERT_EQ(stream->groups.size(), 2u);
    EXPECT_TRUE(stream->groups[0].settled.empty());
    EXPECT_EQ(stream->groups[1].group, 3u);
    EXPECT_EQ(stream->groups[1].settled.size(), 10u);
}

TEST(SpoolCommit, KeepsWhatItIsToldOfAGroupUntilThatIsErased) {
    Bench bench;
    bench.open();
    bench.commit({1, 10});
    const std::string info(1000, 'i');
    ASSERT_EQ(bench.change({StateChange::Kind::group, bench.queue, 2, {}, 0, {}, "old"}),
              CommitResult::ok);
    ASSERT_EQ(bench.change({StateChange::Kind::group, bench.queue, 2, {}, 0, {}, info}),
              CommitResult::ok);
    ASSERT_EQ(bench.settle({1, 5}, 2), CommitResult::ok);
    for (int round = 0; round < 2; ++round) {  // from the log, then from a checkpoint
        bench.close();
        bench.open();
        const RecoveredStream* stream = bench.recovered_stream("orders");
        ASSERT_EQ(stream->groups.size(), 2u);
        EXPECT_EQ(stream->groups[1].info, info);
        EXPECT_EQ(stream->groups[1].settled.size(), 5u);
    }
    ASSERT_EQ(bench.change({StateChange::Kind::group, bench.queue, 2, {}, 0, {}, ""}),
              CommitResult::ok);
    for (int round = 0; round < 2; ++round) {
        bench.close();
        bench.open();
        EXPECT_EQ(bench.recovered_stream("orders")->groups.size(), 1u);
    }
}

TEST(SpoolCommit, ForgetsARetryOnceItsMessageIsSettled) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    const RetryRecord retry{2, 1, 0, 0, {}, ""};
    ASSERT_EQ(bench.change({StateChange::Kind::retry, bench.queue, 0, {}, 0, retry}),
              CommitResult::ok);
    ASSERT_EQ(bench.settle_durably({2, 2}), CommitResult::ok);
    bench.close();
    bench.open();
    EXPECT_TRUE(bench.recovered_stream("orders")->groups[0].retries.empty());
}

TEST(SpoolCommit, KeepsStateOfThousandsOfRunsThroughRotation) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 3000; seq += 100) bench.commit({seq, seq + 99}, 20);
    Batch batch;
    for (Seq seq = 1; seq <= 3000; seq += 2) {
        batch.changes.push_back({StateChange::Kind::settled, bench.queue, 0, {seq, seq}, 0, {}});
    }
    ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
    for (Seq seq = 3001; seq <= 4000; seq += 100) bench.commit({seq, seq + 99}, 20);
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    EXPECT_EQ(bench.settled_of("orders").size(), 1500u);
    EXPECT_EQ(bench.read_all(4000).seqs.size(), 2500u);
}

TEST(SpoolRead, ReturnsAtLeastOneRecordHoweverSmallTheLimit) {
    Bench bench;
    bench.open();
    bench.commit({1, 10}, 5000);
    for (Seq seq = 1; seq <= 10; ++seq) {
        const ReadResult got = bench.spool->read(bench.queue, seq, 1);
        EXPECT_EQ(got.run, (base::Run{seq, seq}));
    }
}

TEST(SpoolRead, StopsAtTheLimitOfBytes) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 100; seq += 5) bench.commit({seq, seq + 4}, 100);
    const ReadResult got = bench.spool->read(bench.queue, 1, 2000);
    EXPECT_LE(got.bytes.size(), 2000u);
    EXPECT_GT(got.bytes.size(), 1500u);
}

TEST(SpoolRead, StartsAnywhere) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 300; seq += 30) bench.commit({seq, seq + 29}, 200);
    peermq::test::SeededRandom random(3);
    for (int i = 0; i < 300; ++i) {
        const Seq first = random.between(1, 300);
        const ReadResult got = bench.spool->read(bench.queue, first, random.between(1, 8000));
        ASSERT_FALSE(got.run.empty());
        EXPECT_EQ(got.run.first, first);
    }
}

TEST(SpoolRead, SaysNothingBeyondTheEndAndOfUnknownStreams) {
    Bench bench;
    bench.open();
    bench.commit({1, 3});
    for (const auto& [stream, seq] :
         {std::pair<StreamIndex, Seq>{bench.queue, 4}, {99, 1}, {bench.queue, 0}}) {
        const ReadResult got = bench.spool->read(stream, seq, 100);
        EXPECT_TRUE(got.run.empty());
        EXPECT_TRUE(got.lost.empty());
    }
}

TEST(SpoolRead, GivesNothingUpBecauseOfAReadError) {
    Bench bench;
    bench.open();
    bench.commit({1, 10});
    bench.files.set_rate(Fault::read_error, 1'000'000);
    const ReadResult got = bench.spool->read(bench.queue, 1, 1000);
    EXPECT_TRUE(got.run.empty());
    EXPECT_TRUE(got.lost.empty());
    bench.files.clear_rates();
    EXPECT_EQ(bench.read_all(bench.queue, 1, 10).seqs, seqs(1, 10));
}

TEST(SpoolRead, NeverMixesEpochs) {
    Bench bench;
    for (int round = 0; round < 3; ++round) {
        bench.open();
        bench.commit({bench.end_of() + 1, bench.end_of() + 10});
        bench.close();
    }
    bench.open();
    for (Seq first = 1; first <= 30; first += 10) {
        const ReadResult got = bench.spool->read(bench.queue, first, 1'000'000);
        EXPECT_EQ(got.run, (base::Run{first, first + 9}));
        EXPECT_EQ(got.epoch.counter, first / 10 + 1);
    }
}

}  // namespace
}  // namespace peermq::spool::test
