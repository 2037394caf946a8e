/// A producer to be killed: posts messages to the queue "orders", or with topic=1 publishes them
/// for the durable subscription "work" once that is there, and tells the parent what becomes of
/// them.
///
///     process_producer process=N spool=DIR bind=ENDPOINT [name=value ...]
///
/// Lines: open (main has begun), opened (the spool is recovered), ready ENDPOINT, intent ID HASH
/// KEY (before the post), durable ID (after the receipt), fail ID CODE (certainly not accepted),
/// trouble TEXT, event KIND TEXT, stats NAME=NUMBER ..., idle (all that was accepted is durable),
/// closed in_time|late. Commands: stop (post no more), quit; SIGTERM is quit as well.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "peermq/peermq.hpp"
#include "program.hpp"
#include "support/seeded_random.hpp"

namespace {

std::atomic<std::uint64_t> torn_writes{0};  ///< reported as damage

using namespace std::chrono_literals;
using peermq::test::Arguments;
using peermq::test::report;
using std::chrono::milliseconds;

constexpr std::size_t kInDoubtMax = 4096;
constexpr auto kBindPatience = 20s;

peermq::PeerOptions peer_options(const Arguments& arguments) {
    peermq::PeerOptions options;
    options.spool = arguments.text("spool");
    options.segment_bytes = arguments.number("segment_bytes", options.segment_bytes);
    options.spool_bytes_max = arguments.number("spool_bytes_max", options.spool_bytes_max);
    options.free_bytes_min = arguments.number("free_bytes_min", options.free_bytes_min);
    options.on_event = [](const peermq::Event& event) {
        // A write that a kill cuts short is no loss: nobody was told that it is safe.
        const bool torn = event.text.find("it was never durable") != std::string::npos;
        if (event.kind == peermq::EventKind::damage && torn) ++torn_writes;
        report("event", std::string(to_string(event.kind)) + " " + event.queue +
                            " count=" + std::to_string(event.count) + " " + event.text);
    };
    return options;
}

peermq::PushOptions push_options(const Arguments& arguments) {
    peermq::PushOptions options;
    options.durability = arguments.text("level", "disk") == "os" ? peermq::Durability::os
                                                                 : peermq::Durability::disk;
    options.overflow = arguments.text("overflow", "block") == "error" ? peermq::Overflow::error
                                                                      : peermq::Overflow::block;
    options.retry_wait_min = 5ms;
    options.retry_wait_max = 50ms;
    options.lease = milliseconds(arguments.number("lease_ms", 30'000));
    return options;
}

peermq::PublisherOptions publisher_options(const Arguments& arguments) {
    const peermq::PushOptions queue = push_options(arguments);
    peermq::PublisherOptions options;
    options.durability = queue.durability;
    options.overflow = queue.overflow;
    options.retry_wait_min = queue.retry_wait_min;
    options.retry_wait_max = queue.retry_wait_max;
    options.lease = queue.lease;
    return options;
}

/// Where the messages go.
class Outlet {
public:
    Outlet(peermq::Peer& peer, const Arguments& arguments) {
        if (arguments.number("topic", 0) == 0) {
            push_.emplace(peer.push("orders", push_options(arguments)));
        } else {
            publisher_.emplace(peer.publisher("orders", publisher_options(arguments)));
        }
    }

    [[nodiscard]] peermq::Receipt post(const peermq::Message& message) {
        if (push_) return push_->post(message);
        const std::string topic = message.key.empty() ? "orders"
                                                      : "orders." + std::string(message.key);
        return publisher_->post(topic, message);
    }
    /// Messages that nobody has settled; a topic without its subscription has no place for any.
    [[nodiscard]] std::uint64_t depth() const {
        if (push_) return push_->stats().depth;
        const auto all = publisher_->subscriptions();
        return all.empty() ? UINT64_MAX : all.front().lag;
    }
    /// The same of a topic for the statistics, in which queues stand by themselves.
    [[nodiscard]] std::uint64_t lag() const {
        const auto all = publisher_ ? publisher_->subscriptions()
                                    : std::vector<peermq::SubscriptionStats>();
        return all.empty() ? 0 : all.front().lag;
    }

private:
    std::optional<peermq::Push> push_;
    std::optional<peermq::Publisher> publisher_;
};

class Producer {
public:
    explicit Producer(const Arguments& arguments)
        : arguments_(arguments),
          peer_(peer_options(arguments)),
          outlet_(peer_, arguments),
          random_(arguments.number("seed", 1)) {}

    void bind() {
        const auto deadline = std::chrono::steady_clock::now() + kBindPatience;
        while (true) {
            try {
                report("ready", peer_.bind(arguments_.text("bind", "tcp://127.0.0.1:*")));
                return;
            } catch (const peermq::Error& error) {
                if (error.code() != peermq::ErrorCode::address_in_use) throw;
                if (std::chrono::steady_clock::now() > deadline) throw;
                std::this_thread::sleep_for(10ms);
            }
        }
    }

    /// True when it closed in time.
    bool run() {
        std::jthread posting([this](std::stop_token stop) { post_all(stop); });
        std::jthread telling([this](std::stop_token stop) { tell_durable(stop); });
        while (!peermq::test::terminated()) {
            const std::string command = peermq::test::read_command(50);
            if (command == "quit") break;
            if (command == "stop") posting.request_stop();
            report_stats();
        }
        posting.request_stop();
        const bool closed = peer_.close(milliseconds(arguments_.number("close_ms", 25'000)));
        telling.request_stop();
        return closed;
    }

private:
    struct Posted {
        std::string id;
        peermq::Receipt receipt;
    };

    void post_all(const std::stop_token& stop) {
        const std::uint64_t depth_max = arguments_.number("depth_max", 2000);
        const std::uint64_t count_max = arguments_.number("count", UINT64_MAX);
        while (!stop.stop_requested() && number_ < count_max) {
            if (outlet_.depth() > depth_max) {
                std::this_thread::sleep_for(2ms);
                continue;
            }
            const std::uint64_t burst = random_.between(1, arguments_.number("burst", 32));
            for (std::uint64_t i = 0; i < burst && number_ < count_max; ++i) {
                if (!post_one()) break;
            }
            const std::uint64_t pause_us = arguments_.number("pause_us", 2000);
            std::this_thread::sleep_for(std::chrono::microseconds(random_.below(pause_us + 1)));
        }
        posted_all_ = true;
    }

    bool post_one() {
        const std::string id = arguments_.text("process") + "-" + std::to_string(++number_);
        const std::string key = random_.below(1000) < arguments_.number("keyed_per_mille", 300)
                                    ? "k" + std::to_string(random_.below(8))
                                    : "";
        const bool large = random_.below(1000) < arguments_.number("large_per_mille", 0);
        const std::size_t bytes = large ? arguments_.number("large_bytes", 300'000)
                                        : random_.between(0, arguments_.number("bytes", 200));
        const std::string body = peermq::test::body_of(id, bytes);
        report("intent", id + " " + peermq::test::hexadecimal(peermq::test::hash_of(key, body)) +
                             " " + (key.empty() ? "-" : key));
        try {
            keep(id, outlet_.post({.body = body, .key = key, .id = id}));
            return true;
        } catch (const peermq::Error& error) {
            report("fail", id + " " + std::string(to_string(error.code())) + " " + error.what());
            std::this_thread::sleep_for(5ms);
            return false;
        }
    }

    void keep(const std::string& id, peermq::Receipt receipt) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return in_doubt_.size() < kInDoubtMax; });
        in_doubt_.push_back({id, std::move(receipt)});
        some_.notify_one();
    }

    void tell_durable(const std::stop_token& stop) {
        bool idle_told = false;
        while (true) {
            std::unique_lock lock(mutex_);
            if (in_doubt_.empty() && posted_all_ && !idle_told) {
                report("idle");
                idle_told = true;
            }
            if (!some_.wait_for(lock, 20ms, [this] { return !in_doubt_.empty(); })) {
                if (stop.stop_requested()) return;
                continue;
            }
            const Posted posted = std::move(in_doubt_.front());
            in_doubt_.pop_front();
            room_.notify_one();
            lock.unlock();
            try {
                if (posted.receipt.wait()) report("durable", posted.id);
            } catch (const peermq::Error& error) {
                report("trouble", posted.id + " " + error.what());
            }
        }
    }

    void report_stats() const {
        const peermq::PeerStats stats = peer_.stats();
        std::uint64_t depth = outlet_.lag();
        std::string queues;
        for (const peermq::PushStats& each : stats.pushes) {
            depth += each.depth;
            queues += " " + each.queue + "(depth=" + std::to_string(each.depth) +
                      " in_flight=" + std::to_string(each.in_flight) +
                      " waiting=" + std::to_string(each.waiting) +
                      " consumers=" + std::to_string(each.consumers) +
                      " posted=" + std::to_string(each.posted) +
                      " acked=" + std::to_string(each.acked) +
                      " dead=" + std::to_string(each.dead) + " lost=" + std::to_string(each.lost) +
                      " refused=" + std::to_string(each.refused) +
                      " lease_expired=" + std::to_string(each.lease_expired) + ")";
        }
        std::uint64_t lost = stats.damage - torn_writes;
        for (const peermq::PushStats& each : stats.pushes) lost += each.lost;
        report("stats", "depth=" + std::to_string(depth) + " lost=" + std::to_string(lost) +
                            " disk_bytes=" + std::to_string(stats.spool.disk_bytes) +
                            " links=" + std::to_string(stats.links.size()) + queues);
    }

    const Arguments& arguments_;
    peermq::Peer peer_;
    Outlet outlet_;
    peermq::test::SeededRandom random_;
    std::uint64_t number_ = 0;
    std::atomic<bool> posted_all_ = false;
    std::mutex mutex_;
    std::condition_variable some_;
    std::condition_variable room_;
    std::deque<Posted> in_doubt_;
};

}  // namespace

int main(int argc, char** argv) {
    return peermq::test::run_program(argc, argv, [](const Arguments& arguments) {
        Producer producer(arguments);
        report("opened");
        producer.bind();
        return producer.run();
    });
}
