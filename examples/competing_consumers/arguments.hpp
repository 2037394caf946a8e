#pragma once

/// Command lines of the programs in this folder: "--name VALUE", "--name" and plain words.

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

inline constexpr int kExitUsage = 64;

/// Each call takes what it names out of the list; finish() complains about what is left.
class Arguments {
public:
    Arguments(int argc, char** argv, std::string_view usage) : usage_(usage) {
        words_.assign(argv + 1, argv + argc);
        if (flag("--help") || flag("-h")) {
            std::cout << usage_;
            std::exit(0);
        }
    }

    bool flag(std::string_view name) {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            if (words_[i] != name) continue;
            words_.erase(words_.begin() + static_cast<std::ptrdiff_t>(i));
            return true;
        }
        return false;
    }

    /// The value after the first `name`; nothing when it is not there.
    std::optional<std::string> value(std::string_view name) {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            if (words_[i] != name) continue;
            if (i + 1 == words_.size()) fail(std::string(name) + " needs a value");
            std::string found = words_[i + 1];
            const auto at = words_.begin() + static_cast<std::ptrdiff_t>(i);
            words_.erase(at, at + 2);
            return found;
        }
        return std::nullopt;
    }

    std::string value(std::string_view name, std::string otherwise) {
        return value(name).value_or(std::move(otherwise));
    }

    /// All values of an option that may be given several times.
    std::vector<std::string> values(std::string_view name) {
        std::vector<std::string> found;
        while (auto next = value(name)) found.push_back(*std::move(next));
        return found;
    }

    std::uint64_t number(std::string_view name, std::uint64_t otherwise) {
        const auto text = value(name);
        if (!text) return otherwise;
        std::uint64_t parsed = 0;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(),
                                                  parsed);
        if (error != std::errc() || end != text->data() + text->size()) {
            fail(std::string(name) + " needs a whole number, not '" + *text + "'");
        }
        return parsed;
    }

    /// The plain words that are left; an unknown option ends the program.
    std::vector<std::string> finish() {
        for (const std::string& word : words_) {
            if (word.size() > 1 && word.front() == '-') fail("unknown option " + word);
        }
        return std::move(words_);
    }

    [[noreturn]] void fail(const std::string& why) const {
        std::cerr << why << "\n\n" << usage_;
        std::exit(kExitUsage);
    }

private:
    std::string_view usage_;
    std::vector<std::string> words_;
};
