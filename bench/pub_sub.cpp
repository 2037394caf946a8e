/// Publish/subscribe: deliveries per second to 1, 8 and 64 subscribers, with and without a filter,
/// beside raw PUB/SUB, which drops what a subscriber does not take in time.

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "benches.hpp"
#include "clock.hpp"
#include "disk.hpp"
#include "peers.hpp"
#include "processes.hpp"
#include "raw_socket.hpp"
#include "rounds.hpp"
#include "shared_memory.hpp"

namespace peermq::bench {

namespace {

using nlohmann::json;

constexpr std::size_t kSize = 100;
constexpr int kSubscribersMax = static_cast<int>(kSlotsMax);
constexpr int kPerProcess = 8;
/// Topics that the publisher uses in turn; a filter takes one of them.
constexpr std::uint64_t kTopics = 10;
constexpr std::uint64_t kFirstBatch = 1000;
constexpr std::uint64_t kCalibration = 60 * kMillisecond;
/// Raw PUB/SUB never says that it has dropped something: nothing more comes after so long.
constexpr std::uint64_t kSilence = 200 * kMillisecond;
constexpr std::uint64_t kStall = 20 * kSecond;

struct PubSubCase {
    System system = System::raw;
    int subscribers = 1;
    bool filtered = false;
};

struct Outcome {
    double deliveries_per_s = 0;
    double lost_percent = 0;
};

std::string topic_of(std::uint64_t number) { return "ticks." + std::to_string(number % kTopics); }
const std::string kWanted = "ticks.3";

/// Publishes; binds to a free loopback port.
class Source {
public:
    virtual ~Source() = default;
    [[nodiscard]] virtual std::string endpoint() const = 0;
    virtual void wait_for(int subscribers) = 0;
    virtual void publish(std::uint64_t number, std::span<const std::byte> body) = 0;
};

class RawSource final : public Source {
public:
    RawSource() : socket_(ZMQ_XPUB) {
        // Else it tells of the first subscriber to a topic only.
        const int verbose = 1;
        check(zmq_setsockopt(socket_.get(), ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose),
              "zmq_setsockopt");
        endpoint_ = socket_.bind();
    }

    [[nodiscard]] std::string endpoint() const override { return endpoint_; }
    void wait_for(int subscribers) override {
        zmq_msg_t message;
        zmq_msg_init(&message);
        while (subscribers-- > 0) check(zmq_msg_recv(&message, socket_.get(), 0), "zmq_msg_recv");
        zmq_msg_close(&message);
    }
    void publish(std::uint64_t number, std::span<const std::byte> body) override {
        // The topic is the beginning of the message, as usual: "ticks.3" and a zero byte.
        const std::string topic = topic_of(number);
        zmq_msg_t message;
        check(zmq_msg_init_size(&message, topic.size() + 1 + body.size()), "zmq_msg_init_size");
        auto* to = static_cast<std::byte*>(zmq_msg_data(&message));
        std::memcpy(to, topic.c_str(), topic.size() + 1);
        std::memcpy(to + topic.size() + 1, body.data(), body.size());
        check(zmq_msg_send(&message, socket_.get(), 0), "zmq_msg_send");
    }

private:
    RawSocket socket_;
    std::string endpoint_;
};

class PeerSource final : public Source {
public:
    PeerSource(System system, const std::filesystem::path& directory, std::uint64_t quota_bytes)
        : peer_(producer_options(system, directory, quota_bytes)),
          endpoint_(peer_.bind("tcp://127.0.0.1:*")),
          publisher_(peer_.publisher("ticks", {.durability = durability_of(system)})) {
        for (std::uint64_t number = 0; number < kTopics; ++number)
            topics_.push_back(topic_of(number));
    }

    [[nodiscard]] std::string endpoint() const override { return endpoint_; }
    void wait_for(int subscribers) override {
        if (!publisher_.wait_for_subscribers(static_cast<std::size_t>(subscribers),
                                             std::chrono::seconds(60))) {
            throw std::runtime_error("subscribers do not come");
        }
    }
    void publish(std::uint64_t number, std::span<const std::byte> body) override {
        publisher_.post(topics_[number % kTopics], {.body = body});
    }

private:
    Peer peer_;
    std::string endpoint_;
    Publisher publisher_;
    std::vector<std::string> topics_;
};

/// Publishes batches and waits until all of each has been delivered, or for raw libzmq nothing more
/// comes.
class PublishLoop {
public:
    PublishLoop(Source& source, const Board& board, const PubSubCase& what)
        : source_(source), board_(board), what_(what), body_(kSize) {}

    Outcome batch(std::uint64_t count) {
        const std::uint64_t before = board_.handled();
        const std::uint64_t start = now_ns();
        for (const std::uint64_t end = sent_ + count; sent_ < end; ++sent_) {
            body_.number(sent_);
            source_.publish(sent_, body_.bytes());
        }
        const std::uint64_t wanted = count / (what_.filtered ? kTopics : 1) *
                                     static_cast<std::uint64_t>(what_.subscribers);
        const std::uint64_t last_at = wait_for(before + wanted);
        const std::uint64_t handled = board_.handled() - before;
        const double elapsed = seconds(last_at - start);
        return {static_cast<double>(handled) / elapsed,
                100 * (1 - static_cast<double>(handled) / static_cast<double>(wanted))};
    }

    double calibrate() {
        for (std::uint64_t count = kFirstBatch;; count *= 2) {
            const std::uint64_t start = now_ns();
            (void)batch(count);
            std::uint64_t took = now_ns() - start;
            if (what_.system == System::raw) took -= std::min(took, kSilence);
            if (took >= kCalibration) return static_cast<double>(count) / seconds(took);
        }
    }

private:
    /// When the last delivery was seen.
    std::uint64_t wait_for(std::uint64_t handled) const {
        std::uint64_t seen = 0;
        std::uint64_t seen_at = now_ns();
        for (;;) {
            const std::uint64_t now_handled = board_.handled();
            const std::uint64_t now = now_ns();
            if (now_handled != seen) {
                seen = now_handled;
                seen_at = now;
            }
            if (now_handled >= handled) return now;
            const bool raw = what_.system == System::raw;
            if (raw && now - seen_at > kSilence) return seen_at;
            if (!raw && now - seen_at > kStall) {
                throw std::runtime_error("stalled: " + std::to_string(now_handled) + " of " +
                                         std::to_string(handled) + " deliveries");
            }
            sleep_for_ns(200 * kMicrosecond);
        }
    }

    Source& source_;
    const Board& board_;
    const PubSubCase& what_;
    Body body_;
    std::uint64_t sent_ = 0;
};

void run_publisher(Channel& channel, const PubSubCase& what, const Settings& settings,
                   const std::filesystem::path& directory, const Board& board) {
    std::unique_ptr<Source> source;
    if (what.system == System::raw) {
        source = std::make_unique<RawSource>();
    } else {
        source = std::make_unique<PeerSource>(what.system, directory, settings.quota_bytes);
    }
    channel.send({{"endpoint", source->endpoint()}});
    source->wait_for(what.subscribers);
    channel.receive(std::chrono::seconds(60));

    PublishLoop loop(*source, board, what);
    const double rate = loop.calibrate();
    const auto count = static_cast<std::uint64_t>(rate * seconds(settings.round_ns)) / kTopics *
                       kTopics;
    const Outcome outcome = loop.batch(std::max(count, kFirstBatch));
    channel.send({{"rate", outcome.deliveries_per_s}, {"lost", outcome.lost_percent}});
    wait_for_stop(channel);
}

void take_raw(const std::string& endpoint, bool filtered, Slot& slot) {
    const RawSocket socket(ZMQ_SUB);
    const std::string wanted = filtered ? kWanted : std::string("ticks");
    check(zmq_setsockopt(socket.get(), ZMQ_SUBSCRIBE, wanted.data(), wanted.size()),
          "zmq_setsockopt");
    check(zmq_connect(socket.get(), endpoint.c_str()), "zmq_connect");
    const std::size_t skipped = kWanted.size() + 1;
    Tally tally(slot, kSize, false);
    zmq_msg_t message;
    zmq_msg_init(&message);
    for (;;) {
        check(zmq_msg_recv(&message, socket.get(), 0), "zmq_msg_recv");
        const auto* data = static_cast<const std::byte*>(zmq_msg_data(&message));
        tally({data + skipped, zmq_msg_size(&message) - skipped});
    }
}

void take_all(Subscriber& subscriber, Slot& slot) {
    Tally tally(slot, kSize, false);
    for (auto& delivery : subscriber) tally(delivery.body().span());
    if (subscriber.missed() > 0) slot.wrong.fetch_add(subscriber.missed());
}

/// Some of the subscribers, each with a connection and a thread of its own.
void run_subscribers(Channel& channel, const PubSubCase& what, const std::string& endpoint,
                     int first, int count, Board& board) {
    std::vector<std::jthread> threads;
    const auto slot = [&](int index) -> Slot& {
        return board.slots.at(static_cast<std::size_t>(first + index));
    };
    if (what.system == System::raw) {
        for (int index = 0; index < count; ++index)
            threads.emplace_back([&, index] { take_raw(endpoint, what.filtered, slot(index)); });
        channel.send({{"ready", true}});
        threads.clear();  // ended by being killed
    }
    std::vector<std::unique_ptr<Peer>> peers;
    std::vector<Subscriber> subscribers;
    // Nobody may be dropped: the publisher waits, and memory stays bounded.
    const SubscriberOptions options{.slow = SlowPolicy::block, .prefetch = prefetch_for(kSize) / 4};
    for (int index = 0; index < count; ++index) {
        peers.push_back(std::make_unique<Peer>());
        peers.back()->connect(endpoint);
        subscribers.push_back(
            peers.back()->subscriber(what.filtered ? kWanted : std::string("ticks.#"), options));
    }
    for (int index = 0; index < count; ++index)
        threads.emplace_back(
            [&, index] { take_all(subscribers[static_cast<std::size_t>(index)], slot(index)); });
    channel.send({{"ready", true}});
    wait_for_stop(channel);
    for (Subscriber& subscriber : subscribers) subscriber.stop();
}

Outcome measure_once(const PubSubCase& what, const Settings& settings) {
    const FreshDirectory directory(settings.spool, "pub_sub");
    const SharedMemory<Board> board;
    Child publisher("bench.publish", [&](Channel& channel) {
        run_publisher(channel, what, settings, directory.path(), *board);
    });
    const auto endpoint = publisher.receive().at("endpoint").get<std::string>();
    std::vector<std::unique_ptr<Child>> crowd;
    for (int first = 0; first < what.subscribers; first += kPerProcess) {
        const int count = std::min(kPerProcess, what.subscribers - first);
        crowd.push_back(std::make_unique<Child>("bench.subscribe", [&](Channel& channel) {
            run_subscribers(channel, what, endpoint, first, count, *board);
        }));
        crowd.back()->receive();
    }
    publisher.send({{"go", true}});
    const json outcome = receive_while_well(publisher, crowd, std::chrono::seconds(180));
    for (const auto& one : crowd) {
        if (what.system == System::raw) {
            one->kill();
        } else {
            one->stop();
        }
    }
    publisher.stop();
    if (board->wrong() > 0) throw std::runtime_error("messages changed or missed");
    return {outcome.at("rate").get<double>(), outcome.at("lost").get<double>()};
}

Outcome measure(const PubSubCase& what, const Settings& settings) {
    const Outcome outcome = undisturbed(settings, [&] { return measure_once(what, settings); });
    progress("  " + std::to_string(what.subscribers) + " subscribers, " + to_string(what.system) +
             (what.filtered ? ", filtered: " : ": ") +
             format_value(outcome.deliveries_per_s, Unit::per_second) + ", lost " +
             format_value(outcome.lost_percent, Unit::percent));
    return outcome;
}

}  // namespace

void bench_pub_sub(const Settings& settings, const Report& report) {
    std::vector<Line> lines;
    std::string losses;
    for (const bool filtered : {false, true}) {
        for (const int subscribers : {1, 8, kSubscribersMax}) {
            std::vector<double> raw;
            std::vector<double> lost;
            std::map<System, std::vector<double>> ours;
            for (int round = 0; round < settings.rounds; ++round) {
                const Outcome reference = measure({System::raw, subscribers, filtered}, settings);
                raw.push_back(reference.deliveries_per_s);
                lost.push_back(reference.lost_percent);
                for (const System level : {System::memory, System::disk}) {
                    if (!settings.wants_level(to_string(level))) continue;
                    ours[level].push_back(
                        measure({level, subscribers, filtered}, settings).deliveries_per_s);
                }
            }
            const std::string label = std::to_string(subscribers) +
                                      (filtered ? " taking 1 of 10" : " taking all");
            const double lost_percent = summarize(lost).median;
            losses += (losses.empty() ? "raw PUB/SUB lost, median: " : "; ") + label + " " +
                      format_value(lost_percent, Unit::percent);
            for (const auto& [level, rates] : ours) {
                const Line line{.label = label + ", " + to_string(level),
                                .ours = summarize(rates),
                                .reference = summarize(raw),
                                .goal = Goal{.must = 1.0, .aim = 2.0}};
                report.throughput({{"bench", "pub_sub"},
                                   {"size", kSize},
                                   {"level", to_string(level)},
                                   {"subscribers", subscribers},
                                   {"filtered", filtered},
                                   {"raw_lost_percent", lost_percent}},
                                  line);
                lines.push_back(line);
            }
        }
    }
    report.table("pub_sub: deliveries of 100 B per second, all subscribers together; nothing lost",
                 "raw PUB/SUB", lines, losses);
}

}  // namespace peermq::bench
