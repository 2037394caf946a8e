#pragma once

/// The standard properties that travel as reserved headers of a record.

#include <string_view>

namespace peermq::detail {

inline constexpr std::string_view kReservedPrefix = "peermq-";
inline constexpr std::string_view kIdHeader = "peermq-id";
inline constexpr std::string_view kCorrelationIdHeader = "peermq-correlation-id";
inline constexpr std::string_view kReplyToHeader = "peermq-reply-to";
inline constexpr std::string_view kContentTypeHeader = "peermq-content-type";
/// Of a request that may run more than once; its value is empty.
inline constexpr std::string_view kIdempotentHeader = "peermq-idempotent";
/// The code of a failure, in the reply that tells of it; its body is the message.
inline constexpr std::string_view kFailureHeader = "peermq-failure";
/// Why a message lies among the dead letters: these are shown to its reader like any other header,
/// and left out when it is posted again.
inline constexpr std::string_view kDeadPrefix = "peermq-dead-";

}  // namespace peermq::detail
