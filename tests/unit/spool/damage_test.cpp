#include "unit/spool/damage_sample.hpp"

/// Damage to the files of a closed or crashed spool: nothing is invented, nothing but the records
/// touched is lost, and what was durable and is gone is reported.

namespace peermq::spool::test {
namespace {

/// Flips a bit in the body of record `seq`; returns the path of its segment.
std::string damage_record(FakeFileSystem& files, Seq seq) {
    std::string path;
    std::uint64_t offset = 0;
    (void)inspect(files, kPath, [&](const LogEntry& entry) {
        if (entry.kind != LogEntry::Kind::record || entry.record->seq != seq) return;
        path = entry.path;
        offset = entry.offset + record::kHeaderBytes + 8;
    });
    auto bytes = files.contents(path);
    bytes[offset] ^= std::byte{1};
    files.set_contents(path, bytes);
    return path;
}

void damage_each_byte(bool closed, std::size_t step, std::byte (*change)(std::byte)) {
    const Sample sample = make_sample(closed);
    for (const std::string& name : all_files(sample.files)) {
        const std::string path = kPath + "/" + name;
        const std::vector<std::byte> bytes = sample.files.contents(path);
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            std::vector<std::byte> changed = bytes;
            changed[at] = change(changed[at]);
            if (changed[at] == bytes[at]) continue;
            Sample copy = sample;
            copy.files.set_contents(path, changed);
            const std::string where = name + " byte " + std::to_string(at);
            const Outcome outcome = examine(copy, where);
            EXPECT_LE(outcome.lost, 1u) << where;
            if (outcome.lost > 0) {
                EXPECT_TRUE(outcome.reported) << where;
            }
            if (::testing::Test::HasFailure()) return;
        }
    }
}

TEST(SpoolDamage, LosesOneRecordAtMostToOneFlippedBit) {
    damage_each_byte(true, 37, [](std::byte b) { return b ^ std::byte{0x10}; });
}
TEST(SpoolDamage, LosesOneRecordAtMostToOneFlippedBitAfterACrash) {
    damage_each_byte(false, 41, [](std::byte b) { return b ^ std::byte{0x01}; });
}
TEST(SpoolDamage, LosesOneRecordAtMostToAZeroedByte) {
    damage_each_byte(true, 53, [](std::byte) { return std::byte{0}; });
}
TEST(SpoolDamage, LosesOneRecordAtMostToAByteOfOnes) {
    damage_each_byte(false, 59, [](std::byte) { return std::byte{0xff}; });
}

TEST(SpoolDamage, SurvivesTruncationAnywhere) {
    const Sample sample = make_sample(true);
    for (const std::string& name : all_files(sample.files)) {
        if (name == "MANIFEST") continue;
        const std::string path = kPath + "/" + name;
        const std::vector<std::byte> bytes = sample.files.contents(path);
        for (std::size_t length = 0; length < bytes.size(); length += 61) {
            Sample copy = sample;
            copy.files.set_contents(path, base::ByteSpan(bytes).first(length));
            const std::string where = name + " cut to " + std::to_string(length);
            const Outcome outcome = examine(copy, where);
            if (outcome.lost > 0) {
                EXPECT_TRUE(outcome.reported) << where;
            }
            if (length + 400 > bytes.size()) {
                EXPECT_LE(outcome.lost, 1u) << where;
            }
            if (::testing::Test::HasFailure()) return;
        }
    }
}

TEST(SpoolDamage, SurvivesHolesOfAPage) {
    const Sample sample = make_sample(true);
    for (const std::string& name : all_files(sample.files)) {
        const std::string path = kPath + "/" + name;
        const std::vector<std::byte> bytes = sample.files.contents(path);
        for (const std::size_t size : {std::size_t{512}, std::size_t{4096}}) {
            for (std::size_t at = 0; at < bytes.size(); at += 512) {
                std::vector<std::byte> changed = bytes;
                std::fill_n(changed.begin() + static_cast<std::ptrdiff_t>(at),
                            std::min(size, bytes.size() - at), std::byte{0});
                Sample copy = sample;
                copy.files.set_contents(path, changed);
                const std::string where = name + " hole of " + std::to_string(size) + " at " +
                                          std::to_string(at);
                const Outcome outcome = examine(copy, where);
                // 300-byte records and what is around them: a hole touches size / 300 + 2 of them.
                EXPECT_LE(outcome.lost, size / 300 + 2) << where;
                if (outcome.lost > 0) {
                    EXPECT_TRUE(outcome.reported) << where;
                }
                if (::testing::Test::HasFailure()) return;
            }
        }
    }
}

TEST(SpoolDamage, NeverAcceptsRandomOrStaleBytesAtTheEnd) {
    Sample sample = make_sample(false);
    std::string path;
    std::size_t used = 0;
    for (const SegmentSummary& segment : inspect(sample.files, kPath).segments) {
        if (segment.records == 0) continue;  // one prepared ahead
        path = segment.path;
        used = segment.used_bytes;
    }
    const std::vector<std::byte> bytes = sample.files.contents(path);
    peermq::test::SeededRandom random(5);
    for (int i = 0; i < 200; ++i) {
        std::vector<std::byte> changed = bytes;
        changed.resize(used);
        if (i % 2 == 0) {
            std::vector<std::byte> noise(random.between(1, 4000));
            random.fill(noise);
            changed.insert(changed.end(), noise.begin(), noise.end());
        } else {
            // A batch of this very segment, at the wrong place.
            const std::size_t from = 1024 + 8 * random.below((used - 1024) / 8 - 4);
            changed.insert(changed.end(), bytes.begin() + static_cast<std::ptrdiff_t>(from),
                           bytes.begin() + static_cast<std::ptrdiff_t>(used));
        }
        Sample copy = sample;
        copy.files.set_contents(path, changed);
        const Outcome outcome = examine(copy, "appended " + std::to_string(i));
        EXPECT_EQ(outcome.lost, 0u);
        EXPECT_TRUE(outcome.reported);
        EXPECT_EQ(outcome.end, sample.end);
        if (::testing::Test::HasFailure()) return;
    }
}

// --- whole files

std::vector<Damage::Kind> kinds(const std::vector<Damage>& list) {
    std::vector<Damage::Kind> found;
    for (const Damage& damage : list) found.push_back(damage.kind);
    return found;
}

bool has(const std::vector<Damage>& list, Damage::Kind kind) {
    const auto all = kinds(list);
    return std::find(all.begin(), all.end(), kind) != all.end();
}

TEST(SpoolDamage, NamesAMissingSegment) {
    Sample sample = make_sample(true);
    sample.files.remove(kPath + "/seg-0000000000000002");
    Bench bench;
    bench.files = sample.files;
    bench.open();
    EXPECT_TRUE(has(bench.reports, Damage::Kind::missing_segment));
    const auto got = bench.read_all(bench.end_of());
    EXPECT_FALSE(got.lost.empty());
    EXPECT_EQ(got.seqs.size() + got.lost.size() + 3, sample.end);
}

TEST(SpoolDamage, NeverReusesTheSeqsOfALostBatchThatWasSettled) {
    Bench bench;
    bench.open();
    bench.commit({1, 10});
    const std::uint64_t lost_at = inspect(bench.files, kPath).segments.at(0).used_bytes;
    bench.commit({11, 20});
    const std::uint64_t lost_end = inspect(bench.files, kPath).segments.at(0).used_bytes;
    ASSERT_EQ(bench.settle_durably({11, 20}), CommitResult::ok);
    bench.crash(CrashPolicy::keep_all());
    const std::string path = kPath + "/seg-0000000000000001";
    auto bytes = bench.files.contents(path);
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(lost_at),
              bytes.begin() + static_cast<std::ptrdiff_t>(lost_end), std::byte{0xa5});
    bench.files.set_contents(path, bytes);

    bench.open();
    EXPECT_TRUE(has(bench.reports, Damage::Kind::corrupt_records));
    // A message under seq 11 would count as settled after the next opening.
    EXPECT_EQ(bench.end_of(), 20u);
    EXPECT_EQ(bench.read_all(20).seqs, seqs(1, 10));
}

TEST(SpoolDamage, NamesADuplicateSegment) {
    Sample sample = make_sample(true);
    sample.files.set_contents(kPath + "/seg-0000000000000007",
                              sample.files.contents(kPath + "/seg-0000000000000002"));
    Bench bench;
    bench.files = sample.files;
    bench.open();
    EXPECT_TRUE(has(bench.reports, Damage::Kind::duplicate_segment));
    EXPECT_EQ(bench.read_all(sample.end).seqs.size(), sample.end - 3);
}

TEST(SpoolDamage, UsesSwappedSegmentsAndSaysSo) {
    Sample sample = make_sample(true);
    const auto two = sample.files.contents(kPath + "/seg-0000000000000002");
    const auto three = sample.files.contents(kPath + "/seg-0000000000000003");
    sample.files.set_contents(kPath + "/seg-0000000000000002", three);
    sample.files.set_contents(kPath + "/seg-0000000000000003", two);
    Bench bench;
    bench.files = sample.files;
    bench.open();
    EXPECT_TRUE(has(bench.reports, Damage::Kind::foreign_segment));
    EXPECT_EQ(bench.read_all(sample.end).seqs.size(), sample.end - 3);
}

TEST(SpoolDamage, LeavesASegmentOfAnotherSpoolAlone) {
    Sample sample = make_sample(true);
    Bench other(77);
    other.open();
    other.commit({1, 10});
    other.close();
    const auto foreign = other.files.contents(kPath + "/seg-0000000000000001");
    sample.files.set_contents(kPath + "/seg-0000000000000009", foreign);
    Bench bench;
    bench.files = sample.files;
    bench.open();
    EXPECT_TRUE(has(bench.reports, Damage::Kind::foreign_segment));
    EXPECT_EQ(bench.read_all(sample.end).seqs.size(), sample.end - 3);
    EXPECT_EQ(bench.files.contents(kPath + "/seg-0000000000000009"), foreign);
}

TEST(SpoolDamage, NeverRemovesWhatItLeftAlone) {
    Sample sample = make_sample(true);
    Bench other(77);
    other.open();
    other.commit({1, 10});
    other.close();
    const auto foreign = other.files.contents(kPath + "/seg-0000000000000001");
    const auto copy = sample.files.contents(kPath + "/seg-0000000000000002");
    sample.files.set_contents(kPath + "/seg-0000000000000005", foreign);
    sample.files.set_contents(kPath + "/seg-0000000000000006", copy);
    sample.files.set_contents(kPath + "/seg-0000000000000007", base::as_bytes("unreadable"));
    Bench bench;
    bench.files = sample.files;
    for (int i = 0; i < 4; ++i) {
        bench.open();
        EXPECT_EQ(bench.read_all(sample.end).seqs.size(), sample.end - 3);
        bench.maintain();
        bench.kill();
        EXPECT_EQ(bench.files.contents(kPath + "/seg-0000000000000005"), foreign);
        EXPECT_EQ(bench.files.contents(kPath + "/seg-0000000000000006"), copy);
        EXPECT_TRUE(bench.files.exists(kPath + "/seg-0000000000000007"));
    }
}

TEST(SpoolDamage, KeepsSwappedSegmentsApartWhenOneIsReclaimed) {
    Sample sample = make_sample(true);
    const std::string two = kPath + "/seg-0000000000000002";
    const std::string three = kPath + "/seg-0000000000000003";
    const auto bytes = sample.files.contents(two);
    sample.files.set_contents(two, sample.files.contents(three));
    sample.files.set_contents(three, bytes);
    Bench bench;
    bench.files = sample.files;
    bench.open();
    // Segment 3 goes, under the name of 2; segment 2 stays, under the name of 3.
    ASSERT_EQ(bench.settle_durably({51, 90}), CommitResult::ok);
    bench.maintain();
    for (int i = 0; i < 3; ++i) {
        bench.kill();
        bench.open();
        const auto got = bench.read_all(sample.end);
        EXPECT_TRUE(got.lost.empty());
        EXPECT_EQ(got.seqs.size(), 50u - 3);
    }
}

TEST(SpoolDamage, NamesAnOlderCopyOfASegment) {
    Bench bench;
    bench.open();
    bench.commit({1, 5}, 300);
    const auto old = bench.files.contents(kPath + "/seg-0000000000000001");
    for (Seq seq = 6; seq <= 90; seq += 5) bench.commit({seq, seq + 4}, 300);
    bench.close();
    bench.files.set_contents(kPath + "/seg-0000000000000001", base::ByteSpan(old).first(4096));
    bench.open();
    EXPECT_TRUE(has(bench.reports, Damage::Kind::rolled_back));
}

TEST(SpoolDamage, DropsASegmentThatCameBackAfterItWasReclaimed) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= 90; seq += 10) bench.commit({seq, seq + 9}, 300);
    const auto old = bench.files.contents(kPath + "/seg-0000000000000001");
    ASSERT_EQ(bench.settle_durably({1, 80}), CommitResult::ok);
    bench.maintain();
    ASSERT_FALSE(bench.files.exists(kPath + "/seg-0000000000000001"));
    bench.close();
    bench.files.set_contents(kPath + "/seg-0000000000000001", old);
    bench.open();
    EXPECT_FALSE(bench.files.exists(kPath + "/seg-0000000000000001"));
    EXPECT_EQ(bench.read_all(90).seqs, seqs(81, 90));
    EXPECT_TRUE(bench.reports.empty());
}

TEST(SpoolDamage, RebuildsALostManifest) {
    Sample sample = make_sample(true);
    sample.files.remove(kPath + "/MANIFEST");
    Bench bench;
    bench.files = sample.files;
    bench.open();
    EXPECT_FALSE(bench.reports.empty());
    EXPECT_EQ(bench.read_all(sample.end).seqs.size(), sample.end - 3);
}

TEST(SpoolDamage, KeepsACopyOfADamagedSegment) {
    Sample sample = make_sample(true);
    const std::string path = damage_record(sample.files, 7);
    ASSERT_EQ(path, kPath + "/seg-0000000000000001");
    const auto bytes = sample.files.contents(path);
    Bench bench;
    bench.files = sample.files;
    bench.open();
    (void)bench.read_all(sample.end);
    EXPECT_EQ(bench.files.contents(kPath + "/quarantine/seg-0000000000000001"), bytes);
}

TEST(SpoolDamage, GoesOnReadingBehindADamagedRecord) {
    Sample sample = make_sample(true);
    (void)damage_record(sample.files, 7);
    Bench bench;
    bench.files = sample.files;
    bench.open();
    const auto got = bench.read_all(sample.end);
    EXPECT_EQ(got.lost, seqs(7, 7));
    EXPECT_EQ(got.seqs.size(), sample.end - 4);
    EXPECT_TRUE(has(bench.reports, Damage::Kind::corrupt_records));
}

}  // namespace
}  // namespace peermq::spool::test
