#include "arguments.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "quantities.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

std::map<const CLI::App*, Guide>& guides() {
    static std::map<const CLI::App*, Guide> all;
    return all;
}

std::map<const CLI::Option*, std::vector<std::string>>& choices() {
    static std::map<const CLI::Option*, std::vector<std::string>> all;
    return all;
}

[[noreturn]] void refuse(const std::string& name, const std::string& text,
                         const std::string& right) {
    throw CLI::ValidationError(name, "\"" + printable(text) + "\" is no " + right);
}

/// "--timeout" of "-t,--timeout".
std::string last_name(const std::string& name) { return name.substr(name.rfind(',') + 1); }

CLI::Option* add_parsed(CLI::App& app, const std::string& name, const std::string& type,
                        const std::string& about, std::function<void(const std::string&)> parse) {
    CLI::Option* option = app.add_option_function<std::string>(name, std::move(parse), about);
    option->type_name(type);
    return option;
}

}  // namespace

CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<std::chrono::nanoseconds>& target,
                          const std::string& about) {
    return add_parsed(app, name, "DURATION", about, [&target, name](const std::string& text) {
        target = parse_duration(text);
        if (!target) refuse(last_name(name), text, "duration: 500ms, 2.5s, 10m, 1h or 3d would be");
    });
}

CLI::Option* add_bytes(CLI::App& app, const std::string& name, std::uint64_t& target,
                       const std::string& about) {
    return add_parsed(app, name, "SIZE", about, [&target, name](const std::string& text) {
        const auto bytes = parse_bytes(text);
        if (!bytes) refuse(last_name(name), text, "size: 4096, 64K, 16M or 2G would be");
        target = *bytes;
    });
}

CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint64_t& target,
                       const std::string& about, std::uint64_t least, std::uint64_t most) {
    return add_parsed(app, name, "N", about, [=, &target](const std::string& text) {
        std::uint64_t number = 0;
        const char* const end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, number);
        if (error == std::errc() && rest == end && number >= least && number <= most) {
            target = number;
            return;
        }
        const std::string range = most == ~std::uint64_t{0}
                                      ? "of at least " + grouped(least)
                                      : "from " + grouped(least) + " to " + grouped(most);
        refuse(last_name(name), text, "whole number " + range);
    });
}

CLI::Option* add_choice(CLI::App& app, const std::string& name, std::string& target,
                        const std::string& about, const std::vector<std::string>& words) {
    std::string list;
    for (const std::string& word : words) list += (list.empty() ? "" : "|") + word;
    CLI::Option* option = add_parsed(
        app, name, list, about, [&target, name, words](const std::string& text) {
            if (std::find(words.begin(), words.end(), text) == words.end()) {
                std::string right;
                for (const std::string& word : words) {
                    right += (right.empty() ? "" : &word == &words.back() ? " or " : ", ") + word;
                }
                throw CLI::ValidationError(last_name(name),
                                           "\"" + printable(text) + "\" is not possible: " + right);
            }
            target = text;
        });
    choices()[option] = words;
    return option;
}

std::vector<std::string> choices_of(const CLI::Option& option) {
    const auto found = choices().find(&option);
    return found == choices().end() ? std::vector<std::string>{} : found->second;
}

void set_guide(CLI::App& app, const Guide& guide) { guides()[&app] = guide; }

const Guide* guide_of(const CLI::App& app) {
    const auto found = guides().find(&app);
    return found == guides().end() ? nullptr : &found->second;
}

}  // namespace peermq::tools
