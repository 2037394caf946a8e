#pragma once

/// What a subscription takes of a publisher's messages: any of its patterns, and all or any of its
/// header filters. Remembers its verdict on recent topics, since publishers use few of them.
///
/// Threads: none; the owner role.

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.hpp"
#include "wire/frames.hpp"

namespace peermq::detail {

class TopicFilter {
public:
    TopicFilter(const wire::Subscribe& wanted, std::string_view publisher);

    /// No message of the publisher can pass.
    [[nodiscard]] bool takes_nothing() const noexcept { return patterns_.empty(); }
    /// Every message of the publisher passes: none need be looked at.
    [[nodiscard]] bool takes_all() const noexcept { return every_topic_ && headers_.empty(); }
    /// `headers` as they lie in the record.
    [[nodiscard]] bool takes(std::string_view topic, base::ByteSpan headers);

private:
    [[nodiscard]] bool takes_topic(std::string_view topic);
    [[nodiscard]] bool takes_headers(base::ByteSpan headers) const;

    std::vector<std::string> patterns_;  ///< those that can match a topic of the publisher
    std::vector<wire::HeaderFilter> headers_;
    bool any_header_ = false;
    bool every_topic_ = false;
    std::string last_topic_;
    bool last_verdict_ = false;
    std::unordered_map<std::string, bool> verdicts_;
};

}  // namespace peermq::detail
