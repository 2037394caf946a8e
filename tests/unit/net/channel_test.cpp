/// What holds for a channel over every transport.

#include <numeric>

#include "fixture.hpp"

namespace peermq::net::testing {
namespace {

class Channel : public ::testing::TestWithParam<const char*> {
protected:
    std::string endpoint() {
        const std::string kind = GetParam();
        if (kind == "tcp") return "tcp://127.0.0.1:*";
        if (kind == "tcp6") return "tcp://[::1]:*";
        if (kind == "ipc") return "ipc://" + (directory_ / "socket");
        if (kind == "abstract")
            return "ipc://@peermq-test-" +
                   directory_.path().substr(directory_.path().rfind('-') + 1);
        return "inproc://" + (directory_ / "name");
    }

private:
    TemporaryDirectory directory_;
};

TEST_P(Channel, CarriesFramesBothWays) {
    Pair pair(endpoint());
    EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, "question"));
    ASSERT_TRUE(pair.run([&] { return pair.server->frames.size() == 1; }));
    EXPECT_EQ("question", pair.server->frames[0].head());
    EXPECT_FALSE(pair.server->frames[0].received.two_parts);
    EXPECT_EQ(SendResult::sent, pair.server->send(pair.down, "answer"));
    ASSERT_TRUE(pair.run([&] { return pair.client->frames.size() == 1; }));
    EXPECT_EQ("answer", pair.client->frames[0].head());
    EXPECT_EQ(pair.up, pair.client->frames[0].channel);
}

TEST_P(Channel, OpensOnBothSidesBeforeTheFirstFrame) {
    Pair pair(endpoint());
    ASSERT_EQ(1u, pair.client->opens.size());
    EXPECT_EQ(pair.target, pair.client->opens[0].target);
    EXPECT_EQ(pair.bound, pair.client->opens[0].remote);
    ASSERT_EQ(1u, pair.server->opens.size());
    EXPECT_EQ(0u, pair.server->opens[0].target);
    EXPECT_EQ(pair.down, pair.server->opens[0].channel);
    EXPECT_FALSE(pair.server->opens[0].remote.empty());
    EXPECT_EQ("of", pair.server->order);
}

TEST_P(Channel, KeepsTheOrderOfManyFrames) {
    Pair pair(endpoint());
    int sent = 0;
    ASSERT_TRUE(pair.run([&] {
        while (sent < 1000) {
            const auto result = pair.client->send(pair.up, std::to_string(sent));
            if (result != SendResult::sent) break;
            ++sent;
        }
        return pair.server->frames.size() == 1000;
    }));
    for (std::size_t index = 0; index < 1000; ++index) {
        ASSERT_EQ(std::to_string(index), pair.server->frames[index].head());
    }
}

TEST_P(Channel, CopiesSmallRecordsBehindTheHead) {
    Pair pair(endpoint());
    const auto records = std::make_shared<std::string>("records");
    EXPECT_EQ(SendResult::sent, pair.server->network->send(pair.down, base::as_bytes("head-"),
                                                           base::as_bytes(*records), records));
    EXPECT_EQ(1, records.use_count());
    ASSERT_TRUE(pair.run([&] { return pair.client->frames.size() == 1; }));
    EXPECT_FALSE(pair.client->frames[0].received.two_parts);
    EXPECT_EQ("head-records", pair.client->frames[0].head());
}

TEST_P(Channel, SendsLargeRecordsAsASecondPartAndLetsGoOfThem) {
    Pair pair(endpoint());
    auto records = std::make_shared<std::string>(100'000, 'r');
    const std::weak_ptr<std::string> alive = records;
    const std::string expected = *records;
    for (Node* from : {pair.client.get(), pair.server.get()}) {
        const ChannelId channel = from == pair.client.get() ? pair.up : pair.down;
        EXPECT_EQ(SendResult::sent, from->network->send(channel, base::as_bytes("head"),
                                                        base::as_bytes(*records), records));
    }
    records.reset();
    ASSERT_TRUE(pair.run(
        [&] { return pair.server->frames.size() == 1 && pair.client->frames.size() == 1; }));
    for (const Node* node : {pair.client.get(), pair.server.get()}) {
        EXPECT_TRUE(node->frames[0].received.two_parts);
        EXPECT_EQ("head", node->frames[0].head());
        EXPECT_EQ(expected, node->frames[0].records());
    }
    pair.client->frames.clear();
    pair.server->frames.clear();
    EXPECT_TRUE(pair.run([&] { return alive.expired(); }));
}

TEST_P(Channel, FrameOutlivesItsNetworkThroughThePin) {
    Pair pair(endpoint());
    const std::string text(5000, 'x');
    EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, text));
    ASSERT_TRUE(pair.run([&] { return pair.server->frames.size() == 1; }));
    pair.client.reset();
    pair.server->network.reset();
    EXPECT_EQ(text, pair.server->frames[0].head());
}

TEST_P(Channel, LimitsFramesPerReceive) {
    Pair pair(endpoint());
    for (int index = 0; index < 10; ++index) {
        EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, "frame"));
    }
    std::size_t most = 0;
    base::SystemClock clock;
    const base::Time deadline = clock.now() + 10s;
    while (pair.server->frames.size() < 10 && clock.now() < deadline) {
        pair.server->wait(clock.now() + 10ms);
        most = std::max(most, pair.server->network->receive(*pair.server, 3));
    }
    EXPECT_EQ(10u, pair.server->frames.size());
    EXPECT_LE(most, 3u);
}

TEST_P(Channel, IsLostWhenTheOtherNetworkIsDestroyed) {
    for (const bool end_server : {true, false}) {
        Pair pair(endpoint());
        (end_server ? pair.server : pair.client).reset();
        Node& left = end_server ? *pair.client : *pair.server;
        ASSERT_TRUE(pair.run([&] { return !left.losses.empty(); }, 2s));
        EXPECT_EQ(end_server ? pair.up : pair.down, left.losses[0].channel);
        EXPECT_EQ(LossReason::disconnected, left.losses[0].reason);
        EXPECT_EQ(SendResult::gone, left.send(left.losses[0].channel, "late"));
    }
}

TEST_P(Channel, DeliversLastWordsBeforeTheClose) {
    for (const bool server_closes : {true, false}) {
        Pair pair(endpoint());
        Node& closing = server_closes ? *pair.server : *pair.client;
        Node& other = server_closes ? *pair.client : *pair.server;
        const ChannelId channel = server_closes ? pair.down : pair.up;
        other.order.clear();
        EXPECT_EQ(SendResult::sent, closing.send(channel, "bye"));
        closing.network->close(channel);
        EXPECT_EQ(SendResult::gone, closing.send(channel, "late"));
        ASSERT_TRUE(pair.run([&] { return !other.losses.empty(); }, 2s));
        EXPECT_EQ("fl", other.order.substr(0, 2));
        EXPECT_EQ("bye", other.frames.back().head());
        EXPECT_TRUE(closing.losses.empty());
    }
}

TEST_P(Channel, ConnectsAgainAfterALoss) {
    Pair pair(endpoint());
    pair.server->network->close(pair.down);
    ASSERT_TRUE(pair.run([&] { return pair.client->opens.size() == 2; }));
    EXPECT_NE(pair.up, pair.client->opens[1].channel);
    EXPECT_EQ(pair.target, pair.client->opens[1].target);
    EXPECT_EQ(SendResult::sent, pair.client->send(pair.client->opens[1].channel, "again"));
    EXPECT_TRUE(pair.run([&] { return !pair.server->frames.empty(); }));
}

TEST_P(Channel, ReportsRefusalOnceTheListenerIsGone) {
    Pair pair(endpoint());
    pair.server.reset();
    ASSERT_TRUE(pair.run([&] { return !pair.client->failures.empty(); }));
    EXPECT_EQ(LossReason::refused, pair.client->failures[0].reason);
    EXPECT_EQ(pair.target, pair.client->failures[0].target);
    EXPECT_NE(std::string::npos, pair.client->failures[0].text.find(pair.bound));
}

TEST_P(Channel, IsReportedClosedByDisconnect) {
    Pair pair(endpoint());
    pair.client->network->disconnect(pair.target);
    ASSERT_TRUE(
        pair.run([&] { return !pair.client->losses.empty() && !pair.server->losses.empty(); }));
    EXPECT_EQ(LossReason::closed, pair.client->losses[0].reason);
    EXPECT_EQ(base::kNever, pair.client->network->next_deadline());
}

TEST_P(Channel, CutsOffFramesAboveTheLimit) {
    NetworkOptions options;
    options.frame_bytes_max = 1000;
    Pair pair(endpoint(), options);
    EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, std::string(1000, 'x')));
    ASSERT_TRUE(pair.run([&] { return pair.server->frames.size() == 1; }));
    EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, std::string(1001, 'x')));
    ASSERT_TRUE(
        pair.run([&] { return !pair.server->losses.empty() && !pair.client->losses.empty(); }));
    EXPECT_EQ(LossReason::oversized, pair.server->losses[0].reason);
    EXPECT_EQ(1u, pair.server->frames.size());
}

TEST_P(Channel, SaysFullInsteadOfDroppingAndGoesOnWhenThereIsRoom) {
    Pair pair(endpoint());
    const std::string text(1000, 'x');
    std::size_t sent = 0;
    SendResult result = SendResult::sent;
    while (sent < 200'000 && (result = pair.client->send(pair.up, text)) == SendResult::sent)
        ++sent;
    ASSERT_EQ(SendResult::full, result);
    ASSERT_TRUE(pair.run([&] { return pair.server->frames.size() == sent; }));
    EXPECT_TRUE(pair.run([&] { return pair.client->send(pair.up, "more") == SendResult::sent; }));
    EXPECT_TRUE(pair.run([&] { return pair.server->frames.size() == sent + 1; }));
}

TEST_P(Channel, MayBeClosedFromWithinTheFrameCallback) {
    Pair pair(endpoint());
    pair.server->on_frame = [&](const Frame& frame) { pair.server->network->close(frame.channel); };
    EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, "one"));
    EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, "two"));
    ASSERT_TRUE(pair.run([&] { return !pair.client->losses.empty(); }));
    EXPECT_EQ(1u, pair.server->frames.size());
}

TEST_P(Channel, DestroyingWithPendingFramesDoesNotHang) {
    Pair pair(endpoint());
    while (pair.client->send(pair.up, std::string(10'000, 'x')) == SendResult::sent) {
    }
    base::SystemClock clock;
    const base::Time before = clock.now();
    pair.client->network->shut_down(before + 200ms);
    pair.client.reset();
    EXPECT_LT(clock.now() - before, 2s);
}

TEST_P(Channel, ShutDownSendsWhatWasGivenToSend) {
    Pair pair(endpoint());
    for (int index = 0; index < 100; ++index) {
        EXPECT_EQ(SendResult::sent, pair.client->send(pair.up, std::string(10'000, 'x')));
    }
    pair.client->network->shut_down(pair.client->clock.now() + 5s);
    pair.client.reset();
    EXPECT_TRUE(pair.run([&] { return pair.server->frames.size() == 100; }));
}

INSTANTIATE_TEST_SUITE_P(Over, Channel,
                         ::testing::Values("tcp", "tcp6", "ipc", "abstract", "inproc"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace peermq::net::testing
