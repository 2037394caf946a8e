#include "message_arguments.hpp"

#include "text.hpp"

namespace peermq::tools {

void add_property_options(CLI::App& app, PropertyArguments& arguments) {
    app.add_option("-k,--key", arguments.key,
                   "Messages with the same key are handled one at a time and in order")
        ->type_name("TEXT");
    app.add_option("-H,--header", arguments.headers, "A header; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("--id", arguments.id, "Id of the message; default: one is made")
        ->type_name("TEXT");
    app.add_option("--content-type", arguments.content_type,
                   "What the body is, such as application/json")
        ->type_name("TEXT");
    app.add_option("--correlation-id", arguments.correlation_id, "For the application's own use")
        ->type_name("TEXT");
}

Properties::Properties(const PropertyArguments& arguments) : arguments_(arguments) {
    for (const std::string& header : arguments.headers) {
        const std::size_t equals = header.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw UsageError("--header: \"" + printable(header) +
                             "\" is no header: name=value would be");
        }
        headers_.emplace_back(header.substr(0, equals), header.substr(equals + 1));
    }
}

void Properties::apply(NewMessage& message) const {
    const auto set = [](std::string& target, const std::string& value) {
        if (!value.empty()) target = value;
    };
    set(message.key, arguments_.key);
    set(message.id, arguments_.id);
    set(message.content_type, arguments_.content_type);
    set(message.correlation_id, arguments_.correlation_id);
    message.headers.insert(message.headers.end(), headers_.begin(), headers_.end());
}

}  // namespace peermq::tools
