#include "delivery/topic_pattern.hpp"

#include "base/limits.hpp"

namespace peermq::delivery {
namespace {

/// Takes the tokens of a text one by one.
class Tokens {
public:
    explicit Tokens(std::string_view text) : rest_(text) {}

    [[nodiscard]] bool done() const noexcept { return done_; }
    std::string_view next() noexcept {
        const std::size_t dot = rest_.find('.');
        const std::string_view token = rest_.substr(0, dot);
        done_ = dot == std::string_view::npos;
        rest_.remove_prefix(done_ ? rest_.size() : dot + 1);
        return token;
    }

private:
    std::string_view rest_;
    bool done_ = false;
};

std::optional<std::string> problem(std::string_view text, bool wildcards) {
    if (text.empty()) return "it is empty";
    if (text.size() > base::limits::kTopicBytesMax) return "longer than 1,024 bytes";
    for (Tokens tokens(text); !tokens.done();) {
        const std::string_view token = tokens.next();
        if (token.empty()) return "empty token: dots stand between tokens only";
        for (const char c : token) {
            if (c <= ' ' || c > '~')
                return "only printable ASCII characters without space are possible";
        }
        if (token.find_first_of("*#") == std::string_view::npos) continue;
        if (!wildcards) return "* and # are for patterns";
        if (token.size() > 1) return "* and # stand for whole tokens: write a.*.b, not a.x*.b";
        if (token == "#" && !tokens.done()) return "# stands for the rest, so only at the end";
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> topic_problem(std::string_view topic) { return problem(topic, false); }

std::optional<std::string> pattern_problem(std::string_view pattern) {
    return problem(pattern, true);
}

bool belongs_to(std::string_view topic, std::string_view publisher) noexcept {
    if (!topic.starts_with(publisher)) return false;
    return topic.size() == publisher.size() || topic[publisher.size()] == '.';
}

bool matches(std::string_view pattern, std::string_view topic) noexcept {
    Tokens wanted(pattern);
    Tokens tokens(topic);
    while (!wanted.done()) {
        const std::string_view token = wanted.next();
        if (token == "#") return true;
        if (tokens.done()) return false;
        const std::string_view found = tokens.next();
        if (token != "*" && token != found) return false;
    }
    return tokens.done();
}

bool can_match_of(std::string_view pattern, std::string_view publisher) noexcept {
    Tokens wanted(pattern);
    for (Tokens tokens(publisher); !tokens.done();) {
        if (wanted.done()) return false;
        const std::string_view token = wanted.next();
        if (token == "#") return true;
        const std::string_view found = tokens.next();
        if (token != "*" && token != found) return false;
    }
    return true;
}

bool matches_all_of(std::string_view pattern, std::string_view publisher) noexcept {
    Tokens wanted(pattern);
    for (Tokens tokens(publisher); !tokens.done();) {
        if (wanted.done()) return false;
        const std::string_view token = wanted.next();
        if (token == "#") return true;
        const std::string_view found = tokens.next();
        if (token != "*" && token != found) return false;
    }
    return !wanted.done() && wanted.next() == "#";
}

}  // namespace peermq::delivery
