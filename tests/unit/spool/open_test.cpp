#include "spool/format.hpp"
#include "spool_fixture.hpp"

/// Opening: locks, strangers, versions, idempotence, inspection.

namespace peermq::spool::test {
namespace {

using peermq::test::CrashPolicy;

ErrorCode code_of(Bench& bench) {
    try {
        bench.open();
    } catch (const Error& error) {
        return error.code();
    }
    return ErrorCode{};
}

TEST(SpoolOpen, RefusesASecondOwnerAndNamesTheFirst) {
    Bench bench;
    bench.open();
    try {
        (void)Spool::open(bench.files, bench.clock, bench.random, kPath, bench.options, {});
        FAIL() << "opened twice";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::locked);
        EXPECT_NE(std::string(error.what()).find("pid " + std::to_string(getpid())),
                  std::string::npos);
    }
    bench.close();
    EXPECT_NO_THROW(bench.open());
}

TEST(SpoolOpen, RefusesADirectoryOfSomethingElse) {
    Bench bench;
    (void)bench.files.open(kPath, true);
    bench.files.set_contents(kPath + "/holiday.jpg", base::as_bytes("x"));
    EXPECT_EQ(code_of(bench), ErrorCode::corrupt);
    EXPECT_EQ(bench.files.files(kPath), (std::vector<std::string>{"holiday.jpg"}));
}

TEST(SpoolOpen, UsesNoSeqAgainThatMayHaveBeenHandedOut) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    ASSERT_EQ(bench.settle({1, 4}), CommitResult::ok);
    ASSERT_EQ(bench.change({StateChange::Kind::mark, bench.queue, 0, {}, 20, {}}),
              CommitResult::ok);
    ASSERT_EQ(bench.spool->sync(), CommitResult::ok);
    ASSERT_EQ(bench.write({6, 9}), CommitResult::ok);  // handed out, never synced
    bench.crash(peermq::test::CrashPolicy::drop_all());
    for (int i = 0; i < 2; ++i) {
        bench.open();
        EXPECT_EQ(bench.end_of(), 20u);
        EXPECT_EQ(bench.settled_of("orders").runs(), (std::vector<base::Run>{{1, 4}, {6, 20}}));
        EXPECT_EQ(bench.read_all(20).seqs, (std::vector<Seq>{5}));
        EXPECT_TRUE(bench.read_all(20).lost.empty());
        bench.kill();
    }
    bench.open();
    bench.commit({21, 22});
    EXPECT_EQ(bench.read_all(22).seqs, (std::vector<Seq>{5, 21, 22}));
}

TEST(SpoolOpen, GoesOnWithTheNextSeqAfterAnOrderlyClose) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    ASSERT_EQ(bench.change({StateChange::Kind::mark, bench.queue, 0, {}, 20, {}}),
              CommitResult::ok);
    bench.close();
    for (int i = 0; i < 2; ++i) {
        bench.open();
        EXPECT_EQ(bench.end_of(), 5u);
        EXPECT_EQ(bench.recovered_stream("orders")->groups.at(0).mark, 5u);
        bench.crash(peermq::test::CrashPolicy::drop_all());
    }
}

TEST(SpoolOpen, KeepsItsDirectoryThoughTheOneWhoMadeItDiedBeforeTheSync) {
    bool died = true;
    for (std::uint64_t call = 1; died; ++call) {
        Bench bench;
        bench.files.crash_call(call, peermq::test::CrashPoint::after);
        died = false;
        try {
            (void)bench.files.open(kPath, true);
        } catch (const peermq::test::FakeCrash&) {
            died = true;
        }
        bench.kill();
        bench.open();
        bench.commit({1, 5});
        bench.crash(peermq::test::CrashPolicy::drop_all());
        bench.open();
        EXPECT_EQ(bench.end_of(), 5u) << "died in call " << call;
    }
}

TEST(SpoolOpen, LeavesUnknownFilesAlone) {
    Bench bench;
    bench.open();
    bench.close();
    bench.files.set_contents(kPath + "/notes.txt", base::as_bytes("x"));
    bench.files.set_contents(kPath + "/seg-not-a-number", base::as_bytes("x"));
    bench.open();
    EXPECT_TRUE(bench.files.exists(kPath + "/notes.txt"));
    EXPECT_TRUE(bench.files.exists(kPath + "/seg-not-a-number"));
    EXPECT_TRUE(bench.reports.empty());
}

TEST(SpoolOpen, RemovesLeftOverTemporaryFiles) {
    Bench bench;
    bench.open();
    bench.close();
    bench.files.set_contents(kPath + "/tmp-seg-0000000000000009", base::as_bytes("x"));
    bench.open();
    EXPECT_FALSE(bench.files.exists(kPath + "/tmp-seg-0000000000000009"));
}

/// Raises the version in a block whose checksum is in its last 8 bytes.
std::vector<std::byte> newer(std::vector<std::byte> bytes, std::size_t at, std::size_t length) {
    base::store(bytes.data() + at + 8, kFormatVersion + 1);
    base::store(bytes.data() + at + length - 8,
                checksum(base::ByteSpan(bytes).subspan(at, length - 8), 0));
    return bytes;
}

TEST(SpoolOpen, RefusesANewerManifest) {
    Bench bench;
    bench.open();
    bench.close();
    const auto bytes = bench.files.contents(kPath + "/MANIFEST");
    bench.files.set_contents(kPath + "/MANIFEST", newer(bytes, 0, bytes.size()));
    EXPECT_EQ(code_of(bench), ErrorCode::version_mismatch);
}

TEST(SpoolOpen, RefusesANewerSegment) {
    Bench bench;
    bench.open();
    bench.close();
    const std::string path = kPath + "/seg-0000000000000001";
    bench.files.set_contents(path, newer(bench.files.contents(path), 0, kSegmentHeaderBytes));
    EXPECT_EQ(code_of(bench), ErrorCode::version_mismatch);
}

TEST(SpoolOpen, RefusesADamagedManifestWithoutSegments) {
    Bench bench;
    (void)bench.files.open(kPath, true);
    bench.files.set_contents(kPath + "/MANIFEST", base::as_bytes("not a manifest at all"));
    EXPECT_EQ(code_of(bench), ErrorCode::corrupt);
}

TEST(SpoolOpen, CutsATornTailOnceAndKeepsItAside) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    ASSERT_EQ(bench.write({6, 20}, 300), CommitResult::ok);
    const std::uint64_t used = inspect(bench.files, kPath).segments.at(0).used_bytes;
    bench.kill();
    // The second half of the last batch never reached the disk.
    const std::string path = kPath + "/seg-0000000000000001";
    auto bytes = bench.files.contents(path);
    bytes.resize(used - 2000);
    bench.files.set_contents(path, bytes);
    bench.open();
    ASSERT_EQ(bench.reports.size(), 1u);
    EXPECT_EQ(bench.reports[0].kind, Damage::Kind::torn_tail);
    EXPECT_EQ(bench.reports[0].records, 15u);
    EXPECT_EQ(bench.end_of(), 5u);
    EXPECT_EQ(bench.files.files(kPath + "/quarantine").size(), 1u);
    bench.commit({6, 8});
    bench.close();
    bench.reports.clear();
    bench.open();
    EXPECT_TRUE(bench.reports.empty());
    EXPECT_EQ(bench.read_all(8).seqs, seqs(1, 8));
}

TEST(SpoolOpen, NeverAppendsToAFileOfAnEarlierOpening) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    bench.kill();
    const std::uint64_t used = inspect(bench.files, kPath).segments.at(0).used_bytes;
    bench.open();
    const auto before = bench.files.contents(kPath + "/seg-0000000000000001");
    EXPECT_EQ(before.size(), used);
    bench.commit({6, 10});
    EXPECT_EQ(bench.files.contents(kPath + "/seg-0000000000000001"), before);
}

TEST(SpoolOpen, FindsTheSameHoweverOftenItIsDone) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
    ASSERT_EQ(bench.settle_durably({20, 33}), CommitResult::ok);
    for (int i = 0; i < 8; ++i) {
        bench.crash(CrashPolicy::drop_all());
        bench.open();
        EXPECT_EQ(bench.end_of(), 90u);
        EXPECT_EQ(bench.settled_of("orders").runs(), (std::vector<base::Run>{{20, 33}}));
        EXPECT_EQ(bench.read_all(90).seqs.size(), 76u);
        if (i % 2 == 0) bench.maintain();
    }
    EXPECT_LE(bench.segment_names().size(), 8u);
}

TEST(SpoolOpen, ScansOnlyTheNewestSegmentOfAClosedSpool) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 3000; seq += 10) bench.commit({seq, seq + 9}, 300);
    bench.close();
    bench.open();
    EXPECT_GT(bench.spool->recovery().segments, 50u);
    EXPECT_LE(bench.spool->recovery().bytes_scanned, 2 * base::limits::kSegmentBytesMin);
    EXPECT_EQ(bench.spool->recovery().records_unsettled, 3000u);
}

TEST(SpoolOpen, GivesEachNameAndKindItsOwnStream) {
    Bench bench;
    bench.open();
    const StreamInfo queue = bench.spool->stream(StreamKind::queue, "a");
    const StreamInfo topic = bench.spool->stream(StreamKind::topic, "a");
    EXPECT_NE(queue.index, topic.index);
    EXPECT_NE(queue.id, topic.id);
    EXPECT_EQ(bench.spool->stream(StreamKind::queue, "a").index, queue.index);
}

TEST(SpoolOpen, RegistersAStreamWithTheNextWrite) {
    Bench bench;
    bench.open();
    const StreamInfo info = bench.spool->stream(StreamKind::service, std::string("\xff\0../x", 6));
    bench.commit({1, 1});
    bench.crash(CrashPolicy::drop_all());
    bench.open();
    const StreamInfo again = bench.spool->stream(StreamKind::service, std::string("\xff\0../x", 6));
    EXPECT_EQ(again.index, info.index);
    EXPECT_EQ(again.id, info.id);
}

TEST(SpoolOpen, RefusesNamesWithoutOrWithTooManyBytes) {
    Bench bench;
    bench.open();
    EXPECT_THROW((void)bench.spool->stream(StreamKind::queue, ""), Error);
    EXPECT_THROW((void)bench.spool->stream(StreamKind::queue, std::string(256, 'x')), Error);
    EXPECT_NO_THROW((void)bench.spool->stream(StreamKind::queue, std::string(255, 'x')));
}

TEST(SpoolOpen, AnswersAfterCloseThatNothingIsTaken) {
    Bench bench;
    bench.open();
    bench.spool->close();
    EXPECT_EQ(bench.write({1, 1}), CommitResult::failed);
    EXPECT_EQ(bench.spool->sync(), CommitResult::failed);
    EXPECT_FALSE(bench.spool->maintain());
    EXPECT_NO_THROW(bench.spool->close());
}

// --- inspect

TEST(SpoolInspect, CountsWhatIsThere) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
    ASSERT_EQ(bench.settle_durably({1, 30}), CommitResult::ok);
    const base::SpoolId id = bench.spool->id();
    const Inspection live = inspect(bench.files, kPath);
    EXPECT_EQ(live.owner, "pid " + std::to_string(getpid()));
    bench.close();
    std::uint64_t records = 0;
    const Inspection found = inspect(bench.files, kPath, [&](const LogEntry& entry) {
        if (entry.kind == LogEntry::Kind::record) ++records;
    });
    EXPECT_EQ(found.id, id);
    EXPECT_EQ(found.format_version, kFormatVersion);
    EXPECT_EQ(found.epoch, 1u);
    EXPECT_EQ(found.owner, "");
    EXPECT_TRUE(found.damage.empty());
    ASSERT_EQ(found.streams.size(), 1u);
    EXPECT_EQ(found.streams[0].info.name, "orders");
    EXPECT_EQ(found.streams[0].first_unsettled, 31u);
    EXPECT_EQ(found.streams[0].end, 90u);
    EXPECT_EQ(found.streams[0].unsettled, 60u);
    EXPECT_EQ(records, 90u);
}

TEST(SpoolInspect, ChangesNothing) {
    Bench bench;
    bench.open();
    bench.commit({1, 5});
    ASSERT_EQ(bench.write({6, 20}), CommitResult::ok);
    bench.crash(CrashPolicy::tear());
    const std::uint64_t before = bench.files.hash();
    (void)inspect(bench.files, kPath);
    EXPECT_EQ(bench.files.hash(), before);
}

TEST(SpoolInspect, FindsDamageThatOpeningNeedNotLookAt) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
    bench.close();
    const std::string path = kPath + "/seg-0000000000000001";
    auto bytes = bench.files.contents(path);
    bytes[3000] ^= std::byte{1};
    bench.files.set_contents(path, bytes);
    const Inspection found = inspect(bench.files, kPath);
    ASSERT_EQ(found.damage.size(), 1u);
    EXPECT_EQ(found.damage[0].path, path);
    EXPECT_EQ(found.damage[0].records, 1u);
}

TEST(SpoolInspect, RefusesWhatIsNoSpool) {
    Bench bench;
    (void)bench.files.open(kPath, true);
    EXPECT_THROW((void)inspect(bench.files, kPath), Error);
    EXPECT_THROW((void)inspect(bench.files, "/nowhere"), Error);
}

}  // namespace
}  // namespace peermq::spool::test
