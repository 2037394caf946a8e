#include "watch_commands.hpp"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iostream>

#include "exit_codes.hpp"
#include "output.hpp"
#include "peermq/error.hpp"
#include "quantities.hpp"
#include "signals.hpp"
#include "stats_json.hpp"
#include "talk.hpp"
#include "text.hpp"
#include "watch.hpp"

namespace peermq::tools {
namespace {

using namespace std::chrono_literals;

struct WatchArguments {
    std::vector<std::string> where;
    std::optional<nanoseconds> interval;
    std::uint64_t count = 0;
    bool json = false;
};

std::vector<Watched> watched_of(const WatchArguments& arguments) {
    std::vector<Watched> all;
    for (const std::string& where : arguments.where) all.emplace_back(where);
    return all;
}

int stats(const WatchArguments& arguments) {
    const bool colour = colour_wanted(STDOUT_FILENO);
    int code = kExitOk;
    std::vector<Watched> all = watched_of(arguments);
    for (Watched& watched : all) {
        if (!watched.look()) {
            complain(printable(watched.problem()));
            code = kExitNotFound;
        } else if (arguments.json) {
            Json json = to_json(watched.now()->info);
            json["stats"] = to_json(watched.now()->stats);
            std::cout << json << '\n';
        } else {
            for (const std::string& line : lines_of(watched, colour)) std::cout << line << '\n';
        }
    }
    return code;
}

// --- top

/// The terminal without echo, on its second screen, without cursor; as it was at the end.
class Screen {
public:
    Screen() {
        ::tcgetattr(STDIN_FILENO, &before_);
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        put("\x1b[?1049h\x1b[?25l");
    }
    ~Screen() {
        put("\x1b[?25h\x1b[?1049l");
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    static void put(std::string_view text) {
        while (!text.empty()) {
            const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
            if (written <= 0) return;
            text.remove_prefix(static_cast<std::size_t>(written));
        }
    }

private:
    termios before_{};
};

/// `line` cut to so many columns; escapes that set colours take none.
std::string cut(const std::string& line, std::size_t columns) {
    std::string out;
    std::size_t width = 0;
    for (std::size_t at = 0; at < line.size();) {
        if (line[at] == '\x1b') {
            const std::size_t end = std::min(line.find('m', at), line.size() - 1);
            out.append(line, at, end + 1 - at);
            at = end + 1;
            continue;
        }
        const bool begins = (static_cast<unsigned char>(line[at]) & 0xC0) != 0x80;
        if (begins && width == columns) return out + "\x1b[0m";
        width += begins ? 1 : 0;
        out += line[at++];
    }
    return out;
}

class Top {
public:
    explicit Top(const WatchArguments& arguments)
        : arguments_(arguments),
          interval_(std::max<nanoseconds>(arguments.interval.value_or(1s), 100ms)),
          live_(::isatty(STDOUT_FILENO) != 0 && ::isatty(STDIN_FILENO) != 0 &&
                arguments.count == 0),
          colour_(colour_wanted(STDOUT_FILENO)),
          all_(watched_of(arguments)) {}

    int run() {
        static_cast<void>(Signals::instance());
        // A wrong directory is told at once, not shown for ever.
        bool any = false;
        for (Watched& watched : all_) any = watched.look() || any;
        if (!any) {
            for (const Watched& watched : all_) complain(printable(watched.problem()));
            return kExitNotFound;
        }
        std::optional<Screen> screen;
        if (live_) screen.emplace();
        for (std::uint64_t shown = 0; !stop_requested();) {
            show();
            if (++shown == arguments_.count || wait()) break;
            for (Watched& watched : all_) (void)watched.look();
        }
        return kExitOk;
    }

private:
    void show() {
        std::vector<std::string> lines{title()};
        lines.emplace_back();
        for (const Watched& watched : all_) {
            for (std::string& line : lines_of(watched, colour_)) lines.push_back(std::move(line));
        }
        if (!live_) {
            std::string text;
            for (const std::string& line : lines) text += line + '\n';
            (void)output_.write(text);
            return;
        }
        const auto columns = static_cast<std::size_t>(terminal_columns(STDOUT_FILENO));
        const auto rows = static_cast<std::size_t>(terminal_rows(STDOUT_FILENO));
        std::string frame = "\x1b[H";
        const bool all = lines.size() <= rows;
        const std::size_t count = all ? lines.size() : rows - 1;
        for (std::size_t i = 0; i < count; ++i) {
            frame += cut(lines[i], columns) + "\x1b[K";
            if (i + 1 < rows) frame += "\r\n";
        }
        if (!all) {
            frame += cut("... " + plural(lines.size() - count, "more line") +
                             ": make the window taller",
                         columns) +
                     "\x1b[K";
        }
        Screen::put(frame + "\x1b[J");
    }

    [[nodiscard]] std::string title() const {
        const std::time_t now = std::time(nullptr);
        std::tm parts{};
        ::localtime_r(&now, &parts);
        std::array<char, 16> clock{};
        (void)std::strftime(clock.data(), clock.size(), "%H:%M:%S", &parts);
        const std::string text = std::string("peermq top  ") + clock.data() + "  " +
                                 plural(all_.size(), "peer") + "  every " +
                                 short_duration(interval_) + (live_ ? "  q quits" : "");
        return colour_ ? "\x1b[7m" + text + "\x1b[0m" : text;
    }

    /// True when it is to end.
    [[nodiscard]] bool wait() const {
        const auto deadline = std::chrono::steady_clock::now() + interval_;
        while (true) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            if (left <= 0ms) return false;
            std::array<pollfd, 2> waits{{{Signals::instance().descriptor(), POLLIN, 0},
                                         {live_ ? STDIN_FILENO : -1, POLLIN, 0}}};
            if (::poll(waits.data(), waits.size(), static_cast<int>(left.count())) < 0) {
                return false;  // the window has another size, say: show it
            }
            if (waits[0].revents != 0) return true;
            if (waits[1].revents == 0) continue;
            char key = 0;
            const ssize_t got = ::read(STDIN_FILENO, &key, 1);
            if (got <= 0 || key == 'q' || key == 'Q') return true;
        }
    }

    const WatchArguments& arguments_;
    const nanoseconds interval_;
    const bool live_;
    const bool colour_;
    std::vector<Watched> all_;
    Output output_;
};

void add_where(CLI::App& app, const std::shared_ptr<WatchArguments>& arguments) {
    app.add_option("DIR", arguments->where,
                   "Spool directories of running peers, or their control sockets")
        ->required();
}

}  // namespace

void add_watch_commands(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<WatchArguments>();
    CLI::App* show = app.add_subcommand("stats", "Print the numbers of running peers");
    show->group("Running peers");
    add_where(*show, arguments);
    show->add_flag("--json", arguments->json, "One JSON object per peer");
    set_guide(*show,
              {.examples = {"peermq stats ./spool",
                            "peermq stats --json ./spool | jq '.stats.pushes[] | {queue, depth}'"},
               .exit_codes = {kExitOk, kExitNotFound, kExitUsage, kExitOutput}});
    show->callback([&chosen, arguments] { chosen = [arguments] { return stats(*arguments); }; });

    CLI::App* top = app.add_subcommand("top", "Watch running peers: queues, rates, links");
    top->group("Running peers");
    add_where(*top, arguments);
    add_duration(*top, "-d,--interval", arguments->interval, "Time between looks; default 1s");
    add_count(*top, "-n,--count", arguments->count,
              "End after N looks, printed one below the other", 1);
    set_guide(*top,
              {.more = "In a terminal the table stays in place, and q ends. WAITING messages "
                       "wait for a retry, a key, or holders after a restart; IN/s and OUT/s are "
                       "posted and acked.",
               .examples = {"peermq top ./spool", "peermq top ./a ./b --interval 5s",
                            "peermq top ./spool -n 2 | tail -n +3"},
               .exit_codes = {kExitOk, kExitNotFound, kExitUsage, kExitOutput}});
    top->callback([&chosen, arguments] { chosen = [arguments] { return Top(*arguments).run(); }; });
}

}  // namespace peermq::tools
