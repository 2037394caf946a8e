/// Takes paths from the producers' queue, finds out about each file, and pushes what it found to
/// the collector. A path is acked only once the collector has acked its row; so whichever process
/// dies, every path ends as a row, some perhaps twice.

#include <atomic>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "arguments.hpp"
#include "common/stop_signal.hpp"
#include "describe.hpp"
#include "peermq/peermq.hpp"
#include "report.hpp"

namespace {

constexpr auto kStopPatience = std::chrono::seconds(3);
constexpr auto kStopCheck = std::chrono::milliseconds(100);

constexpr std::string_view kUsage =
    R"(usage: competing_consumers_worker --connect ENDPOINT --results ENDPOINT [options]

Computes SHA-256, bytes, lines and words of each file that it is handed.

  --connect ENDPOINT  a producer; may be given several times
  --results ENDPOINT  the collector
  --queue NAME        (files)
  --concurrency N     files at the same time (8)
  --work-ms N         take at least so long for each file (0)
  --spool DIR         keep rows that the collector has not acked over restarts (off)
  --report-ms N       tell how it goes so often (1000)
)";

struct Options {
    std::vector<std::string> producers;
    std::string collector;
    std::string queue;
    std::string spool;
    std::uint32_t concurrency = 0;
    std::chrono::milliseconds work{};
    std::chrono::milliseconds report_interval{};
};

Options parse(int argc, char** argv) {
    Arguments arguments(argc, argv, kUsage);
    Options options;
    options.producers = arguments.values("--connect");
    options.collector = arguments.value("--results", "");
    options.queue = arguments.value("--queue", "files");
    options.spool = arguments.value("--spool", "");
    options.concurrency = static_cast<std::uint32_t>(arguments.number("--concurrency", 8));
    options.work = std::chrono::milliseconds(arguments.number("--work-ms", 0));
    options.report_interval = std::chrono::milliseconds(arguments.number("--report-ms", 1000));
    if (!arguments.finish().empty()) arguments.fail("there are no plain arguments");
    if (options.producers.empty()) arguments.fail("--connect is missing");
    if (options.collector.empty()) arguments.fail("--results is missing");
    if (options.concurrency == 0) arguments.fail("--concurrency must be at least 1");
    return options;
}

class Worker {
public:
    Worker(const Options& options, peermq::Pull& files, peermq::Push& results)
        : options_(options), files_(files), results_(results) {}

    /// Until stop().
    void run() {
        files_.run([this](peermq::Delivery& delivery) { handle(delivery); },
                   {.concurrency = options_.concurrency});
    }

    void stop() {
        stop_at_ = (std::chrono::steady_clock::now() + kStopPatience).time_since_epoch().count();
        files_.stop();
    }

    [[nodiscard]] ReportFields report() const {
        return {{"handled", handled_}, {"redelivered", redelivered_}, {"unreadable", unreadable_}};
    }

private:
    void handle(peermq::Delivery& delivery) {
        if (delivery.redelivered()) ++redelivered_;
        const std::string row = format_row(look_at(std::string(delivery.text())));
        if (options_.work.count() > 0) std::this_thread::sleep_for(options_.work);

        const peermq::Receipt receipt = results_.post({.body = row});
        while (!receipt.wait(peermq::Until::acked, kStopCheck)) {
            if (!out_of_patience()) continue;
            delivery.release();  // no collector, and we are to stop: another worker shall do it
            return;
        }
        delivery.ack();
        ++handled_;
    }

    /// A file that is gone or locked is an answer too: trying again would not change it.
    Row look_at(const std::string& path) {
        try {
            return describe(path);
        } catch (const std::exception& error) {
            ++unreadable_;
            std::cerr << "cannot read: " << error.what() << '\n';
            Row row;
            row.path = path;
            row.sha256 = kUnreadable;
            return row;
        }
    }

    [[nodiscard]] bool out_of_patience() const {
        return std::chrono::steady_clock::now().time_since_epoch().count() >= stop_at_;
    }

    const Options& options_;
    peermq::Pull& files_;
    peermq::Push& results_;
    std::atomic<std::chrono::steady_clock::rep>
        stop_at_ = std::chrono::steady_clock::time_point::max().time_since_epoch().count();
    std::atomic<std::uint64_t> handled_ = 0;
    std::atomic<std::uint64_t> redelivered_ = 0;
    std::atomic<std::uint64_t> unreadable_ = 0;
};

void run(const Options& options) {
    peermq::Peer peer({.spool = options.spool});
    for (const std::string& endpoint : options.producers) peer.connect(endpoint);
    peer.connect(options.collector);
    peermq::Push results = peer.push("results");
    // No more than the handlers need to be busy: what is held here waits for nobody else.
    peermq::Pull files = peer.pull(options.queue, {.prefetch = 4 * options.concurrency});

    Worker worker(options, files, results);
    const StopSignal stop([&worker] { worker.stop(); });
    Reporter reporter(options.report_interval, [&worker] { return worker.report(); });
    worker.run();
    reporter.finish();
    std::cout << "done" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    try {
        if (sodium_init() < 0) throw std::runtime_error("libsodium cannot start");
        run(options);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "worker: " << error.what() << '\n';
        return 1;
    }
}
