/// Live subscriptions: who gets what, what a change does, what a slow one misses.

#include <thread>

#include "contract/fixture.hpp"

namespace peermq::test {
namespace {

Publisher publisher(World& world, std::string_view name = "orders", PublisherOptions options = {}) {
    options.durability = world.setup().durability;
    return world.producer().publisher(name, options);
}

/// Once the link is up, so that the confirmation speaks for the publisher.
Subscriber subscriber(Peer& worker, std::string_view pattern, SubscriberOptions options = {}) {
    if (!eventually([&] { return links_up(worker) == 1; })) throw std::runtime_error("no link");
    return worker.subscriber(pattern, options);
}

std::string next_text(Subscriber& subscriber) {
    const std::optional<Delivery> delivery = subscriber.receive(kLong);
    return delivery ? std::string(delivery->text()) : "nothing came";
}

std::vector<std::string> next_texts(Subscriber& subscriber, std::size_t count) {
    std::vector<std::string> texts;
    while (texts.size() < count) texts.push_back(next_text(subscriber));
    return texts;
}

void publish_numbers(Publisher& publisher, std::size_t count, std::size_t first = 0) {
    for (std::size_t i = first; i < first + count; ++i)
        publisher.post("orders.eu", {.body = std::to_string(i)});
}

class Topics : public ::testing::TestWithParam<Arrangement> {
protected:
    World world{GetParam()};
};

TEST_P(Topics, EverySubscriptionGetsEveryMessageThatItTakesInOrder) {
    Publisher orders = publisher(world);
    Subscriber all = subscriber(world.worker(), "orders.#");
    Subscriber created = subscriber(world.worker(), "orders.*.created");
    Subscriber exact = subscriber(world.worker(), "orders");
    EXPECT_EQ(1u, all.publishers());
    ASSERT_TRUE(orders.wait_for_subscribers(3, kLong));
    for (int i = 0; i < 300; ++i) {
        const std::string body = std::to_string(i);
        orders.post("orders.eu.created", {.body = body, .key = "k", .headers = {{"n", body}}});
        orders.post("orders.eu.paid", {.body = body});
        orders.post("orders", {.body = body});
    }
    for (int i = 0; i < 300; ++i) {
        for (const char* topic : {"orders.eu.created", "orders.eu.paid", "orders"}) {
            const std::optional<Delivery> one = all.receive(kLong);
            ASSERT_TRUE(one.has_value());
            EXPECT_EQ(topic, one->topic());
            EXPECT_EQ(std::to_string(i), one->text());
            EXPECT_TRUE(one->settled());
        }
    }
    EXPECT_EQ(numbers(300), next_texts(created, 300));
    EXPECT_EQ(numbers(300), next_texts(exact, 300));
    EXPECT_EQ(0u, all.missed() + created.missed() + exact.missed());
    EXPECT_TRUE(orders.flush(Until::acked, kLong));
}

TEST_P(Topics, WhatIsPublishedAfterTheConfirmationComes) {
    Publisher orders = publisher(world);
    orders.publish("orders", {.body = "before"});
    Subscriber late = subscriber(world.worker(), "orders.#");
    ASSERT_EQ(1u, late.publishers());
    orders.publish("orders", {.body = "after"});
    EXPECT_EQ("after", next_text(late));
}

TEST_P(Topics, APublisherThatComesLaterIsSubscribedToo) {
    Subscriber all = subscriber(world.worker(), "#");
    EXPECT_EQ(0u, all.publishers());
    Publisher orders = publisher(world);
    ASSERT_TRUE(all.wait_for_publishers(1, kLong));
    orders.post("orders.a", {.body = "1"});
    EXPECT_EQ("1", next_text(all));
    Publisher trades = publisher(world, "trades");
    ASSERT_TRUE(all.wait_for_publishers(2, kLong));
    trades.post("trades", {.body = "2"});
    EXPECT_EQ("2", next_text(all));
}

TEST_P(Topics, HeadersChooseAllOrAny) {
    Publisher orders = publisher(world);
    const std::vector<std::pair<std::string, std::string>> wanted{{"region", "kr"}, {"vip", "yes"}};
    Subscriber all = subscriber(world.worker(), "orders.#", {.headers = wanted});
    Subscriber any = subscriber(world.worker(), "orders.#",
                                {.headers = wanted, .match = Match::any});
    ASSERT_TRUE(orders.wait_for_subscribers(2, kLong));
    orders.post("orders", {.body = "none"});
    orders.post("orders", {.body = "kr", .headers = {{"region", "kr"}}});
    orders.post("orders", {.body = "eu", .headers = {{"region", "eu"}}});
    orders.post("orders", {.body = "both", .headers = {{"vip", "yes"}, {"region", "kr"}}});
    EXPECT_EQ("both", next_text(all));
    EXPECT_EQ((std::vector<std::string>{"kr", "both"}), next_texts(any, 2));
}

TEST_P(Topics, PatternsChangeAtRunTime) {
    Publisher orders = publisher(world);
    Subscriber some = subscriber(world.worker(), "orders.eu");
    const Confirmation added = some.subscribe("orders.us");
    EXPECT_TRUE(added.complete);
    EXPECT_EQ(1u, added.publishers);
    EXPECT_EQ((std::vector<std::string>{"orders.eu", "orders.us"}), some.patterns());
    orders.post("orders.eu", {.body = "eu"});
    orders.post("orders.us", {.body = "us"});
    EXPECT_EQ((std::vector<std::string>{"eu", "us"}), next_texts(some, 2));
    EXPECT_TRUE(some.unsubscribe("orders.eu").complete);
    orders.post("orders.eu", {.body = "eu"});
    orders.post("orders.us", {.body = "us"});
    EXPECT_EQ("us", next_text(some));
    // Nothing that this publisher could match is left: it is no publisher of ours any more.
    EXPECT_EQ(1u, some.subscribe("trades.*").publishers);
    EXPECT_EQ(0u, some.unsubscribe("orders.us").publishers);
    EXPECT_TRUE(eventually([&] { return orders.stats().subscribers == 0; }));
    orders.post("orders.us", {.body = "lost"});
    EXPECT_EQ(1u, some.subscribe("orders.us").publishers);
    orders.post("orders.us", {.body = "found"});
    EXPECT_EQ("found", next_text(some));
}

TEST_P(Topics, ZeroPublishersIsSaid) {
    Publisher orders = publisher(world);
    Subscriber nobody = subscriber(world.worker(), "trades.#");
    EXPECT_EQ(0u, nobody.publishers());
    EXPECT_EQ(1u, nobody.stats().peers);
    EXPECT_FALSE(nobody.wait_for_publishers(1, 10ms));
    EXPECT_FALSE(orders.wait_for_subscribers(1, 10ms));
}

TEST_P(Topics, LargeMessagesAndManySubscribersShareABatch) {
    Publisher orders = publisher(world);
    std::vector<Subscriber> subscribers;
    for (int i = 0; i < 5; ++i) subscribers.push_back(subscriber(world.worker(), "orders.#"));
    ASSERT_TRUE(orders.wait_for_subscribers(5, kLong));
    const std::string large(1 << 20, 'x');
    orders.post("orders", {.body = large});
    orders.post("orders", {.body = "small"});
    for (Subscriber& one : subscribers) {
        EXPECT_EQ(large, next_text(one));
        EXPECT_EQ("small", next_text(one));
    }
}

INSTANTIATE_TEST_SUITE_P(Wires, Topics,
                         ::testing::Values(Arrangement{Wire::inproc, Durability::memory, true},
                                           Arrangement{Wire::ipc, Durability::memory, false},
                                           Arrangement{Wire::tcp, Durability::memory, true},
                                           Arrangement{Wire::tcp, Durability::os, false},
                                           Arrangement{Wire::tcp, Durability::disk, true}),
                         setup_name);

class SlowSubscriber : public ::testing::TestWithParam<Durability> {
protected:
    Subscriber slow(SlowPolicy policy, std::uint32_t buffer = 10) {
        if (!slow_peer_) {
            slow_peer_.emplace(PeerOptions{.close_timeout = 50ms, .on_event = events.callback()});
            world.link(*slow_peer_);
        }
        return subscriber(*slow_peer_, "orders.#",
                          {.slow = policy, .buffer = buffer, .prefetch = 1});
    }
    /// All that comes, until it and the gaps told make `total`.
    static std::vector<std::string> rest(Subscriber& subscriber, std::size_t total) {
        std::vector<std::string> texts;
        EXPECT_TRUE(eventually([&] {
            while (auto delivery = subscriber.receive(0ns)) texts.emplace_back(delivery->text());
            return texts.size() + subscriber.missed() >= total;
        })) << texts.size()
            << " came, missed " << subscriber.missed();
        EXPECT_EQ(total, texts.size() + subscriber.missed());
        return texts;
    }

    World world{Arrangement{Wire::tcp, GetParam(), true}};
    EventLog events;  ///< of the slow subscriber
    std::optional<Peer> slow_peer_;
};

TEST_P(SlowSubscriber, DropOldestMissesTheOldestAndCountsThemExactly) {
    Publisher orders = publisher(world);
    Subscriber behind = slow(SlowPolicy::drop_oldest);
    Subscriber fast = subscriber(world.worker(), "orders.#");
    ASSERT_TRUE(orders.wait_for_subscribers(2, kLong));
    publish_numbers(orders, 1000);
    // One slow subscriber never slows the others.
    EXPECT_EQ(numbers(1000), next_texts(fast, 1000));
    const std::vector<std::string> got = rest(behind, 1000);
    EXPECT_EQ("999", got.back());
    EXPECT_TRUE(std::is_sorted(got.begin(), got.end(), [](const auto& a, const auto& b) {
        return std::stoi(a) < std::stoi(b);
    }));
    ASSERT_TRUE(events.wait(EventKind::gap, "slowly"));
    EXPECT_EQ(0u, fast.missed());
}

TEST_P(SlowSubscriber, DropNewestKeepsTheOldest) {
    Publisher orders = publisher(world);
    Subscriber behind = slow(SlowPolicy::drop_newest);
    ASSERT_TRUE(orders.wait_for_subscribers(1, kLong));
    publish_numbers(orders, 1000);
    ASSERT_TRUE(orders.flush(Until::durable, kLong));
    ASSERT_TRUE(eventually([&] { return behind.missed() > 0; }));
    const std::vector<std::string> got = rest(behind, 1000);
    EXPECT_EQ(std::vector<std::string>(got.begin(), got.begin() + 10), numbers(10));
    publish_numbers(orders, 1, 1000);
    EXPECT_EQ("1000", next_text(behind));
}

TEST_P(SlowSubscriber, BlockHoldsThePublisherUntilItCatchesUp) {
    Publisher orders = publisher(world);
    Subscriber behind = slow(SlowPolicy::block);
    ASSERT_TRUE(orders.wait_for_subscribers(1, kLong));
    std::size_t published = 0;
    ASSERT_TRUE(eventually([&] {
        const bool taken = orders.try_post("orders", {.body = std::to_string(published)})
                               .has_value();
        published += taken ? 1 : 0;
        return !taken;
    }));
    std::jthread posting([&] { publish_numbers(orders, 50, published); });
    EXPECT_EQ(numbers(published + 50), next_texts(behind, published + 50));
    EXPECT_EQ(0u, behind.missed());
}

TEST_P(SlowSubscriber, DisconnectEndsTheSubscriptionWithAnExactGap) {
    Publisher orders = publisher(world);
    Subscriber behind = slow(SlowPolicy::disconnect);
    ASSERT_TRUE(orders.wait_for_subscribers(1, kLong));
    publish_numbers(orders, 1000);
    ASSERT_TRUE(eventually([&] { return orders.stats().subscribers == 0; }));
    const std::optional<Event> gap = events.wait(EventKind::gap, "before sequence ");
    ASSERT_TRUE(gap.has_value()) << events.text();
    // What was on its way comes; the rest up to the end of the subscription is the gap.
    const std::size_t at = gap->text.find("before sequence ") + 16;
    const std::vector<std::string> got = rest(behind, std::stoul(gap->text.substr(at)) - 1);
    EXPECT_EQ(gap->count, behind.missed());
    EXPECT_EQ(got, numbers(got.size()));
    EXPECT_TRUE(behind.subscribe("orders.#").complete);
    ASSERT_TRUE(orders.wait_for_subscribers(1, kLong));
    orders.post("orders", {.body = "again"});
    EXPECT_EQ("again", next_text(behind));
    EXPECT_EQ(gap->count, behind.missed());
}

TEST_P(SlowSubscriber, OneThatTakesNothingHoldsBackNoMemory) {
    Publisher orders = publisher(world, "orders", {.memory_bytes_max = 1 << 20});
    Subscriber stuck = slow(SlowPolicy::drop_oldest);
    Subscriber fast = subscriber(world.worker(), "orders.#", {.slow = SlowPolicy::block});
    ASSERT_TRUE(orders.wait_for_subscribers(2, kLong));
    // Many times what the publisher may hold.
    std::jthread publishing([&] {
        for (int i = 0; i < 20000; ++i) orders.post("orders", {.body = std::string(1000, 'x')});
    });
    for (int i = 0; i < 20000; ++i) ASSERT_EQ(1000u, next_text(fast).size());
    publishing.join();
    EXPECT_EQ(0u, fast.missed());
    (void)rest(stuck, 20000);
}

INSTANTIATE_TEST_SUITE_P(Levels, SlowSubscriber,
                         ::testing::Values(Durability::memory, Durability::disk), level_name);

TEST(TopicErrors, SayWhatIsWrong) {
    World world;
    Publisher orders = publisher(world);
    const auto refused = [&](std::string_view topic, std::string_view why) {
        const std::string text = text_of_error(ErrorCode::invalid_argument,
                                               [&] { orders.post(topic, {.body = "x"}); });
        EXPECT_NE(std::string::npos, text.find(why)) << text;
    };
    refused("trades.eu", "begin with it");
    refused("ordersx", "begin with it");
    refused("orders..eu", "empty token");
    refused("orders.", "empty token");
    refused("orders.*", "patterns");
    refused("orders.a b", "printable");
    refused("", "empty");
    const auto bad_pattern = [&](std::string_view pattern, std::string_view why) {
        const std::string text = text_of_error(ErrorCode::invalid_argument,
                                               [&] { (void)world.producer().subscriber(pattern); });
        EXPECT_NE(std::string::npos, text.find(why)) << text;
    };
    bad_pattern("orders.#.eu", "end");
    bad_pattern("orders.x*", "whole tokens");
    bad_pattern("", "empty");
    bad_pattern(std::string(1025, 'a'), "1,024");
    text_of_error(ErrorCode::invalid_argument, [&] { (void)world.producer().publisher("a.*"); });
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)world.producer().subscriber("a", {.buffer = 0}); });
    text_of_error(ErrorCode::invalid_state,
                  [&] { (void)world.producer().publisher("orders", {.memory_bytes_max = 4096}); });
    Subscriber one = world.producer().subscriber("a.b");
    text_of_error(ErrorCode::invalid_argument, [&] { (void)one.subscribe("a.#.b"); });
    text_of_error(ErrorCode::not_found, [&] { (void)one.unsubscribe("a"); });
    text_of_error(ErrorCode::invalid_argument, [&] { (void)one.unsubscribe("a.b"); });
    EXPECT_EQ(std::vector<std::string>{"a.b"}, one.patterns());
}

}  // namespace
}  // namespace peermq::test
