/// Records and header maps of any bytes are refused or survive being encoded again.

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "fuzz/repair.hpp"
#include "record/headers.hpp"
#include "record/record.hpp"

namespace {

using namespace peermq;
using base::ByteSpan;
using test::require;

constexpr record::Seed kSeed{42};
constexpr std::size_t kBytesMax = 1 << 20;

bool same_bytes(ByteSpan a, ByteSpan b) { return base::as_text(a) == base::as_text(b); }

bool same_parts(const record::Record& a, const record::Record& b) {
    return a.type == b.type && a.priority == b.priority && a.seq == b.seq && a.epoch == b.epoch &&
           a.enqueued == b.enqueued && a.due == b.due && a.expiry == b.expiry && a.key == b.key &&
           a.topic == b.topic && same_bytes(a.headers, b.headers) && same_bytes(a.body, b.body);
}

/// As a writer of this version would have written it.
bool is_canonical(const record::Record& record, ByteSpan bytes) {
    constexpr std::uint8_t kWritten = record::kHasTimes | record::kHasKey | record::kSkippable;
    const bool has_times = record.due != base::WallTime{} || record.expiry != base::WallTime{};
    const auto padding = bytes.last(base::load<std::uint8_t>(bytes.data() + 15));
    return (record.flags & ~kWritten) == 0 &&
           has_times == ((record.flags & record::kHasTimes) != 0) &&
           base::load<std::uint32_t>(bytes.data() + 44) == 0 &&
           std::count(padding.begin(), padding.end(), std::byte{0}) ==
               static_cast<std::ptrdiff_t>(padding.size());
}

void check_record(ByteSpan bytes) {
    const record::Decoded decoded = record::decode(bytes, kSeed, kBytesMax);
    if (!decoded.ok()) return;
    require(decoded.bytes <= bytes.size() && decoded.bytes % 8 == 0, "its length is within");
    require(same_parts(record::parts(bytes.first(decoded.bytes)), decoded.record),
            "a second look without checks sees the same");
    std::vector<std::byte> again(record::encoded_size(decoded.record));
    record::encode(decoded.record, kSeed, again);
    // A flag that only a later version knows is not written again, and is then no longer refused.
    const record::Decoded second = record::decode(again, kSeed, kBytesMax);
    require(second.ok() && same_parts(second.record, decoded.record), "all parts are kept");
    const ByteSpan whole = bytes.first(decoded.bytes);
    if (is_canonical(decoded.record, whole)) {
        require(same_bytes(again, whole), "one record has one form");
    }
}

void check_headers(ByteSpan bytes) {
    const auto headers = record::decode_headers(bytes);
    if (!headers) return;
    std::string again;
    record::encode_headers(*headers, again);
    require(again.size() <= bytes.size() || headers->empty(), "the shortest form is written");
    require(record::decode_headers(base::as_bytes(again)) == headers, "all headers are kept");
    if (!headers->empty()) {
        require(record::find_header(bytes, headers->front().first) == headers->front().second,
                "a look-up finds the first of a name");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> bytes = test::bytes_of(data, size);
    check_headers(bytes);
    check_record(bytes);
    if (size >= record::kHeaderBytes) {
        bytes.resize(size & ~std::size_t{7});
        test::repair_record(bytes, kSeed);
        check_record(bytes);
    }
    return 0;
}
