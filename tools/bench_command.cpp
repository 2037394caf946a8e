#include "bench_command.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <iostream>

#include "exit_codes.hpp"
#include "message_json.hpp"
#include "peer_arguments.hpp"
#include "peermq/error.hpp"
#include "quantities.hpp"
#include "signals.hpp"
#include "talk.hpp"
#include "text_table.hpp"

namespace peermq::tools {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kLook = 100ms;
/// Samples that are kept for the percentiles; of more, every second one, every fourth, ...
constexpr std::size_t kSamplesMax = std::size_t{1} << 20;

struct BenchArguments {
    std::string name;
    PeerArguments peer;
    std::uint64_t size = 100;
    std::uint64_t count = 0;
    std::uint64_t in_flight = 256;
    std::optional<nanoseconds> duration;
    std::optional<nanoseconds> timeout;
    bool json = false;
};

/// Durations, thinned out evenly when there are too many.
class Samples {
public:
    void add(nanoseconds sample) {
        if (count_++ % step_ != 0) return;
        samples_.push_back(sample);
        if (samples_.size() < kSamplesMax) return;
        for (std::size_t i = 0; 2 * i < samples_.size(); ++i) samples_[i] = samples_[2 * i];
        samples_.resize(samples_.size() / 2);
        step_ *= 2;
    }
    void sort() { std::sort(samples_.begin(), samples_.end()); }
    /// Nearest rank; sort() first.
    [[nodiscard]] nanoseconds at(double percent) const {
        if (samples_.empty()) return {};
        const double rank = std::ceil(percent / 100 * static_cast<double>(samples_.size()));
        const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
        return samples_[std::min(index, samples_.size() - 1)];
    }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

private:
    std::vector<nanoseconds> samples_;
    std::uint64_t count_ = 0;
    std::uint64_t step_ = 1;
};

/// One message under way: says whether it has come as far as is measured.
using Arrived = std::function<bool(nanoseconds timeout)>;

class Bench {
public:
    Bench(const BenchArguments& arguments, std::string what)
        : arguments_(arguments), what_(std::move(what)), body_(arguments.size, 'x') {}

    /// Keeps so many messages under way; each ends the wait for it in the order of sending.
    int run(const std::function<Arrived(const Message&)>& send) {
        Progress progress("bench " + what_, "message", arguments_.count);
        struct UnderWay {
            Clock::time_point start;
            Arrived arrived;
        };
        std::deque<UnderWay> under_way;
        const auto start = Clock::now();
        auto last_arrival = start;
        std::uint64_t sent = 0;
        const auto goes_on = [&] {
            return arguments_.count != 0 ? sent < arguments_.count
                                         : Clock::now() - start < arguments_.duration.value_or(5s);
        };
        while (!stop_requested()) {
            if (under_way.size() < arguments_.in_flight && goes_on()) {
                const auto now = Clock::now();
                under_way.push_back({now, send({.body = body_})});
                ++sent;
                continue;
            }
            if (under_way.empty()) break;
            if (under_way.front().arrived(kLook)) {
                last_arrival = Clock::now();
                samples_.add(last_arrival - under_way.front().start);
                under_way.pop_front();
                progress.update(samples_.count());
            } else if (Clock::now() - last_arrival >= arguments_.timeout.value_or(10s)) {
                complain("nothing came back for " +
                         short_duration(arguments_.timeout.value_or(10s)) + ": " +
                         (samples_.count() == 0 ? "does anybody take these messages?"
                                                : grouped(under_way.size()) + " are under way"));
                return kExitTimeout;
            }
        }
        report(std::chrono::duration<double>(last_arrival - start).count());
        return stop_requested() ? Signals::instance().exit_code() : kExitOk;
    }

private:
    void report(double seconds) {
        samples_.sort();
        const double rate = seconds > 0 ? static_cast<double>(samples_.count()) / seconds : 0;
        const double bytes = rate * static_cast<double>(arguments_.size);
        static constexpr std::array<std::pair<const char*, double>, 6> kPercents{
            {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}, {"min", 0}}};
        if (arguments_.json) {
            Json json{{"bench", what_},
                      {"messages", samples_.count()},
                      {"size_bytes", arguments_.size},
                      {"in_flight", arguments_.in_flight},
                      {"seconds", seconds},
                      {"messages_per_s", rate},
                      {"bytes_per_s", bytes}};
            for (const auto& [name, percent] : kPercents) {
                json[std::string(name) + "_ms"] = static_cast<double>(
                                                      samples_.at(percent).count()) /
                                                  1e6;
            }
            std::cout << json << '\n';
            return;
        }
        using Align = TextTable::Align;
        TextTable table{{"BENCH"},
                        {"MESSAGES", Align::right},
                        {"SIZE", Align::right},
                        {"IN FLIGHT", Align::right},
                        {"MSG/s", Align::right},
                        {"BYTES/s", Align::right},
                        {"p50", Align::right},
                        {"p90", Align::right},
                        {"p99", Align::right},
                        {"p99.9", Align::right},
                        {"MAX", Align::right}};
        const auto at = [this](double percent) { return short_duration(samples_.at(percent)); };
        table.add({what_, grouped(samples_.count()), short_bytes(arguments_.size),
                   grouped(arguments_.in_flight), short_count(rate),
                   short_bytes(static_cast<std::uint64_t>(bytes)), at(50), at(90), at(99), at(99.9),
                   at(100)});
        table.print(std::cout);
    }

    const BenchArguments& arguments_;
    const std::string what_;
    const std::string body_;
    Samples samples_;
};

int bench_push(const BenchArguments& arguments) {
    const std::unique_ptr<Peer> peer = open_peer(arguments.peer);
    Push push = peer->push(arguments.name, {.durability = durability_of(arguments.peer)});
    const int code = Bench(arguments, "push").run([&](const Message& message) -> Arrived {
        return [receipt = push.post(message)](nanoseconds timeout) {
            return receipt.wait(Until::acked, timeout);
        };
    });
    (void)peer->close(code == kExitOk ? nanoseconds(5s) : nanoseconds(0));
    return code;
}

int bench_pub(const BenchArguments& arguments) {
    const std::unique_ptr<Peer> peer = open_peer(arguments.peer);
    const std::string name = arguments.name.substr(0, arguments.name.find('.'));
    Publisher publisher = peer->publisher(name, {.durability = durability_of(arguments.peer)});
    const auto deadline = Clock::now() + arguments.timeout.value_or(10s);
    while (!publisher.wait_for_subscribers(1, kLook)) {
        if (stop_requested()) return Signals::instance().exit_code();
        if (Clock::now() >= deadline) {
            complain("no subscription for \"" + arguments.name + "\": start `peermq sub` first");
            return kExitTimeout;
        }
    }
    const int code = Bench(arguments, "pub").run([&](const Message& message) -> Arrived {
        return [receipt = publisher.post(arguments.name, message)](nanoseconds timeout) {
            return receipt.wait(Until::acked, timeout);
        };
    });
    (void)peer->close(code == kExitOk ? nanoseconds(5s) : nanoseconds(0));
    return code;
}

int bench_req(const BenchArguments& arguments) {
    const std::unique_ptr<Peer> peer = open_peer(arguments.peer);
    RequesterOptions options;
    options.in_flight_max = static_cast<std::uint32_t>(arguments.in_flight);
    options.timeout = arguments.timeout.value_or(10s) * 2;
    Requester requester = peer->requester(arguments.name, options);
    const int code = Bench(arguments, "req").run([&](const Message& message) -> Arrived {
        // A function must be one that can be copied; its reply is not.
        auto reply = std::make_shared<PendingReply>(requester.request(message));
        return [reply](nanoseconds timeout) {
            if (!reply->wait(timeout)) return false;
            (void)reply->get();
            return true;
        };
    });
    (void)peer->close(code == kExitOk ? nanoseconds(5s) : nanoseconds(0));
    return code;
}

}  // namespace

void add_bench_command(CLI::App& app, Command& chosen) {
    CLI::App* bench = app.add_subcommand("bench", "Measure rate and delay against a live peer");
    bench->group("Running peers");
    bench->require_subcommand(1);
    set_guide(*bench, {.more = "Somebody must take what is sent: `peermq pull QUEUE > /dev/null`, "
                               "`peermq sub TOPIC > /dev/null` or `peermq rep SERVICE --echo`. The "
                               "delay is from sending to the ack, or to the reply."});
    const auto add = [&](const char* name, const char* target, const char* about,
                         std::uint64_t in_flight, int (*run)(const BenchArguments&),
                         const char* example) {
        const auto arguments = std::make_shared<BenchArguments>();
        arguments->in_flight = in_flight;
        CLI::App* command = bench->add_subcommand(name, about);
        command->group("Kinds");
        command->add_option(target, arguments->name, "Name of what is sent to")->required();
        add_bytes(*command, "--size", arguments->size, "Bytes of a body; default 100");
        CLI::Option* count = add_count(*command, "-n,--count", arguments->count,
                                       "Send N messages; default: as many as the time allows", 1);
        add_duration(*command, "-d,--duration", arguments->duration, "Send for so long; default 5s")
            ->excludes(count);
        add_count(*command, "-j,--in-flight", arguments->in_flight,
                  "Messages under way at the same time; default " + std::to_string(in_flight), 1,
                  1'000'000);
        add_duration(*command, "--timeout", arguments->timeout,
                     "End with 5 when nothing comes back for so long; default 10s");
        command->add_flag("--json", arguments->json, "Print one JSON object");
        if (run != bench_req) add_spool_options(*command, arguments->peer);
        add_peer_options(*command, arguments->peer);
        set_guide(*command, {.examples = {example},
                             .exit_codes = {kExitOk, kExitFailed, kExitTimeout, kExitUsage,
                                            kExitInterrupted, kExitTerminated}});
        command->callback(
            [&chosen, arguments, run] { chosen = [arguments, run] { return run(*arguments); }; });
    };
    add("push", "QUEUE", "Messages to a queue, until they are acked", 256, bench_push,
        "peermq bench push jobs --connect tcp://127.0.0.1:7000 --spool ./bench-spool -n 100000");
    add("pub", "TOPIC", "Messages under a topic, until all subscriptions have them", 256, bench_pub,
        "peermq bench pub orders.eu --bind tcp://127.0.0.1:7000 --duration 10s");
    add("req", "SERVICE", "Requests, until their replies are here", 1, bench_req,
        "peermq bench req echo --connect tcp://127.0.0.1:7000 -j 16 --json");
}

}  // namespace peermq::tools
