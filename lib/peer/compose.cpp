#include "peer/compose.hpp"

#include <vector>

#include "base/limits.hpp"
#include "delivery/topic_pattern.hpp"
#include "peer/properties.hpp"
#include "peermq/error.hpp"
#include "record/headers.hpp"
#include "record/record.hpp"

namespace peermq::detail {
namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& text) { throw Error(code, text); }

}  // namespace

std::string encode_properties(const Message& message, std::span<const HeaderView> extra) {
    std::string encoded;
    if (extra.empty() && message.headers.empty() && message.id.empty() &&
        message.correlation_id.empty() && message.reply_to.empty() &&
        message.content_type.empty()) {
        return encoded;
    }
    std::vector<record::HeaderView> all;
    const auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) all.emplace_back(name, value);
    };
    add(kIdHeader, message.id);
    add(kCorrelationIdHeader, message.correlation_id);
    add(kReplyToHeader, message.reply_to);
    add(kContentTypeHeader, message.content_type);
    all.insert(all.end(), extra.begin(), extra.end());
    for (const HeaderView& header : message.headers) {
        // Why it lay among the dead letters is no part of a message that is sent again.
        if (header.first.starts_with(kDeadPrefix)) continue;
        if (header.first.starts_with(kReservedPrefix)) {
            refuse(ErrorCode::invalid_argument,
                   "header name \"" + std::string(header.first.substr(0, 64)) +
                       "\": names beginning with peermq- are reserved");
        }
        all.push_back(header);
    }
    record::encode_headers(all, encoded);
    if (encoded.size() > base::limits::kHeadersBytesMax) {
        refuse(ErrorCode::too_large, "headers and properties take " +
                                         std::to_string(encoded.size()) +
                                         " bytes, at most 65,536 are possible");
    }
    return encoded;
}

std::optional<base::Seq> append(OutStream& stream, const Message& message, std::string_view topic,
                                WhenFull when_full, base::Time deadline) {
    if (message.key.size() > base::limits::kKeyBytesMax) {
        refuse(ErrorCode::too_large, "key of " + std::to_string(message.key.size()) +
                                         " bytes, at most 1,024 are possible");
    }
    const std::string properties = encode_properties(message);
    record::Record record;
    record.key = message.key;
    record.topic = topic;
    record.headers = base::as_bytes(properties);
    record.body = message.body.span();
    return stream.append(record, when_full, deadline);
}

void check_topic(std::string_view topic, std::string_view publisher) {
    const auto shown = [&] { return "topic \"" + std::string(topic.substr(0, 64)) + "\": "; };
    if (const auto problem = delivery::topic_problem(topic))
        refuse(ErrorCode::invalid_argument, shown() + *problem);
    if (delivery::belongs_to(topic, publisher)) return;
    refuse(ErrorCode::invalid_argument, shown() + "publisher \"" + std::string(publisher) +
                                            "\" publishes \"" + std::string(publisher) +
                                            "\" and topics that begin with it and a dot");
}

}  // namespace peermq::detail
