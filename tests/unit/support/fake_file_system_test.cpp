#include "support/fake_file_system.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "peermq/error.hpp"

namespace peermq::test {
namespace {

using base::ByteSpan;
using base::IoResult;
using base::OpenMode;

class FakeDisk : public ::testing::Test {
protected:
    void SetUp() override { directory_ = files_.open("/spool", true); }

    std::unique_ptr<base::File> file(std::string_view name,
                                     OpenMode mode = OpenMode::open_or_create) {
        std::unique_ptr<base::File> opened;
        EXPECT_EQ(directory_->open_file(name, mode, opened), 0);
        return opened;
    }

    static IoResult write(base::File& file, std::string_view text, std::uint64_t offset) {
        const ByteSpan part = base::as_bytes(text);
        return file.write_at(std::span(&part, 1), offset);
    }

    std::string text(const std::string& name) const {
        return std::string(base::as_text(files_.contents("/spool/" + name)));
    }

    /// A durable file with `content`.
    std::unique_ptr<base::File> durable_file(std::string_view name, std::string_view content) {
        auto opened = file(name);
        EXPECT_EQ(write(*opened, content, 0).bytes, content.size());
        EXPECT_EQ(opened->sync_data(), 0);
        EXPECT_EQ(directory_->sync(), 0);
        return opened;
    }

    FakeFileSystem files_{7};
    std::unique_ptr<base::Directory> directory_;
};

// --- as a file system

TEST_F(FakeDisk, ReadsBackWhatWasWrittenInParts) {
    const auto opened = file("seg");
    const std::string long_text(10000, 'b');
    const std::vector<ByteSpan> parts{base::as_bytes("aaa"), ByteSpan{}, base::as_bytes(long_text),
                                      base::as_bytes("c")};
    EXPECT_EQ(opened->write_at(parts, 4000).bytes, 10004u);
    const std::string wanted = std::string(4000, '\0') + "aaa" + long_text + "c";
    EXPECT_EQ(text("seg"), wanted);
    std::vector<std::byte> out(20000);
    EXPECT_EQ(opened->read_at(out, 14000).bytes, 4u);
    EXPECT_EQ(opened->read_at(out, 20000).bytes, 0u);
}

TEST_F(FakeDisk, AnswersLikeTheRealOne) {
    std::unique_ptr<base::File> opened;
    EXPECT_EQ(directory_->open_file("x", OpenMode::read, opened), ENOENT);
    EXPECT_EQ(directory_->open_file("a/b", OpenMode::create, opened), EINVAL);
    EXPECT_EQ(directory_->open_file("x", OpenMode::create, opened), 0);
    EXPECT_EQ(directory_->open_file("x", OpenMode::create, opened), EEXIST);
    EXPECT_EQ(directory_->open_file("x", OpenMode::read, opened), 0);
    EXPECT_EQ(write(*opened, "a", 0).error, EBADF);
    EXPECT_EQ(opened->close(), 0);
    EXPECT_EQ(opened->close(), 0);
    EXPECT_EQ(opened->sync_data(), EBADF);
    EXPECT_EQ(directory_->rename("y", "x"), ENOENT);
    EXPECT_EQ(directory_->unlink("y"), ENOENT);
    std::unique_ptr<base::Directory> child;
    EXPECT_EQ(directory_->open_directory("child", false, child), ENOENT);
    EXPECT_EQ(directory_->open_directory("child", true, child), 0);
    EXPECT_EQ(child->path(), "/spool/child");
    std::vector<base::DirectoryEntry> entries;
    EXPECT_EQ(directory_->list(entries), 0);
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_FALSE(entries[0].is_regular_file);
    EXPECT_EQ(entries[1].name, "x");
    try {
        static_cast<void>(files_.open("/nowhere/x", false));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::not_found);
    }
}

TEST_F(FakeDisk, LocksUntilClosedOrKilled) {
    const auto first = file("LOCK");
    auto second = file("LOCK");
    EXPECT_EQ(first->lock(), 0);
    EXPECT_EQ(second->lock(), EWOULDBLOCK);
    files_.kill();
    directory_ = files_.open("/spool", false);
    second = file("LOCK");
    EXPECT_EQ(second->lock(), 0);
    EXPECT_EQ(first->lock(), EIO);
}

TEST_F(FakeDisk, ReopeningIntoTheSamePointerClosesTheOldFile) {
    auto opened = file("LOCK");
    ASSERT_EQ(opened->lock(), 0);
    ASSERT_EQ(directory_->open_file("LOCK", OpenMode::read_write, opened), 0);
    EXPECT_EQ(opened->lock(), 0);
}

TEST_F(FakeDisk, FillsUpAndHasRoomAgain) {
    files_.set_capacity(3 * kPageBytes);
    const auto opened = file("seg");
    EXPECT_EQ(opened->allocate(0, 4 * kPageBytes), ENOSPC);
    EXPECT_EQ(opened->allocate(0, kPageBytes), 0);
    const IoResult cut = write(*opened, std::string(4 * kPageBytes, 'x'), 0);
    EXPECT_EQ(cut.bytes, 3 * kPageBytes);
    EXPECT_EQ(write(*opened, "x", 3 * kPageBytes).error, ENOSPC);
    EXPECT_EQ(write(*opened, "y", 0).bytes, 1u);  // what is there can be written again
    std::uint64_t free = 1;
    EXPECT_EQ(directory_->free_bytes(free), 0);
    EXPECT_EQ(free, 0u);
    EXPECT_EQ(opened->truncate(1), 0);
    EXPECT_EQ(directory_->free_bytes(free), 0);
    EXPECT_EQ(free, 2 * kPageBytes);
    EXPECT_EQ(directory_->unlink("seg"), 0);
    EXPECT_EQ(files_.used_bytes(), kPageBytes);  // still open
    EXPECT_EQ(opened->close(), 0);
    EXPECT_EQ(files_.used_bytes(), 0u);
}

// --- crashes

TEST_F(FakeDisk, KeepsWhatWasSyncedWhateverTheCrash) {
    const auto opened = durable_file("seg", std::string(9000, 'a'));
    SeededRandom random(3);
    for (int round = 0; round < 200; ++round) {
        FakeFileSystem copy = files_;
        const auto directory = copy.open("/spool", false);
        std::unique_ptr<base::File> again;
        ASSERT_EQ(directory->open_file("seg", OpenMode::read_write, again), 0);
        ASSERT_EQ(write(*again, std::string(9000, 'b'), 9216).bytes, 9000u);
        copy.crash(CrashPolicy::any(random));
        const auto left = copy.contents("/spool/seg");
        ASSERT_GE(left.size(), 9000u);
        EXPECT_EQ(base::as_text(left).substr(0, 9000), std::string(9000, 'a'));
    }
}

TEST_F(FakeDisk, DropsUnsyncedWritesOrKeepsThem) {
    const auto opened = durable_file("seg", "old");
    write(*opened, "new and longer", 0);
    FakeFileSystem copy = files_;
    copy.crash(CrashPolicy::drop_all());
    EXPECT_EQ(base::as_text(copy.contents("/spool/seg")), "old");
    files_.crash(CrashPolicy::keep_all());
    EXPECT_EQ(text("seg"), "new and longer");
}

/// Counts through all outcomes, as an odometer does.
class AllOutcomes final : public CrashChoices {
public:
    std::uint32_t choose(Pending kind, std::uint32_t options) override {
        if (kind == Pending::tear) return 0;
        if (at_ == digits_.size()) digits_.push_back({0, options});
        return digits_[at_++].value;
    }
    void garbage(std::span<std::byte>) override {}

    /// False when all have been seen.
    bool next() {
        at_ = 0;
        while (!digits_.empty() && ++digits_.back().value == digits_.back().options) {
            digits_.pop_back();
        }
        return !digits_.empty();
    }

private:
    struct Digit {
        std::uint32_t value = 0;
        std::uint32_t options = 0;
    };
    std::vector<Digit> digits_;
    std::size_t at_ = 0;
};

template <typename Look>
auto all_outcomes(const FakeFileSystem& files, Look look) {
    std::set<decltype(look(files))> seen;
    AllOutcomes choices;
    do {
        FakeFileSystem copy = files;
        copy.crash(choices);
        seen.insert(look(copy));
    } while (choices.next());
    return seen;
}

TEST_F(FakeDisk, EveryVersionOfAPageAndEverySizeCanSurvive) {
    const auto opened = durable_file("seg", "");
    write(*opened, "ab", 0);
    write(*opened, "cd", 2);
    const auto seen = all_outcomes(files_, [](const FakeFileSystem& files) {
        return std::string(base::as_text(files.contents("/spool/seg")));
    });
    const std::string zero(1, '\0');
    EXPECT_EQ(seen, (std::set<std::string>{"", "ab", zero + zero, "abcd", "ab" + zero + zero,
                                           zero + zero + zero + zero}));
}

TEST_F(FakeDisk, EveryNameSurvivesForItself) {
    durable_file("old", "o");
    file("tmp");
    ASSERT_EQ(directory_->rename("tmp", "seg"), 0);
    ASSERT_EQ(directory_->unlink("old"), 0);
    const auto seen = all_outcomes(files_, [](const FakeFileSystem& files) {
        std::string names;
        for (const std::string& name : files.files("/spool")) names += name + " ";
        return names;
    });
    EXPECT_EQ(seen, (std::set<std::string>{"", "tmp ", "seg ", "seg tmp ", "old ", "old tmp ",
                                           "old seg ", "old seg tmp "}));
}

TEST_F(FakeDisk, ASyncedFileWithoutASyncedNameIsLost) {
    const auto opened = file("seg");
    write(*opened, "x", 0);
    ASSERT_EQ(opened->sync_all(), 0);
    files_.crash(CrashPolicy::keep_data_drop_names());
    EXPECT_FALSE(files_.exists("/spool/seg"));
    EXPECT_EQ(files_.used_bytes(), 0u);
}

TEST_F(FakeDisk, ARemovedFileComesBackWithItsBytes) {
    durable_file("seg", "content");
    ASSERT_EQ(directory_->unlink("seg"), 0);
    EXPECT_EQ(files_.used_bytes(), 0u);
    files_.crash(CrashPolicy::drop_all());
    EXPECT_EQ(text("seg"), "content");
    EXPECT_EQ(files_.used_bytes(), kPageBytes);
}

TEST_F(FakeDisk, ATruncationThatIsLostShowsTheOldBytes) {
    const auto opened = durable_file("seg", std::string(5000, 'a'));
    ASSERT_EQ(opened->truncate(10), 0);
    EXPECT_EQ(text("seg"), std::string(10, 'a'));
    FakeFileSystem copy = files_;
    copy.crash(CrashPolicy::drop_all());
    EXPECT_EQ(base::as_text(copy.contents("/spool/seg")), std::string(5000, 'a'));
    files_.crash(CrashPolicy::keep_all());
    EXPECT_EQ(text("seg"), std::string(10, 'a'));
}

TEST_F(FakeDisk, TearsPagesAtSectors) {
    const auto opened = durable_file("seg", std::string(kPageBytes, 'a'));
    write(*opened, std::string(kPageBytes, 'b'), 0);
    files_.crash(CrashPolicy{0, 100, 100, 0, 0});
    const std::string left = text("seg");
    std::set<std::string> sectors;
    for (std::size_t at = 0; at < left.size(); at += kSectorBytes) {
        sectors.insert(left.substr(at, kSectorBytes));
    }
    EXPECT_EQ(sectors, (std::set<std::string>{std::string(kSectorBytes, 'a'),
                                              std::string(kSectorBytes, 'b')}));
    EXPECT_EQ(files_.counters().pages_torn, 1u);
}

TEST_F(FakeDisk, GarbageOnlyAppearsWhereNothingWasDurable) {
    const auto opened = durable_file("seg", std::string(kSectorBytes, 'a'));
    ASSERT_EQ(opened->allocate(0, kPageBytes), 0);
    ASSERT_EQ(opened->sync_all(), 0);
    write(*opened, std::string(2 * kSectorBytes, 'b'), kSectorBytes);
    files_.crash(CrashPolicy{0, 100, 100, 100, 100});
    const std::string left = text("seg");
    EXPECT_EQ(left.substr(0, kSectorBytes), std::string(kSectorBytes, 'a'));
    EXPECT_NE(left[kSectorBytes], 'b');
    EXPECT_EQ(left.substr(3 * kSectorBytes), std::string(5 * kSectorBytes, '\0'));
}

TEST_F(FakeDisk, AProcessThatDiesLosesNothing) {
    write(*file("seg"), "x", 0);
    files_.kill();
    EXPECT_EQ(text("seg"), "x");
    files_.crash(CrashPolicy::drop_all());
    EXPECT_FALSE(files_.exists("/spool/seg"));
}

TEST_F(FakeDisk, HandlesOfBeforeTheCrashChangeNothing) {
    const auto opened = durable_file("seg", "a");
    files_.crash(CrashPolicy::keep_all());
    EXPECT_EQ(write(*opened, "b", 0).error, EIO);
    EXPECT_EQ(opened->sync_data(), EIO);
    EXPECT_EQ(directory_->unlink("seg"), EIO);
    EXPECT_EQ(text("seg"), "a");
}

TEST_F(FakeDisk, CopiesAreIndependent) {
    const auto opened = durable_file("seg", "a");
    const FakeFileSystem copy = files_;
    const std::uint64_t before = copy.hash();
    EXPECT_EQ(files_.hash(), before);
    write(*opened, "b", 0);
    EXPECT_EQ(base::as_text(copy.contents("/spool/seg")), "a");
    EXPECT_EQ(copy.hash(), before);
    EXPECT_NE(files_.hash(), before);
}

TEST_F(FakeDisk, SameSeedSameDisk) {
    const auto run = [](std::uint64_t seed) {
        FakeFileSystem files(seed);
        SeededRandom random(seed);
        const auto directory = files.open("/s", true);
        std::unique_ptr<base::File> opened;
        EXPECT_EQ(directory->open_file("seg", OpenMode::create, opened), 0);
        EXPECT_EQ(directory->sync(), 0);
        files.set_rate(Fault::short_write, 300'000);
        for (int i = 0; i < 50; ++i) {
            write(*opened, std::string(700, static_cast<char>('a' + i % 26)),
                  random.below(100'000));
        }
        files.crash(CrashPolicy::any(random));
        return files.hash();
    };
    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

TEST_F(FakeDisk, MeddlingFromOutsideIsDurable) {
    durable_file("seg", "a");
    files_.set_contents("/spool/seg", base::as_bytes("changed"));
    files_.set_contents("/spool/other", base::as_bytes("x"));
    files_.crash(CrashPolicy::drop_all());
    EXPECT_EQ(text("seg"), "changed");
    EXPECT_EQ(text("other"), "x");
    files_.remove("/spool/seg");
    files_.crash(CrashPolicy::drop_all());
    EXPECT_EQ(files_.files("/spool"), std::vector<std::string>{"other"});
}

}  // namespace
}  // namespace peermq::test
