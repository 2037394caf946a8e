#pragma once

/// A received batch: its bytes, pinned as long as a Delivery needs them, and where its records lie.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"

namespace peermq::detail {

struct InBatch {
    base::ByteSpan records;
    std::vector<std::uint32_t> offsets;  ///< count + 1 entries
    std::shared_ptr<const void> pin;     ///< owns what `records` points into
    base::StreamId stream;
    base::Duration clock_skew{};  ///< of the producer's wall clock, see LinkState

    [[nodiscard]] base::ByteSpan record(std::uint32_t index) const noexcept {
        return records.subspan(offsets[index], offsets[index + 1] - offsets[index]);
    }
};

}  // namespace peermq::detail
