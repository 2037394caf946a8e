#pragma once

/// Files as a dependency: the real ones, and in tests a disk that crashes, tears and fills up.
///
/// Calls report errno values instead of throwing, since what an error means (torn tail, full disk,
/// poisoned file) is the spool's decision. EINTR is retried inside; short writes are not hidden.
/// Everything is relative to an open directory, never follows symbolic links, and is closed on
/// exec.
///
/// Threads: a File may be read by any thread while one writes; a Directory is used by one at a
/// time.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace peermq::base {

/// Bytes moved, and errno (0 = success). A write may have moved some bytes and failed.
struct IoResult {
    std::size_t bytes = 0;
    int error = 0;
    [[nodiscard]] bool ok() const noexcept { return error == 0; }
};

class File {
public:
    virtual ~File() = default;
    /// Fewer bytes than asked means the end of the file.
    [[nodiscard]] virtual IoResult read_at(std::span<std::byte> out, std::uint64_t offset) = 0;
    /// Writes the parts one after another in one call; may be short.
    [[nodiscard]] virtual IoResult write_at(std::span<const ByteSpan> parts,
                                            std::uint64_t offset) = 0;
    [[nodiscard]] virtual int sync_data() = 0;
    [[nodiscard]] virtual int sync_all() = 0;
    /// Reserves disk blocks for [offset, offset + bytes); the size becomes at least their end.
    [[nodiscard]] virtual int allocate(std::uint64_t offset, std::uint64_t bytes) = 0;
    [[nodiscard]] virtual int truncate(std::uint64_t bytes) = 0;
    [[nodiscard]] virtual int size(std::uint64_t& bytes) = 0;
    /// Takes the exclusive advisory lock of the whole file without waiting; EWOULDBLOCK when held.
    [[nodiscard]] virtual int lock() = 0;
    /// Closes; a second call does nothing. The destructor closes too, without telling of errors.
    [[nodiscard]] virtual int close() = 0;
};

enum class OpenMode {
    read,        ///< must exist
    read_write,  ///< must exist
    create,      ///< must not exist; mode 0600
    open_or_create,
};

struct DirectoryEntry {
    std::string name;
    bool is_regular_file = false;
};

/// Names are single names: what is empty, "." or "..", or holds '/' or NUL is refused with EINVAL.
class Directory {
public:
    virtual ~Directory() = default;
    /// Besides what open says: ELOOP (symbolic link), EISDIR, EINVAL (neither file nor directory),
    /// EMLINK (hard links elsewhere), EPERM (foreign owner, writable by group or others).
    [[nodiscard]] virtual int open_file(std::string_view name, OpenMode mode,
                                        std::unique_ptr<File>& out) = 0;
    [[nodiscard]] virtual int rename(std::string_view from, std::string_view to) = 0;
    [[nodiscard]] virtual int unlink(std::string_view name) = 0;
    /// Sorted by name, without "." and "..".
    [[nodiscard]] virtual int list(std::vector<DirectoryEntry>& out) = 0;
    /// Makes created, renamed and removed names durable.
    [[nodiscard]] virtual int sync() = 0;
    /// Opens a child directory, creating it (0700, parent synced) when asked and missing.
    [[nodiscard]] virtual int open_directory(std::string_view name, bool create,
                                             std::unique_ptr<Directory>& out) = 0;
    /// Bytes that this user may still write to the file system.
    [[nodiscard]] virtual int free_bytes(std::uint64_t& bytes) = 0;
    /// For messages: the path as the user gave it.
    [[nodiscard]] virtual std::string path() const = 0;
};

class FileSystem {
public:
    virtual ~FileSystem() = default;
    /// Opens the directory at `path`, creating it and missing parents (0700, every created level's
    /// parent synced) when asked. Throws Error: not_found, denied (foreign owner, writable by group
    /// or others, not a directory, a symbolic link), unsupported (NFS, CIFS), invalid_argument
    /// (empty, NUL), no_space, io_error; text names the path.
    [[nodiscard]] virtual std::unique_ptr<Directory> open(const std::string& path, bool create) = 0;
};

/// Linux: openat, pwritev, fdatasync.
class SystemFileSystem final : public FileSystem {
public:
    std::unique_ptr<Directory> open(const std::string& path, bool create) override;
};

/// The name of the network file system with this statfs magic, on which a spool is refused; empty
/// for all others.
[[nodiscard]] std::string_view network_file_system(std::uint64_t magic) noexcept;

}  // namespace peermq::base
