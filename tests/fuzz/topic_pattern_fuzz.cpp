/// A pattern and a topic of any bytes, separated by a line feed: what is well formed matches as a
/// second, simpler matcher says, and what is said of a whole publisher holds for this topic of it.

#include <string_view>
#include <vector>

#include "delivery/topic_pattern.hpp"
#include "fuzz/fuzz.hpp"

namespace {

using namespace peermq;
using test::require;

std::vector<std::string_view> tokens_of(std::string_view text) {
    std::vector<std::string_view> tokens;
    while (true) {
        const std::size_t dot = text.find('.');
        tokens.push_back(text.substr(0, dot));
        if (dot == std::string_view::npos) return tokens;
        text.remove_prefix(dot + 1);
    }
}

bool matches(const std::vector<std::string_view>& pattern,
             const std::vector<std::string_view>& topic) {
    const bool open = pattern.back() == "#";
    const std::size_t fixed = pattern.size() - (open ? 1 : 0);
    if (open ? topic.size() < fixed : topic.size() != fixed) return false;
    for (std::size_t i = 0; i < fixed; ++i) {
        if (pattern[i] != "*" && pattern[i] != topic[i]) return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t end = text.find('\n');
    const std::string_view pattern = text.substr(0, end);
    const std::string_view topic = end == std::string_view::npos ? std::string_view()
                                                                 : text.substr(end + 1);
    if (delivery::pattern_problem(pattern) || delivery::topic_problem(topic)) return 0;
    const bool match = delivery::matches(pattern, topic);
    require(match == matches(tokens_of(pattern), tokens_of(topic)), "both matchers agree");
    for (std::size_t dot = topic.find('.');; dot = topic.find('.', dot + 1)) {
        const std::string_view publisher = topic.substr(0, dot);
        require(delivery::belongs_to(topic, publisher), "a topic belongs to its beginnings");
        if (match) require(delivery::can_match_of(pattern, publisher), "it does match one");
        if (delivery::matches_all_of(pattern, publisher)) require(match, "all are matched");
        if (dot == std::string_view::npos) return 0;
    }
}
