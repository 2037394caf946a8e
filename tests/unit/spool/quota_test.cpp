#include "spool_fixture.hpp"

/// Quota, full disks, segments that retire and move forward.

namespace peermq::spool::test {
namespace {

using peermq::test::CrashPolicy;
using peermq::test::Operation;

TEST(SpoolQuota, RefusesBeyondItsBytes) {
    Bench bench;
    bench.options.max_bytes = 100'000;
    bench.open();
    EXPECT_TRUE(bench.spool->reserve(bench.queue, 60'000));
    EXPECT_TRUE(bench.spool->reserve(bench.queue, 40'000));
    EXPECT_FALSE(bench.spool->reserve(bench.queue, 1));
    bench.spool->unreserve(bench.queue, 10);
    EXPECT_FALSE(bench.spool->reserve(bench.queue, 11));
    EXPECT_TRUE(bench.spool->reserve(bench.queue, 10));
}

TEST(SpoolQuota, TurnsReservedBytesIntoLiveOnesAndGivesThemBackWhenSettled) {
    Bench bench;
    bench.options.max_bytes = 100'000;
    bench.open();
    const StreamPart part = bench.part(bench.queue, {1, 10});
    const std::uint64_t bytes = part.bytes[0].size();
    ASSERT_TRUE(bench.spool->reserve(bench.queue, bytes));
    Batch batch;
    batch.parts.push_back(part);
    ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().live_bytes, bytes);
    EXPECT_FALSE(bench.spool->reserve(bench.queue, 100'000 - bytes + 1));
    ASSERT_EQ(bench.settle({1, 5}), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().live_bytes, bytes / 2);
    ASSERT_EQ(bench.settle({1, 10}), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().live_bytes, 0u);
    EXPECT_TRUE(bench.spool->reserve(bench.queue, 100'000));
}

TEST(SpoolQuota, CountsASettlementOnceHoweverOftenItComes) {
    Bench bench;
    bench.open();
    bench.commit({1, 10});
    const std::uint64_t bytes = bench.spool->stats().live_bytes;
    for (int i = 0; i < 3; ++i) ASSERT_EQ(bench.settle({1, 5}), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().live_bytes, bytes / 2);
}

TEST(SpoolQuota, SettlesRangesOverSeveralSegments) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 200; seq += 20) bench.commit({seq, seq + 19}, 300);
    ASSERT_GT(bench.spool->stats().segments, 3u);
    ASSERT_EQ(bench.settle({5, 195}), CommitResult::ok);
    // Shares go by the average record of a segment.
    const std::uint64_t record = 352;
    EXPECT_NEAR(static_cast<double>(bench.spool->stats().live_bytes), 9.0 * record, 4.0 * record);
    ASSERT_EQ(bench.settle({1, 200}), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().live_bytes, 0u);
}

TEST(SpoolQuota, CountsDeadLettersApart) {
    Bench bench;
    bench.options.max_bytes = 100'000;
    bench.options.dead_bytes_max = 5'000;
    bench.open();
    const StreamIndex dead = bench.open_stream(StreamKind::dead, "other");
    EXPECT_TRUE(bench.spool->reserve(dead, 5'000));
    EXPECT_FALSE(bench.spool->reserve(dead, 1));
    EXPECT_TRUE(bench.spool->reserve(bench.queue, 100'000));
    bench.spool->unreserve(dead, 5'000);
    Batch batch;
    batch.parts.push_back(bench.part(dead, {1, 4}));
    ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
    EXPECT_EQ(bench.spool->stats().live_bytes, 0u);
    EXPECT_GT(bench.spool->stats().dead_bytes, 0u);
}

TEST(SpoolQuota, CountsWhatIsStoredAfterAReopening) {
    Bench bench;
    bench.open();
    bench.commit({1, 100});
    ASSERT_EQ(bench.settle_durably({1, 40}), CommitResult::ok);
    const std::uint64_t bytes = bench.spool->stats().live_bytes;
    for (const bool crash : {false, true}) {
        if (crash) {
            bench.crash(CrashPolicy::drop_all());
        } else {
            bench.close();
        }
        bench.open();
        EXPECT_EQ(bench.spool->stats().live_bytes, bytes);
        EXPECT_EQ(bench.spool->recovery().records_unsettled, 60u);
    }
}

TEST(SpoolQuota, StopsBelowTheFreeSpaceAskedForAndResumesByItself) {
    Bench bench;
    bench.options.free_bytes_min = 1'000'000;
    bench.open();
    bench.clock.advance(std::chrono::seconds(1));
    EXPECT_TRUE(bench.spool->reserve(bench.queue, 10));
    bench.files.set_capacity(bench.files.used_bytes() + 500'000);
    bench.clock.advance(std::chrono::milliseconds(100));
    bench.maintain();  // whoever reserves does not wait for the disk
    EXPECT_FALSE(bench.spool->reserve(bench.queue, 10));
    EXPECT_TRUE(bench.spool->stats().space_low);
    bench.files.set_capacity(bench.files.used_bytes() + 5'000'000);
    bench.clock.advance(std::chrono::milliseconds(100));
    bench.maintain();
    EXPECT_TRUE(bench.spool->reserve(bench.queue, 10));
    EXPECT_FALSE(bench.spool->stats().space_low);
}

TEST(SpoolQuota, LooksAgainSoonerWhereMuchOfWhatWasFreeIsWritten) {
    Bench bench;
    bench.options.free_bytes_min = 1'000'000;
    bench.open();
    bench.files.set_capacity(bench.files.used_bytes() + 1'500'000);
    bench.clock.advance(std::chrono::seconds(1));
    bench.maintain();
    EXPECT_FALSE(bench.spool->stats().space_low);
    // No time passes.
    for (Seq seq = 1; seq <= 2000 && !bench.spool->stats().space_low; seq += 10) {
        bench.commit({seq, seq + 9}, 300);
        (void)bench.spool->maintenance_due();
    }
    EXPECT_TRUE(bench.spool->stats().space_low);
}

// --- a full disk

/// Fills a disk with room for `segments`; returns the last seq stored.
Seq fill(Bench& bench, std::uint64_t segments) {
    bench.open();
    bench.files.set_capacity(bench.files.used_bytes() + segments * base::limits::kSegmentBytesMin);
    Seq last = 0;
    for (int refused = 0; refused < 3;) {
        if (bench.write({last + 1, last + 5}, 300) == CommitResult::ok) {
            last += 5;
            EXPECT_EQ(bench.spool->sync(), CommitResult::ok) << bench.spool->failure();
        } else {
            ++refused;
            EXPECT_EQ(bench.spool->failure(), "");
        }
        bench.clock.advance(std::chrono::seconds(1));
        bench.maintain();
    }
    return last;
}

TEST(SpoolSpace, RefusesWithNoSpaceAndStoresNothingOfTheBatch) {
    Bench bench;
    const Seq last = fill(bench, 6);
    ASSERT_GT(last, 50u);
    EXPECT_EQ(bench.write({last + 1, last + 5}, 300), CommitResult::no_space);
    EXPECT_EQ(bench.read_all(bench.queue, 1, last + 5).seqs, seqs(1, last));
    bench.crash(CrashPolicy::keep_all());
    bench.files.set_capacity(100'000'000);
    bench.open();
    EXPECT_EQ(bench.end_of(), last);
    EXPECT_EQ(bench.read_all(last).seqs, seqs(1, last));
}

TEST(SpoolSpace, DrainsAFullDiskAndTakesMessagesAgain) {
    Bench bench;
    const Seq last = fill(bench, 6);
    for (Seq seq = 1; seq <= last; seq += 5) {
        ASSERT_EQ(bench.settle_durably({seq, seq + 4}), CommitResult::ok) << seq;
        bench.clock.advance(std::chrono::seconds(1));
        bench.maintain();
    }
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    bench.clock.advance(std::chrono::seconds(1));
    bench.maintain();
    EXPECT_LE(bench.spool->stats().segments, 3u);
    EXPECT_EQ(bench.write({last + 1, last + 5}, 300), CommitResult::ok);
}

TEST(SpoolSpace, DrainsAFullDiskAfterAReopening) {
    Bench bench;
    const Seq last = fill(bench, 6);
    bench.kill();
    bench.files.set_capacity(bench.files.used_bytes() + 2 * 4096);
    bench.open();
    EXPECT_EQ(bench.end_of(), last);
    ASSERT_EQ(bench.settle_durably({1, last}), CommitResult::ok);
    bench.clock.advance(std::chrono::seconds(1));
    bench.maintain();
    EXPECT_EQ(bench.write({last + 1, last + 5}, 300), CommitResult::ok);
}

TEST(SpoolSpace, GoesOnWithoutPreallocation) {
    Bench bench;
    bench.files.fail_call(Operation::allocate, 1, EOPNOTSUPP, true);
    bench.open();
    for (Seq seq = 1; seq <= 100; seq += 10) bench.commit({seq, seq + 9}, 300);
    EXPECT_EQ(bench.read_all(100).seqs, seqs(1, 100));
}

TEST(SpoolSpace, WhatFreesSpaceGoesToThePreparedSegmentWhenTheCurrentOneCannotGrow) {
    Bench bench;
    bench.files.fail_call(Operation::allocate, 1, EOPNOTSUPP, true);
    bench.open();
    bench.commit({1, 60}, 20);
    bench.files.clear_failures();
    bench.maintain();  // prepares a segment that has its room
    bench.files.set_capacity(bench.files.used_bytes());
    EXPECT_EQ(bench.write({61, 90}, 300), CommitResult::no_space);
    for (Seq seq = 1; seq <= 50; ++seq) {  // more than the last page has room for
        ASSERT_EQ(bench.settle_durably({seq, seq}), CommitResult::ok) << seq;
    }
    bench.crash(CrashPolicy::drop_all());
    bench.files.set_capacity(bench.files.used_bytes() + 8 * base::limits::kSegmentBytesMin);
    bench.open();
    EXPECT_EQ(bench.read_all(60).seqs, seqs(51, 60));
}

TEST(SpoolSpace, HealsFromAWriteThatRanOutOfSpace) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    bench.files.fail_call(Operation::write, 1, ENOSPC);
    EXPECT_EQ(bench.write({6, 10}), CommitResult::no_space);
    bench.commit({6, 10});
    EXPECT_EQ(bench.read_all(10).seqs, seqs(1, 10));
    bench.crash(CrashPolicy::keep_all());
    bench.open();
    EXPECT_EQ(bench.read_all(10).seqs, seqs(1, 10));
    EXPECT_TRUE(bench.reports.empty());
}

TEST(SpoolSpace, RefusesToOpenOnADiskWithoutAnyRoom) {
    Bench bench;
    bench.files.set_capacity(bench.files.used_bytes());
    try {
        bench.open();
        FAIL() << "opened";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::no_space) << error.what();
    }
}

// --- retiring and compaction

TEST(SpoolRetire, KeepsASegmentUntilItsSettlementsAreDurable) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
    ASSERT_EQ(bench.settle({1, 60}), CommitResult::ok);
    bench.maintain();
    EXPECT_TRUE(bench.files.exists(kPath + "/seg-0000000000000001"));
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    bench.maintain();
    EXPECT_FALSE(bench.files.exists(kPath + "/seg-0000000000000001"));
    EXPECT_GT(bench.spool->stats().segments_retired, 0u);
}

TEST(SpoolRetire, NeverReusesASeqAfterAllIsReclaimed) {
    Bench bench;
    Seq end = 0;
    for (int round = 0; round < 4; ++round) {
        bench.open();
        EXPECT_EQ(bench.end_of(), end);
        bench.commit({end + 1, end + 60}, 300);
        end += 60;
        ASSERT_EQ(bench.settle_durably({1, end}), CommitResult::ok);
        bench.maintain();
        if (round % 2 == 0) {
            bench.close();
        } else {
            bench.crash(CrashPolicy::drop_all());
        }
    }
}

TEST(SpoolRetire, OneOldMessageDoesNotPinTheDisk) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 2000; seq += 20) {
        bench.commit({seq, seq + 19}, 300);
        ASSERT_EQ(bench.settle({std::max<Seq>(seq, 2), seq + 19}), CommitResult::ok);
        bench.maintain();
    }
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    bench.rest();
    EXPECT_LE(bench.spool->stats().segments, 4u);
    EXPECT_GT(bench.spool->stats().records_carried, 0u);
    EXPECT_EQ(bench.read_all(bench.queue, 1, 1).seqs, seqs(1, 1));
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    EXPECT_EQ(bench.read_all(2000).seqs, seqs(1, 1));
}

TEST(SpoolRetire, CarriesRecordsWithTheirIdentity) {
    Bench bench;
    bench.open();
    const base::Epoch first = bench.spool->epoch();
    for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
    ASSERT_EQ(bench.settle_durably({2, 80}), CommitResult::ok);
    bench.close();
    for (int round = 0; round < 3; ++round) {
        bench.open();
        bench.maintain();
        const ReadResult got = bench.spool->read(bench.queue, 1, 10'000);
        ASSERT_EQ(got.run, (base::Run{1, 1}));
        EXPECT_EQ(got.epoch, first);
        bench.close();
    }
}

TEST(SpoolRetire, CarriesScatteredSurvivors) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 400; seq += 20) bench.commit({seq, seq + 19}, 300);
    std::vector<Seq> left;
    for (Seq seq = 1; seq <= 400; ++seq) {
        if (seq % 7 == 0) {
            left.push_back(seq);
        } else {
            ASSERT_EQ(bench.settle({seq, seq}), CommitResult::ok);
        }
    }
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    bench.rest();
    EXPECT_LE(bench.spool->stats().segments, 7u);
    base::RunSet settled(base::Run{1, 400});
    for (const Seq seq : left) settled.remove(seq);
    EXPECT_EQ(bench.read_all(bench.queue, 1, 400, settled).seqs, left);
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    EXPECT_EQ(bench.read_all(400).seqs, left);
    EXPECT_EQ(bench.spool->recovery().records_unsettled, left.size());
    ASSERT_EQ(bench.settle_durably({1, 400}), CommitResult::ok);
    bench.rest();
    EXPECT_LE(bench.spool->stats().segments, 2u);
}

TEST(SpoolRetire, DoesNotCarryWhatConsumersAreAboutToFinish) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 400; seq += 20) bench.commit({seq, seq + 19}, 300);
    bench.close();
    bench.open();  // also of a spool that was just opened
    for (Seq seq = 1; seq <= 400; seq += 10) {
        ASSERT_EQ(bench.settle_durably({seq, seq + 9}), CommitResult::ok);
        bench.clock.advance(base::limits::kCompactionRest / 2);
        bench.maintain();
    }
    EXPECT_EQ(bench.spool->stats().records_carried, 0u);
}

TEST(SpoolRetire, ReportsRecordsThatCannotBeCarried) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
    std::uint64_t at = 0;
    (void)inspect(bench.files, kPath, [&](const LogEntry& entry) {
        if (entry.kind == LogEntry::Kind::record && entry.record->seq == 4) at = entry.offset + 60;
    });
    bench.kill();
    auto bytes = bench.files.contents(kPath + "/seg-0000000000000001");
    bytes[at] ^= std::byte{4};
    bench.files.set_contents(kPath + "/seg-0000000000000001", bytes);
    bench.open();
    ASSERT_EQ(bench.settle_durably({5, 80}), CommitResult::ok);
    bench.rest();
    EXPECT_FALSE(bench.files.exists(kPath + "/seg-0000000000000001"));
    ASSERT_FALSE(bench.reports.empty());
    const auto got = bench.read_all(bench.queue, 1, 4);
    EXPECT_EQ(got.seqs, seqs(1, 3));
    EXPECT_EQ(got.lost, seqs(4, 4));
}

}  // namespace
}  // namespace peermq::spool::test
