/// What outlives what, what ends when, and that nothing hangs.

#include <atomic>
#include <thread>

#include "peer_fixture.hpp"

namespace peermq::test {
namespace {

using Clock = std::chrono::steady_clock;

class PeerClose : public PeerPair {};

TEST_F(PeerClose, IsTrueWhenAllIsSettled) {
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs");
    push.post({.body = "x"});
    next(pull).ack();
    EXPECT_TRUE(worker->close(kLong));
    EXPECT_TRUE(producer->close(kLong));
    EXPECT_TRUE(producer->close(kLong));
}

TEST_F(PeerClose, EndsInTimeWithUnsentMessages) {
    Push push = producer->push("jobs");
    push.post({.body = "x"});
    const auto start = Clock::now();
    EXPECT_FALSE(producer->close(50ms));
    EXPECT_LT(Clock::now() - start, 5s);
}

TEST_F(PeerClose, EndsInTimeWithUnsettledMessages) {
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs");
    push.post({.body = "x"});
    Delivery held = next(pull);
    const auto start = Clock::now();
    EXPECT_FALSE(worker->close(50ms));
    EXPECT_LT(Clock::now() - start, 5s);
    EXPECT_EQ(ErrorCode::closed, code_of([&] { held.ack(); }));
}

TEST_F(PeerClose, WaitsForHandlersThatFinish) {
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs");
    std::atomic<bool> started{false};
    std::atomic<bool> go_on{false};
    std::jthread running([&] {
        pull.run([&](Delivery&) {
            started = true;
            (void)eventually([&] { return go_on.load(); });
        });
    });
    push.post({.body = "x"});
    ASSERT_TRUE(eventually([&] { return started.load(); }));
    std::jthread releasing([&] {
        (void)eventually([&] { return pull.stopped(); });
        go_on = true;
    });
    EXPECT_TRUE(worker->close(kLong));
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_F(PeerClose, MakesLaterCallsThrowClosed) {
    Push push = producer->push("jobs");
    Pull pull = producer->pull("other");
    const Receipt receipt = push.post({.body = "x"});
    producer->close(10ms);
    EXPECT_EQ(ErrorCode::closed, code_of([&] { push.post({.body = "x"}); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { push.send({.body = "x"}); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { (void)push.try_post({.body = "x"}); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { (void)push.flush(Until::acked); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { push.purge(); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { push.pause(); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { producer->bind("tcp://127.0.0.1:*"); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { producer->connect(endpoint); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { (void)producer->push("more"); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { (void)producer->pull("more"); }));
    EXPECT_EQ(ErrorCode::closed, code_of([&] { (void)receipt.wait(Until::acked); }));
    EXPECT_TRUE(receipt.wait(Until::durable));
    EXPECT_FALSE(pull.receive());
    EXPECT_TRUE(pull.stopped());
    EXPECT_EQ(1u, push.stats().posted);
}

TEST_F(PeerClose, EndsABlockedPostAndFlush) {
    Push push = producer->push("jobs", {.memory_bytes_max = 1024});
    const std::string body(900, 'x');
    push.post({.body = body});
    std::atomic<int> closed{0};
    std::jthread posting(
        [&] { closed += code_of([&] { push.post({.body = body}); }) == ErrorCode::closed; });
    std::jthread flushing(
        [&] { closed += code_of([&] { (void)push.flush(Until::acked); }) == ErrorCode::closed; });
    producer->close(50ms);
    EXPECT_TRUE(eventually([&] { return closed == 2; }));
}

class PeerLifetime : public PeerPair {};

TEST_F(PeerLifetime, ADroppedDeliveryIsNackedAndCounted) {
    Push push = producer->push("jobs", {.retry_wait_min = 0ns, .retry_wait_max = 0ns});
    Pull pull = worker->pull("jobs");
    push.post({.body = "x"});
    { const Delivery dropped = next(pull); }
    Delivery again = next(pull);
    EXPECT_EQ(2u, again.attempt());
    EXPECT_EQ(1u, pull.stats().unsettled_drops);
    again.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(1u, push.stats().nacked);
}

TEST_F(PeerLifetime, EverythingMayOutliveItsPeer) {
    std::optional<Push> push(producer->push("jobs"));
    std::optional<Pull> pull(worker->pull("jobs"));
    std::optional<Receipt> receipt(push->post({.body = "first"}));
    push->post({.body = "second"});
    Delivery first = next(*pull);
    Delivery second = next(*pull);
    const Settlement accepted = first.ack();
    EXPECT_EQ(SettlementState::accepted, accepted.wait(kLong));
    producer.reset();
    const Settlement unanswered = second.ack();
    worker.reset();
    EXPECT_FALSE(pull->receive(1s));
    push.reset();
    pull.reset();
    EXPECT_TRUE(receipt->wait(Until::acked, 1s));
    EXPECT_NE("", receipt->id());
    EXPECT_EQ(SettlementState::accepted, accepted.wait(1s));
    EXPECT_NE(SettlementState::accepted, unanswered.wait(1s));
    EXPECT_EQ("second", second.text());
    EXPECT_EQ("jobs", second.queue());
    EXPECT_NE("", second.id());
}

TEST_F(PeerLifetime, WaitingEndsWithThePeer) {
    for (int round = 0; round < 20; ++round) {
        producer.emplace(PeerOptions{.close_timeout = 0ns});
        worker.emplace(PeerOptions{.close_timeout = 0ns});
        worker->connect(producer->bind("tcp://127.0.0.1:*"));
        std::optional<Push> push(producer->push("jobs"));
        std::optional<Pull> pull(worker->pull("jobs"));
        push->post({.body = "first"});
        const Receipt receipt = push->post({.body = "second"});
        Delivery first = next(*pull);
        std::atomic<int> waiting{0};
        std::jthread on_receipt([&] {
            ++waiting;
            EXPECT_EQ(ErrorCode::closed, code_of([&] { (void)receipt.wait(Until::acked); }));
        });
        // Its thread drives the peer that ends around it.
        std::jthread on_settlement([&, settlement = first.ack()] {
            ++waiting;
            (void)settlement.wait(kLong);
            while (settlement.wait(0ns) == SettlementState::pending) {
            }
        });
        ASSERT_TRUE(eventually([&] { return waiting == 2; }));
        push.reset();
        producer.reset();
        pull.reset();
        worker.reset();
    }
}

TEST_F(PeerLifetime, AnUnsettledDeliveryMayOutliveItsPeer) {
    Push push = producer->push("jobs");
    std::optional<Pull> pull(worker->pull("jobs"));
    push.post({.body = "x"});
    std::optional<Delivery> held(next(*pull));
    pull.reset();
    worker.reset();
    EXPECT_EQ("x", held->take().body);
    EXPECT_EQ(ErrorCode::closed, code_of([&] { held->nack(); }));
    held.reset();
    Peer other;
    other.connect(endpoint);
    Pull other_pull = other.pull("jobs");
    Delivery again = next(other_pull);
    EXPECT_TRUE(again.redelivered());
    again.ack();
}

TEST_F(PeerLifetime, SettlingTwiceIsAnError) {
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs");
    push.post({.body = "x", .id = "my-id"});
    Delivery delivery = next(pull);
    delivery.ack();
    EXPECT_TRUE(delivery.settled());
    EXPECT_EQ(ErrorCode::invalid_state, code_of([&] { delivery.nack(); }));
    EXPECT_EQ(ErrorCode::invalid_argument, code_of([&] {
                  push.post({.body = "y"});
                  Delivery second = next(pull);
                  const Settlement released = second.release();
                  Delivery third = next(pull);
                  third.nack(-1ns);
              }));
}

TEST_F(PeerLifetime, MovedObjectsGoOnAndMovedFromOnesLetGo) {
    Push first = producer->push("jobs");
    Push push = std::move(first);
    Pull other = worker->pull("other");
    Pull pull = worker->pull("jobs");
    other = std::move(pull);
    push.post({.body = "x"});
    Delivery delivery = next(other);
    Delivery moved = std::move(delivery);
    EXPECT_TRUE(delivery.settled());  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ("x", moved.text());
    moved.ack();
    // The queue whose Pull was assigned over is free again.
    Pull again = worker->pull("other");
    Peer peer = std::move(*worker);
    push.post({.body = "y"});
    EXPECT_EQ("y", next(other).take().body);
    std::optional<Peer> replaced(std::in_place);
    *replaced = std::move(peer);
    push.post({.body = "z"});
    Delivery last = next(other);
    last.ack();
    Receipt receipt;
    EXPECT_FALSE(receipt.done());
    EXPECT_EQ(ErrorCode::invalid_state, code_of([&] { (void)receipt.wait(); }));
    EXPECT_EQ(SettlementState::unknown, Settlement().state());
}

TEST_F(PeerLifetime, DestructorsEndWithNobodyThere) {
    const auto start = Clock::now();
    {
        Peer peer({.close_timeout = 50ms});
        peer.connect("tcp://127.0.0.1:1");
        Push push = peer.push("jobs");
        push.post({.body = "x"});
        Pull pull = peer.pull("other");
    }
    EXPECT_LT(Clock::now() - start, 5s);
}

class PeerStop : public PeerPair {};

TEST_F(PeerStop, EndsReceiveIterationAndRun) {
    for (int kind = 0; kind < 3; ++kind) {
        Pull pull = worker->pull("jobs");
        std::atomic<bool> ended{false};
        std::jthread waiting([&] {
            if (kind == 0) (void)pull.receive();
            if (kind == 1) {
                for (Delivery& delivery : pull) delivery.ack();
            }
            if (kind == 2) pull.run([](Delivery&) {}, {.concurrency = 3});
            ended = true;
        });
        pull.stop();
        EXPECT_TRUE(eventually([&] { return ended.load(); }));
        EXPECT_TRUE(pull.stopped());
    }
}

TEST_F(PeerStop, GivesBackWhatNobodyHasReceived) {
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs");
    for (int i = 0; i < 10; ++i) push.post({.body = std::to_string(i)});
    Delivery held = next(pull);
    ASSERT_TRUE(eventually([&] { return pull.stats().ready == 9; }));
    pull.stop();
    EXPECT_TRUE(eventually([&] { return push.stats().in_flight == 1; }));
    EXPECT_EQ(SettlementState::accepted, held.ack().wait(kLong));
    Peer other;
    other.connect(endpoint);
    Pull other_pull = other.pull("jobs");
    for (int i = 1; i < 10; ++i) {
        Delivery delivery = next(other_pull);
        EXPECT_EQ(std::to_string(i), delivery.text());
        EXPECT_EQ(1u, delivery.attempt());
        delivery.ack();
    }
}

}  // namespace
}  // namespace peermq::test
