/// 10 producers, 8 workers that take one message at a time: is any of them idle while there is
/// work?

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "rounds.hpp"
#include "shared_memory.hpp"

namespace peermq::bench {

namespace {

constexpr std::size_t kProducers = 10;
constexpr std::size_t kWorkers = 8;
constexpr std::size_t kSize = 100;
/// Handlers sleep, so that 8 of them can work at the same time on any number of cores.
constexpr std::uint64_t kWork = 5 * kMillisecond;
constexpr std::size_t kRunsMax = 16384;

/// When a handler ran.
struct Run {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
};

struct WorkerRuns {
    std::atomic<std::size_t> count{0};
    std::array<Run, kRunsMax> runs{};
};

struct FairnessBoard {
    std::array<WorkerRuns, kWorkers> workers{};

    [[nodiscard]] std::size_t finished() const {
        std::size_t sum = 0;
        for (const WorkerRuns& worker : workers) sum += worker.count.load();
        return sum;
    }
};

struct Outcome {
    double idle_percent = 0;
    double gap_p50_us = 0;
    double gap_p99_us = 0;
};

void run_producer(Channel& channel, std::uint64_t messages) {
    Peer peer;
    const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
    Push push = peer.push(kQueue);
    Body body(kSize);
    for (std::uint64_t number = 0; number < messages; ++number) {
        body.number(number);
        push.post({.body = body.bytes()});
    }
    channel.send({{"endpoint", endpoint}});
    wait_for_stop(channel);
}

void run_worker(Channel& channel, const std::vector<std::string>& endpoints, WorkerRuns& own) {
    Peer peer;
    for (const std::string& endpoint : endpoints) peer.connect(endpoint);
    Pull pull = peer.pull(kQueue, {.prefetch = 1});
    const StopListener listener(channel, [&] { pull.stop(); });
    for (auto& delivery : pull) {
        const std::size_t at = own.count.load();
        if (at == kRunsMax) throw std::runtime_error("more messages than were posted");
        own.runs.at(at).start = now_ns();
        sleep_for_ns(kWork);
        own.runs.at(at).end = now_ns();
        own.count.store(at + 1);
        delivery.ack();
    }
    peer.close(std::chrono::seconds(5));
}

/// The time in which every worker has begun and more messages wait than there are workers.
Run busy_window(const FairnessBoard& board, std::size_t messages) {
    Run window;
    std::vector<std::uint64_t> starts;
    for (const WorkerRuns& worker : board.workers) {
        if (worker.count == 0) throw std::runtime_error("a worker got nothing at all");
        window.start = std::max(window.start, worker.runs[0].start);
        for (std::size_t at = 0; at < worker.count; ++at)
            starts.push_back(worker.runs.at(at).start);
    }
    std::sort(starts.begin(), starts.end());
    window.end = starts.at(messages - kWorkers);
    // Connections of all pairs come up one after the other; a tenth of the time is theirs.
    window.start += (window.end - window.start) / 10;
    return window;
}

Outcome evaluate(const FairnessBoard& board, std::size_t messages) {
    const Run window = busy_window(board, messages);
    std::vector<std::uint64_t> gaps;
    std::uint64_t busy = 0;
    for (const WorkerRuns& worker : board.workers) {
        for (std::size_t at = 0; at < worker.count; ++at) {
            const Run& run = worker.runs.at(at);
            const std::uint64_t start = std::max(run.start, window.start);
            const std::uint64_t end = std::min(run.end, window.end);
            if (end > start) busy += end - start;
            if (at > 0 && run.start > window.start && run.start <= window.end) {
                gaps.push_back(run.start - worker.runs.at(at - 1).end);
            }
        }
    }
    const double slot_time = static_cast<double>((window.end - window.start) * kWorkers);
    const Percentiles gap = percentiles(gaps);
    return {.idle_percent = 100 * (1 - static_cast<double>(busy) / slot_time),
            .gap_p50_us = gap.p50 / kMicrosecond,
            .gap_p99_us = gap.p99 / kMicrosecond};
}

/// `busy_producers` of the ten have all the messages.
Outcome measure_once(std::size_t busy_producers, const Settings& settings) {
    const double time_s = 2 * seconds(settings.round_ns);
    const double total = std::max(time_s * kWorkers / seconds(kWork), 400.0);
    const std::size_t each = static_cast<std::size_t>(total) / busy_producers;
    const std::size_t messages = each * busy_producers;

    const SharedMemory<FairnessBoard> board;
    std::vector<std::unique_ptr<Child>> producers;
    std::vector<std::string> endpoints;
    for (std::size_t at = 0; at < kProducers; ++at) {
        const std::size_t own = at < busy_producers ? each : 0;
        producers.push_back(std::make_unique<Child>(
            "bench.sender", [own](Channel& channel) { run_producer(channel, own); }));
        endpoints.push_back(producers.back()->receive().at("endpoint").get<std::string>());
    }
    std::vector<std::unique_ptr<Child>> workers;
    for (WorkerRuns& own : board->workers) {
        workers.push_back(std::make_unique<Child>(
            "bench.worker", [&](Channel& channel) { run_worker(channel, endpoints, own); }));
    }
    const std::uint64_t deadline = now_ns() + 20 * kSecond +
                                   static_cast<std::uint64_t>(5 * time_s * kSecond);
    while (board->finished() < messages) {
        check_interrupted();
        if (now_ns() > deadline) {
            throw std::runtime_error("fairness: stalled at " + std::to_string(board->finished()) +
                                     " of " + std::to_string(messages) + " messages");
        }
        sleep_for_ns(5 * kMillisecond);
    }
    const Outcome outcome = evaluate(*board, messages);
    for (const auto& worker : workers) worker->stop();
    for (const auto& producer : producers) producer->stop();
    return outcome;
}

}  // namespace

void bench_fairness(const Settings& settings, const Report& report) {
    std::vector<Line> lines;
    for (const std::size_t busy : {kProducers, std::size_t{1}}) {
        std::vector<double> idle;
        std::vector<double> gap_p50;
        std::vector<double> gap_p99;
        for (int round = 0; round < settings.rounds; ++round) {
            const Outcome outcome = undisturbed(settings,
                                                [&] { return measure_once(busy, settings); });
            idle.push_back(outcome.idle_percent);
            gap_p50.push_back(outcome.gap_p50_us);
            gap_p99.push_back(outcome.gap_p99_us);
            progress("  fairness, " + std::to_string(busy) + " busy producers: idle " +
                     format_value(outcome.idle_percent, Unit::percent));
        }
        const std::string label = std::to_string(busy) + " of 10 producers have work";
        const Line line{.label = label + ": slots idle",
                        .unit = Unit::percent,
                        .ours = summarize(idle),
                        .goal = Goal{.of = Goal::Of::value_at_most, .must = 3, .aim = 1}};
        lines.push_back(line);
        lines.push_back({.label = "  from ack to next message, p50",
                         .unit = Unit::microseconds,
                         .ours = summarize(gap_p50)});
        lines.push_back({.label = "  from ack to next message, p99",
                         .unit = Unit::microseconds,
                         .ours = summarize(gap_p99)});
        nlohmann::ordered_json object{{"bench", "fairness"},
                                      {"size", kSize},
                                      {"level", "memory"},
                                      {"producers", kProducers},
                                      {"busy_producers", busy},
                                      {"workers", kWorkers},
                                      {"idle_percent", line.ours.median},
                                      {"p50_us", summarize(gap_p50).median},
                                      {"p99_us", summarize(gap_p99).median}};
        add_verdict(object, line);
        report.object(object);
    }
    report.table("fairness: 8 workers at prefetch 1, handlers of 5 ms, while work waits", "",
                 lines);
}

}  // namespace peermq::bench
