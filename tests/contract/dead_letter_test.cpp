/// Every message can become a dead letter, stays one until it is settled, and can be sent again.

#include "contract/fixture.hpp"

namespace peermq::test {
namespace {

constexpr std::uint64_t kSmallLimit = 200'000;

class DeadLetters : public ::testing::TestWithParam<Arrangement> {
protected:
    /// Posts to "jobs" of the producer and rejects it there.
    void bury(Push& push, Pull& pull, const Message& message, std::string_view reason) {
        push.post(message);
        ASSERT_EQ(SettlementState::accepted, next(pull).reject(reason).wait(kLong));
        ASSERT_TRUE(push.flush(Until::acked, kLong));
    }
    World world{GetParam()};
};

TEST_P(DeadLetters, AMessageFullOfHeadersBecomesOne) {
    Push push = world.push();
    Peer& worker = world.worker();
    Pull pull = worker.pull("jobs");
    const std::string big(65'500, 'h');
    bury(push, pull, {.body = "x", .headers = {{"big", big}, {"tenant", "a"}}}, "bad");
    Pull dead = worker.pull("jobs.dead");
    Delivery letter = next(dead);
    EXPECT_EQ("x", letter.text());
    EXPECT_EQ("a", letter.header("tenant"));
    EXPECT_EQ("bad", letter.header("peermq-dead-error"));
    EXPECT_EQ("1 header(s)", letter.header("peermq-dead-cut"));
    EXPECT_FALSE(letter.header("big"));
    letter.ack();
}

TEST_P(DeadLetters, FailuresDoNotEndThem) {
    Push push = world.push();
    Peer& worker = world.worker();
    Pull pull = worker.pull("jobs");
    bury(push, pull, {.body = "x"}, "bad");
    Pull dead = worker.pull("jobs.dead");
    for (std::uint32_t attempt = 1; attempt <= 15; ++attempt) {
        Delivery letter = next(dead);
        EXPECT_EQ(attempt, letter.attempt());
        EXPECT_EQ(SettlementState::accepted, letter.nack(0ns, "not now").wait(kLong));
    }
    EXPECT_EQ("x", drain(dead, 1).front());
    EXPECT_EQ(0u, world.events.count(EventKind::dropped)) << world.events.text();
}

TEST_P(DeadLetters, ARejectDiscardsThemAndIsReported) {
    Push push = world.push();
    Peer& worker = world.worker();
    Pull pull = worker.pull("jobs");
    bury(push, pull, {.body = "first"}, "bad");
    Pull dead = worker.pull("jobs.dead");
    EXPECT_EQ(SettlementState::accepted, next(dead).reject("of no use").wait(kLong));
    const auto event = world.events.wait(EventKind::dropped, "of no use");
    ASSERT_TRUE(event) << world.events.text();
    EXPECT_EQ("jobs.dead", event->queue);
    EXPECT_EQ(1u, event->count);
    bury(push, pull, {.body = "second"}, "bad");
    EXPECT_EQ("second", drain(dead, 1).front());
}

TEST_P(DeadLetters, CanBePostedAgainWithTheHeadersThatTheyHave) {
    Push push = world.push();
    Peer& worker = world.worker();
    Pull pull = worker.pull("jobs");
    bury(push, pull, {.body = "x", .key = "k", .headers = {{"tenant", "a"}}, .id = "order-1"},
         "bad");
    Pull dead = worker.pull("jobs.dead");
    Delivery letter = next(dead);
    const OwnedMessage owned = letter.take();
    EXPECT_EQ(6u, owned.headers.size());
    Message again{.body = owned.body, .key = owned.key, .id = owned.id};
    for (const auto& [name, value] : owned.headers) again.headers.emplace_back(name, value);
    push.send(again);
    letter.ack();

    Delivery redriven = next(pull);
    EXPECT_EQ("x", redriven.text());
    EXPECT_EQ("k", redriven.key());
    EXPECT_EQ("order-1", redriven.id());
    EXPECT_EQ((std::vector<HeaderView>{{"tenant", "a"}}), redriven.headers());
    redriven.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

INSTANTIATE_TEST_SUITE_P(Over, DeadLetters,
                         ::testing::Values(Arrangement{Wire::inproc, Durability::memory, true},
                                           Arrangement{Wire::tcp, Durability::disk, true}),
                         setup_name);

class DeadLetterSize : public ::testing::TestWithParam<Durability> {
protected:
    World world{{Wire::tcp, GetParam(), true}};
};

TEST_P(DeadLetterSize, AMessageOfTheLargestSizeBecomesOneAndIsReceived) {
    PeerOptions options = world.producer_options();
    options.message_bytes_max = kSmallLimit;
    Peer producer(options);
    EventLog events;
    Peer worker({.message_bytes_max = kSmallLimit, .on_event = events.callback()});
    worker.connect(producer.bind("tcp://127.0.0.1:*"));
    Push push = producer.push("jobs", {.durability = GetParam()});
    Pull pull = worker.pull("jobs");
    // The fixed part of a record is 48 bytes, so that this one is exactly as long as allowed.
    const std::string body(kSmallLimit - 48, 'x');
    text_of_error(ErrorCode::too_large, [&] { push.post({.body = body + "more"}); });
    push.post({.body = body});
    EXPECT_EQ(SettlementState::accepted, next(pull).reject(std::string(1024, 'r')).wait(kLong));

    Pull dead = worker.pull("jobs.dead");
    Delivery letter = next(dead);
    EXPECT_EQ(body, letter.text());
    EXPECT_EQ(1024u, letter.header("peermq-dead-error")->size());
    Message again{.body = letter.body(), .headers = letter.headers()};
    push.send(again);
    letter.ack();
    EXPECT_EQ(body, drain(pull, 1).front());
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(0u, events.count(EventKind::peer_rejected)) << events.text();
}

INSTANTIATE_TEST_SUITE_P(At, DeadLetterSize,
                         ::testing::Values(Durability::memory, Durability::disk), level_name);

}  // namespace
}  // namespace peermq::test
