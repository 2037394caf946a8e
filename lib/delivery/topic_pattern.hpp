#pragma once

/// Topics and the patterns that choose among them. Pure; any thread.
///
/// A topic is tokens joined by dots: "orders.eu.created". A publisher's name is the beginning of
/// all its topics. In a pattern, `*` stands for exactly one token, and `#`, at the end only, for
/// the rest: zero or more tokens. Tokens are printable ASCII without space, `*`, `#` and dot.

#include <optional>
#include <string>
#include <string_view>

namespace peermq::delivery {

/// What is wrong with a topic or a pattern, as the end of a sentence; nothing when it is well
/// formed.
[[nodiscard]] std::optional<std::string> topic_problem(std::string_view topic);
[[nodiscard]] std::optional<std::string> pattern_problem(std::string_view pattern);

/// True when `topic` is `publisher`, or begins with it and a dot.
[[nodiscard]] bool belongs_to(std::string_view topic, std::string_view publisher) noexcept;

/// Arguments of the following are well formed.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view topic) noexcept;
/// Some topic of this publisher can match.
[[nodiscard]] bool can_match_of(std::string_view pattern, std::string_view publisher) noexcept;
/// Every topic of this publisher matches.
[[nodiscard]] bool matches_all_of(std::string_view pattern, std::string_view publisher) noexcept;

}  // namespace peermq::delivery
