/// Links that come late, break and come back; many peers, many queues.

#include <algorithm>
#include <set>
#include <thread>

#include "contract/fixture.hpp"
#include "support/tcp_proxy.hpp"

namespace peermq::test {
namespace {

class Linking : public ::testing::TestWithParam<Arrangement> {
protected:
    World world{GetParam()};
};

TEST_P(Linking, ConnectComesBeforeBind) {
    std::string endpoint = world.fresh_endpoint();
    if (endpoint.ends_with(":*")) {
        // A port that was free a moment ago.
        Peer finder;
        endpoint = finder.bind(endpoint);
    }
    EventLog events;
    Peer worker({.on_event = events.callback()});
    worker.connect(endpoint);
    Pull pull = worker.pull("jobs");
    EXPECT_FALSE(pull.receive(30ms));
    Push push = world.push();
    push.send({.body = "x"});
    world.producer().bind(endpoint);
    EXPECT_EQ("x", drain(pull, 1).front());
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_TRUE(events.wait(EventKind::peer_up));
}

TEST_P(Linking, PullComesBeforePush) {
    Pull pull = world.worker().pull("jobs");
    EXPECT_TRUE(eventually([&] { return links_up(world.producer()) == 1; }));
    Push push = world.push();
    push.send({.body = "x"});
    EXPECT_EQ("x", drain(pull, 1).front());
}

TEST_P(Linking, PushComesBeforePull) {
    Push push = world.push();
    post_numbers(push, 100);
    Pull pull = world.worker().pull("jobs");
    EXPECT_EQ(numbers(100), drain(pull, 100));
}

TEST_P(Linking, OneLinkCarriesSeveralQueuesBothWays) {
    Peer& producer = world.producer();
    Push first = world.push("first");
    Push second = world.push("second");
    Peer& worker = world.worker();
    Pull second_pull = worker.pull("second");
    Pull first_pull = worker.pull("first");
    Push answers = worker.push("answers");
    Pull answers_pull = producer.pull("answers");
    post_numbers(first, 50, 0);
    post_numbers(second, 50, 1000);
    post_numbers(answers, 50, 2000);
    EXPECT_EQ(numbers(50, 1000), drain(second_pull, 50));
    EXPECT_EQ(numbers(50, 0), drain(first_pull, 50));
    EXPECT_EQ(numbers(50, 2000), drain(answers_pull, 50));
    EXPECT_EQ(1u, links_up(producer));
}

TEST_P(Linking, OneWorkerServesManyProducers) {
    constexpr std::size_t kProducers = 4;
    Peer worker;
    std::vector<Peer> producers(kProducers);
    std::vector<Push> pushes;
    const std::string endpoint = worker.bind(world.fresh_endpoint());
    Pull pull = worker.pull("jobs", {.prefetch = 8});
    for (std::size_t i = 0; i < kProducers; ++i) {
        producers[i].connect(endpoint);
        pushes.push_back(producers[i].push("jobs"));
        post_numbers(pushes.back(), 100, i * 1000);
    }
    std::multiset<std::string> expected;
    for (std::size_t i = 0; i < kProducers; ++i) {
        for (const std::string& number : numbers(100, i * 1000)) expected.insert(number);
    }
    const std::vector<std::string> got = drain(pull, kProducers * 100);
    EXPECT_EQ(expected, std::multiset<std::string>(got.begin(), got.end()));
    EXPECT_EQ(kProducers, pull.stats().producers);
    for (Push& push : pushes) EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(Linking, AnIdleWorkerGetsWhatAStalledOneHasNotStarted) {
    Push push = world.push();
    Pull stalled = world.worker().pull("jobs", {.prefetch = 1000});
    post_numbers(push, 200);
    Delivery stuck = next(stalled);
    ASSERT_TRUE(eventually([&] { return push.stats().in_flight == 200; }));
    Pull idle = world.worker().pull("jobs", {.prefetch = 10});
    const std::vector<std::string> got = drain(idle, 199);
    EXPECT_EQ(199u, std::set<std::string>(got.begin(), got.end()).size());
    EXPECT_GT(stalled.stats().recalled, 0u);
    stuck.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(0u, push.stats().nacked);
}

TEST_P(Linking, ASingleActiveConsumerIsFollowedByTheStandby) {
    Push push = world.push("jobs", {.max_consumers = 1});
    Peer first_peer;
    world.link(first_peer);
    Pull first = first_peer.pull("jobs", {.prefetch = 1});
    ASSERT_TRUE(eventually([&] { return push.stats().consumers == 1; }));
    Pull second = world.worker().pull("jobs", {.prefetch = 1});
    ASSERT_TRUE(eventually([&] { return push.stats().standby == 1; }));
    post_numbers(push, 10);
    EXPECT_EQ(numbers(5), drain(first, 5));
    EXPECT_EQ(0u, second.stats().received);
    EXPECT_TRUE(first_peer.close(kLong));
    EXPECT_EQ(numbers(5, 5), drain(second, 5));
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(0u, push.stats().standby);
}

TEST_P(Linking, ASecondProducerIsRefusedUntilTheFirstHasGone) {
    EventLog events;
    Peer worker({.on_event = events.callback()});
    const std::string endpoint = worker.bind(world.fresh_endpoint());
    Pull pull = worker.pull("jobs", {.single_producer = true});
    std::optional<Peer> first(std::in_place);
    first->connect(endpoint);
    Push first_push = first->push("jobs");
    first_push.post({.body = "first"});
    EXPECT_EQ("first", drain(pull, 1).front());

    Peer second;
    second.connect(endpoint);
    Push second_push = second.push("jobs");
    second_push.post({.body = "second"});
    EXPECT_TRUE(events.wait(EventKind::peer_rejected, "single_producer")) << events.text();
    first_push.post({.body = "more"});
    EXPECT_EQ("more", drain(pull, 1).front());
    EXPECT_EQ(1u, pull.stats().producers);
    EXPECT_EQ(1u, second_push.stats().depth);

    EXPECT_TRUE(first_push.flush(Until::acked, kLong));
    first.reset();
    EXPECT_EQ("second", drain(pull, 1).front());
}

TEST_P(Linking, APullCanBeReplacedByANewOne) {
    Push push = world.push();
    Peer& worker = world.worker();
    for (int round = 0; round < 5; ++round) {
        Pull pull = worker.pull("jobs");
        push.post({.body = std::to_string(round)});
        EXPECT_EQ(std::to_string(round), drain(pull, 1).front());
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_TRUE(eventually([&] { return push.stats().consumers == 0; }));
}

TEST_P(Linking, ADeliveryOutlivesItsPullWhileANewPullGoesOn) {
    Push push = world.push();
    Peer& worker = world.worker();
    std::optional<Pull> old(worker.pull("jobs"));
    post_numbers(push, 10);
    Delivery held = next(*old);
    old.reset();
    Pull pull = worker.pull("jobs");
    EXPECT_EQ(numbers(9, 1), drain(pull, 9));
    EXPECT_EQ(SettlementState::accepted, held.ack().wait(kLong));
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

INSTANTIATE_TEST_SUITE_P(Over, Linking, ::testing::ValuesIn(all_setups()), setup_name);

TEST(BrokenLink, ResumesWithoutLossOrDuplicate) {
    World world(Arrangement{Wire::tcp, Durability::memory, true});
    Push push = world.push();
    TcpProxy proxy(world.producer().bind("tcp://127.0.0.1:*"));
    Peer worker;
    worker.connect(proxy.endpoint());
    Pull pull = worker.pull("jobs", {.prefetch = 50});
    post_numbers(push, 300);
    std::vector<std::string> got;
    bool redelivered = false;
    while (got.size() < 300) {
        Delivery delivery = next(pull);
        got.emplace_back(delivery.text());
        redelivered |= delivery.redelivered();
        delivery.ack();
        if (got.size() % 60 == 0) proxy.cut();
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(300u, std::set<std::string>(got.begin(), got.end()).size());
    EXPECT_EQ(300u, pull.stats().received);
    EXPECT_EQ(300u, push.stats().acked);
    EXPECT_EQ(0u, push.stats().nacked);
}

TEST(BrokenLink, KeepsWhatIsInAHandler) {
    World world(Arrangement{Wire::tcp, Durability::memory, true});
    Push push = world.push();
    TcpProxy proxy(world.producer().bind("tcp://127.0.0.1:*"));
    Peer worker;
    worker.connect(proxy.endpoint());
    Pull pull = worker.pull("jobs");
    push.send({.body = "x"});
    Delivery delivery = next(pull);
    proxy.cut();
    EXPECT_EQ(SettlementState::accepted, delivery.ack().wait(kLong));
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(0u, push.stats().redelivered);
}

TEST(BrokenLink, ThatFallsSilentIsSuspectedAndReplaced) {
    World world(Arrangement{Wire::tcp, Durability::memory, true});
    Push push = world.push();
    TcpProxy proxy(world.producer().bind("tcp://127.0.0.1:*"));
    Peer worker;
    worker.connect(proxy.endpoint());
    Pull pull = worker.pull("jobs");
    push.post({.body = "before"});
    EXPECT_EQ("before", drain(pull, 1).front());
    ASSERT_TRUE(push.flush(Until::acked, kLong));
    proxy.stall(true);
    push.post({.body = "after"});
    EXPECT_TRUE(world.events.wait(EventKind::link_suspect)) << world.events.text();
    EXPECT_TRUE(world.events.wait(EventKind::peer_down)) << world.events.text();
    proxy.stall(false);
    EXPECT_EQ("after", drain(pull, 1).front());
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

class Restart : public ::testing::TestWithParam<Durability> {};

TEST_P(Restart, OfAWorkerOnTheSamePortLosesNothing) {
    World world(Arrangement{Wire::tcp, GetParam(), false});
    Push push = world.push();
    std::optional<Peer> worker(std::in_place);
    const std::string endpoint = worker->bind("tcp://127.0.0.1:*");
    world.producer().connect(endpoint);
    std::optional<Pull> pull(worker->pull("jobs", {.prefetch = 20}));
    post_numbers(push, 100);
    std::set<std::string> acked;
    for (const std::string& body : drain(*pull, 30)) acked.insert(body);
    std::vector<Delivery> unsettled;
    for (int i = 0; i < 5; ++i) unsettled.push_back(next(*pull));
    std::set<std::string> started;
    for (const Delivery& delivery : unsettled) started.insert(std::string(delivery.text()));
    worker->close(50ms);
    unsettled.clear();
    pull.reset();
    worker.emplace();
    worker->bind(endpoint);
    Pull again = worker->pull("jobs");
    while (acked.size() < 100) {
        Delivery delivery = next(again);
        const std::string body(delivery.text());
        EXPECT_TRUE(delivery.redelivered() || !started.contains(body)) << body;
        acked.insert(body);
        delivery.ack();
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(0u, push.stats().depth);
}

INSTANTIATE_TEST_SUITE_P(With, Restart,
                         ::testing::Values(Durability::memory, Durability::os, Durability::disk),
                         level_name);

}  // namespace
}  // namespace peermq::test
