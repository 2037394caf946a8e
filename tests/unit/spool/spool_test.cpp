#include <cerrno>

#include "spool_fixture.hpp"

namespace peermq::spool::test {
namespace {

using peermq::test::CrashPolicy;

TEST(Spool, CreatesAnEmptyOne) {
    Bench bench;
    Spool& spool = bench.open();
    EXPECT_TRUE(spool.recovery().created);
    EXPECT_TRUE(spool.recovery().damage.empty());
    EXPECT_FALSE(spool.id().is_zero());
    EXPECT_FALSE(spool.peer().is_zero());
    EXPECT_EQ(spool.epoch().counter, 1u);
    EXPECT_TRUE(bench.recovered.empty());
}

TEST(Spool, GivesBackWhatWasWritten) {
    Bench bench;
    bench.open();
    bench.commit({1, 50});
    const auto got = bench.read_all(50);
    EXPECT_EQ(got.seqs, seqs(1, 50));
    EXPECT_FALSE(got.altered);
}

TEST(Spool, KeepsSyncedRecordsThroughEveryCrash) {
    for (const CrashPolicy& policy :
         {CrashPolicy::keep_all(), CrashPolicy::drop_all(), CrashPolicy::keep_data_drop_names(),
          CrashPolicy::drop_data_keep_names(), CrashPolicy::tear(), CrashPolicy::corrupt()}) {
        Bench bench;
        bench.open();
        bench.commit({1, 50});
        bench.commit({51, 400});
        bench.crash(policy);
        bench.open();
        EXPECT_EQ(bench.end_of(), 400u);
        const auto got = bench.read_all(400);
        EXPECT_EQ(got.seqs, seqs(1, 400));
        EXPECT_TRUE(got.lost.empty());
        EXPECT_FALSE(got.altered);
        for (const Damage& damage : bench.reports) {
            EXPECT_EQ(damage.kind, Damage::Kind::torn_tail) << damage.text;
        }
    }
}

TEST(Spool, KeepsIdentityAndRaisesTheEpochAtEachOpening) {
    Bench bench;
    const base::SpoolId id = bench.open().id();
    const base::PeerId peer = bench.spool->peer();
    const base::Epoch first = bench.spool->epoch();
    bench.close();
    bench.open();
    EXPECT_EQ(bench.spool->id(), id);
    EXPECT_EQ(bench.spool->peer(), peer);
    EXPECT_EQ(bench.spool->epoch().counter, first.counter + 1);
    EXPECT_NE(bench.spool->epoch().nonce, first.nonce);
    EXPECT_FALSE(bench.spool->recovery().created);
}

TEST(Spool, TellsTheEpochOfWhatIsStoredWithoutReadingIt) {
    Bench bench;
    const base::Epoch first = bench.open().epoch();
    bench.commit({1, 20});
    bench.close();
    bench.open();
    bench.commit({21, 30});
    bench.files.fail_call(peermq::test::Operation::read, 1, EIO, true);
    const auto old = bench.spool->stored_from(bench.queue, 7);
    ASSERT_TRUE(old);
    EXPECT_EQ(old->run, (base::Run{7, 20}));
    EXPECT_EQ(old->epoch, first);
    const auto fresh = bench.spool->stored_from(bench.queue, 21);
    ASSERT_TRUE(fresh);
    EXPECT_EQ(fresh->run, (base::Run{21, 30}));
    EXPECT_EQ(fresh->epoch, bench.spool->epoch());
    EXPECT_FALSE(bench.spool->stored_from(bench.queue, 31));
}

TEST(Spool, RecoversDeliveryState) {
    Bench bench;
    bench.open();
    bench.commit({1, 20});
    ASSERT_EQ(bench.settle({3, 7}), CommitResult::ok);
    ASSERT_EQ(bench.change({StateChange::Kind::mark, bench.queue, 0, {}, 15, {}}),
              CommitResult::ok);
    RetryRecord retry{9, 2, 1, 3, base::WallTime(std::chrono::seconds(5)), "no luck"};
    ASSERT_EQ(bench.change({StateChange::Kind::retry, bench.queue, 0, {}, 0, retry}),
              CommitResult::ok);
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    bench.crash(CrashPolicy::drop_all());
    for (int i = 0; i < 2; ++i) {
        bench.open();
        const RecoveredStream* stream = bench.recovered_stream("orders");
        ASSERT_NE(stream, nullptr);
        EXPECT_EQ(stream->end, 20u);
        const GroupState& group = stream->groups.at(0);
        EXPECT_EQ(group.settled.runs(), (std::vector<base::Run>{{3, 7}}));
        EXPECT_EQ(group.mark, 15u);
        ASSERT_EQ(group.retries.size(), 1u);
        EXPECT_EQ(group.retries[0].seq, 9u);
        EXPECT_EQ(group.retries[0].nacks, 2u);
        EXPECT_EQ(group.retries[0].crashes, 1u);
        EXPECT_EQ(group.retries[0].suspicions, 3u);
        EXPECT_EQ(group.retries[0].due, retry.due);
        EXPECT_EQ(group.retries[0].last_error, "no luck");
        bench.close();
    }
}

TEST(Spool, RotatesAndReclaimsSegments) {
    Bench bench;
    bench.open();
    for (Seq first = 1; first <= 1000; first += 50) {
        bench.commit({first, first + 49});
        bench.maintain();
    }
    EXPECT_GT(bench.spool->stats().segments, 5u);
    EXPECT_EQ(bench.read_all(1000).seqs, seqs(1, 1000));
    ASSERT_EQ(bench.settle_durably({1, 1000}), CommitResult::ok);
    bench.maintain();
    EXPECT_LE(bench.spool->stats().segments, 1 + base::limits::kSpareSegmentsMax);
    bench.rest();
    EXPECT_LE(bench.spool->stats().segments, 2u);
    EXPECT_EQ(bench.spool->stats().live_bytes, 0u);
    EXPECT_EQ(bench.segment_names().size(), bench.spool->stats().segments);
    bench.close();
    bench.open();
    EXPECT_EQ(bench.end_of(), 1000u);
    EXPECT_TRUE(bench.reports.empty());
}

}  // namespace
}  // namespace peermq::spool::test
