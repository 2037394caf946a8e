#pragma once

/// What the command says to people: lines on standard error, and one line of progress below them.
///
/// Colour and progress only on a terminal; colour never with NO_COLOR or TERM=dumb.
/// Threads: any.

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace peermq::tools {

/// True when `descriptor` is a terminal that shows colour and NO_COLOR is not set.
[[nodiscard]] bool colour_wanted(int descriptor);
/// Columns of the terminal at `descriptor`; 80 when it is none or does not say.
[[nodiscard]] int terminal_columns(int descriptor);
/// Rows likewise; 24.
[[nodiscard]] int terminal_rows(int descriptor);

class Talk {
public:
    [[nodiscard]] static Talk& instance();

    /// Notes are left out from here on; warnings and errors stay.
    void set_quiet(bool quiet);
    void note(std::string_view text);
    void warn(std::string_view text);
    void error(std::string_view text);

    /// The line at the bottom, in place of the one before; cut to the terminal's width.
    void show_progress(std::string_view text);
    void clear_progress();
    [[nodiscard]] bool has_terminal() const noexcept { return terminal_; }

private:
    Talk();
    void say(std::string_view colour, std::string_view label, std::string_view text);

    std::mutex mutex_;
    const bool terminal_;
    const bool colour_;
    bool quiet_ = false;
    std::string progress_;
};

inline void note(std::string_view text) { Talk::instance().note(text); }
inline void warn(std::string_view text) { Talk::instance().warn(text); }
inline void complain(std::string_view text) { Talk::instance().error(text); }

/// Progress of one piece of work: after half a second, ten times a second at most, when standard
/// error is a terminal; gone at the end. One thread.
class Progress {
public:
    /// `total` 0: unknown. Amounts are in `unit` ("message"), or in bytes when that is "B".
    Progress(std::string what, std::string unit, std::uint64_t total = 0);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// `done` of the total; `detail` stands at the end of the line.
    void update(std::uint64_t done, std::string_view detail = {});

private:
    using Clock = std::chrono::steady_clock;

    const std::string what_;
    const std::string unit_;
    const std::uint64_t total_;
    const Clock::time_point start_;
    Clock::time_point next_;
    bool shown_ = false;
};

}  // namespace peermq::tools
