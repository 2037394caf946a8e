#include <gtest/gtest.h>

#include <cerrno>

#include "peermq/error.hpp"
#include "support/fake_file_system.hpp"

namespace peermq::test {
namespace {

using base::ByteSpan;
using base::IoResult;
using base::OpenMode;

IoResult write(base::File& file, std::string_view text, std::uint64_t offset) {
    const ByteSpan part = base::as_bytes(text);
    return file.write_at(std::span(&part, 1), offset);
}

class FakeFaults : public ::testing::Test {
protected:
    void SetUp() override {
        directory_ = files_.open("/spool", true);
        ASSERT_EQ(directory_->open_file("seg", OpenMode::create, file_), 0);
        ASSERT_EQ(directory_->sync(), 0);
    }

    std::string text() const { return std::string(base::as_text(files_.contents("/spool/seg"))); }

    std::uint64_t fired(Fault fault) const {
        return files_.counters().faults[static_cast<std::size_t>(fault)];
    }

    FakeFileSystem files_{11};
    std::unique_ptr<base::Directory> directory_;
    std::unique_ptr<base::File> file_;
};

TEST_F(FakeFaults, AFailedSyncMarksPagesCleanAndLosesThem) {
    int lost = 0;
    for (int round = 0; round < 64; ++round) {
        FakeFileSystem files(static_cast<std::uint64_t>(round));
        const auto directory = files.open("/spool", true);
        std::unique_ptr<base::File> file;
        ASSERT_EQ(directory->open_file("seg", OpenMode::create, file), 0);
        ASSERT_EQ(directory->sync(), 0);
        ASSERT_EQ(write(*file, "x", 0).bytes, 1u);
        files.fail_call(Operation::sync, 1, EIO);
        EXPECT_EQ(file->sync_data(), EIO);
        EXPECT_EQ(file->sync_data(), 0);  // as on Linux: nothing left to do
        EXPECT_EQ(base::as_text(files.contents("/spool/seg")), "x");
        files.crash(CrashPolicy::keep_all());
        const auto left = files.contents("/spool/seg");
        ASSERT_EQ(left.size(), 1u);
        lost += left[0] == std::byte{'x'} ? 0 : 1;
    }
    EXPECT_GT(lost, 10);
    EXPECT_LT(lost, 54);
}

TEST_F(FakeFaults, WritingALostPageAgainMakesItDurableAtTheNextSync) {
    write(*file_, "x", 0);
    files_.set_rate(Fault::sync_error, 1'000'000);
    EXPECT_EQ(file_->sync_data(), EIO);
    files_.clear_rates();
    write(*file_, "y", 1);
    EXPECT_EQ(file_->sync_data(), 0);
    files_.crash(CrashPolicy::drop_all());
    EXPECT_EQ(text(), "xy");
    EXPECT_EQ(fired(Fault::sync_error), 1u);
}

TEST_F(FakeFaults, AFailedSyncOfNamesLosesSomeForGood) {
    int lost = 0;
    for (int round = 0; round < 64; ++round) {
        FakeFileSystem files(static_cast<std::uint64_t>(round));
        const auto directory = files.open("/spool", true);
        std::unique_ptr<base::File> file;
        ASSERT_EQ(directory->open_file("seg", OpenMode::create, file), 0);
        files.fail_call(Operation::sync_names, 1, EIO);
        EXPECT_EQ(directory->sync(), EIO);
        EXPECT_EQ(directory->sync(), 0);
        EXPECT_TRUE(files.exists("/spool/seg"));
        files.crash(CrashPolicy::keep_all());
        lost += files.exists("/spool/seg") ? 0 : 1;
    }
    EXPECT_GT(lost, 10);
    EXPECT_LT(lost, 54);
}

TEST_F(FakeFaults, ALyingSyncKeepsNothing) {
    files_.set_lying_sync(true);
    write(*file_, "x", 0);
    EXPECT_EQ(file_->sync_data(), 0);
    files_.crash(CrashPolicy::drop_all());
    EXPECT_EQ(text(), "");
}

TEST_F(FakeFaults, ShortWritesMoveAtLeastOneByte) {
    files_.set_rate(Fault::short_write, 1'000'000);
    for (int i = 0; i < 50; ++i) {
        const IoResult result = write(*file_, std::string(10, 'x'), 0);
        EXPECT_TRUE(result.ok());
        EXPECT_GE(result.bytes, 1u);
        EXPECT_LT(result.bytes, 10u);
    }
    EXPECT_EQ(write(*file_, "x", 0).bytes, 1u);
}

TEST_F(FakeFaults, InterruptionsAreHidden) {
    files_.set_rate(Fault::interrupted, 1'000'000);
    EXPECT_EQ(write(*file_, "abc", 0).bytes, 3u);
    EXPECT_EQ(file_->sync_data(), 0);
    EXPECT_EQ(fired(Fault::interrupted), 2u);
}

TEST_F(FakeFaults, RatesFireAboutAsOftenAsAsked) {
    files_.set_rate(Fault::no_space, 20'000);
    int failed = 0;
    for (int i = 0; i < 10'000; ++i) failed += write(*file_, "x", 0).error == ENOSPC ? 1 : 0;
    EXPECT_GT(failed, 140);
    EXPECT_LT(failed, 260);
    EXPECT_EQ(fired(Fault::no_space), static_cast<std::uint64_t>(failed));
}

TEST_F(FakeFaults, EveryKindOfFaultStrikes) {
    std::vector<std::byte> out(1);
    files_.set_rate(Fault::read_error, 1'000'000);
    EXPECT_EQ(file_->read_at(out, 0).error, EIO);
    files_.set_rate(Fault::write_error, 1'000'000);
    EXPECT_EQ(write(*file_, "x", 0).error, EIO);
    files_.set_rate(Fault::no_space, 1'000'000);
    EXPECT_EQ(file_->allocate(0, 1), ENOSPC);
    EXPECT_EQ(directory_->rename("seg", "other"), ENOSPC);
    files_.set_rate(Fault::sync_names_error, 1'000'000);
    EXPECT_EQ(directory_->sync(), EIO);
    files_.set_rate(Fault::open_error, 1'000'000);
    std::unique_ptr<base::File> other;
    EXPECT_EQ(directory_->open_file("seg", OpenMode::read, other), EMFILE);
}

TEST_F(FakeFaults, FailsTheCallThatWasAskedFor) {
    files_.fail_call(Operation::write, 2, EDQUOT);
    EXPECT_TRUE(write(*file_, "x", 0).ok());
    EXPECT_EQ(file_->sync_data(), 0);
    EXPECT_EQ(write(*file_, "x", 0).error, EDQUOT);
    EXPECT_TRUE(write(*file_, "x", 0).ok());
    files_.fail_call(Operation::any, 2, EROFS, true);
    EXPECT_EQ(file_->sync_data(), 0);
    EXPECT_EQ(file_->sync_data(), EROFS);
    EXPECT_EQ(directory_->unlink("seg"), EROFS);
    files_.clear_failures();
    EXPECT_EQ(directory_->unlink("seg"), 0);
}

TEST_F(FakeFaults, FailsToCreateDirectories) {
    files_.fail_call(Operation::sync_names, 2, EIO);
    try {
        static_cast<void>(files_.open("/a/b/c", true));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::io_error);
    }
    EXPECT_NE(files_.open("/a/b/c", true), nullptr);
}

TEST_F(FakeFaults, ADirectoryWhoseNameCouldNotBeSyncedIsMadeAnew) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        FakeFileSystem files(seed);
        files.fail_call(Operation::sync_names, 1, EIO);
        EXPECT_THROW(static_cast<void>(files.open("/a", true)), Error);
        EXPECT_FALSE(files.exists("/a"));
        EXPECT_NE(files.open("/a", true), nullptr);
        files.crash(CrashPolicy::drop_all());
        EXPECT_TRUE(files.exists("/a")) << "seed " << seed;
    }
}

TEST_F(FakeFaults, CutsThePowerBeforeOrAfterACall) {
    files_.crash_call(1, CrashPoint::before);
    EXPECT_THROW(static_cast<void>(write(*file_, "x", 0)), FakeCrash);
    EXPECT_EQ(write(*file_, "x", 0).error, EIO);
    EXPECT_EQ(file_->close(), EIO);
    EXPECT_EQ(text(), "");
    files_.kill();
    directory_ = files_.open("/spool", false);
    ASSERT_EQ(directory_->open_file("seg", OpenMode::read_write, file_), 0);
    files_.crash_call(2, CrashPoint::after);
    EXPECT_TRUE(write(*file_, "x", 0).ok());
    EXPECT_THROW(static_cast<void>(file_->sync_data()), FakeCrash);
    files_.crash(CrashPolicy::drop_all());
    EXPECT_EQ(text(), "x");
}

TEST_F(FakeFaults, CutsThePowerInTheMiddleOfAWrite) {
    files_.crash_call(1, CrashPoint::half);
    EXPECT_THROW(static_cast<void>(write(*file_, std::string(100'000, 'x'), 0)), FakeCrash);
    EXPECT_LT(text().size(), 100'000u);
    EXPECT_GT(text().size(), 0u);
}

TEST_F(FakeFaults, ACrashAtAFailingCallStrikesAtTheNext) {
    files_.crash_call(1, CrashPoint::after);
    EXPECT_EQ(directory_->unlink("missing"), ENOENT);
    EXPECT_THROW(static_cast<void>(directory_->unlink("seg")), FakeCrash);
    EXPECT_TRUE(files_.exists("/spool/seg"));
}

TEST_F(FakeFaults, AScenarioCanBeCutAtEveryCallUntilItCompletes) {
    int cuts = 0;
    for (std::uint64_t number = 1;; ++number) {
        FakeFileSystem files(number);
        files.crash_call(number, CrashPoint::after);
        try {
            const auto directory = files.open("/a/b", true);
            std::unique_ptr<base::File> file;
            static_cast<void>(directory->open_file("tmp", OpenMode::create, file));
            static_cast<void>(write(*file, "x", 0));
            static_cast<void>(file->sync_all());
            static_cast<void>(directory->rename("tmp", "seg"));
            static_cast<void>(directory->sync());
            static_cast<void>(file->close());
            break;
        } catch (const FakeCrash&) {
            ++cuts;
            files.crash(CrashPolicy::drop_all());
            if (files.exists("/a/b/seg")) {
                EXPECT_EQ(base::as_text(files.contents("/a/b/seg")), "x");
            }
        }
    }
    EXPECT_EQ(cuts, 12);
}

}  // namespace
}  // namespace peermq::test
