/// A queue of ten million messages: opening its spool, its memory, and whether it slows things
/// down.

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "disk.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "shared_memory.hpp"
#include "usage.hpp"

namespace peermq::bench {

namespace {

using nlohmann::json;

constexpr std::size_t kSize = 100;
constexpr std::uint64_t kBacklog = 10'000'000;
constexpr std::uint64_t kBacklogQuick = 1'000'000;
/// How far posting runs ahead of handling, so that the backlog keeps its length. More than the
/// worker's prefetch, else the empty queue would wait for its producer.
constexpr std::uint64_t kAhead = 262'144;
constexpr std::uint64_t kStepOfPosts = 64;

json usage_json() {
    const MemoryUsage usage = memory_usage();
    return {{"resident_mib", usage.resident_mib}, {"peak_mib", usage.peak_mib}};
}

void post_numbers(Push& push, std::uint64_t first, std::uint64_t count) {
    Body body(kSize);
    for (std::uint64_t number = first; number < first + count; ++number) {
        body.number(number);
        push.post({.body = body.bytes()});
    }
}

/// Fills the spool without any consumer; tells the rate and the memory it took.
json fill(const std::filesystem::path& directory, std::uint64_t messages) {
    Child child("bench.sender", [&](Channel& channel) {
        json answer;
        {
            Peer peer(producer_options(System::disk, directory));
            Push push = peer.push(kQueue);
            const std::uint64_t start = now_ns();
            post_numbers(push, 0, messages);
            if (!push.flush(Until::durable, std::chrono::seconds(300))) {
                throw std::runtime_error("filling the spool took too long");
            }
            answer = usage_json();
            answer["rate"] = static_cast<double>(messages) / seconds(now_ns() - start);
        }
        channel.send(answer);
    });
    return child.receive(std::chrono::seconds(600));
}

/// Milliseconds that Peer's constructor takes, and the memory after it.
json open_once(const std::filesystem::path& directory, std::uint64_t messages) {
    Child child("bench.sender", [&](Channel& channel) {
        const std::uint64_t start = now_ns();
        Peer peer(producer_options(System::disk, directory));
        const double elapsed = seconds(now_ns() - start);
        json answer = usage_json();
        answer["open_ms"] = elapsed * 1000;
        const std::uint64_t depth = peer.push(kQueue).stats().depth;
        if (depth != messages) {
            throw std::runtime_error("opened with " + std::to_string(depth) + " messages of " +
                                     std::to_string(messages));
        }
        channel.send(answer);
        wait_for_stop(channel);
    });
    json answer = child.receive(std::chrono::seconds(300));
    child.stop();
    return answer;
}

/// Posts as much as is handled until told to stop, so that `backlog` messages are always there.
void run_steady_producer(Channel& channel, const std::filesystem::path& directory,
                         std::uint64_t backlog, const Board& board) {
    Peer peer(producer_options(System::disk, directory));
    const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
    Push push = peer.push(kQueue);
    channel.send({{"endpoint", endpoint}});
    std::atomic<bool> stopping{false};
    const StopListener listener(channel, [&] { stopping = true; });
    for (std::uint64_t next = backlog; !stopping;) {
        if (next >= board.handled() + backlog + kAhead) {
            sleep_for_ns(200 * kMicrosecond);
            continue;
        }
        post_numbers(push, next, kStepOfPosts);
        next += kStepOfPosts;
    }
    channel.send(usage_json());
}

/// Messages handled per second while posting goes on, after a warm-up.
json steady_rate(const std::filesystem::path& directory, std::uint64_t backlog,
                 const Settings& settings) {
    const SharedMemory<Board> board;
    Child producer("bench.sender", [&](Channel& channel) {
        run_steady_producer(channel, directory, backlog, *board);
    });
    const auto
        endpoint = producer.receive(std::chrono::seconds(120)).at("endpoint").get<std::string>();
    Child worker("bench.worker", [&](Channel& channel) {
        Tally tally(board->slots[0], kSize, true);
        run_peer_worker(channel, endpoint, {.prefetch = prefetch_for(kSize)},
                        [&](Delivery& delivery) { tally(delivery.body().span()); });
    });
    worker.receive();
    const std::uint64_t deadline = now_ns() + 30 * kSecond;
    while (board->handled() < kAhead) {
        if (now_ns() > deadline) {
            throw std::runtime_error("backlog: only " + std::to_string(board->handled()) +
                                     " messages were handled in 30 s");
        }
        sleep_for_ns(kMillisecond);
    }
    const std::uint64_t handled = board->handled();
    const std::uint64_t start = now_ns();
    sleep_for_ns(settings.round_ns);
    const std::uint64_t handled_end = board->handled();
    const double elapsed = seconds(now_ns() - start);
    producer.send({{"stop", true}});
    json answer = producer.receive();
    answer["rate"] = static_cast<double>(handled_end - handled) / elapsed;
    if (board->wrong() > 0) throw std::runtime_error("backlog: messages out of order or damaged");
    worker.kill();
    producer.kill();
    return answer;
}

struct Samples {
    std::vector<double> open_warm_ms, open_cold_ms, open_mib, rate, empty_rate, resident_mib,
        peak_mib;
};

/// Draining shortens the backlog, so each round of it has a copy of the filled spool.
Samples measure(const std::filesystem::path& filled, std::uint64_t messages,
                const Settings& settings) {
    Samples samples;
    for (int round = 0; round < settings.rounds; ++round) {
        drop_cached(filled);
        samples.open_cold_ms.push_back(open_once(filled, messages).at("open_ms").get<double>());
        const json warm = open_once(filled, messages);
        samples.open_warm_ms.push_back(warm.at("open_ms").get<double>());
        samples.open_mib.push_back(warm.at("resident_mib").get<double>());

        const FreshDirectory empty(settings.spool, "empty");
        samples.empty_rate.push_back(
            steady_rate(empty.path(), 0, settings).at("rate").get<double>());
        const FreshDirectory copy(settings.spool, "backlog");
        std::filesystem::copy(filled / "spool", copy.path() / "spool",
                              std::filesystem::copy_options::recursive);
        drop_cached(copy.path());
        const json full = steady_rate(copy.path(), messages, settings);
        samples.rate.push_back(full.at("rate").get<double>());
        samples.resident_mib.push_back(full.at("resident_mib").get<double>());
        samples.peak_mib.push_back(full.at("peak_mib").get<double>());
        progress("  backlog: open " +
                 format_value(samples.open_warm_ms.back(), Unit::milliseconds) + ", cold " +
                 format_value(samples.open_cold_ms.back(), Unit::milliseconds) + ", " +
                 format_value(samples.rate.back(), Unit::per_second) + ", empty queue " +
                 format_value(samples.empty_rate.back(), Unit::per_second) + ", resident " +
                 format_value(samples.resident_mib.back(), Unit::mebibytes));
    }
    return samples;
}

/// Everything that is reported, ready to print.
struct Figures {
    Line fill, fill_peak, open_warm, open_cold, opened, resident, peak, rate;
};

Figures evaluate(const json& filled, const Samples& samples, bool quick) {
    // What is asked for ten million says nothing about one.
    std::optional<Goal> open_goal;
    std::optional<Goal> memory_goal;
    if (!quick) {
        open_goal = Goal{.of = Goal::Of::value_at_most, .must = 1000, .aim = 200};
        memory_goal = Goal{.of = Goal::Of::value_at_most, .must = 128, .aim = 64};
    }
    const auto single = [&](const char* key) { return summarize({filled.at(key).get<double>()}); };
    const auto open_line = [&](const char* label, const std::vector<double>& times_ms) {
        return Line{.label = label,
                    .unit = Unit::milliseconds,
                    .ours = summarize(times_ms),
                    .goal = open_goal};
    };
    const auto memory_line = [&](const char* label, const std::vector<double>& mib) {
        return Line{
            .label = label, .unit = Unit::mebibytes, .ours = summarize(mib), .goal = memory_goal};
    };
    return {.fill = {.label = "filling", .ours = single("rate")},
            .fill_peak = {.label = "most resident while filling",
                          .unit = Unit::mebibytes,
                          .ours = single("peak_mib")},
            .open_warm = open_line("open, files cached", samples.open_warm_ms),
            .open_cold = open_line("open, files not cached", samples.open_cold_ms),
            .opened = memory_line("resident after opening", samples.open_mib),
            .resident = memory_line("resident while draining", samples.resident_mib),
            .peak = memory_line("most resident while draining", samples.peak_mib),
            .rate = {.label = "handled per second, against an empty queue",
                     .ours = summarize(samples.rate),
                     .reference = summarize(samples.empty_rate),
                     .goal = Goal{.must = 0.9, .aim = 1.0}}};
}

void report_objects(const Figures& figures, std::uint64_t messages, const Report& report) {
    const auto begin = [&](const char* name) {
        return nlohmann::ordered_json{
            {"bench", name}, {"size", kSize}, {"level", "disk"}, {"messages", messages}};
    };
    nlohmann::ordered_json opening = begin("backlog_open");
    opening["open_ms"] = figures.open_warm.ours.median;
    opening["open_cold_ms"] = figures.open_cold.ours.median;
    opening["resident_mib"] = figures.opened.ours.median;
    opening["fill_msgs_per_s"] = figures.fill.ours.median;
    opening["fill_peak_mib"] = figures.fill_peak.ours.median;
    add_verdict(opening, figures.open_cold);
    report.object(opening);

    nlohmann::ordered_json rate = begin("backlog_rate");
    rate["msgs_per_s"] = figures.rate.ours.median;
    rate["min"] = figures.rate.ours.min;
    rate["max"] = figures.rate.ours.max;
    rate["raw_msgs_per_s"] = figures.rate.reference->median;  // of an empty queue
    add_verdict(rate, figures.rate);
    report.object(rate);

    nlohmann::ordered_json memory = begin("backlog_memory");
    memory["resident_mib"] = figures.resident.ours.median;
    memory["peak_mib"] = figures.peak.ours.median;
    add_verdict(memory, figures.resident);
    report.object(memory);
}

}  // namespace

void bench_backlog(const Settings& settings, const Report& report) {
    const std::uint64_t messages = settings.quick ? kBacklogQuick : kBacklog;
    const FreshDirectory directory(settings.spool, "backlog");
    const json filled = fill(directory.path(), messages);
    progress("  backlog: filled, " +
             format_value(filled.at("rate").get<double>(), Unit::per_second));
    const Samples samples = measure(directory.path(), messages, settings);
    const Figures figures = evaluate(filled, samples, settings.quick);
    report_objects(figures, messages, report);
    report.table(
        "backlog: " + std::to_string(messages / 1'000'000) + " M messages of 100 B on disk",
        "empty queue",
        {figures.fill, figures.fill_peak, figures.open_warm, figures.open_cold, figures.opened,
         figures.resident, figures.peak, figures.rate});
}

}  // namespace peermq::bench
