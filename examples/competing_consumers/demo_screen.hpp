#pragma once

/// What the demo shows: on a terminal one line that is redrawn below the events, else plain lines.

#include <algorithm>
#include <chrono>
#include <clocale>
#include <cstdint>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

/// 12345 -> "12,345"
inline std::string grouped(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
    return text;
}

inline std::string one_decimal(double value) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(1) << value;
    return text.str();
}

inline std::string percent(double fraction) {
    return std::to_string(static_cast<int>(fraction * 100)) + " %";
}

class Screen {
public:
    enum class Color { plain, green, yellow, red, dim };

    Screen() {
        std::setlocale(LC_CTYPE, "");
        const char* term = std::getenv("TERM");
        const char* no_color = std::getenv("NO_COLOR");
        is_terminal_ = ::isatty(STDOUT_FILENO) == 1 && term != nullptr &&
                       std::string_view(term) != "dumb";
        has_color_ = is_terminal_ && (no_color == nullptr || *no_color == '\0');
        has_blocks_ = std::string_view(nl_langinfo(CODESET)) == "UTF-8";
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;
    ~Screen() { clear_live(); }

    /// A line that stays.
    void line(const std::string& text, Color color = Color::plain) {
        clear_live();
        std::cout << painted(text, color) << std::endl;
        if (!std::cout) throw std::runtime_error("standard output is closed");
    }

    /// How it stands: redrawn in place, or once a second as a line of its own.
    void progress(double fraction, const std::string& text) {
        const auto now = std::chrono::steady_clock::now();
        if (is_terminal_) {
            const std::size_t width = columns();
            const std::size_t bar_width = std::clamp<std::size_t>(width / 6, 8, 40);
            const std::size_t room = width > bar_width + 4 ? width - bar_width - 4 : 0;
            std::cout << "\r\x1b[K  " << bar(fraction, bar_width) << ' ' << text.substr(0, room)
                      << std::flush;
            has_live_ = true;
        } else if (now - last_plain_ >= std::chrono::seconds(1)) {
            last_plain_ = now;
            line("  " + text);
        }
        if (!std::cout) throw std::runtime_error("standard output is closed");
    }

private:
    static std::size_t columns() {
        winsize size{};
        if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
        return size.ws_col;
    }

    std::string bar(double fraction, std::size_t width) const {
        const auto done = static_cast<std::size_t>(std::clamp(fraction, 0.0, 1.0) *
                                                   static_cast<double>(width));
        std::string full;
        std::string empty;
        for (std::size_t i = 0; i < width; ++i) {
            (i < done ? full : empty) += has_blocks_ ? (i < done ? "█" : "░")
                                                     : (i < done ? "#" : "-");
        }
        return painted(full, Color::green) + painted(empty, Color::dim);
    }

    std::string painted(const std::string& text, Color color) const {
        if (!has_color_ || color == Color::plain || text.empty()) return text;
        const char* code = color == Color::green    ? "32"
                           : color == Color::yellow ? "33"
                           : color == Color::red    ? "31"
                                                    : "2";
        return std::string("\x1b[") + code + 'm' + text + "\x1b[0m";
    }

    void clear_live() {
        if (has_live_) std::cout << "\r\x1b[K";
        has_live_ = false;
    }

    bool is_terminal_ = false;
    bool has_color_ = false;
    bool has_blocks_ = false;
    bool has_live_ = false;
    std::chrono::steady_clock::time_point last_plain_{};
};
