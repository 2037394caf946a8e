#pragma once

/// Networks on real sockets, for tests: what they report is recorded, and a test goes on as soon as
/// what it waits for has been reported.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "net/network.hpp"
#include "support/temporary_directory.hpp"

namespace peermq::net::testing {

using namespace std::chrono_literals;
using test::TemporaryDirectory;

struct Opened {
    ChannelId channel = 0;
    TargetId target = 0;
    std::string remote;
};
struct Lost {
    ChannelId channel = 0;
    LossReason reason{};
    std::string text;
};
struct Failed {
    TargetId target = 0;
    LossReason reason{};
    std::string text;
};
struct Frame {
    ChannelId channel = 0;
    Received received;
    [[nodiscard]] std::string head() const { return std::string(base::as_text(received.head)); }
    [[nodiscard]] std::string records() const {
        return std::string(base::as_text(received.records));
    }
};

/// One Network, and all that it has reported.
class Node : public TransportEvents {
public:
    explicit Node(NetworkOptions options = {}) {
        if (options.reconnect_wait_min == base::Duration{}) options.reconnect_wait_min = 10ms;
        if (options.reconnect_wait_max == base::Duration{}) options.reconnect_wait_max = 50ms;
        network = std::make_unique<Network>(options, clock, random);
    }

    std::string bind(const std::string& endpoint) {
        return network->bind(Endpoint::parse(endpoint, true));
    }
    TargetId connect(const std::string& endpoint) {
        return network->connect(Endpoint::parse(endpoint, false));
    }
    /// Until something may be received, `deadline`, the next thing that is due, or wake().
    void wait(base::Time deadline) {
        if (network->anything_ready()) return;
        network->wait_unowned(std::min(deadline, network->next_deadline()));
    }
    SendResult send(ChannelId channel, std::string_view text) {
        return network->send(channel, base::as_bytes(text));
    }

    void opened(ChannelId channel, TargetId target, std::string_view remote) override {
        opens.push_back({channel, target, std::string(remote)});
        order += 'o';
    }
    void received(ChannelId channel, Received frame) override {
        frames.push_back({channel, std::move(frame)});
        order += 'f';
        if (on_frame) on_frame(frames.back());
    }
    void lost(ChannelId channel, LossReason reason, std::string_view text) override {
        losses.push_back({channel, reason, std::string(text)});
        order += 'l';
    }
    void attempt_failed(TargetId target, LossReason reason, std::string_view text) override {
        failures.push_back({target, reason, std::string(text)});
    }
    void process_ended(std::uint64_t watch) override { ended.push_back(watch); }

    base::SystemClock clock;
    base::SystemRandom random;
    std::unique_ptr<Network> network;
    std::vector<Opened> opens;
    std::vector<Frame> frames;
    std::vector<Lost> losses;
    std::vector<Failed> failures;
    std::vector<std::uint64_t> ended;
    std::string order;  ///< o, f, l as they came
    std::function<void(const Frame&)> on_frame;
};

/// Lets the nodes work until `done`, false after `limit`. One thread serves all of them, so each
/// waits only briefly when there are several.
inline bool run(std::vector<Node*> nodes, const std::function<bool()>& done,
                base::Duration limit = 10s) {
    base::SystemClock clock;
    const base::Time deadline = clock.now() + limit;
    while (!done()) {
        if (clock.now() >= deadline) return false;
        for (Node* node : nodes) {
            if (!node->network) continue;
            const base::Duration nap = nodes.size() == 1 ? base::Duration(50ms)
                                                         : base::Duration(1ms);
            node->wait(clock.now() + nap);
            node->network->receive(*node, 1000);
            node->network->tick();
        }
    }
    return true;
}

/// Two nodes with a channel between them, over the transport that `endpoint` names.
struct Pair {
    explicit Pair(const std::string& endpoint, NetworkOptions options = {})
        : server(std::make_unique<Node>(options)), client(std::make_unique<Node>(options)) {
        bound = server->bind(endpoint);
        target = client->connect(bound);
        EXPECT_TRUE(run([this] { return !client->opens.empty(); }));
        if (client->opens.empty()) return;
        up = client->opens.front().channel;
        EXPECT_EQ(SendResult::sent, client->send(up, "hello"));
        EXPECT_TRUE(run([this] { return !server->frames.empty(); }));
        if (server->frames.empty()) return;
        down = server->frames.front().channel;
        server->frames.clear();
    }
    bool run(const std::function<bool()>& done, base::Duration limit = 10s) {
        std::vector<Node*> nodes;
        if (server) nodes.push_back(server.get());
        if (client) nodes.push_back(client.get());
        return testing::run(nodes, done, limit);
    }

    std::unique_ptr<Node> server;
    std::unique_ptr<Node> client;
    std::string bound;
    TargetId target = 0;
    ChannelId up = 0;    ///< the client's channel
    ChannelId down = 0;  ///< the server's channel
};

}  // namespace peermq::net::testing
