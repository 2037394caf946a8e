/// How long a message stays away when the worker that runs it is killed.

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "disk.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "shared_memory.hpp"

namespace peermq::bench {

namespace {

constexpr int kWorkers = 2;
constexpr int kKills = 20;
constexpr int kKillsQuick = 5;
constexpr std::size_t kSize = 100;
constexpr std::uint64_t kPatience = 90 * kSecond;

struct FailoverBoard {
    std::atomic<pid_t> holder{0};
    std::atomic<std::uint64_t> redelivered_at{0};
};

/// Posts one message for each command, once both workers are there.
void run_producer(Channel& channel, const std::filesystem::path& directory) {
    Peer peer(producer_options(System::disk, directory));
    const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
    Push push = peer.push(kQueue);
    channel.send({{"endpoint", endpoint}});
    Body body(kSize);
    for (;;) {
        if (channel.receive(std::chrono::hours(1)).contains("stop")) return;
        wait_for_consumers(push, kWorkers);
        push.post({.body = body.bytes()});
    }
}

/// Holds a message that comes for the first time until it is killed; acks one that comes again.
void run_worker(Channel& channel, const std::string& endpoint, FailoverBoard& board) {
    run_peer_worker(channel, endpoint, {}, [&](Delivery& delivery) {
        if (delivery.redelivered()) {
            board.redelivered_at.store(now_ns());
            return;
        }
        board.holder.store(getpid());
        for (;;) pause();
    });
}

template <typename Value>
Value wait_for(const std::atomic<Value>& value, const char* what) {
    const std::uint64_t deadline = now_ns() + kPatience;
    for (;;) {
        if (const Value found = value.load(); found != 0) return found;
        check_interrupted();
        if (now_ns() > deadline) throw std::runtime_error(std::string(what) + " did not happen");
        sleep_for_ns(50 * kMicrosecond);
    }
}

class FailoverRun {
public:
    explicit FailoverRun(const Settings& settings)
        : directory_(settings.spool, "failover"),
          producer_("bench.sender",
                    [this](Channel& channel) { run_producer(channel, directory_.path()); }) {
        endpoint_ = producer_.receive().at("endpoint").get<std::string>();
        for (auto& worker : workers_) start(worker);
    }

    /// Nanoseconds from the kill until another worker's handler has the message.
    std::uint64_t kill_once() {
        board_->holder = 0;
        board_->redelivered_at = 0;
        producer_.send({{"post", true}});
        const pid_t holder = wait_for(board_->holder, "the hand-out");
        for (auto& worker : workers_) {
            if (worker->pid() != holder) continue;
            const std::uint64_t killed_at = now_ns();
            ::kill(holder, SIGKILL);
            const std::uint64_t back_at = wait_for(board_->redelivered_at, "the redelivery");
            start(worker);
            return back_at - killed_at;
        }
        throw std::runtime_error("a process that was killed has taken a message");
    }

private:
    void start(std::unique_ptr<Child>& worker) {
        worker = std::make_unique<Child>(
            "bench.worker", [this](Channel& channel) { run_worker(channel, endpoint_, *board_); });
        worker->receive();
    }

    FreshDirectory directory_;
    SharedMemory<FailoverBoard> board_;
    Child producer_;
    std::string endpoint_;
    std::array<std::unique_ptr<Child>, kWorkers> workers_;
};

}  // namespace

void bench_failover(const Settings& settings, const Report& report) {
    const int kills = settings.quick ? kKillsQuick : kKills;
    FailoverRun run(settings);
    std::vector<std::uint64_t> times;
    for (int kill = 0; kill < kills; ++kill) {
        times.push_back(run.kill_once());
        progress("  failover: " + format_value(static_cast<double>(times.back()) / kMillisecond,
                                               Unit::milliseconds));
    }
    std::vector<double> times_ms;
    times_ms.reserve(times.size());
    for (const std::uint64_t time : times)
        times_ms.push_back(static_cast<double>(time) / kMillisecond);
    const Percentiles result = percentiles(times);
    const double p99 = result.p99 / kMillisecond;
    const Line spread{.label = "each of " + std::to_string(kills) + " kills",
                      .unit = Unit::milliseconds,
                      .ours = summarize(times_ms)};
    const Line worst{.label = "p99",
                     .unit = Unit::milliseconds,
                     .ours = {p99, p99, p99, times.size()},
                     .goal = Goal{.of = Goal::Of::value_at_most, .must = 250, .aim = 50}};
    nlohmann::ordered_json object{{"bench", "failover"},
                                  {"size", kSize},
                                  {"level", "disk"},
                                  {"kills", kills},
                                  {"p50_us", result.p50 / kMicrosecond},
                                  {"p99_us", result.p99 / kMicrosecond},
                                  {"max_us", result.max / kMicrosecond}};
    add_verdict(object, worst);
    report.object(object);
    report.table("failover: from SIGKILL of the worker that runs a message to another's handler",
                 "", {spread, worst});
}

}  // namespace peermq::bench
