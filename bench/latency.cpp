/// One-way latency at a fixed rate, and how long send() takes until the disk has the message.

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "disk.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "raw.hpp"
#include "rounds.hpp"

namespace peermq::bench {

namespace {

using nlohmann::json;

constexpr std::size_t kSize = 100;
constexpr std::uint64_t kMessagesPerSecond = 10'000;

json to_json(const Percentiles& times) {
    return {{"p50", times.p50 / kMicrosecond},
            {"p99", times.p99 / kMicrosecond},
            {"p999", times.p999 / kMicrosecond},
            {"max", times.max / kMicrosecond}};
}

/// Microseconds by name of percentile, one sample per round.
using Samples = std::map<std::string, std::vector<double>>;

void add_samples(Samples& samples, const json& round) {
    for (const auto& [name, value] : round.items()) samples[name].push_back(value.get<double>());
}

const char* title_of(const std::string& percentile) {
    return percentile == "p50"    ? "p50"
           : percentile == "p99"  ? "p99"
           : percentile == "p999" ? "p99.9"
                                  : "max";
}

// --- One-way latency
// ------------------------------------------------------------------------------

/// Messages that warm up, and those that count.
struct Plan {
    std::uint64_t warm_up = 0;
    std::uint64_t measured = 0;
};

Plan plan_of(const Settings& settings) {
    const auto measured = static_cast<std::uint64_t>(2 * seconds(settings.round_ns) *
                                                     kMessagesPerSecond);
    return {.warm_up = kMessagesPerSecond / 5, .measured = std::max<std::uint64_t>(measured, 1000)};
}

/// Collects times from stamp to handler; reports once, when all have come.
class LatencyHandler {
public:
    LatencyHandler(Channel& channel, const Plan& plan) : channel_(channel), plan_(plan) {
        times_.reserve(plan.measured);
    }

    void operator()(std::span<const std::byte> body) {
        const std::uint64_t now = now_ns();
        if (number_of(body) != expected_) throw std::runtime_error("a message is missing");
        if (expected_++ >= plan_.warm_up) times_.push_back(now - stamp_of(body));
        if (expected_ == plan_.warm_up + plan_.measured)
            channel_.send(to_json(percentiles(times_)));
    }

private:
    Channel& channel_;
    const Plan plan_;
    std::uint64_t expected_ = 0;
    std::vector<std::uint64_t> times_;
};

/// Sends at fixed times; the stamp is the time just before the call.
void run_paced_sender(Channel& channel, System system, const std::filesystem::path& directory,
                      const Plan& plan) {
    const std::unique_ptr<Outlet> outlet = system == System::raw
                                               ? make_raw_outlet()
                                               : make_peer_outlet(system, directory, 1, 0);
    channel.send({{"endpoint", outlet->endpoint()}});
    channel.receive(std::chrono::seconds(60));
    Body body(kSize);
    const std::uint64_t start = now_ns();
    for (std::uint64_t number = 0; number < plan.warm_up + plan.measured; ++number) {
        sleep_until_ns(start + number * (kSecond / kMessagesPerSecond));
        body.number(number);
        body.stamp(now_ns());
        outlet->send(body.bytes());
    }
    channel.send({{"seconds", seconds(now_ns() - start)}});
    outlet->settle();
    wait_for_stop(channel);
}

json measure_latency_once(System system, const Settings& settings) {
    const FreshDirectory directory(settings.spool, "latency");
    const Plan plan = plan_of(settings);
    Child sender("bench.sender", [&](Channel& channel) {
        run_paced_sender(channel, system, directory.path(), plan);
    });
    const auto endpoint = sender.receive().at("endpoint").get<std::string>();
    Child worker("bench.worker", [&](Channel& channel) {
        LatencyHandler handler(channel, plan);
        if (system == System::raw) {
            run_raw_worker(
                endpoint,
                [&] {
                    channel.send({{"ready", true}});
                },
                [&](std::span<const std::byte> body) { handler(body); });
        }
        run_peer_worker(channel, endpoint, {.prefetch = prefetch_for(kSize)},
                        [&](Delivery& delivery) { handler(delivery.body().span()); });
    });
    worker.receive();
    sender.send({{"go", true}});
    const double elapsed = sender.receive(std::chrono::seconds(120)).at("seconds").get<double>();
    const double wanted = static_cast<double>(plan.warm_up + plan.measured) / kMessagesPerSecond;
    if (elapsed > 1.1 * wanted) progress("  the pace of 10 k/s was not held");
    json times = worker.receive();
    if (system == System::raw) {
        worker.kill();
    } else {
        worker.stop();
    }
    sender.stop();
    return times;
}

// --- send()
// ---------------------------------------------------------------------------------------

/// Times of send() in `threads` threads at once, while a worker handles and acks.
json run_send_role(Push& push, int threads, std::uint64_t duration_ns) {
    std::vector<std::vector<std::uint64_t>> times(static_cast<std::size_t>(threads));
    const std::uint64_t start = now_ns();
    {
        std::vector<std::jthread> senders;
        senders.reserve(times.size());
        for (auto& own : times) {
            senders.emplace_back([&] {
                Body body(kSize);
                for (std::uint64_t before = now_ns(); before < start + duration_ns;) {
                    body.number(own.size());
                    push.send({.body = body.bytes()});
                    const std::uint64_t after = now_ns();
                    own.push_back(after - before);
                    before = after;
                }
            });
        }
    }
    const double elapsed = seconds(now_ns() - start);
    std::vector<std::uint64_t> all;
    for (const auto& own : times) all.insert(all.end(), own.begin(), own.end());
    json result = to_json(percentiles(all));
    result["rate"] = static_cast<double>(all.size()) / elapsed;
    return result;
}

json measure_send_once(int threads, const Settings& settings) {
    const FreshDirectory directory(settings.spool, "send");
    Child sender("bench.sender", [&](Channel& channel) {
        Peer peer(producer_options(System::disk, directory.path()));
        const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
        Push push = peer.push(kQueue);
        channel.send({{"endpoint", endpoint}});
        channel.receive(std::chrono::seconds(60));
        run_send_role(push, threads, settings.round_ns / 5);
        channel.send(run_send_role(push, threads, settings.round_ns));
        if (!push.flush(Until::acked, std::chrono::seconds(60))) {
            throw std::runtime_error("not everything was acked");
        }
        wait_for_stop(channel);
    });
    const auto endpoint = sender.receive().at("endpoint").get<std::string>();
    Child worker("bench.worker", [&](Channel& channel) {
        run_peer_worker(channel, endpoint, {.prefetch = prefetch_for(kSize)}, [](Delivery&) {});
    });
    worker.receive();
    sender.send({{"go", true}});
    json times = sender.receive(std::chrono::seconds(120));
    worker.stop();
    sender.stop();
    return times;
}

json measure_plain_once(const Settings& settings) {
    constexpr std::size_t probes = 1000;
    auto times = plain_append_times(settings.spool, kSize, settings.quick ? probes / 5 : probes);
    return to_json(percentiles(times));
}

}  // namespace

void bench_latency(const Settings& settings, const Report& report) {
    std::map<System, Samples> samples;
    for (int round = 0; round < settings.rounds; ++round) {
        for (const System system : {System::raw, System::memory, System::disk}) {
            if (system != System::raw && !settings.wants_level(to_string(system))) continue;
            const json times = undisturbed(settings,
                                           [&] { return measure_latency_once(system, settings); });
            add_samples(samples[system], times);
            progress("  latency, " + to_string(system) + ": us " + times.dump());
        }
    }
    std::vector<Line> lines;
    for (const System system : {System::memory, System::disk}) {
        if (!samples.contains(system)) continue;
        nlohmann::ordered_json object{{"bench", "latency"},
                                      {"size", kSize},
                                      {"level", to_string(system)},
                                      {"msgs_per_s", kMessagesPerSecond}};
        for (const char* name : {"p50", "p99", "p999"}) {
            const Line line{.label = to_string(system) + ", " + title_of(name),
                            .unit = Unit::microseconds,
                            .ours = summarize(samples[system][name]),
                            .reference = summarize(samples[System::raw][name])};
            object[std::string(name) + "_us"] = line.ours.median;
            object["raw_" + std::string(name) + "_us"] = line.reference->median;
            if (std::string(name) == "p50") add_verdict(object, line);
            lines.push_back(line);
        }
        report.object(object);
    }
    report.table("latency: from post() to the handler, one way, 100 B, 10 k messages per second",
                 "raw PUSH/PULL", lines);
}

void bench_send(const Settings& settings, const Report& report) {
    constexpr int thread_counts[] = {1, 8};
    std::map<int, Samples> samples;
    Samples plain;
    for (int round = 0; round < settings.rounds; ++round) {
        add_samples(plain, measure_plain_once(settings));
        for (const int threads : thread_counts) {
            const json times = undisturbed(settings,
                                           [&] { return measure_send_once(threads, settings); });
            add_samples(samples[threads], times);
            progress("  send, " + std::to_string(threads) + " threads: us " + times.dump());
        }
    }
    std::vector<Line> lines;
    for (const int threads : thread_counts) {
        const std::string label = std::to_string(threads) + (threads == 1 ? " thread" : " threads");
        nlohmann::ordered_json object{
            {"bench", "send"}, {"size", kSize}, {"level", "disk"}, {"threads", threads}};
        for (const char* name : {"p50", "p99", "max"}) {
            const Line line{.label = label + ", " + title_of(name),
                            .unit = Unit::microseconds,
                            .ours = summarize(samples[threads][name]),
                            .reference = summarize(plain[name])};
            object[std::string(name) + "_us"] = line.ours.median;
            object["plain_" + std::string(name) + "_us"] = line.reference->median;
            if (std::string(name) == "p50") add_verdict(object, line);
            lines.push_back(line);
        }
        const Line rate{.label = label + ", messages", .ours = summarize(samples[threads]["rate"])};
        object["msgs_per_s"] = rate.ours.median;
        lines.push_back(rate);
        report.object(object);
    }
    report.table("send: time of one send() until the disk has it, 100 B, beside a worker",
                 "plain write + fdatasync", lines);
}

}  // namespace peermq::bench
