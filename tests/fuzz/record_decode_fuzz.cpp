// libFuzzer target: records and header maps of any bytes are refused or survive being encoded
// again.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Ilib -Iinclude \
//       tests/fuzz/record_decode_fuzz.cpp lib/record/*.cpp lib/base/assert.cpp -o
//       record_decode_fuzz

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "record/headers.hpp"
#include "record/record.hpp"

namespace {

using namespace peermq;
using base::ByteSpan;

constexpr record::Seed kSeed{42};
constexpr std::size_t kBytesMax = 1 << 20;

void require(bool holds) {
    if (!holds) std::abort();
}

bool same_bytes(ByteSpan a, ByteSpan b) { return base::as_text(a) == base::as_text(b); }

bool same_parts(const record::Record& a, const record::Record& b) {
    return a.type == b.type && a.priority == b.priority && a.seq == b.seq && a.epoch == b.epoch &&
           a.enqueued == b.enqueued && a.due == b.due && a.expiry == b.expiry && a.key == b.key &&
           a.topic == b.topic && same_bytes(a.headers, b.headers) && same_bytes(a.body, b.body);
}

void check_record(ByteSpan bytes) {
    const record::Decoded decoded = record::decode(bytes, kSeed, kBytesMax);
    if (!decoded.ok()) return;
    require(decoded.bytes <= bytes.size() && decoded.bytes % 8 == 0);
    std::vector<std::byte> again(record::encoded_size(decoded.record));
    record::encode(decoded.record, kSeed, again);
    const record::Decoded second = record::decode(again, kSeed, kBytesMax);
    // A flag that only a later version knows is not written again, and is then no longer refused.
    require(second.ok() && same_parts(second.record, decoded.record));
}

void check_headers(ByteSpan bytes) {
    const auto headers = record::decode_headers(bytes);
    if (!headers) return;
    std::string again;
    record::encode_headers(*headers, again);
    require(again.size() <= bytes.size() || headers->empty());
    require(record::decode_headers(base::as_bytes(again)) == headers);
    if (!headers->empty()) {
        require(record::find_header(bytes, headers->front().first) == headers->front().second);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> bytes(size);
    if (size != 0) std::memcpy(bytes.data(), data, size);
    check_headers(bytes);
    check_record(bytes);
    if (size >= record::kHeaderBytes) {
        // No fuzzer guesses a checksum: make it right, so that what lies behind it is reached.
        bytes.resize(size & ~std::size_t{7});
        base::store(bytes.data() + 8, static_cast<std::uint32_t>(bytes.size()));
        base::store<std::uint64_t>(
            bytes.data(),
            XXH3_64bits_withSeed(bytes.data() + 48, bytes.size() - 48,
                                 XXH3_64bits_withSeed(bytes.data() + 8, 40, kSeed.value)));
        check_record(bytes);
    }
    return 0;
}
