#include "sim/network.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <tuple>

namespace peermq::sim {
namespace {

using namespace std::chrono_literals;
using Kind = NetworkEvent::Kind;

constexpr std::uint32_t kAlways = 1'000'000;

Frame text(std::string_view words) {
    const auto bytes = base::as_bytes(words);
    Frame frame;
    frame.head.assign(bytes.begin(), bytes.end());
    return frame;
}

std::string words(const NetworkEvent& event) {
    return std::string(base::as_text(event.frame.head));
}

class SimNetwork : public ::testing::Test {
protected:
    void SetUp() override {
        server_ = network_.add_host();
        client_ = network_.add_host();
        network_.listen(server_, 1);
    }

    /// Everything that happens until `until`, in order; time goes on.
    std::vector<NetworkEvent> run(Duration span) {
        const Time until = now_ + span;
        std::vector<NetworkEvent> seen;
        Time last = now_;
        while (network_.next_event() <= until) {
            now_ = std::max(now_, network_.next_event());
            EXPECT_GE(now_, last);
            last = now_;
            while (auto event = network_.poll(now_)) seen.push_back(std::move(*event));
        }
        now_ = until;
        return seen;
    }

    /// A living connection: {end of the client, end of the server}.
    std::pair<EndId, EndId> connected() {
        const EndId client = network_.connect(client_, server_, 1, now_);
        const auto seen = run(10s);
        EXPECT_EQ(seen.size(), 2u);
        EXPECT_EQ(seen.at(0).kind, Kind::accepted);
        EXPECT_EQ(seen.at(0).host, server_);
        EXPECT_EQ(seen.at(0).remote, client_);
        EXPECT_EQ(seen.at(1).kind, Kind::connected);
        EXPECT_EQ(seen.at(1).end, client);
        return {client, seen.at(0).end};
    }

    void send(EndId end, std::string_view what) {
        EXPECT_TRUE(network_.send(end, text(what), now_));
    }

    static std::vector<std::string> frames(const std::vector<NetworkEvent>& events) {
        std::vector<std::string> all;
        for (const NetworkEvent& event : events) {
            if (event.kind == Kind::frame) all.push_back(words(event));
        }
        return all;
    }

    static std::size_t count(const std::vector<NetworkEvent>& events, Kind kind) {
        return static_cast<std::size_t>(std::count_if(
            events.begin(), events.end(), [&](const auto& event) { return event.kind == kind; }));
    }

    void change(const std::function<void(NetworkOptions&)>& how) {
        NetworkOptions options = network_.options();
        how(options);
        network_.set_options(options);
    }

    Network network_{1, {}};
    Time now_ = Time(100s);
    HostId server_ = 0;
    HostId client_ = 0;
};

TEST_F(SimNetwork, CarriesFramesBothWaysInOrder) {
    const auto [client, server] = connected();
    change([](auto& options) { options.slow_frame = 500'000; });
    std::vector<std::string> wanted;
    for (int i = 0; i < 100; ++i) {
        wanted.push_back(std::to_string(i));
        send(client, wanted.back());
    }
    send(server, "back");
    const auto seen = run(10s);
    std::vector<std::string> forth;
    std::vector<std::string> back;
    for (const auto& event : seen) (event.end == server ? forth : back).push_back(words(event));
    EXPECT_EQ(forth, wanted);
    EXPECT_EQ(back, std::vector<std::string>{"back"});
    EXPECT_GT(network_.counters().frames_slow, 20u);
}

TEST_F(SimNetwork, CarriesASecondPartWithoutCopyingIt) {
    const auto [client, server] = connected();
    const auto records = std::make_shared<std::vector<std::byte>>(100);
    Frame frame = text("head");
    frame.records = *records;
    frame.pin = records;
    frame.two_parts = true;
    EXPECT_TRUE(network_.send(client, std::move(frame), now_));
    const auto seen = run(1s);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].frame.records.data(), records->data());
    EXPECT_TRUE(seen[0].frame.two_parts);
}

TEST_F(SimNetwork, RefusesWhereNobodyListens) {
    const EndId nobody = network_.connect(client_, server_, 2, now_);
    auto seen = run(1s);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].kind, Kind::refused);
    EXPECT_EQ(seen[0].end, nobody);
    change([](auto& options) { options.refuse = kAlways; });
    static_cast<void>(network_.connect(client_, server_, 1, now_));
    seen = run(1s);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].kind, Kind::failed);
    EXPECT_EQ(network_.connection_count(), 0u);
}

TEST_F(SimNetwork, ClosingDeliversWhatWasSentBefore) {
    const auto [client, server] = connected();
    send(client, "last");
    network_.close(client, now_);
    EXPECT_TRUE(network_.send(client, text("never"), now_));
    const auto seen = run(5s);
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(words(seen[0]), "last");
    EXPECT_EQ(seen[1].kind, Kind::down);
    EXPECT_EQ(seen[1].end, server);
    EXPECT_EQ(network_.connection_count(), 0u);
}

TEST_F(SimNetwork, ADyingConnectionLosesAllUnderWayAndTellsBothEnds) {
    const auto [client, server] = connected();
    send(client, "a");
    send(server, "b");
    network_.kill(client, now_);
    send(client, "c");
    const auto seen = run(5s);
    EXPECT_TRUE(frames(seen).empty());
    EXPECT_EQ(count(seen, Kind::down), 2u);
    EXPECT_EQ(network_.counters().frames_lost, 3u);
    EXPECT_EQ(network_.connection_count(), 0u);
}

TEST_F(SimNetwork, OneEndMayLearnOnlyWhenItSends) {
    const auto [client, server] = connected();
    change([](auto& options) { options.half_open = kAlways; });
    network_.kill(client, now_);
    auto seen = run(60s);
    ASSERT_EQ(count(seen, Kind::down), 1u);
    const EndId untold = seen[0].end == client ? server : client;
    send(untold, "anybody?");
    seen = run(1s);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].kind, Kind::down);
    EXPECT_EQ(seen[0].end, untold);
}

TEST_F(SimNetwork, EndsLearnAtDifferentTimes) {
    int apart = 0;
    for (int round = 0; round < 20; ++round) {
        const auto [client, server] = connected();
        network_.kill(client, now_);
        const Time start = now_;
        std::vector<Time> told;
        while (network_.next_event() < start + 5s) {
            now_ = network_.next_event();
            while (network_.poll(now_)) told.push_back(now_);
        }
        ASSERT_EQ(told.size(), 2u);
        EXPECT_LE(told[1], start + 2s);
        apart += told[1] - told[0] > 100ms ? 1 : 0;
    }
    EXPECT_GT(apart, 10);
}

TEST_F(SimNetwork, ABlockedDirectionHoldsFramesBackInOrder) {
    const auto [client, server] = connected();
    network_.block(client_, server_, base::kNever);
    send(client, "1");
    send(client, "2");
    send(server, "back");
    EXPECT_EQ(frames(run(60s)), std::vector<std::string>{"back"});
    send(client, "3");
    network_.heal(client_, server_, now_);
    EXPECT_EQ(frames(run(1s)), (std::vector<std::string>{"1", "2", "3"}));
}

TEST_F(SimNetwork, AClogEndsByItself) {
    const auto [client, server] = connected();
    network_.block(client_, server_, now_ + 3s);
    network_.block(client_, server_, now_ + 1s);  // never shortens
    send(client, "1");
    EXPECT_TRUE(run(2s).empty());
    EXPECT_EQ(frames(run(2s)), std::vector<std::string>{"1"});
    EXPECT_FALSE(network_.is_blocked(client_, server_, now_));
}

TEST_F(SimNetwork, ConnectingAcrossABlockHangsUntilItIsHealed) {
    network_.block(server_, client_, base::kNever);
    const EndId end = network_.connect(client_, server_, 1, now_);
    auto seen = run(60s);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].kind, Kind::accepted);
    network_.heal_all(now_);
    seen = run(1s);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].kind, Kind::connected);
    EXPECT_EQ(seen[0].end, end);
}

TEST_F(SimNetwork, SaysFullWhenTooMuchIsUnderWay) {
    const auto [client, server] = connected();
    change([](auto& options) { options.frames_max = 2; });
    send(client, "1");
    send(client, "2");
    EXPECT_FALSE(network_.send(client, text("3"), now_));
    run(1s);
    send(client, "3");
}

TEST_F(SimNetwork, AKilledProcessIsNoticedAndAPartOfItsFramesArrives) {
    bool some = false;
    bool none = false;
    for (int round = 0; round < 40; ++round) {
        const auto [client, server] = connected();
        send(client, "1");
        send(client, "2");
        network_.kill_host(client_, false, now_);
        const auto seen = run(5s);
        const auto arrived = frames(seen);
        EXPECT_EQ(count(seen, Kind::down), 1u);
        EXPECT_EQ(seen.back().kind, Kind::down);
        if (!arrived.empty()) {
            EXPECT_EQ(arrived[0], "1");
        }
        some |= !arrived.empty();
        none |= arrived.empty();
    }
    EXPECT_TRUE(some && none);
    EXPECT_EQ(network_.connection_count(), 0u);
}

TEST_F(SimNetwork, AHostWithoutPowerAnswersNothingUntilItIsBack) {
    const auto [client, server] = connected();
    network_.kill_host(server_, true, now_);
    send(client, "anybody?");
    const EndId second = network_.connect(client_, server_, 1, now_);
    EXPECT_TRUE(run(60s).empty());
    network_.close(second, now_);
    network_.listen(server_, 1);
    send(client, "anybody?");
    const auto seen = run(5s);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].kind, Kind::down);
    EXPECT_EQ(seen[0].end, client);
}

TEST_F(SimNetwork, GhostsComeOutOfANewerConnectionOnly) {
    change([](auto& options) { options.ghost = kAlways; });
    auto [client, server] = connected();
    send(client, "arrived");
    run(1s);
    send(client, "lost");
    network_.kill(client, now_);
    network_.stop_listening(server_, 1);
    EXPECT_TRUE(frames(run(10s)).empty());  // no connection: missed
    network_.listen(server_, 1);
    std::tie(client, server) = connected();
    send(client, "lost too");
    network_.kill(client, now_);
    static_cast<void>(network_.connect(client_, server_, 1, now_));
    const auto seen = run(10s);
    EXPECT_EQ(frames(seen), std::vector<std::string>{"lost too"});
    for (const auto& event : seen) {
        if (event.kind == Kind::frame) {
            EXPECT_NE(event.end, server);
            EXPECT_EQ(event.host, server_);
        }
    }
    EXPECT_EQ(network_.counters().ghosts, 1u);
}

TEST_F(SimNetwork, DisturbanceBlocksAndCalmEndsIt) {
    connected();
    change([](auto& options) {
        options.partition = options.partition_one_way = options.clog = options.swizzle = 200'000;
        options.heal = 100'000;
        options.die_at_frame = kAlways;
    });
    for (int tick = 0; tick < 100; ++tick) {
        network_.disturb(now_);
        run(10ms);
    }
    const NetworkCounters& counters = network_.counters();
    EXPECT_GT(counters.partitions, 5u);
    EXPECT_GT(counters.partitions_one_way, 5u);
    EXPECT_GT(counters.clogs, 5u);
    EXPECT_GT(counters.swizzles, 5u);
    network_.calm(now_);
    EXPECT_FALSE(network_.is_blocked(client_, server_, now_));
    const auto [client, server] = connected();
    send(client, "fine");
    EXPECT_EQ(frames(run(1s)), std::vector<std::string>{"fine"});
}

TEST_F(SimNetwork, SameSeedSameRun) {
    const auto trace = [](std::uint64_t seed) {
        NetworkOptions options;
        options.slow_frame = options.die_at_frame = 50'000;
        options.clog = options.ghost = 100'000;
        Network network(seed, options);
        const HostId server = network.add_host();
        const HostId client = network.add_host();
        network.listen(server, 1);
        Time now(1s);
        EndId end = network.connect(client, server, 1, now);
        std::string seen;
        for (int step = 0; step < 500; ++step) {
            now += 5ms;
            network.disturb(now);
            static_cast<void>(network.send(end, text(std::to_string(step)), now));
            while (auto event = network.poll(now)) {
                seen += std::to_string(static_cast<int>(event->kind)) + words(*event) + " ";
                if (event->kind == Kind::down && event->host == client) {
                    end = network.connect(client, server, 1, now);
                }
            }
        }
        return seen;
    };
    EXPECT_EQ(trace(1), trace(1));
    EXPECT_NE(trace(1), trace(2));
}

}  // namespace
}  // namespace peermq::sim
