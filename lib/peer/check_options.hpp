#pragma once

/// What users may ask for: names and options in their ranges, as Errors that say what and where.
/// Used by Runtime; pure; any thread.

#include <string_view>

#include "delivery/inbox.hpp"
#include "peermq/options.hpp"
#include "wire/frames.hpp"

namespace peermq::detail {

/// 1 to 255 printable ASCII characters without space. `what` begins the text of the error.
void check_name(std::string_view what, std::string_view name);
void check_push_options(const PushOptions& options, bool has_spool);
/// As a Group has them.
[[nodiscard]] delivery::GroupOptions group_options(const PushOptions& options);
/// Checked, and as an Inbox has them.
[[nodiscard]] delivery::InboxOptions inbox_options(const PullOptions& options);

void check_publisher(std::string_view name, const PublisherOptions& options);
/// The same in terms of a queue.
[[nodiscard]] PushOptions push_options(const PublisherOptions& options);
void check_pattern(std::string_view pattern);
/// Patterns and headers together are within what a SUBSCRIBE takes.
void check_filter(const wire::Subscribe& wanted);
/// Checked, as it goes to publishers.
[[nodiscard]] wire::Subscribe subscription_of(std::string_view pattern,
                                              const SubscriberOptions& options);
[[nodiscard]] delivery::InboxOptions inbox_options(const SubscriberOptions& options);

}  // namespace peermq::detail
