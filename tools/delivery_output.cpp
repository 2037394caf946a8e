#include "delivery_output.hpp"

#include "message_json.hpp"
#include "text.hpp"

namespace peermq::tools {

void add_format_options(CLI::App& app, FormatArguments& arguments) {
    CLI::Option* format = app.add_option(
        "-F,--format", arguments.format,
        R"(Print TEMPLATE for each message, such as '{key} {body}\n'; )"
        "fields: body, key, id, queue, topic, seq, attempt, redelivered, "
        "timestamp, content_type, correlation_id, reply_to, size, "
        "headers, header:NAME, json");
    format->type_name("TEMPLATE");
    CLI::Option* json = app.add_flag("--json", arguments.json,
                                     "Print each message as one line of JSON");
    json->excludes(format);
    app.add_option("--delimiter", arguments.delimiter,
                   R"(What stands behind each body, such as '\0'; default '\n')")
        ->type_name("TEXT")
        ->excludes(format)
        ->excludes(json);
}

DeliveryFormat::DeliveryFormat(const FormatArguments& arguments) : json_(arguments.json) {
    if (!arguments.format.empty()) {
        try {
            template_.emplace(arguments.format);
        } catch (const std::runtime_error& error) {
            throw UsageError(std::string("--format: ") + error.what());
        }
    }
    if (arguments.delimiter.empty()) return;
    const auto delimiter = unescaped(arguments.delimiter);
    if (!delimiter) {
        throw UsageError("--delimiter: \"" + printable(arguments.delimiter) +
                         R"(" is no delimiter: ',' or '\n' or '\0' would be)");
    }
    delimiter_ = *delimiter;
}

void DeliveryFormat::append(const Delivery& delivery, std::string& out) const {
    if (json_) {
        Template::append_json(delivery, out);
        out += '\n';
    } else if (template_) {
        template_->append(delivery, out);
    } else {
        out += delivery.text();
        out += delimiter_;
    }
}

std::string headers_json(const std::vector<HeaderView>& headers) {
    Json json = Json::object();
    for (const auto& [name, value] : headers) {
        if (is_utf8(name)) put_text(json, std::string(name), value);
    }
    return json.dump();
}

Environment environment_of(const Delivery& delivery) {
    return {{"PEERMQ_QUEUE", delivery.queue()},
            {"PEERMQ_TOPIC", std::string(delivery.topic())},
            {"PEERMQ_ID", delivery.id()},
            {"PEERMQ_KEY", std::string(delivery.key())},
            {"PEERMQ_ATTEMPT", std::to_string(delivery.attempt())},
            {"PEERMQ_REDELIVERED", delivery.redelivered() ? "1" : "0"},
            {"PEERMQ_TIMESTAMP", iso_time(delivery.timestamp())},
            {"PEERMQ_CONTENT_TYPE", std::string(delivery.content_type())},
            {"PEERMQ_HEADERS", headers_json(delivery.headers())}};
}

}  // namespace peermq::tools
