#include "base/file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <system_error>
#include <utility>

#include "peermq/error.hpp"

namespace peermq::base {
namespace {

constexpr mode_t kWritableByOthers = S_IWGRP | S_IWOTH;

/// Calls until the answer is not EINTR; returns what the call returned, errno as it left it.
template <typename Call>
auto retried(Call call) {
    for (;;) {
        const auto result = call();
        if (result != -1 || errno != EINTR) return result;
    }
}

int error_of(int result) { return result == -1 ? errno : 0; }

class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int value) : value_(value) {}
    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~Descriptor() { static_cast<void>(close()); }

    [[nodiscard]] int get() const noexcept { return value_; }
    [[nodiscard]] bool is_open() const noexcept { return value_ >= 0; }

    /// Somebody else closes it from now on.
    void release() noexcept { value_ = -1; }

    /// Linux frees the number whatever close() says, so it is never called twice.
    [[nodiscard]] int close() noexcept {
        const int value = std::exchange(value_, -1);
        if (value < 0 || ::close(value) == 0 || errno == EINTR) return 0;
        return errno;
    }

private:
    int value_ = -1;
};

Descriptor open_at(int directory, const char* name, int flags) {
    return Descriptor(
        retried([&] { return ::openat(directory, name, flags | O_CLOEXEC | O_NOCTTY, 0600); }));
}

/// A single name inside a directory: what arrives here is never a way out of it.
bool is_plain_name(std::string_view name) {
    return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
           name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

class SystemFile final : public File {
public:
    explicit SystemFile(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

    IoResult read_at(std::span<std::byte> out, std::uint64_t offset) override {
        IoResult result;
        while (result.bytes < out.size()) {
            const ssize_t got = retried([&] {
                return ::pread(descriptor_.get(), out.data() + result.bytes,
                               out.size() - result.bytes,
                               static_cast<off_t>(offset + result.bytes));
            });
            if (got < 0) result.error = errno;
            if (got <= 0) break;
            result.bytes += static_cast<std::size_t>(got);
        }
        return result;
    }

    IoResult write_at(std::span<const ByteSpan> parts, std::uint64_t offset) override {
        IoResult result;
        std::array<iovec, IOV_MAX> vectors;
        while (!parts.empty()) {
            const std::size_t count = std::min(parts.size(), vectors.size());
            std::size_t wanted = 0;
            for (std::size_t i = 0; i < count; ++i) {
                // pwritev takes its sources as writable, and only reads them.
                vectors[i] = {const_cast<std::byte*>(parts[i].data()), parts[i].size()};
                wanted += parts[i].size();
            }
            parts = parts.subspan(count);
            if (wanted == 0) continue;
            const ssize_t put = retried([&] {
                return ::pwritev(descriptor_.get(), vectors.data(), static_cast<int>(count),
                                 static_cast<off_t>(offset + result.bytes));
            });
            if (put <= 0) {
                // A write of nothing without an error would let callers loop for ever.
                result.error = put < 0 ? errno : EIO;
                return result;
            }
            result.bytes += static_cast<std::size_t>(put);
            if (static_cast<std::size_t>(put) < wanted) return result;
        }
        return result;
    }

    int sync_data() override {
        return error_of(retried([&] { return ::fdatasync(descriptor_.get()); }));
    }
    int sync_all() override {
        return error_of(retried([&] { return ::fsync(descriptor_.get()); }));
    }
    int allocate(std::uint64_t offset, std::uint64_t bytes) override {
        return error_of(retried([&] {
            return ::fallocate(descriptor_.get(), 0, static_cast<off_t>(offset),
                               static_cast<off_t>(bytes));
        }));
    }
    int truncate(std::uint64_t bytes) override {
        return error_of(
            retried([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(bytes)); }));
    }
    int size(std::uint64_t& bytes) override {
        struct stat status;
        if (::fstat(descriptor_.get(), &status) != 0) return errno;
        bytes = static_cast<std::uint64_t>(status.st_size);
        return 0;
    }
    int lock() override {
        return error_of(retried([&] { return ::flock(descriptor_.get(), LOCK_EX | LOCK_NB); }));
    }
    int close() override { return descriptor_.close(); }

private:
    Descriptor descriptor_;
};

/// 0, or why this file is not ours to use.
int check_file(int descriptor) {
    struct stat status;
    if (::fstat(descriptor, &status) != 0) return errno;
    if (S_ISDIR(status.st_mode)) return EISDIR;
    if (!S_ISREG(status.st_mode)) return EINVAL;
    if (status.st_nlink > 1) return EMLINK;
    if (status.st_uid != ::geteuid() || (status.st_mode & kWritableByOthers) != 0) return EPERM;
    return 0;
}

class SystemDirectory final : public Directory {
public:
    SystemDirectory(Descriptor descriptor, std::string path)
        : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

    int open_file(std::string_view name, OpenMode mode, std::unique_ptr<File>& out) override {
        if (!is_plain_name(name)) return EINVAL;
        // O_NONBLOCK: opening a FIFO that somebody planted must not wait for its other end.
        Descriptor file = open_at(descriptor_.get(), std::string(name).c_str(),
                                  flags_of(mode) | O_NOFOLLOW | O_NONBLOCK);
        if (!file.is_open()) return errno;
        if (const int error = check_file(file.get())) return error;
        out = std::make_unique<SystemFile>(std::move(file));
        return 0;
    }

    int rename(std::string_view from, std::string_view to) override {
        if (!is_plain_name(from) || !is_plain_name(to)) return EINVAL;
        return error_of(::renameat(descriptor_.get(), std::string(from).c_str(), descriptor_.get(),
                                   std::string(to).c_str()));
    }

    int unlink(std::string_view name) override {
        if (!is_plain_name(name)) return EINVAL;
        return error_of(::unlinkat(descriptor_.get(), std::string(name).c_str(), 0));
    }

    int list(std::vector<DirectoryEntry>& out) override {
        out.clear();
        // A descriptor of its own, since reading moves the position that descriptors share.
        Descriptor copy = open_at(descriptor_.get(), ".", O_RDONLY | O_DIRECTORY);
        if (!copy.is_open()) return errno;
        const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), ::closedir);
        if (!stream) return errno;
        copy.release();  // closed with the stream
        for (;;) {
            errno = 0;
            const dirent* entry = ::readdir(stream.get());
            if (!entry) break;
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..") out.push_back({std::string(name), is_file(*entry)});
        }
        if (errno != 0) return errno;
        std::sort(out.begin(), out.end(),
                  [](const auto& a, const auto& b) { return a.name < b.name; });
        return 0;
    }

    int sync() override {
        return error_of(retried([&] { return ::fsync(descriptor_.get()); }));
    }

    int open_directory(std::string_view name, bool create,
                       std::unique_ptr<Directory>& out) override;

    int free_bytes(std::uint64_t& bytes) override {
        struct statvfs status;
        if (retried([&] { return ::fstatvfs(descriptor_.get(), &status); }) != 0) return errno;
        bytes = std::uint64_t{status.f_bavail} * status.f_frsize;
        return 0;
    }

    std::string path() const override { return path_; }

private:
    static int flags_of(OpenMode mode) {
        switch (mode) {
            case OpenMode::read: return O_RDONLY;
            case OpenMode::read_write: return O_RDWR;
            case OpenMode::create: return O_RDWR | O_CREAT | O_EXCL;
            case OpenMode::open_or_create: return O_RDWR | O_CREAT;
        }
        return O_RDONLY;
    }

    bool is_file(const dirent& entry) const {
        if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_REG;
        struct stat status;
        return ::fstatat(descriptor_.get(), entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISREG(status.st_mode);
    }

    Descriptor descriptor_;
    std::string path_;
};

/// 0, or why a directory cannot hold a spool; `status` and `kind` tell more.
int check_directory(int descriptor, struct stat& status, struct statfs& kind) {
    if (::fstat(descriptor, &status) != 0) return errno;
    if (!S_ISDIR(status.st_mode)) return ENOTDIR;
    if (status.st_uid != ::geteuid() || (status.st_mode & kWritableByOthers) != 0) return EPERM;
    if (retried([&] { return ::fstatfs(descriptor, &kind); }) != 0) return errno;
    return network_file_system(static_cast<std::uint64_t>(kind.f_type)).empty() ? 0 : EOPNOTSUPP;
}

/// Makes the names in the directory durable.
int sync_names(int directory) {
    // What was only looked through (O_PATH) cannot be synced, so it is opened once more.
    Descriptor readable = open_at(directory, ".", O_RDONLY | O_DIRECTORY);
    if (!readable.is_open()) return errno;
    return error_of(retried([&] { return ::fsync(readable.get()); }));
}

/// Makes a child's name in `parent` durable: one that we created, or one that was there already and
/// is ours, since an earlier process may have died before it synced. What lies in the child is
/// worth nothing while its name may go with the next power cut.
int keep_child(int parent, const std::string& name, bool created) {
    const int error = sync_names(parent);
    // Where we may not look, or nothing can be synced, we have not created it either.
    const bool cannot = error == EACCES || error == EPERM || error == EINVAL;
    if (error == 0 || (cannot && !created)) return 0;
    // The name may never reach the disk, yet a second sync would answer 0 without a look at it. So
    // an empty child goes, and the next opening begins anew.
    (void)::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
    return error;
}

/// Opens the child directory `name`, creating it when asked.
int open_child(int parent, const std::string& name, int flags, bool create, Descriptor& out) {
    bool created = false;
    out = open_at(parent, name.c_str(), flags | O_DIRECTORY);
    if (!out.is_open() && errno == ENOENT && create) {
        created = ::mkdirat(parent, name.c_str(), 0700) == 0;
        if (!created && errno != EEXIST) return errno;
        out = open_at(parent, name.c_str(), flags | O_DIRECTORY | O_NOFOLLOW);
    }
    if (!out.is_open()) return errno;
    if (!create) return 0;
    struct stat status;
    if (::fstat(out.get(), &status) != 0) return errno;
    return status.st_uid == ::geteuid() ? keep_child(parent, name, created) : 0;
}

int SystemDirectory::open_directory(std::string_view name, bool create,
                                    std::unique_ptr<Directory>& out) {
    if (!is_plain_name(name)) return EINVAL;
    Descriptor child;
    const std::string text(name);
    if (const int error = open_child(descriptor_.get(), text, O_RDONLY | O_NOFOLLOW, create,
                                     child)) {
        return error;
    }
    struct stat status;
    struct statfs kind;
    if (const int error = check_directory(child.get(), status, kind)) return error;
    out = std::make_unique<SystemDirectory>(std::move(child), path_ + "/" + text);
    return 0;
}

[[noreturn]] void refuse(ErrorCode code, const std::string& path, const std::string& why) {
    throw Error(code, "directory " + path + ": " + why);
}

[[noreturn]] void refuse_errno(const std::string& path, const std::string& level, int error) {
    const std::string what = std::generic_category().message(error);
    const std::string why = level + ": " + what + " (errno " + std::to_string(error) + ")";
    switch (error) {
        case ENOENT: refuse(ErrorCode::not_found, path, level + " does not exist");
        case ENOTDIR: refuse(ErrorCode::denied, path, level + " is not a directory");
        case EACCES:
        case EPERM: refuse(ErrorCode::denied, path, why);
        case ENOSPC:
        case EDQUOT: refuse(ErrorCode::no_space, path, why);
        default: refuse(ErrorCode::io_error, path, why);
    }
}

std::string octal(mode_t mode) {
    std::string text;
    for (int shift = 9; shift >= 0; shift -= 3) {
        text.push_back(static_cast<char>('0' + ((mode >> shift) & 7)));
    }
    return text;
}

/// Says in words what check_directory() found.
[[noreturn]] void refuse_directory(const std::string& path, int error, const struct stat& status,
                                   const struct statfs& kind) {
    if (error == EOPNOTSUPP) {
        const auto name = network_file_system(static_cast<std::uint64_t>(kind.f_type));
        refuse(ErrorCode::unsupported, path,
               "lies on " + std::string(name) +
                   ", where neither locks nor syncs can be trusted; use a local disk");
    }
    if (error != EPERM) refuse_errno(path, path, error);
    if (status.st_uid != ::geteuid()) {
        refuse(ErrorCode::denied, path,
               "belongs to user " + std::to_string(status.st_uid) + ", but this process runs as " +
                   std::to_string(::geteuid()) + "; use chown, or run as its owner");
    }
    refuse(ErrorCode::denied, path,
           "mode " + octal(status.st_mode) +
               " lets group or others write to it; use chmod go-w (0700 is best)");
}

std::vector<std::string> levels_of(const std::string& path) {
    std::vector<std::string> levels;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        if (end > at && path.substr(at, end - at) != ".") {
            levels.push_back(path.substr(at, end - at));
        }
        at = end + 1;
    }
    return levels;
}

bool is_symbolic_link(int parent, const std::string& name) {
    struct stat status;
    return ::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISLNK(status.st_mode);
}

}  // namespace

std::string_view network_file_system(std::uint64_t magic) noexcept {
    // f_type is signed and of different widths, so only the low 32 bits count.
    switch (static_cast<std::uint32_t>(magic)) {
        case 0x00006969: return "NFS";
        case 0xFF534D42: return "CIFS";
        case 0xFE534D42: return "SMB2";
        case 0x0000517B: return "SMB";
        default: return {};
    }
}

std::unique_ptr<Directory> SystemFileSystem::open(const std::string& path, bool create) {
    if (path.empty() || path.find('\0') != std::string::npos) {
        throw Error(ErrorCode::invalid_argument, "the path of a directory is empty or holds NUL");
    }
    const std::vector<std::string> levels = levels_of(path);
    std::string shown = path.front() == '/' ? "/" : "";
    Descriptor at = open_at(AT_FDCWD, shown.empty() ? "." : "/", O_RDONLY | O_DIRECTORY);
    if (!at.is_open()) refuse_errno(path, shown.empty() ? "." : "/", errno);
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const bool last = i + 1 == levels.size();
        shown += levels[i];
        // Levels above may be links and need not be readable; the directory itself is no link.
        if (last && is_symbolic_link(at.get(), levels[i])) {
            refuse(ErrorCode::denied, path, "is a symbolic link; name the directory itself");
        }
        Descriptor child;
        const int flags = last ? O_RDONLY | O_NOFOLLOW : O_PATH;
        if (const int error = open_child(at.get(), levels[i], flags, create, child)) {
            refuse_errno(path, shown, error);
        }
        at = std::move(child);
        shown += "/";
    }
    struct stat status;
    struct statfs kind;
    if (const int error = check_directory(at.get(), status, kind)) {
        refuse_directory(path, error, status, kind);
    }
    return std::make_unique<SystemDirectory>(std::move(at), path);
}

}  // namespace peermq::base
