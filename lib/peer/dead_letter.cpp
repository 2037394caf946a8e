#include "peer/dead_letter.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "record/headers.hpp"

namespace peermq::detail {
namespace {

namespace limits = base::limits;
using Headers = std::vector<record::HeaderView>;

/// The error text is not cut below this: without it the letter says little.
constexpr std::size_t kErrorBytesKept = 128;
/// What `peermq-dead-cut` takes, and what a longer text adds to its length field.
constexpr std::size_t kCutBytes = 64;

/// Whole characters of UTF-8 only.
std::string_view shortened(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
    while (bytes_max > 0 && continues(text[bytes_max])) --bytes_max;
    return text.substr(0, bytes_max);
}

std::string encode(Headers all, const DeadLetterCause& cause, std::string_view error,
                   std::size_t left_out) {
    all.emplace_back("peermq-dead-queue", cause.queue);
    all.emplace_back("peermq-dead-reason", cause.reason);
    all.emplace_back("peermq-dead-error", error);
    all.emplace_back("peermq-dead-attempts", cause.attempts);
    all.emplace_back("peermq-dead-sequence", cause.sequence);
    std::string cut;
    if (left_out > 0) cut = std::to_string(left_out) + " header(s)";
    if (error.size() < cause.error.size()) cut += cut.empty() ? "error" : ", error";
    if (!cut.empty()) all.emplace_back("peermq-dead-cut", cut);
    std::string encoded;
    record::encode_headers(all, encoded);
    return encoded;
}

std::size_t bytes_of(const record::HeaderView& header) {
    return header.first.size() + header.second.size() + 2;  // at least one length byte each
}

/// Leaves out the fewest headers that free `excess` bytes, properties only when nothing else is
/// left; returns how many.
std::size_t leave_out(Headers& headers, std::size_t excess) {
    std::vector<std::size_t> order(headers.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto rank = [&](std::size_t index) {
        return std::pair(!headers[index].first.starts_with("peermq-"), bytes_of(headers[index]));
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return rank(a) > rank(b); });
    std::vector<bool> gone(headers.size(), false);
    std::size_t count = 0;
    for (std::size_t freed = 0; freed < excess && count < order.size(); ++count) {
        gone[order[count]] = true;
        freed += bytes_of(headers[order[count]]);
    }
    std::size_t index = 0;
    std::erase_if(headers, [&](const record::HeaderView&) { return gone[index++]; });
    return count;
}

}  // namespace

std::string dead_letter_headers(base::ByteSpan original, const DeadLetterCause& cause) {
    Headers kept = record::decode_headers(original).value_or(Headers{});
    std::string_view error = shortened(cause.error, limits::kReasonBytesMax);
    std::size_t left_out = 0;
    std::string encoded = encode(kept, cause, error, left_out);
    if (encoded.size() <= limits::kHeadersBytesMax) return encoded;

    const std::size_t too_much = encoded.size() - limits::kHeadersBytesMax + kCutBytes;
    error = shortened(error,
                      std::max(kErrorBytesKept, error.size() - std::min(error.size(), too_much)));
    encoded = encode(kept, cause, error, left_out);
    while (encoded.size() > limits::kHeadersBytesMax && !kept.empty()) {
        left_out += leave_out(kept, encoded.size() - limits::kHeadersBytesMax);
        encoded = encode(kept, cause, error, left_out);
    }
    // A large header that had to go may have made room for all of the text again.
    const std::size_t room = limits::kHeadersBytesMax - encoded.size();
    if (left_out == 0 || room <= kCutBytes) return encoded;
    error = shortened(cause.error,
                      std::min(limits::kReasonBytesMax, error.size() + room - kCutBytes));
    return encode(kept, cause, error, left_out);
}

}  // namespace peermq::detail
