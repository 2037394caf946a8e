#pragma once

/// The few calls that make a file survive a power cut; failures throw with path and cause.

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

/// An open file that closes itself.
class FileHandle {
public:
    FileHandle() = default;
    FileHandle(const std::string& path, int flags)
        : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
        if (fd_ < 0) fail("open");
    }
    FileHandle(FileHandle&& other) noexcept
        : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
    FileHandle& operator=(FileHandle&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~FileHandle() {
        if (fd_ >= 0) ::close(fd_);
    }

    [[nodiscard]] int fd() const { return fd_; }

    void write_all(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail("write");
            bytes.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    [[nodiscard]] std::string read_all() const {
        std::string content;
        char buffer[65536];
        for (;;) {
            const ssize_t got = ::read(fd_, buffer, sizeof buffer);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) fail("read");
            if (got == 0) return content;
            content.append(buffer, static_cast<std::size_t>(got));
        }
    }

    void truncate(std::size_t bytes) const {
        if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail("truncate");
    }

    void sync() const {
        if (::fdatasync(fd_) != 0) fail("sync");
    }

    [[noreturn]] void fail(const char* what) const {
        throw std::system_error(errno, std::generic_category(), std::string(what) + " " + path_);
    }

private:
    std::string path_;
    int fd_ = -1;
};

/// Makes new and renamed names in the directory of `path` durable.
inline void sync_directory_of(const std::string& path) {
    std::string directory = std::filesystem::path(path).parent_path().native();
    if (directory.empty()) directory = ".";
    FileHandle(directory, O_RDONLY | O_DIRECTORY).sync();
}

/// Replaces a small file: after a crash it has the old content or the new one.
inline void replace_durably(const std::string& path, std::string_view content) {
    const std::string aside = path + ".new";
    {
        const FileHandle file(aside, O_WRONLY | O_CREAT | O_TRUNC);
        file.write_all(content);
        file.sync();
    }
    std::filesystem::rename(aside, path);
    sync_directory_of(path);
}
