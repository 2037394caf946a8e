#include "disk.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "clock.hpp"

namespace peermq::bench {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// A file that has no name any more: gone when closed, whatever happens.
class ScratchFile {
public:
    explicit ScratchFile(const std::filesystem::path& directory) {
        std::string name = (directory / "plain.XXXXXX").string();
        fd_ = mkostemp(name.data(), O_CLOEXEC);
        if (fd_ < 0) fail(name);
        unlink(name.c_str());
    }
    ~ScratchFile() { close(fd_); }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;

    void append_synced(const std::vector<char>& bytes) const {
        std::size_t written = 0;
        while (written < bytes.size()) {
            const ssize_t count = write(fd_, bytes.data() + written, bytes.size() - written);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) fail("write");
            written += static_cast<std::size_t>(count);
        }
        if (fdatasync(fd_) != 0) fail("fdatasync");
    }

private:
    int fd_ = -1;
};

}  // namespace

FreshDirectory::FreshDirectory(const std::filesystem::path& parent, const std::string& prefix) {
    std::filesystem::create_directories(parent);
    std::string name = (parent / (prefix + ".XXXXXX")).string();
    if (mkdtemp(name.data()) == nullptr) fail(name);
    path_ = std::filesystem::absolute(name);
}

FreshDirectory::~FreshDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

bool is_memory_file_system(const std::filesystem::path& path) {
    struct statfs info {};
    if (statfs(path.c_str(), &info) != 0) return false;
    return info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC;
}

double plain_append_rate(const std::filesystem::path& directory, std::size_t step_bytes,
                         std::uint64_t duration_ns) {
    const ScratchFile file(directory);
    const std::vector<char> bytes(step_bytes, 'x');
    file.append_synced(bytes);
    const std::uint64_t start = now_ns();
    std::uint64_t end = start;
    double written = 0;
    while (end - start < duration_ns) {
        file.append_synced(bytes);
        written += static_cast<double>(step_bytes);
        end = now_ns();
    }
    return written / seconds(end - start);
}

std::vector<std::uint64_t> plain_append_times(const std::filesystem::path& directory,
                                              std::size_t step_bytes, std::size_t count) {
    const ScratchFile file(directory);
    const std::vector<char> bytes(step_bytes, 'x');
    file.append_synced(bytes);
    std::vector<std::uint64_t> times;
    times.reserve(count);
    for (std::size_t done = 0; done < count; ++done) {
        const std::uint64_t start = now_ns();
        file.append_synced(bytes);
        times.push_back(now_ns() - start);
    }
    return times;
}

void drop_cached(const std::filesystem::path& directory) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) fail(entry.path().string());
        // Only clean pages can be dropped.
        fdatasync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

}  // namespace peermq::bench
