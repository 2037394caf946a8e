#pragma once

/// The names in a spool directory: lock, manifest, segments, quarantine. Knows the order of syncs
/// and renames that makes a name durable; knows nothing of what is inside.
///
/// Threads: any; the directory is guarded here. Errors are errno values.

#include <memory>
#include <mutex>

#include "base/file_system.hpp"
#include "spool/segment.hpp"

namespace peermq::spool {

/// "No space left on device (errno 28)".
[[nodiscard]] std::string errno_text(int error);
/// True for errors that go away when space returns.
[[nodiscard]] bool is_full(int error) noexcept;

/// Writes all of `parts` at `offset`, in as many calls as it takes.
[[nodiscard]] int write_fully(base::File& file, std::span<const base::ByteSpan> parts,
                              std::uint64_t offset);

class Files {
public:
    explicit Files(std::unique_ptr<base::Directory> directory);

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string path(std::string_view name) const;

    /// Takes the lock and writes who holds it. Throws Error: locked, io_error.
    void lock();
    void unlock();
    /// "pid 123" when another process holds the lock, else empty.
    [[nodiscard]] std::string owner();

    [[nodiscard]] int list(std::vector<base::DirectoryEntry>& out);
    [[nodiscard]] int open(std::string_view name, base::OpenMode mode,
                           std::unique_ptr<base::File>& out);
    /// Unlinks and syncs the directory; names that are gone already do not count as errors.
    [[nodiscard]] int remove(const std::vector<std::string>& names);
    [[nodiscard]] int free_bytes(std::uint64_t& bytes);
    /// As free_bytes(), unless the directory is busy: then EBUSY at once.
    [[nodiscard]] int try_free_bytes(std::uint64_t& bytes);

    /// Creates a segment of `allocate` bytes that starts with `header` and `front`, durable with
    /// its name on success; removes what was begun on failure.
    [[nodiscard]] int create_segment(const SegmentHeader& header, base::ByteSpan front,
                                     std::uint64_t allocate, std::shared_ptr<Segment>& out);

    /// The same out of `finished`, which nothing names and nobody reads any more; its file is gone
    /// on failure.
    [[nodiscard]] int reuse_segment(const Segment& finished, const SegmentHeader& header,
                                    std::uint64_t allocate, std::shared_ptr<Segment>& out);

    [[nodiscard]] int store_manifest(const Manifest& manifest);

    /// Keeps `bytes` of the disk for a manifest; nothing when they are kept already.
    [[nodiscard]] int keep_reserve(std::uint64_t bytes);
    /// Gives them back; false when there were none.
    [[nodiscard]] bool drop_reserve();

    /// Keeps `bytes` of a file from `offset` on under `name` in quarantine/, once; returns whether
    /// it is there. The number of kept files is bounded.
    bool quarantine(base::File& file, std::uint64_t offset, std::uint64_t bytes,
                    const std::string& name);

private:
    [[nodiscard]] int write_new(std::string_view name, base::ByteSpan bytes);
    [[nodiscard]] int finish_segment(std::shared_ptr<base::File> file, const SegmentHeader& header,
                                     base::ByteSpan front, std::uint64_t allocate,
                                     std::shared_ptr<Segment>& out);

    bool has_reserve_ = false;  ///< guarded by mutex_
    std::unique_ptr<base::Directory> directory_;
    std::string path_;
    std::unique_ptr<base::File> lock_file_;
    std::mutex mutex_;
};

}  // namespace peermq::spool
