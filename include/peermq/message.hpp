#pragma once

/// A message as it is sent, and as it is kept after take().

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peermq/bytes.hpp"

namespace peermq {

using std::chrono::nanoseconds;

/// UTC with nanoseconds.
using Timestamp = std::chrono::time_point<std::chrono::system_clock, nanoseconds>;

/// Name and value. Names that begin with "peermq-" are reserved: refused, but for "peermq-dead-",
/// which is left out, so that a dead letter can be sent again with the headers that it has.
using HeaderView = std::pair<std::string_view, std::string_view>;

/// What to send. A view: everything in it must live until the call that takes it has returned.
///
/// Sizes: key at most 1,024 bytes; headers and the properties below, together, at most 64 KiB; the
/// whole as stored, with 48 bytes of its own and padding to 8, at most
/// PeerOptions::message_bytes_max.
struct Message {
    BytesView body{};
    /// Messages with the same key are handed out one at a time and in order, also on retry. Empty:
    /// no such bond.
    std::string_view key{};
    std::vector<HeaderView> headers{};
    /// The sender's own id; empty: one is made from stream, epoch and sequence number.
    std::string_view id{};
    std::string_view correlation_id{};
    std::string_view reply_to{};
    std::string_view content_type{};
};

/// A received message that owns its bytes.
struct OwnedMessage {
    std::string body;
    std::string key;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string id;
    std::string correlation_id;
    std::string reply_to;
    std::string content_type;
    Timestamp timestamp{};
    std::uint32_t attempt = 1;
    bool redelivered = false;
};

}  // namespace peermq
