/// The retained log of a topic: how long it is, where subscriptions begin in it, last values.

#include <set>

#include "contract/fixture.hpp"

namespace peermq::test {
namespace {

class RetainedTopic : public ::testing::TestWithParam<Durability> {
protected:
    RetainedTopic() { kEverything.everything = true; }

    Publisher publisher(PublisherOptions options) {
        options.durability = GetParam();
        return world.producer().publisher("log", options);
    }
    Subscriber subscriber(From from, std::string_view pattern = "log.#", std::string name = {}) {
        Peer& peer = world.worker();
        if (!eventually([&] { return links_up(peer) == 1; })) throw std::runtime_error("no link");
        return peer.subscriber(pattern, {.name = std::move(name), .from = from});
    }
    static void publish(Publisher& log, std::size_t count, std::size_t first = 0) {
        for (std::size_t i = first; i < first + count; ++i)
            log.post(i % 2 == 0 ? "log.even" : "log.odd", {.body = std::to_string(i)});
        if (!log.flush(Until::durable, kLong)) throw std::runtime_error("not durable");
    }
    static std::string next_text(Subscriber& subscriber) {
        std::optional<Delivery> delivery = subscriber.receive(kLong);
        if (!delivery) return "nothing came";
        std::string text(delivery->text());
        delivery->ack();
        return text;
    }
    static std::vector<std::string> next_texts(Subscriber& subscriber, std::size_t count) {
        std::vector<std::string> texts;
        while (texts.size() < count) texts.push_back(next_text(subscriber));
        return texts;
    }
    static bool first_is(const Publisher& log, std::uint64_t first) {
        return eventually([&] { return log.stats().first == first; });
    }

    Retention kEverything;
    World world{Arrangement{Wire::tcp, GetParam(), true}};
};

TEST_P(RetainedTopic, ALateSubscriptionBeginsWhereItAsks) {
    Publisher log = publisher({.retain = kEverything});
    publish(log, 50);
    const Timestamp middle = std::chrono::system_clock::now();
    // The publisher's clock counts in milliseconds; what follows lies behind the middle for sure.
    ASSERT_TRUE(eventually(
        [&] { return std::chrono::system_clock::now() - middle > std::chrono::milliseconds(20); }));
    publish(log, 50, 50);
    EXPECT_EQ(1u, log.stats().first);
    EXPECT_EQ(100u, log.stats().last);

    Subscriber start = subscriber(From::start());
    EXPECT_EQ(numbers(100), next_texts(start, 100));
    Subscriber sequence = subscriber(From::sequence(31));
    EXPECT_EQ(numbers(70, 30), next_texts(sequence, 70));
    Subscriber time = subscriber(From::time(middle + std::chrono::milliseconds(10)));
    EXPECT_EQ(numbers(50, 50), next_texts(time, 50));
    Subscriber last = subscriber(From::last(5));
    EXPECT_EQ(numbers(5, 95), next_texts(last, 5));
    Subscriber last_odd = subscriber(From::last(3), "log.odd");
    EXPECT_EQ((std::vector<std::string>{"95", "97", "99"}), next_texts(last_odd, 3));
    Subscriber now = subscriber(From::now());
    publish(log, 1, 100);
    for (Subscriber* one : {&start, &sequence, &time, &last, &now})
        EXPECT_EQ("100", next_text(*one));
    EXPECT_EQ(0u, start.missed() + sequence.missed() + time.missed() + last.missed());
}

TEST_P(RetainedTopic, OnlySoManyAreKept) {
    Publisher log = publisher({.retain = {.count = 10}});
    publish(log, 100);
    ASSERT_TRUE(first_is(log, 91));
    Subscriber start = subscriber(From::start());
    EXPECT_EQ(numbers(10, 90), next_texts(start, 10));
    EXPECT_EQ(0u, start.missed());
    // Asked for by number, what is gone is missed.
    Subscriber sequence = subscriber(From::sequence(81));
    EXPECT_EQ(numbers(10, 90), next_texts(sequence, 10));
    EXPECT_TRUE(eventually([&] { return sequence.missed() == 10; })) << sequence.missed();
}

TEST_P(RetainedTopic, OnlySoManyBytesAreKept) {
    Publisher log = publisher({.retain = {.bytes = 100'000}});
    for (int i = 0; i < 1000; ++i) log.post("log", {.body = std::string(1000, 'x')});
    ASSERT_TRUE(log.flush(Until::durable, kLong));
    ASSERT_TRUE(eventually([&] { return log.stats().bytes < 250'000; })) << log.stats().bytes;
    const PublisherStats stats = log.stats();
    EXPECT_EQ(1000u, stats.last);
    EXPECT_GT(stats.first, 700u);
    EXPECT_LT(stats.first, 1000u);
}

TEST_P(RetainedTopic, OnlyTheYoungAreKept) {
    Publisher log = publisher({.retain = {.age = 100ms}});
    publish(log, 10);
    EXPECT_TRUE(first_is(log, 11));
    publish(log, 1, 10);
    EXPECT_EQ(11u, log.stats().last);
}

TEST_P(RetainedTopic, LateJoinersGetTheLastValuePerTopic) {
    Publisher log = publisher({.last_value = LastValue::topic});
    Subscriber all = subscriber(From::now());
    publish(log, 100);
    EXPECT_EQ(numbers(100), next_texts(all, 100));
    ASSERT_TRUE(first_is(log, 99));
    Subscriber late = subscriber(From::start());
    EXPECT_EQ((std::vector<std::string>{"98", "99"}), next_texts(late, 2));
    publish(log, 1, 100);
    EXPECT_EQ("100", next_text(late));
    ASSERT_TRUE(first_is(log, 100));
}

TEST_P(RetainedTopic, LastValuesPerKeyKeepWhatHasNone) {
    Publisher log = publisher({.last_value = LastValue::key});
    for (int i = 0; i < 30; ++i) {
        const std::string key(1, static_cast<char>('a' + i % 3));
        log.post("log", {.body = std::to_string(i), .key = i == 7 ? std::string_view{} : key});
    }
    ASSERT_TRUE(log.flush(Until::durable, kLong));
    ASSERT_TRUE(first_is(log, 8));
    Subscriber late = subscriber(From::start());
    EXPECT_EQ((std::vector<std::string>{"7", "27", "28", "29"}), next_texts(late, 4));
}

TEST_P(RetainedTopic, ADurableSubscriptionSeeksBackAndForth) {
    Publisher log = publisher({.retain = kEverything});
    Subscriber one = subscriber(From::now(), "log.#", "audit");
    publish(log, 10);
    EXPECT_EQ(numbers(10), next_texts(one, 10));
    const auto lag = [&] { return log.subscriptions().front().lag; };
    ASSERT_TRUE(eventually([&] { return lag() == 0; }));
    log.seek("audit", From::sequence(4));
    EXPECT_EQ(numbers(7, 3), next_texts(one, 7));
    ASSERT_TRUE(eventually([&] { return lag() == 0; }));
    log.seek("audit", From::start());
    EXPECT_EQ("0", next_text(one));
    log.seek("audit", From::last(2));
    std::string text;
    while ((text = next_text(one)) != "8") EXPECT_LT(std::stoi(text), 8);
    EXPECT_EQ("9", next_text(one));
    const std::string refused = text_of_error(ErrorCode::invalid_argument,
                                              [&] { log.seek("audit", From::sequence(12)); });
    EXPECT_NE(std::string::npos, refused.find("1 to 11")) << refused;
    text_of_error(ErrorCode::invalid_argument, [&] { log.seek("audit", From::sequence(0)); });
    log.seek("audit", From::sequence(11));
    EXPECT_EQ(0u, lag());
}

INSTANTIATE_TEST_SUITE_P(Levels, RetainedTopic,
                         ::testing::Values(Durability::memory, Durability::disk), level_name);

TEST(RetainedTopicSpool, ALogOutlivesItsPublisher) {
    World world{Arrangement{Wire::tcp, Durability::disk, true}};
    const auto open = [&](std::uint64_t count) {
        return world.producer().publisher("log", {.retain = {.count = count}});
    };
    {
        Publisher log = open(20);
        for (const std::string& body : numbers(50)) log.post("log", {.body = body});
        ASSERT_TRUE(log.flush(Until::durable, kLong));
    }
    world.end_producer();
    Publisher log = open(20);
    ASSERT_TRUE(eventually([&] { return log.stats().first == 31; })) << log.stats().first;
    log.publish("log", {.body = "50"});
    Peer& peer = world.worker();
    ASSERT_TRUE(eventually([&] { return links_up(peer) == 1; }));
    Subscriber late = peer.subscriber("log", {.from = From::start()});
    for (std::size_t i = 31; i <= 50; ++i) {
        const std::optional<Delivery> delivery = late.receive(kLong);
        ASSERT_TRUE(delivery.has_value());
        EXPECT_EQ(std::to_string(i), delivery->text());
    }
}

TEST(RetainedTopicSpool, WithAFullQuotaWhatIsOnlyRetainedGoesFirst) {
    World world{Arrangement{Wire::tcp, Durability::disk, true}};
    PeerOptions options = world.producer_options();
    options.spool_bytes_max = 200'000;
    Peer peer(options);
    Publisher log = peer.publisher("log", {.retain = {.everything = true}});
    for (int i = 0; i < 1000; ++i) log.post("log", {.body = std::string(1000, 'x')});
    EXPECT_TRUE(log.flush(Until::durable, kLong));
    EXPECT_EQ(1000u, log.stats().last);
    EXPECT_GT(log.stats().first, 700u);
}

}  // namespace
}  // namespace peermq::test
