/// Attempts, refusals, waking and shutting down.

#include <thread>

#include "fixture.hpp"
#include "peermq/error.hpp"
#include "support/raw_socket.hpp"

namespace peermq::net::testing {
namespace {

using test::RawListener;

TEST(Connect, ReportsRefusalOnTheVeryFirstAttempt) {
    TemporaryDirectory directory;
    std::uint16_t port = 0;
    { port = RawListener().port(); }
    for (const std::string& endpoint :
         {"tcp://127.0.0.1:" + std::to_string(port), "ipc://" + (directory / "missing"),
          "inproc://" + (directory / "missing")}) {
        Node node;
        const TargetId target = node.connect(endpoint);
        ASSERT_TRUE(run({&node}, [&] { return !node.failures.empty(); })) << endpoint;
        EXPECT_EQ(target, node.failures[0].target);
        EXPECT_EQ(LossReason::refused, node.failures[0].reason) << node.failures[0].text;
        EXPECT_NE(std::string::npos, node.failures[0].text.find(endpoint));
    }
}

TEST(Connect, SucceedsOnceSomebodyListens) {
    TemporaryDirectory directory;
    for (const std::string& endpoint :
         {"ipc://" + (directory / "late"), "inproc://" + (directory / "late")}) {
        Node client;
        client.connect(endpoint);
        ASSERT_TRUE(run({&client}, [&] { return !client.failures.empty(); }));
        Node server;
        server.bind(endpoint);
        EXPECT_TRUE(run({&client, &server}, [&] { return !client.opens.empty(); })) << endpoint;
    }
}

TEST(Connect, DoesNotLetAnInprocTargetWaitOutItsBackOff) {
    NetworkOptions slow;
    slow.reconnect_wait_min = 1h;
    slow.reconnect_wait_max = 1h;
    Node client(slow);
    client.connect("inproc://connect-hurry");
    ASSERT_TRUE(run({&client}, [&] { return !client.failures.empty(); }));
    Node server;
    server.bind("inproc://connect-hurry");
    EXPECT_TRUE(run({&client, &server}, [&] { return !client.opens.empty(); }));
}

TEST(Connect, ResolvesNames) {
    Node server;
    const std::string bound = server.bind("tcp://127.0.0.1:*");
    Node client;
    client.connect("tcp://localhost" + bound.substr(bound.rfind(':')));
    ASSERT_TRUE(run({&client, &server}, [&] { return !client.opens.empty(); }));
    EXPECT_EQ("tcp://localhost" + bound.substr(bound.rfind(':')), client.opens[0].remote);
}

TEST(Connect, ReportsNamesThatCannotBeResolved) {
    Node node;
    const TargetId target = node.connect("tcp://name-that-does-not-exist.invalid:7000");
    ASSERT_TRUE(run(
        {&node}, [&] { return !node.failures.empty(); }, 30s));
    EXPECT_EQ(target, node.failures[0].target);
    EXPECT_EQ(LossReason::disconnected, node.failures[0].reason);
    EXPECT_NE(std::string::npos, node.failures[0].text.find("cannot resolve"));
}

TEST(Connect, DisconnectEndsTheAttempts) {
    Node node;
    const TargetId target = node.connect("inproc://connect-nobody");
    ASSERT_TRUE(run({&node}, [&] { return node.failures.size() >= 2; }));
    node.network->disconnect(target);
    EXPECT_EQ(base::kNever, node.network->next_deadline());
}

TEST(Connect, KeepsTargetsApart) {
    Node server;
    const std::string bound = server.bind("tcp://127.0.0.1:*");
    Node client;
    const TargetId first = client.connect(bound);
    const TargetId second = client.connect(bound);
    ASSERT_TRUE(run({&client, &server}, [&] { return client.opens.size() == 2; }));
    EXPECT_NE(first, second);
    for (const Opened& opened : client.opens) {
        EXPECT_EQ(SendResult::sent, client.send(opened.channel, "hello"));
    }
    ASSERT_TRUE(run({&client, &server}, [&] { return server.frames.size() == 2; }));
    EXPECT_NE(server.frames[0].channel, server.frames[1].channel);
    client.network->disconnect(first);
    ASSERT_TRUE(run({&client, &server}, [&] { return !server.losses.empty(); }));
    EXPECT_EQ(1u, server.losses.size());
}

TEST(Connect, ManyLinksAtOnce) {
    Node server;
    const std::string bound = server.bind("tcp://127.0.0.1:*");
    Node client;
    for (int index = 0; index < 100; ++index) client.connect(bound);
    std::size_t greeted = 0;
    ASSERT_TRUE(run({&client, &server}, [&] {
        for (; greeted < client.opens.size(); ++greeted) {
            EXPECT_EQ(SendResult::sent, client.send(client.opens[greeted].channel, "hello"));
        }
        return server.frames.size() == 100;
    }));
    EXPECT_EQ(100u, server.opens.size());
    client.network.reset();
    EXPECT_TRUE(run({&server}, [&] { return server.losses.size() == 100; }));
}

TEST(Wait, EndsAtItsDeadline) {
    Node node;
    const base::Time start = node.clock.now();
    node.wait(start + 20ms);
    EXPECT_GE(node.clock.now(), start + 20ms);
    EXPECT_LT(node.clock.now(), start + 5s);
}

TEST(Wait, ReturnsForAWakeThatCameBefore) {
    Node node;
    node.network->wake();
    const base::Time start = node.clock.now();
    node.wait(start + 30s);
    EXPECT_LT(node.clock.now(), start + 10s);
}

TEST(Wait, IsEndedFromAnotherThread) {
    Node node;
    for (int round = 0; round < 200; ++round) {
        const base::Time start = node.clock.now();
        std::thread waker([&] { node.network->wake(); });
        node.wait(start + 30s);
        waker.join();
        ASSERT_LT(node.clock.now(), start + 10s);
    }
}

TEST(Wait, ReturnsAtOnceWhileSomethingIsLeftToReceive) {
    Pair pair("tcp://127.0.0.1:*");
    for (int index = 0; index < 10; ++index) {
        EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, "frame"));
    }
    while (pair.server->frames.empty()) {
        pair.server->wait(pair.server->clock.now() + 10s);
        pair.server->network->receive(*pair.server, 1);
    }
    const base::Time start = pair.server->clock.now();
    while (pair.server->frames.size() < 10) {
        pair.server->wait(start + 30s);
        pair.server->network->receive(*pair.server, 1);
    }
    EXPECT_LT(pair.server->clock.now(), start + 10s);
}

TEST(Wait, SeesFramesThatArriveWhileSending) {
    // Sending eats the signal of the socket's descriptor; wait() must not sleep over the answer.
    Pair pair("tcp://127.0.0.1:*");
    std::thread echo([&] {
        Node& server = *pair.server;
        std::size_t answered = 0;
        const base::Time deadline = server.clock.now() + 20s;
        while (answered < 2000 && server.clock.now() < deadline) {
            server.wait(deadline);
            server.network->receive(server, 100);
            for (; answered < server.frames.size(); ++answered) {
                EXPECT_EQ(SendResult::sent, server.send(pair.down, "answer"));
            }
        }
    });
    Node& client = *pair.client;
    const base::Time deadline = client.clock.now() + 20s;
    for (std::size_t round = 0; round < 1000; ++round) {
        EXPECT_EQ(SendResult::sent, client.send(pair.up, "one"));
        EXPECT_EQ(SendResult::sent, client.send(pair.up, "two"));
        while (client.frames.size() < 2 * (round + 1) && client.clock.now() < deadline) {
            client.wait(deadline);
            client.network->receive(client, 100);
        }
    }
    EXPECT_LT(client.clock.now(), deadline);
    echo.join();
}

TEST(Shutdown, MakesEverythingAnswerClosed) {
    Pair pair("tcp://127.0.0.1:*");
    pair.client->network->shut_down(pair.client->clock.now());
    EXPECT_EQ(SendResult::gone, pair.client->send(pair.up, "late"));
    EXPECT_THROW(static_cast<void>(pair.client->connect(pair.bound)), Error);
    EXPECT_THROW(pair.client->bind("tcp://127.0.0.1:*"), Error);
    EXPECT_EQ(0u, pair.client->network->receive(*pair.client, 10));
    pair.client->wait(pair.client->clock.now() + 1ms);
}

TEST(Shutdown, DoesNotWaitForAttempts) {
    RawListener silent;
    Node node;
    const base::Time start = node.clock.now();
    node.connect("tcp://127.0.0.1:" + std::to_string(silent.port()));
    node.connect("tcp://192.0.2.1:7000");  // a documentation address: leads nowhere
    node.connect("tcp://name-that-does-not-exist.invalid:7000");
    node.wait(start + 20ms);
    node.network->receive(node, 1);
    node.network->shut_down(node.clock.now() + 10s);
    node.network.reset();
    EXPECT_LT(node.clock.now(), start + 5s);
}

}  // namespace
}  // namespace peermq::net::testing
