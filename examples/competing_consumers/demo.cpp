/// The whole of this example in one go: starts a producer, workers and a collector as processes of
/// their own, kills a worker and the producer in the middle of the work, and checks every row.

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/signalfd.h>

#include "arguments.hpp"
#include "demo_check.hpp"
#include "demo_crew.hpp"
#include "demo_screen.hpp"
#include "walk.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Color = Screen::Color;

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kStopPatience = std::chrono::seconds(15);
constexpr int kProducerStartsMax = 20;
constexpr std::uint64_t kSmallTreeFiles = 8000;

constexpr std::string_view kUsage = R"(usage: competing_consumers_demo [options] [DIR...]

Computes digest, bytes, lines and words of all files below the directories (/usr/include and
/usr/share/doc), with one producer, several workers and a collector; kills a worker and the
producer meanwhile; compares the result with sha256sum. Exit code 0: nothing lost, nothing wrong.

  --workers N        (4)
  --concurrency N    files at the same time in each worker (8)
  --seed N           choose the moments of the kills (random)
  --deadline-s N     give up after so many seconds (300)
  --keep             keep the spool, the table and the logs
)";

struct Options {
    std::vector<std::string> roots;
    std::uint64_t workers = 0;
    std::uint64_t concurrency = 0;
    std::uint64_t seed = 0;
    std::chrono::seconds deadline{};
    bool keep = false;
};

Options parse(int argc, char** argv) {
    Arguments arguments(argc, argv, kUsage);
    Options options;
    options.workers = arguments.number("--workers", 4);
    options.concurrency = arguments.number("--concurrency", 8);
    options.seed = arguments.number("--seed", std::random_device{}());
    options.deadline = std::chrono::seconds(arguments.number("--deadline-s", 300));
    options.keep = arguments.flag("--keep");
    std::vector<std::string> roots = arguments.finish();
    if (options.workers < 2)
        arguments.fail("--workers must be at least 2, for one of them is killed");
    if (roots.empty()) {
        roots = {"/usr/include", "/usr/share/doc"};
        std::erase_if(roots, [](const auto& root) { return !std::filesystem::is_directory(root); });
    }
    for (std::string& root : roots) {
        if (!std::filesystem::is_directory(root)) arguments.fail(root + " is not a directory");
        root = std::filesystem::absolute(root).lexically_normal().native();
    }
    options.roots = distinct_roots(std::move(roots));
    return options;
}

/// Ctrl-C and its kin.
struct Interrupted {};

class TemporaryDirectory {
public:
    explicit TemporaryDirectory(bool keep) : keep_(keep) {
        path_ = (std::filesystem::temp_directory_path() / "peermq-demo-XXXXXX").native();
        if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make " + path_);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        if (!keep_) std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    bool keep_;
    std::string path_;
};

/// What will be killed when so much is done.
struct Kill {
    double at = 0;
    bool is_done = false;
};

class Demo {
public:
    Demo(const Options& options, Screen& screen, int signals)
        : options_(options),
          screen_(screen),
          signals_(signals),
          directory_(options.keep),
          crew_(directory_.path()),
          random_(options.seed) {
        std::uniform_real_distribution<double> moment(0.2, 0.6);
        worker_kill_.at = moment(random_);
        producer_kill_.at = moment(random_);
        victim_ = std::uniform_int_distribution<std::size_t>(0, options.workers - 1)(random_);
    }

    /// True when all held.
    bool run() {
        count_files();
        start();
        work();
        stop();
        return check();
    }

private:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(Clock::now() - started_at_).count();
    }
    [[nodiscard]] double done() const {
        return static_cast<double>(crew_.collector.figure("rows")) /
               static_cast<double>(paths_.size());
    }
    [[nodiscard]] std::string table() const { return directory_.path() + "/files.tsv"; }

    void event(const std::string& text) {
        screen_.line("  " + one_decimal(seconds()) + " s  " + text, Color::yellow);
    }

    /// Runs a command to its end and returns what it prints.
    std::string output_of(const std::vector<std::string>& command) {
        Child child(command, directory_.path() + "/commands.log");
        for (bool goes_on = true; goes_on;) {
            std::array<pollfd, 2> polled{{{signals_, POLLIN, 0}, {child.output(), POLLIN, 0}}};
            ::poll(polled.data(), polled.size(), -1);
            if ((polled[0].revents & POLLIN) != 0) throw Interrupted();
            goes_on = child.read();
        }
        // find and xargs tell by it of single files that they could not read: the check will show.
        if (child.wait() >= 126) throw std::runtime_error("cannot run " + command.front());
        return child.text();
    }

    void count_files() {
        std::vector<std::string> command{"find", "-H"};
        command.insert(command.end(), options_.roots.begin(), options_.roots.end());
        command.insert(command.end(), {"-type", "f", "-readable", "-print0"});
        paths_ = split_paths(output_of(command));
        if (paths_.empty()) throw std::runtime_error("there are no files to work on");

        std::string roots;
        for (const std::string& root : options_.roots) roots += (roots.empty() ? "" : ", ") + root;
        screen_.line(grouped(paths_.size()) + " files in " + roots);
        screen_.line("seed " + std::to_string(options_.seed) + ": a worker dies at " +
                     percent(worker_kill_.at) + ", the producer at " + percent(producer_kill_.at));
    }

    void start_producer() {
        const std::string endpoint = crew_.producer.endpoint.empty() ? "tcp://127.0.0.1:*"
                                                                     : crew_.producer.endpoint;
        // A bounded backlog keeps the producer walking while the work goes on, so that its death
        // meets it in the middle. Small trees are slowed down, or they were done before anybody
        // looked.
        const std::uint64_t spool_max = std::max(std::uint64_t{256} * 1024,
                                                 std::uint64_t{16} * paths_.size());
        std::vector<std::string> arguments{"--bind",      endpoint,
                                           "--spool",     directory_.path() + "/spool",
                                           "--spool-max", std::to_string(spool_max),
                                           "--report-ms", "50"};
        if (paths_.size() < kSmallTreeFiles) {
            const std::uint64_t rate = std::max<std::uint64_t>(20, paths_.size() / 4);
            arguments.insert(arguments.end(), {"--rate", std::to_string(rate)});
        }
        arguments.insert(arguments.end(), options_.roots.begin(), options_.roots.end());
        crew_.start(crew_.producer, "producer", std::move(arguments));
        ++producer_starts_;
    }

    void start() {
        started_at_ = Clock::now();
        crew_.start(crew_.collector, "collector", {"--output", table(), "--report-ms", "20"});
        start_producer();
        while (crew_.producer.endpoint.empty() || crew_.collector.endpoint.empty()) step();

        for (std::size_t i = 0; i < options_.workers; ++i) {
            Member& worker = crew_.workers.emplace_back();
            worker.name = "worker " + std::to_string(i + 1);
        }
        for (Member& worker : crew_.workers) {
            crew_.start(
                worker, "worker",
                {"--connect", crew_.producer.endpoint, "--results", crew_.collector.endpoint,
                 "--concurrency", std::to_string(options_.concurrency), "--report-ms", "50"});
        }
        event("producer at " + crew_.producer.endpoint + ", collector at " +
              crew_.collector.endpoint + ", " + std::to_string(options_.workers) + " workers");
    }

    /// One round of listening; throws when a process ended that should not have.
    void step() {
        if (crew_.listen(signals_, kRedraw)) throw Interrupted();
        if (Clock::now() - started_at_ > options_.deadline) {
            throw std::runtime_error("not done within " +
                                     std::to_string(options_.deadline.count()) + " s");
        }
        for (const Member* member : crew_.members()) {
            if (!member->exit_code || member->is_expected_to_end) continue;
            if (member == &crew_.producer && *member->exit_code == 0) continue;
            if (member == &crew_.producer && producer_kill_.is_done)
                continue;  // restarted by work()
            throw std::runtime_error(member->name + " ended with exit code " +
                                     std::to_string(*member->exit_code) + ":\n" +
                                     crew_.last_words(*member));
        }
    }

    void work() {
        while (crew_.producer.exit_code != 0) {
            step();
            if (crew_.producer.exit_code.value_or(0) != 0) restart_producer();
            if (!worker_kill_.is_done && done() >= worker_kill_.at) kill_worker();
            if (!producer_kill_.is_done && done() >= producer_kill_.at) kill_producer();
            if (Clock::now() - drawn_at_ >= kRedraw) draw();
        }
        draw();
        worked_for_ = seconds();
    }

    void kill_worker() {
        Member& victim = crew_.workers[victim_];
        victim.is_expected_to_end = true;
        victim.child.signal(SIGKILL);
        worker_kill_.is_done = true;
        event(victim.name + " killed (SIGKILL) at " + percent(done()) +
              ", with what it had in hand");
    }

    void kill_producer() {
        crew_.producer.child.signal(SIGKILL);
        producer_kill_.is_done = true;
        event("producer killed (SIGKILL) at " + percent(done()) + ", after " +
              grouped(crew_.producer.figure("files")) + " files");
    }

    /// As a service manager would, again and again: its port may not be free at once.
    void restart_producer() {
        if (producer_starts_ >= kProducerStartsMax) {
            throw std::runtime_error("the producer does not start again:\n" +
                                     crew_.last_words(crew_.producer));
        }
        const auto pause = std::chrono::milliseconds(producer_starts_ == 1 ? 0 : 250);
        if (crew_.listen(signals_, pause)) throw Interrupted();
        start_producer();
        event("producer started again on the same spool");
    }

    /// What each worker has done of the whole, in percent; the dead one in brackets.
    [[nodiscard]] std::string shares() const {
        const std::uint64_t all = std::max<std::uint64_t>(1, crew_.sum_of_workers("handled"));
        std::string text;
        for (const Member& worker : crew_.workers) {
            const std::string share = std::to_string(100 * worker.figure("handled") / all);
            text += (text.empty() ? "" : " ") + (worker.exit_code ? "(" + share + ")" : share);
        }
        return text;
    }

    void draw() {
        const auto now = Clock::now();
        const std::uint64_t rows = crew_.collector.figure("rows");
        const double elapsed = std::chrono::duration<double>(now - drawn_at_).count();
        const double rate = static_cast<double>(rows - drawn_rows_) / elapsed;
        rate_ = rate_ == 0 ? rate : 0.8 * rate_ + 0.2 * rate;
        drawn_at_ = now;
        drawn_rows_ = rows;

        std::string text = percent(done()) + "  " + grouped(rows) + " of " +
                           grouped(paths_.size()) + "  " +
                           grouped(static_cast<std::uint64_t>(rate_)) + "/s  workers " + shares() +
                           " %  redelivered " + grouped(crew_.sum_of_workers("redelivered")) +
                           "  duplicates " + grouped(crew_.collector.figure("duplicates"));
        screen_.progress(done(), text);
    }

    /// Workers first: their last acks go to the collector.
    void stop() {
        for (Member& worker : crew_.workers) worker.child.signal(SIGTERM);
        for (Member& worker : crew_.workers) wait_for(worker);
        crew_.collector.child.signal(SIGTERM);
        wait_for(crew_.collector);
    }

    void wait_for(Member& member) {
        const bool was_killed = member.is_expected_to_end;
        member.is_expected_to_end = true;
        const auto give_up_at = Clock::now() + kStopPatience;
        while (!member.exit_code) {
            if (crew_.listen(signals_, kRedraw)) throw Interrupted();
            if (Clock::now() > give_up_at) throw std::runtime_error(member.name + " does not stop");
        }
        if (!was_killed && *member.exit_code != 0) {
            throw std::runtime_error(member.name + " ended with exit code " +
                                     std::to_string(*member.exit_code) + ":\n" +
                                     crew_.last_words(member));
        }
    }

    CheckResult compare() {
        screen_.line("checking every digest with sha256sum");
        const std::string list = directory_.path() + "/paths";
        std::string joined;
        for (const std::string& path : paths_) joined.append(path).push_back('\0');
        FileHandle(list, O_WRONLY | O_CREAT | O_TRUNC).write_all(joined);
        auto digests = split_digests(
            output_of({"xargs", "-0", "-a", list, "sha256sum", "--zero", "--"}));
        return Check(paths_, std::move(digests)).compare(table());
    }

    bool check() {
        const CheckResult result = compare();
        const std::uint64_t pushed = crew_.producer.figure("files");
        const std::uint64_t lost = pushed > result.rows ? pushed - result.rows : 0;
        const bool all_killed = worker_kill_.is_done && producer_kill_.is_done;

        screen_.line("");
        const double rate = static_cast<double>(paths_.size()) / worked_for_;
        row("files", paths_.size(), grouped(static_cast<std::uint64_t>(rate)) + " per second");
        verdict("lost", lost, "pushed, but without a row");
        verdict("missing", result.missing, "found by find, but without a row");
        verdict("wrong digests", result.wrong, "against sha256sum");
        verdict("repeated rows", result.repeated, "in the table");
        row("duplicates", crew_.collector.figure("duplicates"),
            "seen and filtered by the collector");
        row("redeliveries", crew_.sum_of_workers("redelivered"),
            "handed out again, or perhaps, after the kills");
        if (result.unreadable > 0)
            row("unreadable", result.unreadable, "gone in the meantime, for sha256sum too");
        if (result.unexpected > 0) row("unexpected", result.unexpected, "came up after the count");
        screen_.line("  time             " + one_decimal(worked_for_) + " s");
        for (const std::string& example : result.examples)
            screen_.line("    " + example, Color::red);
        if (!all_killed)
            screen_.line("  the work was done before both were killed: nothing is proved",
                         Color::red);
        if (options_.keep) screen_.line("  kept in " + directory_.path());

        const bool held = lost + result.missing + result.wrong + result.repeated == 0 && all_killed;
        screen_.line(held ? "all held" : "NOT all held", held ? Color::green : Color::red);
        return held;
    }

    void row(const std::string& name, std::uint64_t value, const std::string& note,
             Color color = Color::plain) {
        const std::string text = grouped(value);
        screen_.line("  " + name + std::string(14 - std::min<std::size_t>(14, name.size()), ' ') +
                         std::string(10 - std::min<std::size_t>(10, text.size()), ' ') + text +
                         "  " + note,
                     color);
    }

    void verdict(const std::string& name, std::uint64_t value, const std::string& note) {
        row(name, value, note, value == 0 ? Color::green : Color::red);
    }

    const Options& options_;
    Screen& screen_;
    int signals_;
    TemporaryDirectory directory_;
    Crew crew_;
    std::mt19937_64 random_;
    Kill worker_kill_;
    Kill producer_kill_;
    std::size_t victim_ = 0;
    int producer_starts_ = 0;
    std::vector<std::string> paths_;
    Clock::time_point started_at_ = Clock::now();
    Clock::time_point drawn_at_ = Clock::now();
    std::uint64_t drawn_rows_ = 0;
    double rate_ = 0;
    double worked_for_ = 0;
};

/// From here on Ctrl-C and its kin are read from the returned descriptor.
int take_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    return ::signalfd(-1, &signals, SFD_CLOEXEC);
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    const int signals = take_signals();
    Screen screen;
    try {
        return Demo(options, screen, signals).run() ? 0 : 1;
    } catch (const Interrupted&) {
        std::cerr << "\nstopped; all processes are ended\n";
        return 130;
    } catch (const std::exception& error) {
        std::cerr << "\ndemo: " << error.what() << '\n';
        return 1;
    }
}
