#include "peer/stored_reply.hpp"

#include <charconv>
#include <vector>

#include "base/limits.hpp"
#include "peer/properties.hpp"
#include "record/headers.hpp"

namespace peermq::detail {
namespace {

constexpr std::string_view kPart = "part";
constexpr std::string_view kProgress = "progress";
constexpr std::string_view kLast = "last";
constexpr std::string_view kFailure = "failure";

/// Takes a number and the space behind it off `text`.
template <typename Number>
bool take_number(std::string_view& text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty() || text.front() != ' ') return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::string stored_part_name(base::Seq request, const ReplyPart& part) {
    const std::string_view kind = part.failure    ? kFailure
                                  : part.last     ? kLast
                                  : part.progress ? kProgress
                                                  : kPart;
    return std::to_string(request) + " " + std::to_string(part.number) + " " + std::string(kind);
}

std::string stored_headers(base::ByteSpan headers, const Calls::WholeReply& reply) {
    std::vector<record::HeaderView> all = record::decode_headers(headers).value_or(
        std::vector<record::HeaderView>{});
    all.emplace_back(kReplyToHeader, reply.request);
    if (!reply.correlation_id.empty()) all.emplace_back(kCorrelationIdHeader, reply.correlation_id);
    std::string encoded;
    record::encode_headers(all, encoded);
    // The replier filled all the room: what it says counts more than what it answers.
    if (encoded.size() > base::limits::kHeadersBytesMax) return std::string(base::as_text(headers));
    return encoded;
}

std::optional<StoredPart> parse_stored_part(std::string_view name) {
    StoredPart stored;
    if (!take_number(name, stored.request) || !take_number(name, stored.part.number))
        return std::nullopt;
    stored.part.failure = name == kFailure;
    stored.part.last = name == kLast || stored.part.failure;
    stored.part.progress = name == kProgress;
    if (!stored.part.last && !stored.part.progress && name != kPart) return std::nullopt;
    return stored;
}

}  // namespace peermq::detail
