/// Ack and its kin, retries, dead letters, and settlements that come too late.

#include <thread>

#include "contract/fixture.hpp"
#include "support/tcp_proxy.hpp"

namespace peermq::test {
namespace {

class Settling : public ::testing::TestWithParam<Arrangement> {
protected:
    World world{GetParam()};
};

TEST_P(Settling, NackedComesAgainCounted) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    push.post({.body = "x"});
    for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
        Delivery delivery = next(pull);
        EXPECT_EQ("x", delivery.text());
        EXPECT_EQ(attempt, delivery.attempt());
        EXPECT_EQ(attempt > 1, delivery.redelivered());
        if (attempt == 3) {
            delivery.ack();
        } else {
            EXPECT_EQ(SettlementState::accepted, delivery.nack(0ns, "not yet").wait(kLong));
        }
    }
    ASSERT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(2u, push.stats().nacked);
    EXPECT_EQ(1u, push.stats().acked);
    EXPECT_EQ(2u, push.stats().redelivered);
    EXPECT_EQ(2u, pull.stats().redelivered);
}

TEST_P(Settling, NackedWaitsItsDelayWhileOthersPass) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    push.post({.body = "first"});
    Delivery failed = next(pull);
    const auto start = std::chrono::steady_clock::now();
    failed.nack(200ms);
    push.post({.body = "second"});
    EXPECT_EQ("second", drain(pull, 1).front());
    EXPECT_EQ("first", drain(pull, 1).front());
    EXPECT_GE(std::chrono::steady_clock::now() - start, 200ms);
}

TEST_P(Settling, BackOffGrowsUnlessADelayIsGiven) {
    Push push = world.push("jobs", {.retry_wait_min = 20ms, .retry_wait_max = 60ms});
    Pull pull = world.worker().pull("jobs");
    push.post({.body = "x"});
    for (int i = 0; i < 4; ++i) {
        Delivery delivery = next(pull);
        const auto start = std::chrono::steady_clock::now();
        delivery.nack();
        ASSERT_TRUE(eventually([&] { return pull.stats().ready > 0; }));
        // With jitter a wait may be shorter, but never nothing, and the limit holds.
        EXPECT_GE(std::chrono::steady_clock::now() - start, 5ms);
    }
    Delivery last = next(pull);
    EXPECT_EQ(5u, last.attempt());
    last.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(Settling, ReleasedComesAgainUncounted) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    push.post({.body = "x"});
    EXPECT_EQ(SettlementState::accepted, next(pull).release().wait(kLong));
    Delivery again = next(pull);
    EXPECT_EQ(1u, again.attempt());
    EXPECT_TRUE(again.redelivered());
    again.ack();
    ASSERT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(1u, push.stats().released);
    EXPECT_EQ(0u, push.stats().nacked);
}

TEST_P(Settling, RejectedGoesToTheDeadLettersAndCanBeSentAgain) {
    Push push = world.push();
    Peer& worker = world.worker();
    Pull pull = worker.pull("jobs");
    const Receipt receipt = push.post({.body = "bad",
                                       .key = "k",
                                       .headers = {{"tenant", "a"}},
                                       .id = "order-1",
                                       .correlation_id = "c-1"});
    next(pull).reject("no such customer");
    EXPECT_TRUE(receipt.wait(Until::acked, kLong));
    EXPECT_TRUE(world.events.wait(EventKind::dead_letter, "no such customer"));
    EXPECT_EQ(1u, push.stats().dead);

    Pull dead = worker.pull("jobs.dead");
    Delivery letter = next(dead);
    EXPECT_EQ("bad", letter.text());
    EXPECT_EQ("k", letter.key());
    EXPECT_EQ("order-1", letter.id());
    EXPECT_EQ("c-1", letter.correlation_id());
    EXPECT_EQ("a", letter.header("tenant"));
    EXPECT_EQ("jobs", letter.header("peermq-dead-queue"));
    EXPECT_EQ("rejected", letter.header("peermq-dead-reason"));
    EXPECT_EQ("no such customer", letter.header("peermq-dead-error"));
    EXPECT_EQ("0", letter.header("peermq-dead-attempts"));
    EXPECT_EQ("1", letter.header("peermq-dead-sequence"));
    EXPECT_EQ(1u, letter.attempt());

    Message again{.body = letter.body(), .key = letter.key()};
    push.send(again);
    letter.ack();
    Delivery redriven = next(pull);
    EXPECT_EQ("bad", redriven.text());
    EXPECT_FALSE(redriven.header("peermq-dead-reason"));
    redriven.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(Settling, TooManyFailuresEndInTheDeadLetters) {
    Push push = world.push("jobs",
                           {.max_attempts = 3, .retry_wait_min = 0ns, .retry_wait_max = 0ns});
    Peer& worker = world.worker();
    Pull pull = worker.pull("jobs");
    Pull dead = worker.pull("jobs.dead");
    push.post({.body = "poison"});
    push.post({.body = "good"});
    int poisoned = 0;
    bool good = false;
    while (poisoned < 3 || !good) {
        Delivery delivery = next(pull);
        if (delivery.text() == "good") {
            good = true;
            delivery.ack();
        } else {
            EXPECT_EQ(static_cast<std::uint32_t>(++poisoned), delivery.attempt());
            delivery.nack({}, "failure " + std::to_string(poisoned));
        }
    }
    Delivery letter = next(dead);
    EXPECT_EQ("poison", letter.text());
    EXPECT_EQ("max_attempts", letter.header("peermq-dead-reason"));
    EXPECT_EQ("3", letter.header("peermq-dead-attempts"));
    EXPECT_EQ("failure 3", letter.header("peermq-dead-error"));
    letter.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(3u, push.stats().nacked);
}

TEST_P(Settling, FailedKeyedMessageKeepsItsPlace) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    for (const char* body : {"1", "2", "3"}) push.post({.body = body, .key = "k"});
    push.post({.body = "other"});
    std::vector<std::string> order;
    bool failed = false;
    while (order.size() < 4) {
        Delivery delivery = next(pull);
        if (delivery.text() == "1" && !failed) {
            failed = true;
            delivery.nack(50ms);
            continue;
        }
        order.emplace_back(delivery.text());
        delivery.ack();
    }
    EXPECT_EQ((std::vector<std::string>{"other", "1", "2", "3"}), order);
}

TEST_P(Settling, AThrowingHandlerNacksWithItsText) {
    Push push = world.push("jobs", {.max_attempts = 1});
    Peer& worker = world.worker();
    Pull pull = worker.pull("jobs");
    Pull dead = worker.pull("jobs.dead");
    push.post({.body = "x"});
    std::jthread running(
        [&] { pull.run([](Delivery&) { throw std::runtime_error("disk on fire"); }); });
    EXPECT_EQ("disk on fire", next(dead).header("peermq-dead-error"));
    pull.stop();
}

INSTANTIATE_TEST_SUITE_P(Over, Settling, ::testing::ValuesIn(all_setups()), setup_name);

/// A worker whose link is cut off for longer than the grace, so that its message goes elsewhere.
class LateSettlement : public ::testing::TestWithParam<Durability> {
protected:
    World world{Arrangement{Wire::tcp, GetParam(), true}};
};

TEST_P(LateSettlement, IsRefusedAndReported) {
    Push push = world.push();
    const std::string endpoint = world.producer().bind("tcp://127.0.0.1:*");
    TcpProxy proxy(endpoint);
    EventLog slow_events;
    Peer slow({.on_event = slow_events.callback()});
    slow.connect(proxy.endpoint());
    Pull slow_pull = slow.pull("jobs");
    std::mutex mutex;
    std::vector<std::string> refused;
    slow_pull.on_refused([&](const std::string& id) {
        const std::lock_guard lock(mutex);
        refused.push_back(id);
    });
    const Receipt receipt = push.send({.body = "x"});
    Delivery late = next(slow_pull);

    proxy.refuse(true);
    proxy.cut();
    Peer quick;
    quick.connect(endpoint);
    Pull quick_pull = quick.pull("jobs");
    Delivery taken = next(quick_pull);
    EXPECT_EQ("x", taken.text());
    EXPECT_TRUE(taken.redelivered());
    EXPECT_EQ(1u, taken.attempt());
    EXPECT_EQ(SettlementState::accepted, taken.ack().wait(kLong));

    proxy.refuse(false);
    const Settlement settlement = late.ack();
    EXPECT_EQ(SettlementState::refused, settlement.wait(kLong));
    EXPECT_TRUE(slow_events.wait(EventKind::ack_refused, "jobs")) << slow_events.text();
    EXPECT_TRUE(eventually([&] {
        const std::lock_guard lock(mutex);
        return refused == std::vector<std::string>{receipt.id()};
    }));
    EXPECT_EQ(1u, slow_pull.stats().refused);
    EXPECT_EQ(1u, push.stats().refused);
    EXPECT_EQ(1u, push.stats().acked);
}

/// Without a fault of any link: the worker itself is too slow for what it has promised.
TEST_P(LateSettlement, OfAWorkerThatNoLongerRenewsGoesElsewhereFlagged) {
    Push push = world.push("jobs", {.lease = 6s});  // the shortest there is
    Pull slow_pull = world.worker().pull("jobs", {.max_processing = 1s});
    const auto handed_out = std::chrono::steady_clock::now();
    push.send({.body = "x"});
    Delivery late = next(slow_pull);
    EXPECT_FALSE(late.redelivered());

    Pull quick_pull = world.worker().pull("jobs");
    Delivery taken = next(quick_pull);
    EXPECT_GE(std::chrono::steady_clock::now() - handed_out, 6s);
    EXPECT_EQ("x", taken.text());
    EXPECT_TRUE(taken.redelivered());
    EXPECT_EQ(SettlementState::accepted, taken.ack().wait(kLong));
    EXPECT_EQ(SettlementState::refused, late.ack().wait(kLong));
    EXPECT_EQ(1u, push.stats().acked);
}

INSTANTIATE_TEST_SUITE_P(Over, LateSettlement,
                         ::testing::Values(Durability::memory, Durability::disk), level_name);

}  // namespace
}  // namespace peermq::test
