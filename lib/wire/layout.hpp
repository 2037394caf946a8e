#pragma once

/// Sizes of the entries of lists, as FORMAT.md gives them. Private to this folder.

#include <cstddef>

#include "base/limits.hpp"
#include "wire/frames.hpp"

namespace peermq::wire {

inline constexpr std::size_t kRunBytes = 16;
inline constexpr std::size_t kBatchRunBytes = 32;
inline constexpr std::size_t kHeldRunBytes = 44;
inline constexpr std::size_t kRefusedRunBytes = 24;
/// Without the text of the reason.
inline constexpr std::size_t kSettleEntryBytes = 38;
/// An empty text: its length alone.
inline constexpr std::size_t kTextBytesMin = 2;
inline constexpr std::size_t kResumePointBytes = 24;

/// Fields of a BATCH before its runs, and of a SETTLE before its entries.
inline constexpr std::size_t kBatchFieldsBytes = 24;
inline constexpr std::size_t kSettleFieldsBytes = 20;

static_assert((kFrameHeaderBytes + kBatchFieldsBytes) % 8 == 0 && kBatchRunBytes % 8 == 0,
              "records start at a multiple of 8 within a BATCH");
static_assert(kFragmentHeadBytes % 8 == 0 && kReplyHeadBytes % 8 == 0);
static_assert(kFrameHeaderBytes + kBatchFieldsBytes +
                      base::limits::kRunsPerFrameMax * kBatchRunBytes +
                      base::limits::kBatchBytesMax <=
                  base::limits::kFrameBytesMax,
              "a full batch with the most runs fits a frame");
static_assert(kFragmentHeadBytes + base::limits::kBatchBytesMax <= base::limits::kFrameBytesMax);
static_assert(kReplyHeadBytes <= kFragmentHeadBytes);
static_assert(kFrameHeaderBytes + kSettleFieldsBytes +
                      base::limits::kRunsPerFrameMax * (kSettleEntryBytes + 128) <=
                  base::limits::kFrameBytesMax,
              "a SETTLE with the most entries leaves each a reason worth reading");
static_assert(base::limits::kFilterBytesMax +
                      base::limits::kRunsPerFrameMax * (kResumePointBytes + 3 * kTextBytesMin) +
                      512 <=
                  base::limits::kFrameBytesMax,
              "the largest subscription fits a frame");

}  // namespace peermq::wire
