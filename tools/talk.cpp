#include "talk.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "quantities.hpp"

namespace peermq::tools {
namespace {

constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kPlain = "\x1b[0m";
constexpr std::string_view kEraseLine = "\r\x1b[K";

/// Standard error may be gone; there is nobody left to tell.
void write_all(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
        if (written <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

winsize size_of(int descriptor) {
    winsize size{};
    if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return {};
    return size;
}

}  // namespace

bool colour_wanted(int descriptor) {
    const char* const no_colour = std::getenv("NO_COLOR");
    if (no_colour != nullptr && *no_colour != '\0') return false;
    const char* const terminal = std::getenv("TERM");
    return ::isatty(descriptor) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

int terminal_columns(int descriptor) {
    const int columns = size_of(descriptor).ws_col;
    return columns > 0 ? columns : 80;
}

int terminal_rows(int descriptor) {
    const int rows = size_of(descriptor).ws_row;
    return rows > 0 ? rows : 24;
}

Talk::Talk()
    : terminal_(::isatty(STDERR_FILENO) != 0 && std::getenv("TERM") != nullptr &&
                std::string_view(std::getenv("TERM")) != "dumb"),
      colour_(colour_wanted(STDERR_FILENO)) {}

Talk& Talk::instance() {
    static Talk talk;
    return talk;
}

void Talk::set_quiet(bool quiet) {
    const std::lock_guard lock(mutex_);
    quiet_ = quiet;
}

void Talk::note(std::string_view text) {
    {
        const std::lock_guard lock(mutex_);
        if (quiet_) return;
    }
    say({}, {}, text);
}

void Talk::warn(std::string_view text) { say(kYellow, "warning: ", text); }
void Talk::error(std::string_view text) { say(kRed, "error: ", text); }

void Talk::say(std::string_view colour, std::string_view label, std::string_view text) {
    const std::lock_guard lock(mutex_);
    std::string line;
    if (!progress_.empty()) line += kEraseLine;
    line += "peermq: ";
    if (colour_) line += colour;
    line += label;
    if (colour_ && !colour.empty()) line += kPlain;
    line += text;
    line += '\n';
    line += progress_;
    write_all(line);
}

void Talk::show_progress(std::string_view text) {
    if (!terminal_) return;
    const std::lock_guard lock(mutex_);
    const auto columns = static_cast<std::size_t>(terminal_columns(STDERR_FILENO));
    progress_ = std::string(kEraseLine) + std::string(text.substr(0, columns - 1));
    write_all(progress_);
}

void Talk::clear_progress() {
    const std::lock_guard lock(mutex_);
    if (progress_.empty()) return;
    progress_.clear();
    write_all(kEraseLine);
}

Progress::Progress(std::string what, std::string unit, std::uint64_t total)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      start_(Clock::now()),
      next_(start_ + std::chrono::milliseconds(500)) {}

Progress::~Progress() {
    if (shown_) Talk::instance().clear_progress();
}

void Progress::update(std::uint64_t done, std::string_view detail) {
    const Clock::time_point now = Clock::now();
    if (now < next_ || !Talk::instance().has_terminal()) return;
    next_ = now + std::chrono::milliseconds(100);
    shown_ = true;

    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = static_cast<double>(done) / seconds;
    const auto amount = [this](double count) {
        return unit_ == "B" ? short_bytes(static_cast<std::uint64_t>(count)) : short_count(count);
    };
    std::string line = what_ + "  ";
    if (total_ > 0) {
        constexpr std::size_t width = 24;
        const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
        const auto full = static_cast<std::size_t>(share * width);
        line += '[' + std::string(full, '#') + std::string(width - full, '.') + "] " +
                std::to_string(static_cast<int>(share * 100)) + "%  ";
    }
    line += amount(static_cast<double>(done));
    if (unit_ != "B") line += ' ' + unit_ + (done == 1 ? "" : "s");
    line += "  " + amount(rate) + "/s";
    if (total_ > done && rate > 0) {
        const double left = static_cast<double>(total_ - done) / rate;
        line += "  " + short_duration(nanoseconds(static_cast<std::int64_t>(left * 1e9))) + " left";
    }
    if (!detail.empty()) line += "  " + std::string(detail);
    Talk::instance().show_progress(line);
}

}  // namespace peermq::tools
