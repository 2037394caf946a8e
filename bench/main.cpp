/// peermq_bench: peermq beside raw libzmq, in turn, in one run. README.md tells how to read it.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "disk.hpp"
#include "environment.hpp"
#include "processes.hpp"
#include "report.hpp"
#include "rounds.hpp"
#include "usage.hpp"

namespace peermq::bench {

namespace {

struct Bench {
    const char* name;
    const char* summary;
    void (*run)(const Settings&, const Report&);
};

constexpr std::array kBenches{
    Bench{"push_pull", "throughput by message size and durability", bench_push_pull},
    Bench{"pub_sub", "deliveries to 1, 8 and 64 subscribers, with and without filter",
          bench_pub_sub},
    Bench{"workers", "throughput with 1 to 4 workers, disk", bench_workers},
    Bench{"queues", "throughput over 64 queues of one peer, disk", bench_queues},
    Bench{"fairness", "idle slots of 8 workers at prefetch 1 with 10 producers", bench_fairness},
    Bench{"latency", "one-way latency at 10 k messages per second", bench_latency},
    Bench{"req_rep", "round trips, 1 and 100 in flight, memory", bench_req_rep},
    Bench{"send", "time of send() until durable", bench_send},
    Bench{"failover", "from SIGKILL of a worker to redelivery elsewhere", bench_failover},
    Bench{"backlog", "10 M messages: opening, memory, rate (1 M with --quick)", bench_backlog},
    Bench{"connected", "memory with 1,000 connected workers (200 with --quick)", bench_connected},
    Bench{"idle", "CPU of a peer with 100 links and nothing to do", bench_idle},
};

constexpr std::uint64_t kQuickRound = 150 * kMillisecond;

struct Arguments {
    Settings settings;
    std::vector<std::string> names;
    std::filesystem::path spool_parent;
    bool list = false;
};

void define_options(CLI::App& app, Arguments& arguments) {
    Settings& settings = arguments.settings;
    std::vector<std::string> known;
    known.reserve(kBenches.size());
    for (const Bench& bench : kBenches) known.emplace_back(bench.name);
    app.add_option("bench", arguments.names, "What to measure; all when none is named")
        ->check(CLI::IsMember(known));
    app.add_flag("--list", arguments.list, "Name the benches and end");
    app.add_flag("--json", settings.json, "One JSON object per line instead of tables");
    app.add_flag("--quick", settings.quick, "One short round of each, under a minute in all");
    app.add_option("--rounds", settings.rounds, "Rounds per measurement (5; 1 with --quick)")
        ->check(CLI::Range(1, 1000));
    app.add_option("--spool", arguments.spool_parent,
                   "Where to make spools; they are removed (default: ./build, else .)");
    app.add_option("--size", settings.sizes, "Only these message sizes: 16, 100, 1024, 65536")
        ->delimiter(',')
        ->allow_extra_args(false);
    app.add_option("--level", settings.levels, "Only these levels: memory, os, disk")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"memory", "os", "disk"}));
    app.add_option(
           "--quota-mib", settings.quota_bytes,
           "Bound on unsettled MiB of a queue in throughput benches (default: the library's)")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 20));
}

void list_benches() {
    for (const Bench& bench : kBenches) {
        const std::string padding(12 - std::string(bench.name).size(), ' ');
        std::cout << bench.name << padding << bench.summary << '\n';
    }
}

/// Runs what was asked for; a bench that fails does not keep the next from running.
int run_benches(const Arguments& arguments) {
    const Report report(arguments.settings);
    const auto environment = describe_environment(arguments.settings);
    warn_about(environment);
    report.environment(environment);
    int failures = 0;
    for (const Bench& bench : kBenches) {
        const auto& names = arguments.names;
        if (!names.empty() && std::find(names.begin(), names.end(), bench.name) == names.end()) {
            continue;
        }
        progress(std::string(bench.name) + ": " + bench.summary);
        try {
            bench.run(arguments.settings, report);
            report.rounds(bench.name, take_round_count());
        } catch (const Interrupted&) {
            throw;
        } catch (const std::exception& error) {
            progress(std::string(bench.name) + " failed: " + error.what());
            ++failures;
        }
    }
    return failures == 0 ? 0 : 1;
}

int run(int argument_count, char** argument_values) {
    CLI::App app("Compares peermq with raw libzmq, in turn, in one run.");
    Arguments arguments;
    define_options(app, arguments);
    CLI11_PARSE(app, argument_count, argument_values);
    if (arguments.list) {
        list_benches();
        return 0;
    }
    Settings& settings = arguments.settings;
    if (settings.quick) {
        settings.round_ns = kQuickRound;
        if (app.count("--rounds") == 0) settings.rounds = 1;
    }
    settings.quota_bytes <<= 20;
    if (arguments.spool_parent.empty()) {
        arguments.spool_parent = std::filesystem::is_directory("build") ? "build" : ".";
    }
    catch_interrupts();
    raise_file_limit();
    sleep_precisely();
    const FreshDirectory spool(arguments.spool_parent, "peermq-bench");
    settings.spool = spool.path();
    try {
        return run_benches(arguments);
    } catch (const Interrupted&) {
        progress("interrupted");
        return 130;
    }
}

}  // namespace

}  // namespace peermq::bench

int main(int argument_count, char** argument_values) {
    try {
        return peermq::bench::run(argument_count, argument_values);
    } catch (const std::exception& error) {
        std::cerr << "peermq_bench: " << error.what() << '\n';
        return 1;
    }
}
