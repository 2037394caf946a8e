#include "peer/chunk.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace peermq::detail {

Chunk::Chunk(base::Seq first, base::Epoch epoch, std::size_t bytes)
    : first_(first),
      epoch_(epoch),
      capacity_(bytes),
      data_(std::make_unique_for_overwrite<std::byte[]>(bytes)),
      // As many offsets as the smallest records can need, so that they never move under a reader.
      offsets_(std::make_unique_for_overwrite<std::uint32_t[]>(bytes / record::kHeaderBytes + 2)) {
    offsets_[0] = 0;
}

Chunk::Chunk(spool::ReadResult&& read)
    : first_(read.run.first),
      epoch_(read.epoch),
      capacity_(read.bytes.size()),
      used_(read.bytes.size()),
      count_(static_cast<std::uint32_t>(read.run.count())),
      read_back_(std::move(read.bytes)),
      read_back_offsets_(std::move(read.offsets)) {
    PEERMQ_ASSERT(read_back_offsets_.size() == count_ + std::size_t{1});
    for (std::uint32_t i = 0; i < count_; ++i) {
        const std::byte* at = read_back_.data() + read_back_offsets_[i];
        if ((std::to_integer<std::uint8_t>(at[13]) & record::kHasKey) == 0) continue;
        const base::ByteSpan bytes(at, read_back_offsets_[i + 1] - read_back_offsets_[i]);
        // Checked by the spool when it was read: only its parts are wanted here.
        const record::Record record = record::parts(bytes);
        if (!keys_storage_) {
            keys_storage_ = std::make_unique<std::uint64_t[]>(count_);
            keys_.store(keys_storage_.get(), std::memory_order_release);
        }
        keys_storage_[i] = record::key_hash(record.key);
    }
}

void Chunk::append(const record::Record& record, std::size_t bytes, record::Seed seed) {
    PEERMQ_ASSERT(record.seq == first_ + count_);
    record::encode(record, seed, {data_.get() + used_, bytes});
    if (!record.key.empty()) note_key(record.key);
    used_ += bytes;
    ++count_;
    offsets_[count_] = static_cast<std::uint32_t>(used_);
}

void Chunk::note_key(std::string_view key) {
    if (!keys_storage_) {
        keys_storage_ = std::make_unique<std::uint64_t[]>(capacity_ / record::kHeaderBytes + 1);
        keys_.store(keys_storage_.get(), std::memory_order_release);
    }
    keys_storage_[count_] = record::key_hash(key);
}

base::ByteSpan Chunk::bytes(base::Run run) const noexcept {
    const std::uint32_t* offsets = offsets_ ? offsets_.get() : read_back_offsets_.data();
    const std::byte* data = data_ ? data_.get() : read_back_.data();
    const std::uint32_t begin = offsets[run.first - first_];
    const std::uint32_t end = offsets[run.last + 1 - first_];
    return {data + begin, end - begin};
}

delivery::Slice Chunk::slice(base::Seq first, base::Seq last) const noexcept {
    const std::uint32_t* offsets = offsets_ ? offsets_.get() : read_back_offsets_.data();
    const std::size_t index = first - first_;
    const std::size_t count = last - first + 1;
    delivery::Slice slice;
    slice.first = first;
    slice.offsets = {offsets + index, count + 1};
    if (const std::uint64_t* keys = keys_.load(std::memory_order_acquire))
        slice.keys = {keys + index, count};
    return slice;
}

}  // namespace peermq::detail
