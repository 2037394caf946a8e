#pragma once

/// How `pull` and `sub` print a message, and what they tell a command about it.

#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "child.hpp"
#include "peermq/delivery.hpp"
#include "template.hpp"

namespace peermq::tools {

struct FormatArguments {
    std::string format;
    std::string delimiter;  ///< escaped
    bool json = false;
    [[nodiscard]] bool given() const { return json || !format.empty() || !delimiter.empty(); }
};

/// --format, --json, --delimiter.
void add_format_options(CLI::App& app, FormatArguments& arguments);

class DeliveryFormat {
public:
    /// Throws UsageError.
    explicit DeliveryFormat(const FormatArguments& arguments);
    void append(const Delivery& delivery, std::string& out) const;

private:
    std::optional<Template> template_;
    std::string delimiter_ = "\n";
    bool json_ = false;
};

/// {"name":"value", ...}.
[[nodiscard]] std::string headers_json(const std::vector<HeaderView>& headers);
/// PEERMQ_QUEUE, _TOPIC, _ID, _KEY, _ATTEMPT, _REDELIVERED, _TIMESTAMP, _CONTENT_TYPE, and _HEADERS
/// as JSON.
[[nodiscard]] Environment environment_of(const Delivery& delivery);

}  // namespace peermq::tools
