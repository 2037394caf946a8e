#include "throughput.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "clock.hpp"
#include "disk.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "raw.hpp"
#include "report.hpp"
#include "rounds.hpp"
#include "shared_memory.hpp"

namespace peermq::bench {

namespace {

using nlohmann::json;

/// A batch of this length says well enough how many messages fill a round.
constexpr std::uint64_t kCalibration = 60 * kMillisecond;
constexpr std::uint64_t kStall = 20 * kSecond;
constexpr std::uint64_t kFirstBatch = 64;
/// More bytes than this are not sent in one round, however fast: disks are finite.
constexpr std::uint64_t kRoundBytesMax = std::uint64_t{4} << 30;

/// The loop of the sending process.
class SendLoop {
public:
    SendLoop(Outlet& outlet, const Board& board, const ThroughputCase& what)
        : outlet_(outlet), board_(board), what_(what), body_(what.size) {}

    /// Grows batches until one is long enough to judge the rate by and every receiver took part.
    double calibrate() {
        for (std::uint64_t count = kFirstBatch;; count *= 2) {
            const double elapsed = batch(count);
            const double rate = static_cast<double>(count) / elapsed;
            if (elapsed >= seconds(kCalibration) && everybody_took_part()) return rate;
            expected_rate_ = rate;
        }
    }

    /// Seconds from before the first message is sent until the last is handled.
    double batch(std::uint64_t count) {
        const std::uint64_t start = now_ns();
        for (std::uint64_t end = sent_ + count; sent_ < end; ++sent_) {
            body_.number(sent_);
            outlet_.send(body_.bytes());
        }
        wait_until_handled();
        return seconds(now_ns() - start);
    }

    [[nodiscard]] std::uint64_t sent() const { return sent_; }

private:
    /// Looks seldom while much is left, so that looking costs nothing.
    void wait_until_handled() {
        std::uint64_t last = 0;
        std::uint64_t progress_at = now_ns();
        for (;;) {
            const std::uint64_t handled = board_.handled();
            if (handled >= sent_) return;
            const std::uint64_t now = now_ns();
            if (handled != last) {
                last = handled;
                progress_at = now;
            } else if (now - progress_at > kStall) {
                throw std::runtime_error("stalled: " + std::to_string(handled) + " of " +
                                         std::to_string(sent_) + " messages handled");
            }
            const double left_s = static_cast<double>(sent_ - handled) /
                                  std::max(expected_rate_, 1.0);
            const double wait_ns = left_s * static_cast<double>(kSecond) / 4;
            sleep_for_ns(static_cast<std::uint64_t>(
                std::clamp(wait_ns, 50.0 * kMicrosecond, 5.0 * kMillisecond)));
        }
    }

    [[nodiscard]] bool everybody_took_part() const {
        const std::ptrdiff_t receivers = std::ptrdiff_t{what_.workers} * what_.queues;
        const auto end = board_.slots.begin() + receivers;
        return std::all_of(board_.slots.begin(), end,
                           [](const Slot& slot) { return slot.handled > 0; });
    }

    Outlet& outlet_;
    const Board& board_;
    const ThroughputCase& what_;
    Body body_;
    std::uint64_t sent_ = 0;
    double expected_rate_ = 1e6;
};

void run_sender(Channel& channel, const ThroughputCase& what, const Settings& settings,
                const std::filesystem::path& directory, const Board& board) {
    const std::unique_ptr<Outlet> outlet = what.system == System::raw
                                               ? make_raw_outlet()
                                               : make_peer_outlet(what.system, directory,
                                                                  what.queues,
                                                                  settings.quota_bytes);
    channel.send({{"endpoint", outlet->endpoint()}});
    channel.receive(std::chrono::seconds(60));

    SendLoop loop(*outlet, board, what);
    const double rate = loop.calibrate();
    outlet->settle();
    const auto wanted = static_cast<std::uint64_t>(rate * seconds(settings.round_ns));
    const std::uint64_t count = std::clamp<std::uint64_t>(wanted, 1, kRoundBytesMax / what.size);
    const double elapsed = loop.batch(count);
    outlet->settle();
    channel.send({{"rate", static_cast<double>(count) / elapsed}, {"sent", loop.sent()}});
    wait_for_stop(channel);
}

/// One worker of a single queue, or all queues in threads of one peer.
void run_receiver(Channel& channel, const ThroughputCase& what, const std::string& endpoint,
                  int index, Board& board) {
    const bool ordered = what.workers == 1 && what.queues == 1;
    Slot& slot = board.slots.at(static_cast<std::size_t>(index));
    if (what.system == System::raw) {
        Tally tally(slot, what.size, ordered);
        run_raw_worker(
            endpoint,
            [&] {
                channel.send({{"ready", true}});
            },
            [&](std::span<const std::byte> body) { tally(body); });
    }
    Peer peer;
    peer.connect(endpoint);
    const auto queues = static_cast<std::uint32_t>(what.queues);
    const PullOptions options{.prefetch = std::max(prefetch_for(what.size) / queues, 1U)};
    std::vector<Pull> pulls;
    pulls.reserve(queues);
    for (int queue = 0; queue < what.queues; ++queue) {
        pulls.push_back(peer.pull(queue_name(queue), options));
    }
    channel.send({{"ready", true}});

    const auto handle_all = [&](std::size_t queue) {
        Tally tally(queues == 1 ? slot : board.slots.at(queue), what.size, ordered);
        for (auto& delivery : pulls[queue]) {
            tally(delivery.body().span());
            delivery.ack();
        }
    };
    std::vector<std::jthread> threads;
    for (std::size_t queue = 1; queue < pulls.size(); ++queue) {
        threads.emplace_back(handle_all, queue);
    }
    const StopListener listener(channel, [&] {
        for (Pull& pull : pulls) pull.stop();
    });
    handle_all(0);
    threads.clear();
    peer.close(std::chrono::seconds(5));
}

double measure_once(const ThroughputCase& what, const Settings& settings) {
    const FreshDirectory directory(settings.spool, "throughput");
    const SharedMemory<Board> board;
    Child sender("bench.sender", [&](Channel& channel) {
        run_sender(channel, what, settings, directory.path(), *board);
    });
    const auto endpoint = sender.receive().at("endpoint").get<std::string>();
    std::vector<std::unique_ptr<Child>> workers;
    for (int index = 0; index < what.workers; ++index) {
        workers.push_back(std::make_unique<Child>("bench.worker", [&](Channel& channel) {
            run_receiver(channel, what, endpoint, index, *board);
        }));
        workers.back()->receive();
    }
    sender.send({{"go", true}});
    const json outcome = receive_while_well(sender, workers, std::chrono::seconds(180));
    check_complete(*board, outcome.at("sent").get<std::uint64_t>());
    for (const auto& worker : workers) {
        if (what.system == System::raw) {
            worker->kill();
        } else {
            worker->stop();
        }
    }
    sender.stop();
    return outcome.at("rate").get<double>();
}

}  // namespace

double measure_throughput(const ThroughputCase& what, const Settings& settings) {
    return undisturbed(settings, [&] { return measure_once(what, settings); });
}

}  // namespace peermq::bench
