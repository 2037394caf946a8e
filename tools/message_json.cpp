#include "message_json.hpp"

#include <array>
#include <stdexcept>

#include "quantities.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw std::runtime_error(why); }

std::string text_of(const Json& value, const std::string& name) {
    if (value.is_string()) return value.get<std::string>();
    refuse("\"" + name + "\" must be a string, but is " + printable(value.dump().substr(0, 40)));
}

/// What stands under `name`, plain or as base64; empty when neither is there.
std::string take_text(const Json& json, const std::string& name) {
    const std::string coded = name + "_base64";
    if (json.contains(name)) {
        if (json.contains(coded)) refuse("give \"" + name + "\" or \"" + coded + "\", not both");
        return text_of(json[name], name);
    }
    if (!json.contains(coded)) return {};
    const auto bytes = base64_decode(text_of(json[coded], coded));
    if (!bytes) refuse("\"" + coded + "\" is not base64");
    return *bytes;
}

void take_headers(const Json& headers, NewMessage& message) {
    if (headers.is_object()) {
        for (const auto& [name, value] : headers.items()) {
            message.headers.emplace_back(name, text_of(value, "headers." + name));
        }
        return;
    }
    if (!headers.is_array()) refuse("\"headers\" must be an object or a list");
    for (const Json& header : headers) {
        if (!header.is_object()) {
            refuse(R"(each of "headers" must be like {"name":"a","value":"b"})");
        }
        message.headers.emplace_back(take_text(header, "name"), take_text(header, "value"));
    }
}

}  // namespace

void put_text(Json& json, const std::string& name, std::string_view bytes) {
    if (is_utf8(bytes)) {
        json[name] = bytes;
    } else {
        json[name + "_base64"] = base64(bytes);
    }
}

void put_headers(Json& json, const std::vector<HeaderView>& headers) {
    if (headers.empty()) return;
    // A list of pairs, since a name may come twice.
    Json& list = json["headers"] = Json::array();
    for (const auto& [name, value] : headers) {
        Json pair;
        put_text(pair, "name", name);
        put_text(pair, "value", value);
        list.push_back(std::move(pair));
    }
}

Json to_json(const OwnedMessage& message, std::string_view queue, std::string_view topic) {
    Json json{{"queue", queue}, {"id", message.id}};
    if (!topic.empty()) put_text(json, "topic", topic);
    if (!message.key.empty()) put_text(json, "key", message.key);
    put_headers(json, {message.headers.begin(), message.headers.end()});
    if (!message.correlation_id.empty()) put_text(json, "correlation_id", message.correlation_id);
    if (!message.reply_to.empty()) put_text(json, "reply_to", message.reply_to);
    if (!message.content_type.empty()) put_text(json, "content_type", message.content_type);
    json["timestamp"] = iso_time(message.timestamp);
    json["attempt"] = message.attempt;
    json["redelivered"] = message.redelivered;
    put_text(json, "body", message.body);
    return json;
}

Message NewMessage::view() const {
    return {.body = body,
            .key = key,
            .headers = {headers.begin(), headers.end()},
            .id = id,
            .correlation_id = correlation_id,
            .reply_to = reply_to,
            .content_type = content_type};
}

NewMessage message_of_json(std::string_view line) {
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_discarded()) refuse("is not JSON; {\"body\":\"text\"} would be");
    if (!json.is_object()) refuse("is no JSON object; {\"body\":\"text\"} would be");
    static constexpr std::array kKnown{"queue",
                                       "topic",
                                       "topic_base64",
                                       "id",
                                       "key",
                                       "key_base64",
                                       "headers",
                                       "correlation_id",
                                       "correlation_id_base64",
                                       "reply_to",
                                       "reply_to_base64",
                                       "content_type",
                                       "content_type_base64",
                                       "timestamp",
                                       "attempt",
                                       "redelivered",
                                       "body",
                                       "body_base64"};
    for (const auto& [name, value] : json.items()) {
        if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
            refuse("has an unknown field \"" + printable(name) + "\"");
        }
    }
    if (!json.contains("body") && !json.contains("body_base64")) {
        refuse("has neither \"body\" nor \"body_base64\"");
    }
    NewMessage message;
    message.queue = take_text(json, "queue");
    message.body = take_text(json, "body");
    message.key = take_text(json, "key");
    if (json.contains("headers")) take_headers(json["headers"], message);
    message.id = take_text(json, "id");
    message.correlation_id = take_text(json, "correlation_id");
    message.reply_to = take_text(json, "reply_to");
    message.content_type = take_text(json, "content_type");
    return message;
}

}  // namespace peermq::tools
