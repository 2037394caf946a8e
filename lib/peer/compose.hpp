#pragma once

/// From a user's Message to a record of a stream: limits are checked, properties become headers.
/// Shared by the patterns. Threads: any.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "peer/out_stream.hpp"
#include "peermq/message.hpp"

namespace peermq::detail {

/// Headers and properties as they lie in a record; empty when there are none, which is the fast
/// path. Throws Error: invalid_argument (a reserved name), too_large.
/// `extra` are reserved headers that a pattern adds.
[[nodiscard]] std::string encode_properties(const Message& message,
                                            std::span<const HeaderView> extra = {});

/// Appends `message`, under `topic` unless that is empty; nothing when the stream is full and so
/// asked, or until `deadline`. Throws Error like encode_properties() and OutStream::append(), and
/// too_large for a key.
std::optional<base::Seq> append(OutStream& stream, const Message& message, std::string_view topic,
                                WhenFull when_full, base::Time deadline = base::kNever);

/// Throws Error invalid_argument for a topic that is malformed or not of this publisher.
void check_topic(std::string_view topic, std::string_view publisher);

}  // namespace peermq::detail
