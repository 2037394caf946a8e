#pragma once

/// How a part of a reply is told apart in the spool of who asked: by the topic of its record, "seq
/// part kind", for example "17 0 last". Pure; any thread.

#include <optional>
#include <string>
#include <string_view>

#include "peer/calls.hpp"

namespace peermq::detail {

[[nodiscard]] std::string stored_part_name(base::Seq request, const ReplyPart& part);

/// The headers of a part with what it answers: request id and, if given, correlation id.
[[nodiscard]] std::string stored_headers(base::ByteSpan headers, const Calls::WholeReply& reply);

struct StoredPart {
    base::Seq request = 0;
    ReplyPart part;  ///< without its record
};
/// Nothing when that is no such name.
[[nodiscard]] std::optional<StoredPart> parse_stored_part(std::string_view name);

}  // namespace peermq::detail
