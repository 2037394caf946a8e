#pragma once

/// Right checksums over wrong contents: no fuzzer guesses a checksum, and what lies behind it must
/// be refused by its own rules.

#include <cstdint>
#include <span>

#include "record/record.hpp"

namespace peermq::test {

/// `record` is a whole one; its length field is made to say so.
void repair_record(std::span<std::byte> record, record::Seed seed);

/// A segment file of the spool: its header, as far as they can be found its batches, and its
/// footer. With `records`, those of each batch as well.
void repair_segment(std::span<std::byte> file, bool records);

/// Stores the checksum of all before it in the last 8 bytes; shorter blocks are left alone.
void repair_block(std::span<std::byte> block, std::uint64_t seed);

}  // namespace peermq::test
