/// A worker to be killed: takes messages of "orders", a queue or with topic=1 the durable
/// subscription "work" of that publisher, and of its dead letters, settles them, and tells the
/// parent what it saw.
///
///     process_worker process=N connect=ENDPOINT [name=value ...]
///
/// Lines: open, ready, deliver BEFORE AFTER ID QUEUE HASH KEY ATTEMPT FLAG, ask ID QUEUE HOW,
/// accepted|refused|unknown ID QUEUE HOW, reported ID (refused, by the callback), event KIND TEXT,
/// idle (nothing came for a while and nothing waits for an outcome), closed in_time|late.
/// Command: quit; SIGTERM is quit as well.

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <thread>

#include "peermq/peermq.hpp"
#include "program.hpp"
#include "support/seeded_random.hpp"

namespace {

using namespace std::chrono_literals;
using peermq::SettlementState;
using peermq::test::Arguments;
using peermq::test::report;
using std::chrono::milliseconds;

constexpr auto kOutcomePatience = 10s;

std::string_view name_of(SettlementState state) {
    switch (state) {
        case SettlementState::pending: return "pending";
        case SettlementState::accepted: return "accepted";
        case SettlementState::refused: return "refused";
        case SettlementState::unknown: return "unknown";
    }
    return "?";
}

std::uint32_t prefetch_of(const Arguments& arguments) {
    return static_cast<std::uint32_t>(arguments.number("prefetch", 64));
}

/// One queue or subscription, one thread.
template <typename Source>
class Consumer {
public:
    Consumer(Source source, std::string queue, const Arguments& arguments)
        : arguments_(arguments),
          pull_(std::move(source)),
          queue_(std::move(queue)),
          random_(arguments.number("seed", 1)) {
        pull_.on_refused([](const std::string& id) { report("reported", id); });
    }

    void run(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const std::int64_t before = peermq::test::now_ns();
            auto delivery = pull_.receive(20ms);
            if (delivery) {
                handle(*delivery, before);
                idle_told_ = false;
            }
            tell_outcomes();
            if (!delivery && asked_.empty() && !idle_told_) {
                report("idle", queue_);
                idle_told_ = true;
            }
        }
        pull_.stop();
        const auto deadline = std::chrono::steady_clock::now() + kOutcomePatience;
        while (!asked_.empty() && std::chrono::steady_clock::now() < deadline) {
            tell_outcomes();
            std::this_thread::sleep_for(2ms);
        }
    }

private:
    struct Asked {
        std::string text;
        peermq::Settlement settlement;
    };

    void handle(peermq::Delivery& delivery, std::int64_t before) {
        const std::string id = delivery.id();
        peermq::test::report_line(
            "deliver " + std::to_string(before) + " " + std::to_string(peermq::test::now_ns()) +
            " " + id + " " + queue_ + " " +
            peermq::test::hexadecimal(
                peermq::test::hash_of(delivery.key(), delivery.body().text())) +
            " " + (delivery.key().empty() ? "-" : std::string(delivery.key())) + " " +
            std::to_string(delivery.attempt()) + " " + (delivery.redelivered() ? "1" : "0"));
        const std::uint64_t work_us = arguments_.number("work_min_us", 0) +
                                      random_.below(arguments_.number("work_us", 100) + 1);
        if (work_us > 50) std::this_thread::sleep_for(std::chrono::microseconds(work_us));
        settle(delivery, id);
    }

    void settle(peermq::Delivery& delivery, const std::string& id) {
        const bool dead = queue_.ends_with(".dead");
        const std::uint64_t lot = dead ? 1000 : random_.below(1000);
        const std::uint64_t odd = arguments_.number("odd_per_mille", 20);
        const std::string text = id + " " + queue_ + " ";
        if (lot * 3 < odd) {
            ask(text + "nack", [&] { return delivery.nack(milliseconds(random_.below(20))); });
        } else if (lot * 3 < odd * 2) {
            ask(text + "release", [&] { return delivery.release(); });
        } else if (lot < odd) {
            ask(text + "reject", [&] { return delivery.reject("by lot"); });
        } else {
            ask(text + "ack", [&] { return delivery.ack(); });
        }
    }

    /// Told before it is done: whoever reads "ask" of a process that was killed knows that it may
    /// have been done.
    template <typename Settle>
    void ask(const std::string& text, Settle&& settle) {
        report("ask", text);
        asked_.push_back({text, settle()});
    }

    void tell_outcomes() {
        std::erase_if(asked_, [&](const Asked& asked) {
            const SettlementState state = asked.settlement.state();
            if (state == SettlementState::pending) return false;
            report(name_of(state), asked.text);
            return true;
        });
    }

    const Arguments& arguments_;
    Source pull_;
    const std::string queue_;
    peermq::test::SeededRandom random_;
    std::deque<Asked> asked_;
    bool idle_told_ = false;
};

peermq::PeerOptions peer_options() {
    peermq::PeerOptions options;
    options.on_event = [](const peermq::Event& event) {
        report("event", std::string(to_string(event.kind)) + " " + event.text);
    };
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    return peermq::test::run_program(argc, argv, [](const Arguments& arguments) {
        peermq::Peer peer(peer_options());
        peer.connect(arguments.text("connect"));
        const std::uint32_t prefetch = prefetch_of(arguments);
        Consumer dead(peer.pull("orders.dead", {.prefetch = prefetch}), "orders.dead", arguments);
        const auto run_beside_dead = [&](auto orders) {
            report("ready");
            std::jthread first([&](std::stop_token stop) { orders->run(stop); });
            std::jthread second([&](std::stop_token stop) { dead.run(stop); });
            while (!peermq::test::terminated() && peermq::test::read_command(50) != "quit") {
            }
        };
        if (arguments.number("topic", 0) == 0) {
            run_beside_dead(std::make_unique<Consumer<peermq::Pull>>(
                peer.pull("orders", {.prefetch = prefetch}), "orders", arguments));
        } else {
            run_beside_dead(std::make_unique<Consumer<peermq::Subscriber>>(
                peer.subscriber("orders.#", {.name = "work", .prefetch = prefetch}), "orders",
                arguments));
        }
        return peer.close(milliseconds(arguments.number("close_ms", 25'000)));
    });
}
