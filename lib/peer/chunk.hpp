#pragma once

/// Encoded records of one stream side by side, as they go to the log and to the wire.
///
/// Filled by posting threads under their stream's lock; what lies below a count that was read under
/// that lock, or handed over through it, never changes, so it is read without it.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "delivery/group.hpp"
#include "record/record.hpp"
#include "spool/spool.hpp"

namespace peermq::detail {

class Chunk {
public:
    /// An empty chunk that takes `bytes` bytes of records, the first being `first`.
    Chunk(base::Seq first, base::Epoch epoch, std::size_t bytes);
    /// Records read back from the spool.
    explicit Chunk(spool::ReadResult&& read);

    Chunk(const Chunk&) = delete;
    Chunk& operator=(const Chunk&) = delete;

    [[nodiscard]] bool fits(std::size_t bytes) const noexcept { return used_ + bytes <= capacity_; }
    /// Encodes `record`, whose seq must be last() + 1, at the end. Requires fits(encoded_size).
    void append(const record::Record& record, std::size_t bytes, record::Seed seed);

    [[nodiscard]] base::Run run() const noexcept { return {first_, first_ + count_ - 1}; }
    [[nodiscard]] base::Epoch epoch() const noexcept { return epoch_; }
    [[nodiscard]] std::size_t used() const noexcept { return used_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    /// The bytes of `run`, which must lie inside.
    [[nodiscard]] base::ByteSpan bytes(base::Run run) const noexcept;
    /// What Group asks for, of the records from `first` to `last`.
    [[nodiscard]] delivery::Slice slice(base::Seq first, base::Seq last) const noexcept;

    std::uint64_t
        settled = 0;  ///< how many of its records are settled; guarded by the stream's lock

private:
    void note_key(std::string_view key);

    base::Seq first_;
    base::Epoch epoch_;
    std::size_t capacity_;
    std::size_t used_ = 0;
    std::uint32_t count_ = 0;
    std::unique_ptr<std::byte[]> data_;
    std::vector<std::byte> read_back_;
    std::unique_ptr<std::uint32_t[]> offsets_;  ///< count_ + 1 entries; never moves once made
    std::vector<std::uint32_t> read_back_offsets_;
    std::unique_ptr<std::uint64_t[]> keys_storage_;  ///< made with the first key
    std::atomic<const std::uint64_t*> keys_{nullptr};
};

}  // namespace peermq::detail
