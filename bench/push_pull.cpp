/// Throughput of push and pull: by size and level, by number of workers, by number of queues.

#include <array>
#include <map>
#include <string>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "disk.hpp"
#include "throughput.hpp"

namespace peermq::bench {

namespace {

constexpr std::size_t kLargeMessage = 65536;
/// What the plain file is written by: the most that the library writes at once.
constexpr std::size_t kPlainStep = 1048576;

/// Figures that the design asks for, as multiples of raw libzmq.
std::optional<Goal> goal_of(std::size_t size, System system) {
    if (system == System::disk && size == 100) return Goal{.must = 1.5, .aim = 2.5};
    if (system == System::disk && size == 1024) return Goal{.must = 1.0, .aim = 1.3};
    if (system == System::disk && size == kLargeMessage) return Goal{.must = 0.6, .aim = 0.6};
    if (system == System::memory && size == 100) return Goal{.must = 2.0, .aim = 3.0};
    return {};
}

std::vector<System> wanted_levels(const Settings& settings) {
    std::vector<System> levels;
    for (const System level : {System::memory, System::os, System::disk}) {
        if (settings.wants_level(to_string(level))) levels.push_back(level);
    }
    return levels;
}

void add_sample(std::vector<double>& samples, const ThroughputCase& what,
                const Settings& settings) {
    samples.push_back(measure_throughput(what, settings));
    progress("  " + format_size(what.size) + ", " + to_string(what.system) + ", workers " +
             std::to_string(what.workers) + ", queues " + std::to_string(what.queues) + ": " +
             format_value(samples.back(), Unit::per_second));
}

double plain_messages_per_second(std::size_t size, const Settings& settings) {
    const double bytes = plain_append_rate(settings.spool, kPlainStep, settings.round_ns / 2);
    return bytes / static_cast<double>(size);
}

/// One size at all levels, raw libzmq and, for large messages, a plain file: in turn, round by
/// round.
struct SizeSamples {
    std::vector<double> raw;
    std::map<System, std::vector<double>> levels;
    std::vector<double> plain;
};

SizeSamples measure_size(std::size_t size, const Settings& settings) {
    SizeSamples samples;
    for (int round = 0; round < settings.rounds; ++round) {
        add_sample(samples.raw, {.system = System::raw, .size = size}, settings);
        for (const System level : wanted_levels(settings)) {
            add_sample(samples.levels[level], {.system = level, .size = size}, settings);
        }
        if (size == kLargeMessage && settings.wants_level("disk")) {
            samples.plain.push_back(plain_messages_per_second(size, settings));
        }
    }
    return samples;
}

}  // namespace

void bench_push_pull(const Settings& settings, const Report& report) {
    std::vector<Line> lines;
    std::vector<Line> plain_lines;
    for (const std::size_t size :
         {std::size_t{16}, std::size_t{100}, std::size_t{1024}, kLargeMessage}) {
        if (!settings.wants_size(size)) continue;
        const SizeSamples samples = measure_size(size, settings);
        for (const auto& [level, rates] : samples.levels) {
            Line line{.label = format_size(size) + ", " + to_string(level),
                      .ours = summarize(rates),
                      .reference = summarize(samples.raw),
                      .goal = goal_of(size, level)};
            report.throughput({{"bench", "push_pull"},
                               {"size", size},
                               {"level", to_string(level)},
                               {"workers", 1}},
                              line);
            lines.push_back(line);
            if (level != System::disk || samples.plain.empty()) continue;
            line.reference = summarize(samples.plain);
            line.goal = Goal{.must = 0.8, .aim = 0.9};
            nlohmann::ordered_json object{{"bench", "push_pull_plain_file"},
                                          {"size", size},
                                          {"level", "disk"},
                                          {"msgs_per_s", line.ours.median},
                                          {"raw_msgs_per_s", line.reference->median}};
            add_verdict(object, line);
            report.object(object);
            plain_lines.push_back(line);
        }
    }
    report.table("push_pull: messages handled per second, 1 worker", "raw PUSH/PULL", lines);
    report.table("push_pull: the same against the disk alone (either of the two will do)",
                 "plain write + fdatasync", plain_lines);
}

void bench_workers(const Settings& settings, const Report& report) {
    constexpr int workers_max = 4;
    std::vector<Line> lines;
    for (const std::size_t size : {std::size_t{100}, std::size_t{1024}}) {
        if (!settings.wants_size(size)) continue;
        std::array<std::vector<double>, workers_max> ours;
        std::array<std::vector<double>, workers_max> raw;
        for (int round = 0; round < settings.rounds; ++round) {
            for (int workers = 1; workers <= workers_max; ++workers) {
                const auto at = static_cast<std::size_t>(workers - 1);
                add_sample(raw.at(at), {.system = System::raw, .size = size, .workers = workers},
                           settings);
                add_sample(ours.at(at), {.system = System::disk, .size = size, .workers = workers},
                           settings);
            }
        }
        for (int workers = 1; workers <= workers_max; ++workers) {
            const auto at = static_cast<std::size_t>(workers - 1);
            const Line line{.label = format_size(size) + ", disk, " + std::to_string(workers) +
                                     (workers == 1 ? " worker" : " workers"),
                            .ours = summarize(ours.at(at)),
                            .reference = summarize(raw.at(at))};
            report.throughput(
                {{"bench", "workers"}, {"size", size}, {"level", "disk"}, {"workers", workers}},
                line);
            lines.push_back(line);
        }
    }
    report.table("workers: messages handled per second, all workers together", "raw PUSH/PULL",
                 lines);
}

void bench_queues(const Settings& settings, const Report& report) {
    constexpr int queues = 64;
    std::vector<double> many;
    std::vector<double> one;
    for (int round = 0; round < settings.rounds; ++round) {
        add_sample(one, {.system = System::disk}, settings);
        add_sample(many, {.system = System::disk, .queues = queues}, settings);
    }
    const Line line{.label = "100 B, disk, 64 queues",
                    .ours = summarize(many),
                    .reference = summarize(one),
                    .goal = Goal{.must = 0.8, .aim = 1.0}};
    nlohmann::ordered_json object{{"bench", "queues"},
                                  {"size", 100},
                                  {"level", "disk"},
                                  {"queues", queues},
                                  {"msgs_per_s", line.ours.median},
                                  {"min", line.ours.min},
                                  {"max", line.ours.max},
                                  {"raw_msgs_per_s", line.reference->median}};
    add_verdict(object, line);
    report.object(object);
    report.table("queues: messages handled per second, 64 queues on one peer", "one queue", {line});
}

}  // namespace peermq::bench
