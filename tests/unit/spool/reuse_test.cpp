/// Finished segments that are written again: what they held before must never be seen.

#include "spool/format.hpp"
#include "spool_fixture.hpp"

namespace peermq::spool::test {
namespace {

using peermq::test::CrashPolicy;
using peermq::test::SeededRandom;

/// Writes and settles so much that segments go round; returns the last seq.
Seq go_round(Bench& bench, Seq end, Seq messages) {
    for (const Seq until = end + messages; end < until; end += 10) {
        bench.commit({end + 1, end + 10}, 300);
        EXPECT_EQ(bench.settle_durably({end + 1, end + 10}), CommitResult::ok);
        bench.maintain();
    }
    return end;
}

std::size_t count_reused(const Bench& bench) {
    std::size_t count = 0;
    for (const std::string& name : bench.segment_names()) {
        SegmentHeader header;
        const BlockState state = decode_segment_header(
            base::ByteSpan(bench.files.contents(kPath + "/" + name)).first(kSegmentHeaderBytes),
            header);
        EXPECT_EQ(state, BlockState::ok);
        if (header.reused) ++count;
    }
    return count;
}

TEST(SpoolReuse, ABusyQueueGoesRoundInTheSameFiles) {
    Bench bench;
    bench.open();
    (void)go_round(bench, 0, 2000);
    EXPECT_GT(bench.spool->stats().segments_retired, 20u);
    EXPECT_GE(count_reused(bench), 2u);
    EXPECT_LE(bench.segment_names().size(), 2 + base::limits::kSpareSegmentsMax);
}

TEST(SpoolReuse, SegmentsOfAnEarlierProcessAreUsedToo) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 400; seq += 10) bench.commit({seq, seq + 9}, 300);
    bench.close();
    bench.open();
    ASSERT_EQ(bench.settle_durably({1, 400}), CommitResult::ok);
    bench.maintain();
    EXPECT_GE(count_reused(bench), 2u);
}

TEST(SpoolReuse, AFullDiskGetsItsRoomBack) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 200; seq += 10) bench.commit({seq, seq + 9}, 300);
    bench.files.set_capacity(bench.files.used_bytes() + bench.options.segment_bytes);
    ASSERT_EQ(bench.settle_durably({1, 200}), CommitResult::ok);
    bench.maintain();
    // Some were kept while there was little room; what they hold is free for others all the same.
    EXPECT_LE(bench.segment_names().size(), 2 + base::limits::kSpareSegmentsMax);
    bench.rest();
    EXPECT_LE(bench.segment_names().size(), 2u);
}

TEST(SpoolReuse, NothingOfTheEarlierLifeComesBackAfterAPowerCut) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        Bench bench(seed);
        SeededRandom random(seed);
        bench.open();
        const Seq end = go_round(bench, 0, 600);
        bench.commit({end + 1, end + 7}, 300);
        // Written, perhaps not synced: after the cut it is there whole or not at all.
        ASSERT_EQ(bench.write({end + 8, end + 12}, 300), CommitResult::ok);
        bench.crash(CrashPolicy::any(random));
        bench.open();
        const std::vector<Seq> found = bench.read_all(bench.end_of()).seqs;
        EXPECT_TRUE(found == seqs(end + 1, end + 7) || found == seqs(end + 1, end + 12))
            << "seed " << seed << ": " << found.size() << " messages";
        for (const Damage& damage : bench.reports) {
            EXPECT_EQ(damage.kind, Damage::Kind::torn_tail) << "seed " << seed << damage.text;
            EXPECT_LE(damage.records, 5u) << "seed " << seed;
        }
        bench.close();
        bench.reports.clear();
        bench.open();
        EXPECT_EQ(bench.read_all(bench.end_of()).seqs, found) << "seed " << seed;
        EXPECT_TRUE(bench.reports.empty()) << "seed " << seed;
    }
}

TEST(SpoolReuse, AKilledProcessLeavesNothingThatLooksTorn) {
    Bench bench;
    bench.open();
    const Seq end = go_round(bench, 0, 600);
    bench.commit({end + 1, end + 7}, 300);
    bench.kill();
    bench.open();
    EXPECT_EQ(bench.read_all(end + 7).seqs, seqs(end + 1, end + 7));
    EXPECT_TRUE(bench.reports.empty()) << bench.reports.front().text;
}

}  // namespace
}  // namespace peermq::spool::test
