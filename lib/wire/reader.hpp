#pragma once

/// Reads the fields of a frame in order and remembers the first error; after it, everything reads
/// as zero. So a decoder is straight-line code with one check at the end. Private to this folder.

#include <array>
#include <cstring>
#include <string>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "wire/frames.hpp"

namespace peermq::wire {

class Reader {
public:
    explicit Reader(base::ByteSpan fields) : rest_(fields) {}

    [[nodiscard]] DecodeError error() const noexcept { return error_; }
    [[nodiscard]] bool ok() const noexcept { return error_ == DecodeError::none; }
    [[nodiscard]] std::size_t rest_bytes() const noexcept { return rest_.size(); }
    /// Seqs in all runs read so far.
    [[nodiscard]] std::uint64_t seq_count() const noexcept { return seq_count_; }

    void fail(DecodeError error) noexcept {
        if (ok()) error_ = error;
    }

    template <typename Number>
    [[nodiscard]] Number number() noexcept {
        const base::ByteSpan bytes = take(sizeof(Number));
        return bytes.empty() ? Number{} : base::load<Number>(bytes.data());
    }

    void reserved(std::size_t bytes) noexcept { (void)take(bytes); }

    [[nodiscard]] bool flag() noexcept {
        const auto value = number<std::uint8_t>();
        if (value > 1) fail(DecodeError::bad_value);
        return value == 1;
    }

    /// An enumerator of a type whose values are 1 to `last` without gaps.
    template <typename Enum>
    [[nodiscard]] Enum enumerator(Enum last) noexcept {
        const auto value = number<Enum>();
        if (value < Enum{1} || value > last) fail(DecodeError::bad_value);
        return value;
    }

    [[nodiscard]] std::array<std::byte, 16> bytes16() noexcept {
        std::array<std::byte, 16> value{};
        const base::ByteSpan bytes = take(value.size());
        if (!bytes.empty()) std::memcpy(value.data(), bytes.data(), value.size());
        return value;
    }

    [[nodiscard]] std::string text(std::size_t bytes_max) {
        const std::size_t size = number<std::uint16_t>();
        if (size > bytes_max) fail(DecodeError::bad_length);
        return std::string(base::as_text(take(size)));
    }

    [[nodiscard]] base::Run run() noexcept {
        base::Run value;
        value.first = number<base::Seq>();
        value.last = number<base::Seq>();
        // Seq 0 names nothing; without it a count cannot overflow, only the sum of counts can.
        if (value.first == 0 || value.empty()) {
            fail(DecodeError::bad_value);
            return {};
        }
        seq_count_ += value.count();
        if (seq_count_ < value.count()) fail(DecodeError::bad_value);
        return value;
    }

    [[nodiscard]] base::Epoch epoch() noexcept {
        base::Epoch value;
        value.counter = number<std::uint32_t>();
        value.nonce = number<std::uint64_t>();
        return value;
    }

    [[nodiscard]] base::LeaseId lease() noexcept {
        base::LeaseId value;
        value.epoch = number<std::uint32_t>();
        value.counter = number<std::uint64_t>();
        return value;
    }

    /// How many entries of at least `entry_bytes` follow; 0 unless so many bytes are there.
    [[nodiscard]] std::size_t count(std::size_t entry_bytes) noexcept {
        const std::size_t value = number<std::uint32_t>();
        return has_entries(value, entry_bytes) ? value : 0;
    }

    [[nodiscard]] bool has_entries(std::size_t entries, std::size_t entry_bytes) noexcept {
        if (entries > base::limits::kRunsPerFrameMax) {
            fail(DecodeError::too_many);
        } else if (entries * entry_bytes > rest_.size()) {
            fail(DecodeError::truncated);
        }
        return ok();
    }

private:
    [[nodiscard]] base::ByteSpan take(std::size_t bytes) noexcept {
        if (bytes > rest_.size()) fail(DecodeError::truncated);
        if (!ok()) return {};
        const base::ByteSpan taken = rest_.first(bytes);
        rest_ = rest_.subspan(bytes);
        return taken;
    }

    base::ByteSpan rest_;
    std::uint64_t seq_count_ = 0;
    DecodeError error_ = DecodeError::none;
};

}  // namespace peermq::wire
