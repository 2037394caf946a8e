#include "spool_fixture.hpp"

#include <atomic>
#include <thread>

#include "support/hanging_file_system.hpp"

/// The threads that a peer uses: one commits, one does the upkeep, others read and ask.

namespace peermq::spool::test {
namespace {

TEST(SpoolThreads, ReadsWhatIsCommittedWhileSegmentsComeAndGo) {
    Bench bench;
    bench.open();
    constexpr Seq kLast = 4000;
    std::atomic<Seq> durable{0};
    std::atomic<Seq> settled{0};
    std::atomic<Seq> read_to{0};
    std::atomic<bool> done{false};

    std::jthread committer([&] {
        for (Seq seq = 1; seq <= kLast; seq += 20) {
            Batch batch;
            batch.parts.push_back(bench.part(bench.queue, {seq, seq + 19}, 200));
            // Every 50th message stays, so that segments are compacted too.
            for (Seq s = settled + 1; s <= read_to; ++s) {
                if (s % 50 != 0) {
                    batch.changes.push_back(
                        {StateChange::Kind::settled, bench.queue, 0, {s, s}, 0, {}});
                }
                settled = s;
            }
            ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
            ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
            durable = seq + 19;
        }
        done = true;
    });
    std::jthread upkeep([&] {
        while (!done) {
            if (bench.spool->maintenance_due()) (void)bench.spool->maintain();
            std::this_thread::yield();
        }
    });
    std::jthread asker([&] {
        while (!done) {
            (void)bench.spool->stats();
            if (bench.spool->reserve(bench.queue, 10)) bench.spool->unreserve(bench.queue, 10);
            const ReadResult old = bench.spool->read(bench.queue, 50, 100);
            EXPECT_TRUE(old.lost.empty());
        }
    });
    for (Seq next = 1; next <= kLast;) {
        if (next > durable) {
            std::this_thread::yield();
            continue;
        }
        const ReadResult got = bench.spool->read(bench.queue, next, 5000);
        ASSERT_TRUE(got.lost.empty()) << next;
        ASSERT_EQ(got.run.first, next);
        next = got.run.last + 1;
        read_to = std::min<Seq>(got.run.last, durable);
    }
    committer.join();
    upkeep.join();
    asker.join();
    bench.maintain();
    EXPECT_EQ(bench.spool->read(bench.queue, 50, 100).run, (base::Run{50, 50}));
    EXPECT_TRUE(bench.reports.empty());
}

TEST(SpoolThreads, AManifestStoredWhileASegmentBecomesTheActiveOneNamesIt) {
    Bench bench;
    peermq::test::HangingFileSystem disk(&bench.files);
    bench.disk = &disk;
    bench.open();
    // Finished segments become spare ones, so that the next turn needs no new file.
    for (Seq seq = 1; seq <= 250; seq += 50) bench.commit({seq, seq + 49}, 200);
    ASSERT_EQ(bench.settle_durably({1, 200}), CommitResult::ok);
    bench.maintain();
    bench.commit({251, 300}, 200);
    // Upkeep has begun when the committing thread takes the next segment and seals the one in use;
    // then it stores the manifest.
    bench.clock.advance(base::limits::kFreeSpaceCheckInterval);
    disk.stop_next("free_bytes");
    std::jthread upkeep([&] { (void)bench.spool->maintain(); });
    ASSERT_TRUE(disk.await_stopped("free_bytes"));
    disk.stop_next("truncate");
    std::jthread committer([&] { bench.commit({301, 350}, 200); });
    ASSERT_TRUE(disk.await_stopped("truncate"));
    disk.stop_next("sync");
    disk.release("free_bytes");
    ASSERT_TRUE(disk.await_stopped("sync"));
    disk.release("sync");
    disk.release("truncate");
    committer.join();
    upkeep.join();
    // What was stored last is all that the next process sees.
    bench.kill();
    bench.disk = &bench.files;
    bench.open();
    EXPECT_EQ(bench.end_of(), 350u);
    EXPECT_EQ(bench.read_all(350).seqs, seqs(201, 350));
    EXPECT_TRUE(bench.reports.empty());
}

}  // namespace
}  // namespace peermq::spool::test
