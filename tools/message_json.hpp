#pragma once

/// A message as one line of JSON: what `pull --json` and `spool export` print is what `push --json`
/// and `spool import` read. Field names are read by programs: never changed.
///
/// {"queue":"jobs","id":"...","key":"k","headers":[{"name":"a","value":"b"}],"body":"text", ...}.
/// Bytes that are no UTF-8 stand as base64 under the name with "_base64" behind it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "peermq/delivery.hpp"
#include "peermq/message.hpp"

namespace peermq::tools {

/// Fields keep the order in which they were set.
using Json = nlohmann::ordered_json;

/// `bytes` under `name`, or as base64 under `name` + "_base64".
void put_text(Json& json, const std::string& name, std::string_view bytes);
void put_headers(Json& json, const std::vector<HeaderView>& headers);

[[nodiscard]] Json to_json(const OwnedMessage& message, std::string_view queue,
                           std::string_view topic = {});

/// A message to be sent that owns its bytes.
struct NewMessage {
    std::string queue{};
    std::string body{};
    std::string key{};
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string id{};
    std::string correlation_id{};
    std::string reply_to{};
    std::string content_type{};

    /// Borrows from this.
    [[nodiscard]] Message view() const;
};

/// The message of one line. What tells how it was delivered (attempt, timestamp, ...) is passed
/// over; headers may also be an object. Throws std::runtime_error that says what is wrong.
[[nodiscard]] NewMessage message_of_json(std::string_view line);

}  // namespace peermq::tools
