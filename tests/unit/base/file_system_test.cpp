#include "base/file_system.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <filesystem>
#include <set>

#include "peermq/error.hpp"
#include "support/temporary_directory.hpp"

namespace peermq::base {
namespace {

using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;

mode_t mode_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
}

/// The text of the Error with which opening `path` is refused; checks its code.
std::string refusal(const std::string& path, ErrorCode code, bool create = false) {
    SystemFileSystem files;
    try {
        static_cast<void>(files.open(path, create));
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        return error.what();
    }
    ADD_FAILURE() << path << " was opened";
    return {};
}

class SystemDirectoryTest : public ::testing::Test {
protected:
    std::unique_ptr<File> create(std::string_view name) {
        std::unique_ptr<File> file;
        EXPECT_EQ(directory_->open_file(name, OpenMode::create, file), 0);
        return file;
    }

    std::string read(File& file, std::size_t bytes, std::uint64_t offset) {
        std::string out(bytes, '\0');
        const IoResult result = file.read_at(std::as_writable_bytes(std::span(out)), offset);
        EXPECT_TRUE(result.ok());
        out.resize(result.bytes);
        return out;
    }

    IoResult write(File& file, std::string_view text, std::uint64_t offset) {
        const ByteSpan part = as_bytes(text);
        return file.write_at(std::span(&part, 1), offset);
    }

    int open_error(std::string_view name, OpenMode mode = OpenMode::read) {
        std::unique_ptr<File> file;
        return directory_->open_file(name, mode, file);
    }

    TemporaryDirectory root_;
    SystemFileSystem files_;
    std::unique_ptr<Directory> directory_ = files_.open(root_.path(), false);
};

// --- opening directories

TEST(SystemFileSystem, CreatesMissingLevelsForTheOwnerOnly) {
    TemporaryDirectory root;
    SystemFileSystem files;
    const mode_t before = ::umask(0);
    const auto directory = files.open(root / "a/b//c/", true);
    ::umask(before);
    EXPECT_EQ(mode_of(root / "a"), 0700u);
    EXPECT_EQ(mode_of(root / "a/b/c"), 0700u);
    EXPECT_EQ(directory->path(), root / "a/b//c/");
}

TEST(SystemFileSystem, OpensAnExistingDirectoryWhenAskedToCreate) {
    TemporaryDirectory root;
    SystemFileSystem files;
    EXPECT_NE(files.open(root.path(), true), nullptr);
}

TEST(SystemFileSystem, OpensRelativePaths) {
    TemporaryDirectory root;
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(root.path());
    SystemFileSystem files;
    static_cast<void>(files.open("./spool", true));
    std::filesystem::current_path(before);
    EXPECT_EQ(mode_of(root / "spool"), 0700u);
}

TEST(SystemFileSystem, SaysWhichLevelIsMissing) {
    TemporaryDirectory root;
    EXPECT_THAT(refusal(root / "a/b", ErrorCode::not_found),
                AllOf(HasSubstr(root / "a/b"), HasSubstr(root / "a does not exist")));
    EXPECT_THAT(refusal("", ErrorCode::invalid_argument), HasSubstr("empty"));
    EXPECT_THAT(refusal(std::string("a\0b", 3), ErrorCode::invalid_argument, true),
                HasSubstr("NUL"));
}

TEST(SystemFileSystem, RefusesASymbolicLink) {
    TemporaryDirectory root;
    std::filesystem::create_directory(root / "real");
    std::filesystem::create_directory_symlink(root / "real", root / "link");
    EXPECT_THAT(refusal(root / "link", ErrorCode::denied), HasSubstr("symbolic link"));
    EXPECT_THAT(refusal(root / "link/", ErrorCode::denied, true), HasSubstr("symbolic link"));
}

TEST(SystemFileSystem, FollowsLinksAboveTheDirectory) {
    TemporaryDirectory root;
    std::filesystem::create_directory(root / "real");
    std::filesystem::create_directory_symlink(root / "real", root / "link");
    SystemFileSystem files;
    static_cast<void>(files.open(root / "link/spool", true));
    EXPECT_EQ(mode_of(root / "real/spool"), 0700u);
}

TEST(SystemFileSystem, RefusesWhatGroupOrOthersCanWriteTo) {
    TemporaryDirectory root;
    for (const mode_t mode : {0720u, 0702u, 0777u}) {
        ASSERT_EQ(::chmod(root.path().c_str(), mode), 0);
        EXPECT_THAT(refusal(root.path(), ErrorCode::denied), HasSubstr("chmod go-w"));
    }
    ASSERT_EQ(::chmod(root.path().c_str(), 0755), 0);
    SystemFileSystem files;
    EXPECT_NE(files.open(root.path(), false), nullptr);
}

TEST(SystemFileSystem, RefusesAForeignOwner) {
    if (::geteuid() != 0) {
        EXPECT_THAT(refusal("/", ErrorCode::denied), HasSubstr("belongs to user 0"));
        return;
    }
    TemporaryDirectory root;
    ASSERT_EQ(::chown(root.path().c_str(), 12345, 12345), 0);
    EXPECT_THAT(refusal(root.path(), ErrorCode::denied), HasSubstr("belongs to user 12345"));
}

TEST(SystemFileSystem, RefusesAFileInPlaceOfADirectory) {
    TemporaryDirectory root;
    ASSERT_EQ(::close(::open((root / "file").c_str(), O_CREAT | O_WRONLY, 0600)), 0);
    EXPECT_THAT(refusal(root / "file", ErrorCode::denied, true), HasSubstr("not a directory"));
    EXPECT_THAT(refusal(root / "file/spool", ErrorCode::denied, true),
                HasSubstr("not a directory"));
}

TEST(SystemFileSystem, KnowsNetworkFileSystemsByTheirMagic) {
    EXPECT_EQ(network_file_system(0x6969), "NFS");
    EXPECT_EQ(network_file_system(0xFF534D42), "CIFS");
    EXPECT_EQ(network_file_system(0xFFFFFFFFFF534D42), "CIFS");  // as a sign-extended number
    EXPECT_EQ(network_file_system(0xFE534D42), "SMB2");
    EXPECT_EQ(network_file_system(0xEF53), "");      // ext4
    EXPECT_EQ(network_file_system(0x01021994), "");  // tmpfs
}

// --- files

TEST_F(SystemDirectoryTest, CreatesFilesForTheOwnerOnlyAndNotTwice) {
    const mode_t before = ::umask(0);
    create("seg");
    ::umask(before);
    EXPECT_EQ(mode_of(root_ / "seg"), 0600u);
    EXPECT_EQ(open_error("seg", OpenMode::create), EEXIST);
    EXPECT_EQ(open_error("seg", OpenMode::open_or_create), 0);
    EXPECT_EQ(open_error("other", OpenMode::open_or_create), 0);
    EXPECT_EQ(open_error("missing", OpenMode::read), ENOENT);
    EXPECT_EQ(open_error("missing", OpenMode::read_write), ENOENT);
}

TEST_F(SystemDirectoryTest, RefusesNamesThatLeadOut) {
    const std::string names[] = {
        "", ".", "..", "a/b", "../x", "/etc/passwd", std::string("a\0b", 3), std::string(256, 'a')};
    for (const std::string& name : names) {
        EXPECT_EQ(open_error(name, OpenMode::open_or_create), EINVAL) << name;
        EXPECT_EQ(directory_->rename("x", name), EINVAL) << name;
        EXPECT_EQ(directory_->unlink(name), EINVAL) << name;
        std::unique_ptr<Directory> child;
        EXPECT_EQ(directory_->open_directory(name, true, child), EINVAL) << name;
    }
}

TEST_F(SystemDirectoryTest, RefusesWhatIsNotAPlainFileOfOurs) {
    create("file");
    std::filesystem::create_symlink(root_ / "file", root_ / "link");
    EXPECT_EQ(open_error("link"), ELOOP);
    EXPECT_EQ(open_error("link", OpenMode::open_or_create), ELOOP);
    ASSERT_EQ(::mkfifo((root_ / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(open_error("fifo"), EINVAL);
    EXPECT_EQ(open_error("fifo", OpenMode::read_write), EINVAL);
    std::filesystem::create_directory(root_ / "child");
    EXPECT_EQ(open_error("child"), EISDIR);
    ASSERT_EQ(::chmod((root_ / "file").c_str(), 0620), 0);
    EXPECT_EQ(open_error("file"), EPERM);
    ASSERT_EQ(::chmod((root_ / "file").c_str(), 0644), 0);
    EXPECT_EQ(open_error("file"), 0);
    std::filesystem::create_hard_link(root_ / "file", root_ / "twin");
    EXPECT_EQ(open_error("file"), EMLINK);
}

TEST_F(SystemDirectoryTest, ReadsLessOnlyAtTheEndOfTheFile) {
    const auto file = create("seg");
    ASSERT_EQ(write(*file, "0123456789", 0).bytes, 10u);
    EXPECT_EQ(read(*file, 10, 0), "0123456789");
    EXPECT_EQ(read(*file, 20, 4), "456789");
    EXPECT_EQ(read(*file, 20, 10), "");
    EXPECT_EQ(read(*file, 20, 100), "");
}

TEST_F(SystemDirectoryTest, WritesMorePartsThanOneCallTakes) {
    const auto file = create("seg");
    std::string wanted;
    std::vector<std::string> texts;
    for (int i = 0; i < 2 * IOV_MAX + 7; ++i) texts.push_back(std::to_string(i) + ";");
    std::vector<ByteSpan> parts;
    for (const std::string& text : texts) {
        wanted += text;
        parts.push_back(as_bytes(text));
        parts.emplace_back();  // empty parts count against the limit too
    }
    const IoResult result = file->write_at(parts, 3);
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(result.bytes, wanted.size());
    EXPECT_EQ(read(*file, wanted.size() + 9, 3), wanted);
}

TEST_F(SystemDirectoryTest, WritesNothingForNoParts) {
    const auto file = create("seg");
    const IoResult result = file->write_at({}, 7);
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(result.bytes, 0u);
    std::uint64_t bytes = 1;
    EXPECT_EQ(file->size(bytes), 0);
    EXPECT_EQ(bytes, 0u);
}

TEST_F(SystemDirectoryTest, ReportsShortAndFailedWrites) {
    const auto file = create("seg");
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit narrow{1000, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &narrow), 0);
    const IoResult cut = write(*file, std::string(4096, 'x'), 0);
    const IoResult failed = write(*file, "x", 1000);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, handler);
    EXPECT_EQ(cut.bytes, 1000u);
    EXPECT_TRUE(cut.ok());
    EXPECT_EQ(failed.bytes, 0u);
    EXPECT_EQ(failed.error, EFBIG);
}

TEST_F(SystemDirectoryTest, RefusesToWriteToAFileOpenedForReading) {
    create("seg");
    std::unique_ptr<File> file;
    ASSERT_EQ(directory_->open_file("seg", OpenMode::read, file), 0);
    EXPECT_EQ(write(*file, "x", 0).error, EBADF);
}

TEST_F(SystemDirectoryTest, AllocatesTruncatesAndSyncs) {
    const auto file = create("seg");
    const int error = file->allocate(0, 10000);
    ASSERT_TRUE(error == 0 || error == EOPNOTSUPP);
    std::uint64_t bytes = 0;
    if (error == 0) {
        EXPECT_EQ(file->size(bytes), 0);
        EXPECT_EQ(bytes, 10000u);
    }
    ASSERT_EQ(write(*file, "abc", 0).bytes, 3u);
    EXPECT_EQ(file->truncate(2), 0);
    EXPECT_EQ(file->size(bytes), 0);
    EXPECT_EQ(bytes, 2u);
    EXPECT_EQ(file->sync_data(), 0);
    EXPECT_EQ(file->sync_all(), 0);
}

TEST_F(SystemDirectoryTest, LocksForOneOpenFileAtATime) {
    const auto first = create("LOCK");
    std::unique_ptr<File> second;
    ASSERT_EQ(directory_->open_file("LOCK", OpenMode::read_write, second), 0);
    EXPECT_EQ(first->lock(), 0);
    EXPECT_EQ(second->lock(), EWOULDBLOCK);
    EXPECT_EQ(first->close(), 0);
    EXPECT_EQ(first->close(), 0);
    EXPECT_EQ(second->lock(), 0);
}

TEST_F(SystemDirectoryTest, ClosedFilesReportBadDescriptor) {
    const auto file = create("seg");
    ASSERT_EQ(file->close(), 0);
    EXPECT_EQ(write(*file, "x", 0).error, EBADF);
    EXPECT_EQ(file->sync_data(), EBADF);
}

// --- names

TEST_F(SystemDirectoryTest, ListsFilesAndDirectoriesByName) {
    create("b");
    create("a");
    std::unique_ptr<Directory> child;
    ASSERT_EQ(directory_->open_directory("c", true, child), 0);
    EXPECT_EQ(mode_of(root_ / "c"), 0700u);
    EXPECT_EQ(child->path(), root_ / "c");
    for (int round = 0; round < 2; ++round) {
        std::vector<DirectoryEntry> entries{{"stale", true}};
        ASSERT_EQ(directory_->list(entries), 0);
        ASSERT_EQ(entries.size(), 3u);
        EXPECT_EQ(entries[0].name, "a");
        EXPECT_TRUE(entries[1].is_regular_file);
        EXPECT_EQ(entries[2].name, "c");
        EXPECT_FALSE(entries[2].is_regular_file);
    }
}

TEST_F(SystemDirectoryTest, RenamesOverAndUnlinks) {
    ASSERT_EQ(write(*create("tmp"), "new", 0).bytes, 3u);
    create("seg");
    EXPECT_EQ(directory_->rename("tmp", "seg"), 0);
    EXPECT_EQ(directory_->rename("tmp", "seg"), ENOENT);
    std::unique_ptr<File> file;
    ASSERT_EQ(directory_->open_file("seg", OpenMode::read, file), 0);
    EXPECT_EQ(read(*file, 9, 0), "new");
    EXPECT_EQ(directory_->sync(), 0);
    EXPECT_EQ(directory_->unlink("seg"), 0);
    EXPECT_EQ(directory_->unlink("seg"), ENOENT);
}

TEST_F(SystemDirectoryTest, OpensChildDirectoriesUnderTheSameRules) {
    std::unique_ptr<Directory> child;
    EXPECT_EQ(directory_->open_directory("child", false, child), ENOENT);
    ASSERT_EQ(directory_->open_directory("child", true, child), 0);
    std::filesystem::create_directory_symlink(root_ / "child", root_ / "link");
    EXPECT_THAT(directory_->open_directory("link", true, child), ::testing::AnyOf(ELOOP, ENOTDIR));
    ASSERT_EQ(::chmod((root_ / "child").c_str(), 0770), 0);
    EXPECT_EQ(directory_->open_directory("child", false, child), EPERM);
}

TEST_F(SystemDirectoryTest, TellsFreeBytes) {
    std::uint64_t bytes = 0;
    EXPECT_EQ(directory_->free_bytes(bytes), 0);
    EXPECT_GT(bytes, 0u);
}

TEST_F(SystemDirectoryTest, ClosesItsDescriptorsAndHidesThemFromChildren) {
    const auto open_ones = [] {
        std::set<int> open;
        for (int fd = 0; fd < 1024; ++fd) {
            if (::fcntl(fd, F_GETFD) != -1) open.insert(fd);
        }
        return open;
    };
    const std::set<int> before = open_ones();
    {
        std::unique_ptr<Directory> child;
        ASSERT_EQ(directory_->open_directory("child", true, child), 0);
        std::unique_ptr<File> file;
        ASSERT_EQ(child->open_file("seg", OpenMode::create, file), 0);
        std::vector<DirectoryEntry> entries;
        ASSERT_EQ(child->list(entries), 0);
        refusal(root_ / "missing", ErrorCode::not_found);
        const std::set<int> now = open_ones();
        EXPECT_EQ(now.size(), before.size() + 2);
        for (const int fd : now) {
            if (before.contains(fd)) continue;
            EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        }
    }
    EXPECT_EQ(open_ones(), before);
}

}  // namespace
}  // namespace peermq::base
