#include "spool/files.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/limits.hpp"
#include "peermq/error.hpp"
#include "spool/scan.hpp"

namespace peermq::spool {

namespace limits = base::limits;

namespace {

/// Below IOV_MAX of every system we run on.
constexpr std::size_t kPartsPerWrite = 512;
constexpr std::size_t kLockBytesMax = 256;

std::string boot_id() {
    std::ifstream in("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(in, text);
    return text;
}

/// The first line of the lock file, fit for a message.
std::string read_owner(base::File& file) {
    std::array<std::byte, kLockBytesMax> bytes;
    const base::IoResult got = file.read_at(bytes, 0);
    std::string text(base::as_text(base::ByteSpan(bytes).first(got.ok() ? got.bytes : 0)));
    text = text.substr(0, text.find('\n'));
    const bool clean = std::all_of(text.begin(), text.end(),
                                   [](char c) { return c >= ' ' && c < 127; });
    return clean ? text : std::string();
}

std::string temporary_name(const SegmentHeader& header) {
    return "tmp-" + segment_name(header.number);
}

}  // namespace

std::string errno_text(int error) {
    return std::generic_category().message(error) + " (errno " + std::to_string(error) + ")";
}

bool is_full(int error) noexcept { return error == ENOSPC || error == EDQUOT; }

int write_fully(base::File& file, std::span<const base::ByteSpan> parts, std::uint64_t offset) {
    std::vector<base::ByteSpan> left(parts.begin(), parts.end());
    std::size_t next = 0;
    while (next < left.size()) {
        if (left[next].empty()) {
            ++next;
            continue;
        }
        const std::size_t count = std::min(kPartsPerWrite, left.size() - next);
        const base::IoResult got = file.write_at(std::span(left).subspan(next, count), offset);
        offset += got.bytes;
        std::size_t moved = got.bytes;
        while (moved > 0) {
            const std::size_t step = std::min(moved, left[next].size());
            left[next] = left[next].subspan(step);
            moved -= step;
            if (left[next].empty()) ++next;
        }
        if (!got.ok()) return got.error;
        if (got.bytes == 0) return EIO;  // neither progress nor a reason
    }
    return 0;
}

Files::Files(std::unique_ptr<base::Directory> directory)
    : directory_(std::move(directory)), path_(directory_->path()) {}

std::string Files::path(std::string_view name) const { return path_ + "/" + std::string(name); }

void Files::lock() {
    std::lock_guard guard(mutex_);
    std::unique_ptr<base::File> file;
    int error = directory_->open_file(kLockName, base::OpenMode::open_or_create, file);
    if (error != 0) {
        throw Error(is_full(error) ? ErrorCode::no_space : ErrorCode::io_error,
                    "cannot open " + path(kLockName) + ": " + errno_text(error));
    }
    error = file->lock();
    if (error == EWOULDBLOCK) {
        const std::string holder = read_owner(*file);
        throw Error(ErrorCode::locked, "the spool " + path_ + " is in use by " +
                                           (holder.empty() ? "another process" : holder) +
                                           "; close it there first");
    }
    if (error != 0) {
        throw Error(ErrorCode::io_error,
                    "cannot lock " + path(kLockName) + ": " + errno_text(error));
    }
    // Who holds it is for messages only: a full disk must not keep a spool from opening.
    const std::string text = "pid " + std::to_string(getpid()) + "\nboot " + boot_id() + "\n";
    const base::ByteSpan parts[] = {base::as_bytes(text)};
    if (file->truncate(0) == 0) (void)write_fully(*file, parts, 0);
    lock_file_ = std::move(file);
}

void Files::unlock() {
    std::lock_guard guard(mutex_);
    lock_file_.reset();
}

std::string Files::owner() {
    std::lock_guard guard(mutex_);
    std::unique_ptr<base::File> file;
    if (directory_->open_file(kLockName, base::OpenMode::read, file) != 0) return {};
    if (file->lock() != EWOULDBLOCK) return {};
    const std::string holder = read_owner(*file);
    return holder.empty() ? "another process" : holder;
}

int Files::list(std::vector<base::DirectoryEntry>& out) {
    std::lock_guard guard(mutex_);
    return directory_->list(out);
}

int Files::open(std::string_view name, base::OpenMode mode, std::unique_ptr<base::File>& out) {
    std::lock_guard guard(mutex_);
    return directory_->open_file(name, mode, out);
}

int Files::remove(const std::vector<std::string>& names) {
    std::lock_guard guard(mutex_);
    int first_error = 0;
    for (const std::string& name : names) {
        const int error = directory_->unlink(name);
        if (error != 0 && error != ENOENT && first_error == 0) first_error = error;
    }
    const int error = directory_->sync();
    return first_error != 0 ? first_error : error;
}

int Files::free_bytes(std::uint64_t& bytes) {
    std::lock_guard guard(mutex_);
    return directory_->free_bytes(bytes);
}

int Files::try_free_bytes(std::uint64_t& bytes) {
    std::unique_lock guard(mutex_, std::try_to_lock);
    return guard.owns_lock() ? directory_->free_bytes(bytes) : EBUSY;
}

int Files::create_segment(const SegmentHeader& header, base::ByteSpan front, std::uint64_t allocate,
                          std::shared_ptr<Segment>& out) {
    std::unique_ptr<base::File> file;
    const std::string temporary = temporary_name(header);
    if (const int error = open(temporary, base::OpenMode::create, file); error != 0) return error;
    return finish_segment(std::move(file), header, front, allocate, out);
}

int Files::reuse_segment(const Segment& finished, const SegmentHeader& header,
                         std::uint64_t allocate, std::shared_ptr<Segment>& out) {
    {
        std::lock_guard guard(mutex_);
        const std::string temporary = temporary_name(header);
        int error = directory_->rename(finished.name, temporary);
        // Durable before the header changes: under its old name the file would be taken for a
        // segment out of order.
        if (error == 0) error = directory_->sync();
        if (error != 0) {
            (void)directory_->unlink(finished.name);
            (void)directory_->unlink(temporary);
            return error;
        }
    }
    return finish_segment(finished.file, header, {}, allocate, out);
}

/// Gives the file under the temporary name of `header` its content and its name.
int Files::finish_segment(std::shared_ptr<base::File> file, const SegmentHeader& header,
                          base::ByteSpan front, std::uint64_t allocate,
                          std::shared_ptr<Segment>& out) {
    auto segment = std::make_shared<Segment>();
    segment->header = header;
    segment->name = segment_name(header.number);
    segment->file_bytes = std::max<std::uint64_t>(allocate, kSegmentDataAt + front.size());
    const auto fill = [&] {
        // Nothing may follow the headers but the front: a hole between them reads as zeros.
        if (const int error = file->allocate(0, segment->file_bytes);
            error != 0 && error != EOPNOTSUPP && error != ENOSYS && error != EINVAL) {
            return error;
        }
        const std::vector<std::byte> head = encode_segment_header(header);
        std::vector<std::byte> block(kSegmentDataAt);
        std::copy(head.begin(), head.end(), block.begin());
        std::copy(head.begin(), head.end(), block.begin() + kSegmentHeaderCopyAt);
        const base::ByteSpan parts[] = {block, front};
        if (const int error = write_fully(*file, parts, 0); error != 0) return error;
        return file->sync_all();
    };
    int error = fill();
    {
        std::lock_guard guard(mutex_);
        const std::string temporary = temporary_name(header);
        if (error == 0) error = directory_->rename(temporary, segment->name);
        if (error == 0) {
            error = directory_->sync();
            // The name may or may not survive; the segment holds nothing that anyone relies on.
            if (error != 0) (void)directory_->unlink(segment->name);
        } else {
            (void)directory_->unlink(temporary);
        }
    }
    if (error != 0) return error;
    std::uint64_t size = 0;
    if (file->size(size) == 0) segment->file_bytes = size;
    segment->file = std::move(file);
    out = std::move(segment);
    return 0;
}

int Files::write_new(std::string_view name, base::ByteSpan bytes) {
    std::unique_ptr<base::File> file;
    int error = directory_->open_file(name, base::OpenMode::create, file);
    if (error == EEXIST) {
        // Left over from a failed attempt of ours.
        error = directory_->unlink(name);
        if (error == 0) error = directory_->open_file(name, base::OpenMode::create, file);
    }
    if (error != 0) return error;
    const base::ByteSpan parts[] = {bytes};
    error = write_fully(*file, parts, 0);
    if (error == 0) error = file->sync_all();
    const int close_error = file->close();
    return error != 0 ? error : close_error;
}

int Files::store_manifest(const Manifest& manifest) {
    const std::vector<std::byte> bytes = encode_manifest(manifest);
    std::lock_guard guard(mutex_);
    int error = write_new(kManifestTemporary, bytes);
    if (error == 0) error = directory_->rename(kManifestTemporary, kManifestName);
    if (error == 0) return directory_->sync();
    (void)directory_->unlink(kManifestTemporary);
    return error;
}

int Files::keep_reserve(std::uint64_t bytes) {
    std::lock_guard guard(mutex_);
    if (has_reserve_) return 0;
    std::unique_ptr<base::File> file;
    int error = directory_->open_file(kReserveName, base::OpenMode::create, file);
    if (error != 0) return error;
    error = file->allocate(0, bytes);
    if (error == EOPNOTSUPP || error == ENOSYS || error == EINVAL) {
        const std::vector<std::byte> zeros(bytes);
        const base::ByteSpan parts[] = {zeros};
        error = write_fully(*file, parts, 0);
    }
    if (error != 0) (void)directory_->unlink(kReserveName);
    has_reserve_ = error == 0;
    return error;
}

bool Files::drop_reserve() {
    std::lock_guard guard(mutex_);
    if (!std::exchange(has_reserve_, false)) return false;
    (void)directory_->unlink(kReserveName);
    return true;
}

bool Files::quarantine(base::File& file, std::uint64_t offset, std::uint64_t bytes,
                       const std::string& name) {
    std::lock_guard guard(mutex_);
    std::unique_ptr<base::Directory> directory;
    if (directory_->open_directory(kQuarantineName, true, directory) != 0) return false;
    std::vector<base::DirectoryEntry> kept;
    if (directory->list(kept) != 0) return false;
    for (const base::DirectoryEntry& entry : kept) {
        if (entry.name == name) return true;
    }
    if (kept.size() >= limits::kQuarantineFilesMax) return false;
    std::unique_ptr<base::File> copy;
    if (directory->open_file(name, base::OpenMode::create, copy) != 0) return false;
    std::vector<std::byte> buffer(std::min<std::uint64_t>(bytes, 256 * limits::kKiB));
    int error = 0;
    for (std::uint64_t done = 0; done < bytes && error == 0;) {
        const std::uint64_t step = std::min<std::uint64_t>(buffer.size(), bytes - done);
        const base::IoResult got = file.read_at(std::span(buffer).first(step), offset + done);
        if (!got.ok() || got.bytes == 0) break;
        const base::ByteSpan parts[] = {base::ByteSpan(buffer).first(got.bytes)};
        error = write_fully(*copy, parts, done);
        done += got.bytes;
    }
    if (error == 0) error = copy->sync_all();
    if (error == 0) error = directory->sync();
    if (error != 0) (void)directory->unlink(name);
    return error == 0;
}

}  // namespace peermq::spool
