/// Round trips: time with one request in flight, and rate with 1 and 100.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "raw_requests.hpp"
#include "rounds.hpp"
#include "traffic.hpp"

namespace peermq::bench {

namespace {

using nlohmann::json;

constexpr std::size_t kSize = 64;
constexpr const char* kService = "bench";
/// The design's figures for the time of a round trip with one in flight.
constexpr Goal kMedianGoal{Goal::Of::ratio_at_most, 1.4, 1.1};
constexpr Goal kTailGoal{Goal::Of::ratio_at_most, 1.6, 1.2};

json result_of(std::vector<std::uint64_t>& times, std::uint64_t elapsed_ns) {
    const Percentiles all = percentiles(times);
    return {{"p50", all.p50 / kMicrosecond},
            {"p99", all.p99 / kMicrosecond},
            {"p999", all.p999 / kMicrosecond},
            {"rate", static_cast<double>(times.size()) / seconds(elapsed_ns)}};
}

/// `ask()` begins a request, `take()` ends the oldest; `in_flight` of them are kept under way for
/// `duration_ns`, and are then all taken.
template <typename Ask, typename Take>
json run_window(std::size_t in_flight, std::uint64_t duration_ns, Ask&& ask, Take&& take) {
    std::vector<std::uint64_t> times;
    std::deque<std::uint64_t> begun;
    const std::uint64_t start = now_ns();
    for (std::uint64_t now = start; now < start + duration_ns || !begun.empty(); now = now_ns()) {
        if (now < start + duration_ns && begun.size() < in_flight) {
            ask();
            begun.push_back(now);
            continue;
        }
        take();
        times.push_back(now_ns() - begun.front());
        begun.pop_front();
    }
    return result_of(times, now_ns() - start);
}

void run_raw_side(Channel& channel, std::size_t in_flight, std::uint64_t duration_ns) {
    const auto requester = make_raw_requester(in_flight > 1);
    channel.send({{"endpoint", requester->endpoint()}});
    channel.receive(std::chrono::seconds(60));
    Body body(kSize);
    const auto ask = [&] { requester->send(body.bytes()); };
    const auto take = [&] { requester->receive(); };
    (void)run_window(in_flight, duration_ns / 5, ask, take);
    channel.send(run_window(in_flight, duration_ns, ask, take));
    wait_for_stop(channel);
}

void run_peer_side(Channel& channel, std::size_t in_flight, std::uint64_t duration_ns) {
    Peer peer;
    Requester requester = peer.requester(kService);
    channel.send({{"endpoint", peer.bind("tcp://127.0.0.1:*")}});
    channel.receive(std::chrono::seconds(60));
    Body body(kSize);
    json result;
    const auto run = [&](std::uint64_t duration) {
        if (in_flight == 1) {
            // The way to ask one thing after the other.
            return run_window(
                1, duration, [] {}, [&] { (void)requester.call({.body = body.bytes()}); });
        }
        std::deque<PendingReply> pending;
        return run_window(
            in_flight, duration,
            [&] { pending.push_back(requester.request({.body = body.bytes()})); },
            [&] {
                (void)pending.front().get();
                pending.pop_front();
            });
    };
    (void)run(duration_ns / 5);
    channel.send(run(duration_ns));
    wait_for_stop(channel);
}

json measure_once(bool raw, std::size_t in_flight, const Settings& settings) {
    Child asking("bench.asking", [&](Channel& channel) {
        (raw ? run_raw_side : run_peer_side)(channel, in_flight, settings.round_ns);
    });
    const auto endpoint = asking.receive().at("endpoint").get<std::string>();
    Child answering("bench.answering", [&](Channel& channel) {
        if (raw) {
            run_raw_replier(endpoint, in_flight > 1, [&] { channel.send({{"ready", true}}); });
        }
        Peer peer;
        peer.connect(endpoint);
        ReplierOptions options;
        if (in_flight > 1) options.prefetch = static_cast<std::uint32_t>(2 * in_flight);
        Replier replier = peer.replier(kService, options);
        const StopListener listener(channel, [&] { replier.stop(); });
        channel.send({{"ready", true}});
        replier.run([](Request& request) { request.reply(request.body()); });
    });
    answering.receive();
    asking.send({{"go", true}});
    json result = asking.receive(std::chrono::seconds(120));
    raw ? answering.kill() : answering.stop();
    asking.stop();
    return result;
}

using Samples = std::map<std::string, std::vector<double>>;

}  // namespace

void bench_req_rep(const Settings& settings, const Report& report) {
    if (!settings.wants_level("memory")) return;
    constexpr std::size_t kInFlight[] = {1, 100};
    std::map<std::pair<std::size_t, bool>, Samples> samples;
    for (int round = 0; round < settings.rounds; ++round) {
        for (const std::size_t in_flight : kInFlight) {
            for (const bool raw : {true, false}) {
                const json times = undisturbed(
                    settings, [&] { return measure_once(raw, in_flight, settings); });
                for (const auto& [name, value] : times.items())
                    samples[{in_flight, raw}][name].push_back(value.get<double>());
                progress("  req_rep, " + std::to_string(in_flight) + " in flight, " +
                         (raw ? "raw" : "peermq") + ": us " + times.dump());
            }
        }
    }
    std::vector<Line> lines;
    for (const std::size_t in_flight : kInFlight) {
        Samples& ours = samples[{in_flight, false}];
        Samples& raw = samples[{in_flight, true}];
        const std::string label = std::to_string(in_flight) + " in flight, ";
        nlohmann::ordered_json object{
            {"bench", "req_rep"}, {"size", kSize}, {"level", "memory"}, {"in_flight", in_flight}};
        for (const auto& [name, title] : std::map<std::string, std::string>{
                 {"p50", "p50"}, {"p99", "p99"}, {"p999", "p99.9"}}) {
            Line line{.label = label + title,
                      .unit = Unit::microseconds,
                      .ours = summarize(ours[name]),
                      .reference = summarize(raw[name])};
            if (in_flight == 1 && name == "p50") line.goal = kMedianGoal;
            if (in_flight == 1 && name == "p99") line.goal = kTailGoal;
            object[name + "_us"] = line.ours.median;
            object["raw_" + name + "_us"] = line.reference->median;
            if (line.goal && name == "p50") add_verdict(object, line);
            lines.push_back(line);
        }
        const Line rate{.label = label + "round trips",
                        .ours = summarize(ours["rate"]),
                        .reference = summarize(raw["rate"])};
        object["round_trips_per_s"] = rate.ours.median;
        object["raw_round_trips_per_s"] = rate.reference->median;
        lines.push_back(rate);
        report.object(object);
    }
    report.table("req_rep: from asking to the reply in hand, 64 B, memory",
                 "raw REQ/REP, DEALER/ROUTER", lines);
}

}  // namespace peermq::bench
