#pragma once

/// What makes a message a dead letter: the name of its queue, its headers, how it is handed out.
///
/// A dead letter is the message as it was, with headers that say why it died. They are made by the
/// producer from what a consumer said, so nothing here may fail, whatever the sizes: when the
/// headers would not fit, the error text is cut first, then the largest headers are left out, and
/// `peermq-dead-cut` tells. Used by Engine and Runtime; pure; any thread.

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "delivery/group.hpp"

namespace peermq::detail {

inline constexpr std::string_view kDeadSuffix = ".dead";

/// Only dead letters come from such queues: Peer::push refuses their names.
[[nodiscard]] inline bool holds_dead_letters(std::string_view queue) noexcept {
    return queue.ends_with(kDeadSuffix);
}

struct DeadLetterCause {
    std::string_view queue;
    std::string_view reason;
    std::string_view error;
    std::string_view attempts;
    std::string_view sequence;
};

/// The headers of a dead letter, encoded; at most limits::kHeadersBytesMax. `original` are the
/// encoded headers of the message. The standard properties are left out last.
[[nodiscard]] std::string dead_letter_headers(base::ByteSpan original,
                                              const DeadLetterCause& cause);

/// How dead letters are handed out: failures never end them, for there is no second grave.
[[nodiscard]] inline delivery::GroupOptions dead_letter_options() noexcept {
    delivery::GroupOptions options;
    options.max_attempts = 0;
    return options;
}

}  // namespace peermq::detail
