/// Walks directory trees and pushes one durable message per file; goes on where it was after a
/// crash.

#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "arguments.hpp"
#include "common/stop_signal.hpp"
#include "peermq/peermq.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "walk.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kBatchFiles = 256;
constexpr auto kSaveInterval = std::chrono::milliseconds(250);
constexpr auto kCloseTimeout = std::chrono::seconds(5);

constexpr std::string_view kUsage = R"(usage: competing_consumers_producer [options] DIR...

Pushes one durable message per regular file below DIR (the body is its path), waits until all are
handled, and ends. Run it again with the same spool after any crash: it goes on.

  --bind ENDPOINT     where workers connect to (tcp://127.0.0.1:*)
  --spool DIR         what must not be lost is kept here (./producer.spool), the walk's progress in
                      DIR.progress
  --spool-max BYTES   wait while so much is unhandled (16 GiB)
  --queue NAME        (files)
  --limit N           push no more than the first N files
  --rate N            push at most N files per second
  --report-ms N       tell how it goes so often (1000)
)";

struct Options {
    std::vector<std::string> roots;
    std::string endpoint;
    std::string spool;
    std::string queue;
    std::uint64_t spool_bytes_max = 0;
    std::uint64_t limit = 0;
    std::uint64_t rate = 0;
    std::chrono::milliseconds report_interval{};
};

Options parse(int argc, char** argv) {
    Arguments arguments(argc, argv, kUsage);
    Options options;
    options.endpoint = arguments.value("--bind", "tcp://127.0.0.1:*");
    options.spool = arguments.value("--spool", "./producer.spool");
    options.spool_bytes_max = arguments.number("--spool-max",
                                               peermq::PeerOptions().spool_bytes_max);
    options.queue = arguments.value("--queue", "files");
    options.limit = arguments.number("--limit", UINT64_MAX);
    options.rate = arguments.number("--rate", 0);
    options.report_interval = std::chrono::milliseconds(arguments.number("--report-ms", 1000));
    options.roots = distinct_roots(arguments.finish());
    if (options.roots.empty()) arguments.fail("name at least one directory");
    return options;
}

/// Keeps to a number of calls per second.
class Pace {
public:
    explicit Pace(std::uint64_t rate) : rate_(rate) {}
    void wait() {
        if (rate_ == 0) return;
        ++count_;
        std::this_thread::sleep_until(start_ + std::chrono::nanoseconds(std::chrono::seconds(1)) *
                                                   count_ / rate_);
    }

private:
    std::uint64_t rate_;
    std::uint64_t count_ = 0;
    Clock::time_point start_ = Clock::now();
};

class Producer {
public:
    Producer(const Options& options, peermq::Push& queue, Progress progress)
        : options_(options),
          queue_(queue),
          progress_(std::move(progress)),
          pace_(options.rate),
          files_(progress_.files) {}

    void push_all() {
        for (std::size_t root = 0; root < options_.roots.size(); ++root) {
            const bool went_on = walk(
                options_.roots[root],
                {.file = [&](const std::string& path) { return push_one(root, path); },
                 .unreadable =
                     [&](const std::string& path, const std::string& why) {
                         ++skipped_;
                         std::cerr << "skipped " << path << ": " << why << '\n';
                     }});
            if (!went_on) break;
        }
        save();
    }

    void wait_until_handled() {
        while (!queue_.flush(peermq::Until::acked, std::chrono::seconds(1))) {
        }
    }

    [[nodiscard]] ReportFields report() const {
        const peermq::PushStats stats = queue_.stats();
        return {{"files", files_},
                {"waiting", stats.depth},
                {"redelivered", stats.redelivered},
                {"skipped", skipped_}};
    }

private:
    bool push_one(std::size_t root, const std::string& path) {
        if (!progress_.is_ahead(root, path)) return true;
        if (progress_.files >= options_.limit) return false;
        pace_.wait();
        // The receipt may go: save() flushes, and a flush tells of every failure.
        static_cast<void>(queue_.post({.body = path}));
        progress_.advance(root, path);
        files_ = progress_.files;
        if (++unsaved_ >= kBatchFiles || Clock::now() - saved_at_ >= kSaveInterval) save();
        return true;
    }

    /// First the messages, then the claim that they are there.
    void save() {
        if (!queue_.flush(peermq::Until::durable))
            throw std::runtime_error("the spool does not answer");
        if (unsaved_ > 0) progress_.save(options_.spool + ".progress");
        unsaved_ = 0;
        saved_at_ = Clock::now();
    }

    const Options& options_;
    peermq::Push& queue_;
    Progress progress_;
    Pace pace_;
    std::uint64_t unsaved_ = 0;
    Clock::time_point saved_at_ = Clock::now();
    std::atomic<std::uint64_t> files_;
    std::atomic<std::uint64_t> skipped_ = 0;
};

int run(const Options& options) {
    peermq::Peer peer({.spool = options.spool, .spool_bytes_max = options.spool_bytes_max});
    peermq::Push queue = peer.push(options.queue);
    Progress progress = Progress::load(options.spool + ".progress", peer.id(), options.roots);
    if (!progress.last_path.empty()) {
        std::cerr << "going on after " << progress.last_path << ", " << queue.stats().depth
                  << " messages in the spool\n";
    }
    std::cout << "endpoint " << peer.bind(options.endpoint) << std::endl;

    std::atomic<bool> stopping = false;
    const StopSignal stop([&] {
        stopping = true;
        static_cast<void>(peer.close(kCloseTimeout));
    });
    Producer producer(options, queue, std::move(progress));
    Reporter reporter(options.report_interval, [&producer] { return producer.report(); });
    try {
        producer.push_all();
        producer.wait_until_handled();
    } catch (const peermq::Error& error) {
        if (!stopping || error.code() != peermq::ErrorCode::closed) throw;
        reporter.finish();
        std::cout << "stopped" << std::endl;
        return 0;
    }
    reporter.finish();
    std::cout << "done" << std::endl;
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    try {
        return run(options);
    } catch (const std::exception& error) {
        std::cerr << "producer: " << error.what() << '\n';
        return 1;
    }
}
