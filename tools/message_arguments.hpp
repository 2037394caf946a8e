#pragma once

/// --key, --header and the other properties that a command gives to what it sends.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "message_json.hpp"

namespace peermq::tools {

struct PropertyArguments {
    std::string key;
    std::vector<std::string> headers;
    std::string id;
    std::string content_type;
    std::string correlation_id;
};

void add_property_options(CLI::App& app, PropertyArguments& arguments);

class Properties {
public:
    /// Throws UsageError: a header without "=".
    explicit Properties(const PropertyArguments& arguments);
    /// Sets what was given, in place of what the message has; headers are added.
    void apply(NewMessage& message) const;

private:
    const PropertyArguments& arguments_;
    std::vector<std::pair<std::string, std::string>> headers_;
};

}  // namespace peermq::tools
