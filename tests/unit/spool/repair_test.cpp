#include "spool/repair.hpp"

#include "spool/format.hpp"
#include "spool_fixture.hpp"

/// A repaired spool verifies clean, and has lost only what could not be read.

namespace peermq::spool::test {
namespace {

class SpoolRepair : public ::testing::Test {
protected:
    /// 90 messages in several segments, 12 to 14 settled; closed in order.
    void SetUp() override {
        bench.open();
        for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
        ASSERT_EQ(bench.settle_durably({12, 14}), CommitResult::ok);
        bench.close();
        names = bench.segment_names();
        ASSERT_GE(names.size(), 2U);
    }

    RepairReport repair() {
        return spool::repair(bench.files, bench.clock, bench.random, kPath, bench.options);
    }

    /// Where a record of the queue lies.
    std::pair<std::string, std::uint64_t> place_of(Seq seq) {
        std::pair<std::string, std::uint64_t> place;
        (void)inspect(bench.files, kPath, [&](const LogEntry& entry) {
            if (entry.record != nullptr && entry.record->seq == seq)
                place = {entry.path.substr(entry.path.rfind('/') + 1), entry.offset};
        });
        return place;
    }

    void flip(const std::string& name, std::uint64_t at) {
        const std::string path = kPath + "/" + name;
        std::vector<std::byte> bytes = bench.files.contents(path);
        ASSERT_LT(at, bytes.size());
        bytes[at] ^= std::byte{0x08};
        bench.files.set_contents(path, bytes);
    }

    std::vector<Seq> read_back() {
        bench.open();
        auto contents = bench.read_all(bench.end_of());
        EXPECT_FALSE(contents.altered);
        EXPECT_TRUE(contents.lost.empty());
        return contents.seqs;
    }

    Bench bench;
    std::vector<std::string> names;
};

TEST_F(SpoolRepair, DoesNothingToACleanSpool) {
    const RepairReport report = repair();
    EXPECT_TRUE(report.found.empty());
    EXPECT_EQ(report.segments_rewritten, 0U);
    EXPECT_EQ(bench.segment_names(), names);
}

TEST_F(SpoolRepair, GivesUpADamagedRecordAloneAndKeepsItsNeighbours) {
    const auto [name, offset] = place_of(25);
    flip(name, offset + 60);
    ASSERT_FALSE(inspect(bench.files, kPath).damage.empty());

    const RepairReport report = repair();
    EXPECT_FALSE(report.found.empty());
    EXPECT_EQ(report.records_lost, 1U);
    EXPECT_EQ(report.segments_rewritten, 1U);
    EXPECT_TRUE(report.left.empty());
    EXPECT_TRUE(inspect(bench.files, kPath).damage.empty());
    EXPECT_FALSE(bench.files.files(kPath + "/quarantine").empty());

    std::vector<Seq> expected = seqs(1, 90);
    std::erase_if(expected, [](Seq seq) { return seq == 25 || (seq >= 12 && seq <= 14); });
    EXPECT_EQ(read_back(), expected);
}

TEST_F(SpoolRepair, GivesUpTheRecordsOfAMissingSegment) {
    const auto [name, offset] = place_of(40);
    bench.files.remove(kPath + "/" + name);

    const RepairReport report = repair();
    EXPECT_GT(report.records_lost, 0U);
    EXPECT_TRUE(report.left.empty());
    const std::vector<Seq> left = read_back();
    EXPECT_EQ(left.size() + report.records_lost, 87U);
    EXPECT_TRUE(std::find(left.begin(), left.end(), 40) == left.end());
}

TEST_F(SpoolRepair, ASecondRepairFindsNothingMore) {
    const auto [name, offset] = place_of(25);
    flip(name, offset + 60);
    (void)repair();
    const RepairReport again = repair();
    EXPECT_TRUE(again.found.empty());
    EXPECT_EQ(again.records_lost, 0U);
}

TEST_F(SpoolRepair, ASettledRecordThatIsDamagedIsNoLoss) {
    const auto [name, offset] = place_of(13);
    flip(name, offset + 60);
    const RepairReport report = repair();
    EXPECT_EQ(report.records_lost, 0U);
    EXPECT_TRUE(inspect(bench.files, kPath).damage.empty());
}

TEST_F(SpoolRepair, PurgeSettlesAllOfAStreamAndNothingElse) {
    bench.open();
    Batch batch;
    const StreamIndex other = bench.open_stream(StreamKind::dead, "other");
    batch.parts.push_back(bench.part(other, {1, 3}));
    ASSERT_EQ(bench.spool->write(batch), CommitResult::ok);
    bench.close();
    EXPECT_EQ(spool::purge(bench.files, bench.clock, bench.random, kPath, bench.options,
                           StreamKind::queue, "orders"),
              87U);
    EXPECT_TRUE(read_back().empty());
    EXPECT_EQ(bench.read_all(bench.open_stream(StreamKind::dead, "other"), 1, 3).seqs, seqs(1, 3));
    bench.close();
    EXPECT_THROW((void)spool::purge(bench.files, bench.clock, bench.random, kPath, bench.options,
                                    StreamKind::queue, "nobody"),
                 Error);
}

TEST_F(SpoolRepair, RefusesADirectoryWithoutASpool) {
    EXPECT_THROW(
        (void)spool::repair(bench.files, bench.clock, bench.random, "/nowhere", bench.options),
        Error);
}

}  // namespace
}  // namespace peermq::spool::test
