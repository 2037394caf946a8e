#include "peer/topic_filter.hpp"

#include <algorithm>

#include "delivery/topic_pattern.hpp"
#include "record/headers.hpp"

namespace peermq::detail {
namespace {

/// Verdicts that are kept; a publisher with more topics in use has them worked out again.
constexpr std::size_t kVerdictsMax = 4096;

}  // namespace

TopicFilter::TopicFilter(const wire::Subscribe& wanted, std::string_view publisher)
    : headers_(wanted.headers), any_header_(wanted.any_header) {
    for (const std::string& pattern : wanted.patterns) {
        if (!delivery::can_match_of(pattern, publisher)) continue;
        patterns_.push_back(pattern);
        every_topic_ = every_topic_ || delivery::matches_all_of(pattern, publisher);
    }
}

bool TopicFilter::takes(std::string_view topic, base::ByteSpan headers) {
    return takes_topic(topic) && takes_headers(headers);
}

bool TopicFilter::takes_topic(std::string_view topic) {
    if (every_topic_) return true;
    if (topic == last_topic_) return last_verdict_;
    if (verdicts_.size() >= kVerdictsMax) verdicts_.clear();
    const auto [known, is_new] = verdicts_.try_emplace(std::string(topic), false);
    if (is_new) {
        known->second = std::any_of(
            patterns_.begin(), patterns_.end(),
            [&](const std::string& pattern) { return delivery::matches(pattern, topic); });
    }
    last_topic_ = topic;
    last_verdict_ = known->second;
    return last_verdict_;
}

bool TopicFilter::takes_headers(base::ByteSpan headers) const {
    if (headers_.empty()) return true;
    const auto holds = [&](const wire::HeaderFilter& wanted) {
        return record::find_header(headers, wanted.name) == std::string_view(wanted.value);
    };
    return any_header_ ? std::any_of(headers_.begin(), headers_.end(), holds)
                       : std::all_of(headers_.begin(), headers_.end(), holds);
}

}  // namespace peermq::detail
