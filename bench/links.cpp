/// What many links cost: memory of a producer with a thousand workers, CPU of an idle one with 100.

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "rounds.hpp"
#include "usage.hpp"

namespace peermq::bench {

namespace {

using nlohmann::json;

constexpr std::size_t kPeersPerProcess = 50;
constexpr int kConnectedWorkers = 1000;
constexpr int kConnectedWorkersQuick = 200;
constexpr int kIdleLinks = 100;
constexpr int kMessagesPerWorker = 20;
constexpr std::size_t kSize = 100;

/// Many peers in one process, each with a link of its own; a single thread serves them all.
void run_worker_crowd(Channel& channel, const std::string& endpoint, std::size_t count) {
    std::vector<Peer> peers(count);
    std::vector<Pull> pulls;
    for (Peer& peer : peers) {
        peer.connect(endpoint);
        pulls.push_back(peer.pull(kQueue));
    }
    channel.send({{"ready", true}});
    for (;;) {
        const json command = channel.receive(std::chrono::hours(1));
        if (command.contains("stop")) break;
        if (command.contains("cpu")) {
            channel.send({{"cpu", cpu_seconds()}});
            continue;
        }
        std::uint64_t handled = 0;
        for (bool any = true; any;) {
            any = false;
            for (Pull& pull : pulls) {
                while (auto delivery = pull.receive(std::chrono::nanoseconds(0))) {
                    delivery->ack();
                    any = true;
                    ++handled;
                }
            }
        }
        channel.send({{"handled", handled}});
    }
    for (Pull& pull : pulls) pull.stop();
}

/// Answers "consumers", "post", "memory" and "cpu".
void run_hub(Channel& channel) {
    Peer peer;
    const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
    Push push = peer.push(kQueue);
    channel.send({{"endpoint", endpoint}});
    Body body(kSize);
    for (;;) {
        const json command = channel.receive(std::chrono::hours(1));
        if (command.contains("stop")) return;
        if (command.contains("consumers")) {
            wait_for_consumers(push, command.at("consumers").get<std::uint64_t>());
            channel.send({{"there", true}});
        } else if (command.contains("post")) {
            for (auto left = command.at("post").get<std::uint64_t>(); left > 0; --left) {
                push.post({.body = body.bytes()});
            }
            channel.send({{"posted", true}});
        } else if (command.contains("memory")) {
            const MemoryUsage usage = memory_usage();
            channel.send({{"resident_mib", usage.resident_mib},
                          {"peak_mib", usage.peak_mib},
                          {"depth", push.stats().depth}});
        } else {
            channel.send({{"cpu", cpu_seconds()}});
        }
    }
}

/// A hub and its crowd, connected.
class Star {
public:
    explicit Star(int workers) : hub_("bench.sender", run_hub) {
        endpoint_ = hub_.receive().at("endpoint").get<std::string>();
        for (int left = workers; left > 0;) {
            const auto count = std::min(static_cast<std::size_t>(left), kPeersPerProcess);
            crowds_.push_back(std::make_unique<Child>("bench.workers", [&](Channel& channel) {
                run_worker_crowd(channel, endpoint_, count);
            }));
            left -= static_cast<int>(count);
        }
        for (const auto& crowd : crowds_) crowd->receive(std::chrono::seconds(120));
        ask_hub({{"consumers", workers}});
    }
    ~Star() = default;
    Star(const Star&) = delete;
    Star& operator=(const Star&) = delete;

    json ask_hub(const json& command) {
        hub_.send(command);
        return hub_.receive(std::chrono::seconds(120));
    }

    /// Lets all workers handle what has reached them; returns how much it was.
    std::uint64_t handle() {
        for (const auto& crowd : crowds_) crowd->send({{"handle", true}});
        std::uint64_t handled = 0;
        for (const auto& crowd : crowds_) {
            handled += crowd->receive(std::chrono::seconds(60)).at("handled").get<std::uint64_t>();
        }
        return handled;
    }

    double crowd_cpu_seconds() {
        double sum = 0;
        for (const auto& crowd : crowds_) {
            crowd->send({{"cpu", true}});
            sum += crowd->receive().at("cpu").get<double>();
        }
        return sum;
    }

private:
    Child hub_;
    std::string endpoint_;
    std::vector<std::unique_ptr<Child>> crowds_;
};

}  // namespace

void bench_connected(const Settings& settings, const Report& report) {
    const int workers = settings.quick ? kConnectedWorkersQuick : kConnectedWorkers;
    const std::uint64_t start = now_ns();
    Star star(workers);
    const double connect_s = seconds(now_ns() - start);
    const json connected = star.ask_hub({{"memory", true}});

    const auto messages = static_cast<std::uint64_t>(workers) * kMessagesPerWorker;
    star.ask_hub({{"post", messages}});
    const std::uint64_t deadline = now_ns() + 60 * kSecond;
    for (std::uint64_t handled = 0; handled < messages; handled += star.handle()) {
        if (now_ns() > deadline) {
            throw std::runtime_error("connected: " + std::to_string(handled) + " of " +
                                     std::to_string(messages) + " messages handled in a minute");
        }
    }
    const json worked = star.ask_hub({{"memory", true}});

    std::optional<Goal> goal;
    if (!settings.quick) goal = Goal{.of = Goal::Of::value_at_most, .must = 200, .aim = 100};
    const auto line_of = [&](const std::string& label, double mib) {
        return Line{
            .label = label, .unit = Unit::mebibytes, .ours = {mib, mib, mib, 1}, .goal = goal};
    };
    const Line line = line_of("after each handled some messages",
                              worked.at("resident_mib").get<double>());
    nlohmann::ordered_json object{{"bench", "connected"},
                                  {"level", "memory"},
                                  {"workers", workers},
                                  {"resident_mib", line.ours.median},
                                  {"connected_mib", connected.at("resident_mib")},
                                  {"peak_mib", worked.at("peak_mib")},
                                  {"connect_s", connect_s}};
    add_verdict(object, line);
    report.object(object);
    report.table(
        "connected: resident memory of a producer with " + std::to_string(workers) + " workers", "",
        {line_of("all connected", connected.at("resident_mib").get<double>()), line},
        "all were connected after " + format_value(connect_s * 1000, Unit::milliseconds));
}

void bench_idle(const Settings& settings, const Report& report) {
    const std::uint64_t window = 3 * settings.round_ns;
    Star star(kIdleLinks);
    sleep_for_ns(settings.round_ns);
    std::vector<double> hub;
    std::vector<double> each_worker;
    for (int round = 0; round < settings.rounds; ++round) {
        const std::uint64_t start = now_ns();
        const double hub_start = star.ask_hub({{"cpu", true}}).at("cpu").get<double>();
        const double crowd_start = star.crowd_cpu_seconds();
        sleep_for_ns(window);
        const double hub_used = star.ask_hub({{"cpu", true}}).at("cpu").get<double>() - hub_start;
        const double crowd_used = star.crowd_cpu_seconds() - crowd_start;
        const double elapsed = seconds(now_ns() - start);
        hub.push_back(100 * hub_used / elapsed);
        each_worker.push_back(100 * crowd_used / elapsed / kIdleLinks);
    }
    const Line line{.label = "peer with 100 links",
                    .unit = Unit::percent,
                    .ours = summarize(hub),
                    .goal = Goal{.of = Goal::Of::value_at_most, .must = 1, .aim = 0.3}};
    const Line worker{
        .label = "each of their other ends", .unit = Unit::percent, .ours = summarize(each_worker)};
    nlohmann::ordered_json object{{"bench", "idle"},
                                  {"level", "memory"},
                                  {"links", kIdleLinks},
                                  {"cpu_percent", line.ours.median},
                                  {"min", line.ours.min},
                                  {"max", line.ours.max},
                                  {"worker_cpu_percent", worker.ours.median}};
    add_verdict(object, line);
    report.object(object);
    report.table("idle: share of one core when nothing is sent", "", {line, worker});
}

}  // namespace peermq::bench
