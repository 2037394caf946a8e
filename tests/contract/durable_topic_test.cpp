/// Durable subscriptions: their place outlives both sides, members compete, the publisher manages
/// them, and what they miss is told.

#include <set>

#include "contract/fixture.hpp"

namespace peermq::test {
namespace {

class DurableTopic : public ::testing::TestWithParam<Durability> {
protected:
    Publisher publisher(PublisherOptions options = {}) {
        options.durability = GetParam();
        return world.producer().publisher("orders", options);
    }
    /// A new peer with one member of "billing".
    Subscriber& member(SubscriberOptions options = {}, std::string_view pattern = "orders.#") {
        options.name = "billing";
        options.confirm_timeout = kLong;
        Peer& peer = peers_.emplace_back(
            PeerOptions{.close_timeout = 50ms, .on_event = events.callback()});
        world.link(peer);
        if (!eventually([&] { return links_up(peer) == 1; })) throw std::runtime_error("no link");
        return members_.emplace_back(peer.subscriber(pattern, options));
    }
    /// All members and their peers end in order.
    void end_members() {
        members_.clear();
        peers_.clear();
    }
    static void publish(Publisher& orders, std::size_t count, std::size_t first = 0) {
        for (std::size_t i = first; i < first + count; ++i)
            orders.post("orders.eu", {.body = std::to_string(i)});
        if (!orders.flush(Until::durable, kLong)) throw std::runtime_error("not durable");
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
    static SubscriptionStats billing(const Publisher& orders) {
        for (const SubscriptionStats& one : orders.subscriptions()) {
            if (one.name == "billing") return one;
        }
        return {};
    }
    static bool lag_is(const Publisher& orders, std::uint64_t lag) {
        return eventually([&] { return billing(orders).lag == lag; });
    }

    World world{Arrangement{Wire::tcp, GetParam(), true}};
    EventLog events;  ///< of the members
    std::deque<Peer> peers_;
    std::deque<Subscriber> members_;
};

TEST_P(DurableTopic, KeepsItsPlaceWhileNoMemberIsThere) {
    Publisher orders = publisher();
    EXPECT_EQ(1u, member().publishers());
    publish(orders, 10);
    EXPECT_EQ(numbers(5), next_texts(members_[0], 5));
    ASSERT_TRUE(lag_is(orders, 5));
    end_members();
    publish(orders, 10, 10);
    ASSERT_TRUE(lag_is(orders, 15));
    EXPECT_TRUE(eventually([&] { return billing(orders).members.empty(); }));
    EXPECT_EQ(numbers(15, 5), next_texts(member(), 15));
    ASSERT_TRUE(lag_is(orders, 0));
    EXPECT_TRUE(orders.flush(Until::acked, kLong));
    EXPECT_EQ(0u, members_[0].missed());
}

TEST_P(DurableTopic, MembersCompete) {
    Publisher orders = publisher();
    Subscriber& one = member({.prefetch = 4});
    Subscriber& two = member({.prefetch = 4});
    publish(orders, 100);
    std::set<std::string> seen;
    std::size_t of_two = 0;
    while (seen.size() < 100) {
        for (Subscriber* subscriber : {&one, &two}) {
            std::optional<Delivery> delivery = subscriber->receive(1ms);
            if (!delivery) continue;
            EXPECT_TRUE(seen.insert(std::string(delivery->text())).second);
            of_two += subscriber == &two ? 1 : 0;
            delivery->ack();
        }
    }
    EXPECT_GT(of_two, 0u);
    EXPECT_LT(of_two, 100u);
    EXPECT_EQ(2u, billing(orders).members.size());
}

TEST_P(DurableTopic, AFilterKeepsOnlyWhatItTakes) {
    Publisher orders = publisher();
    member({.headers = {{"vip", "yes"}}}, "orders.*.paid");
    end_members();
    for (int i = 0; i < 300; ++i) {
        const std::string body = std::to_string(i);
        const char* topic = i % 3 == 0 ? "orders.eu.paid" : "orders.eu";
        orders.post(topic, {.body = body, .headers = {{"vip", i % 2 == 0 ? "yes" : "no"}}});
    }
    ASSERT_TRUE(orders.flush(Until::durable, kLong));
    ASSERT_TRUE(lag_is(orders, 50));
    Subscriber& again = member({.headers = {{"vip", "yes"}}}, "orders.*.paid");
    for (int i = 0; i < 300; i += 6) EXPECT_EQ(std::to_string(i), next_text(again));
    ASSERT_TRUE(lag_is(orders, 0));
}

TEST_P(DurableTopic, NackedOnesComeAgainAndDieAmongTheDeadLetters) {
    Publisher orders = publisher({.max_attempts = 2, .retry_wait_min = 0ns, .retry_wait_max = 0ns});
    Subscriber& one = member();
    publish(orders, 1);
    for (std::uint32_t attempt = 1; attempt <= 2; ++attempt) {
        std::optional<Delivery> delivery = one.receive(kLong);
        ASSERT_TRUE(delivery.has_value());
        EXPECT_EQ(attempt, delivery->attempt());
        delivery->nack(0ns, "no");
    }
    Pull dead = peers_[0].pull("orders.dead");
    Delivery letter = next(dead);
    EXPECT_EQ("0", letter.text());
    EXPECT_EQ("max_attempts", letter.header("peermq-dead-reason"));
    letter.ack();
    ASSERT_TRUE(lag_is(orders, 0));
}

TEST_P(DurableTopic, PausedItGetsNothing) {
    Publisher orders = publisher();
    Subscriber& one = member();
    orders.pause("billing");
    EXPECT_TRUE(billing(orders).paused);
    publish(orders, 3);
    ASSERT_TRUE(lag_is(orders, 3));
    EXPECT_FALSE(one.receive(50ms).has_value());
    orders.resume("billing");
    EXPECT_EQ(numbers(3), next_texts(one, 3));
}

TEST_P(DurableTopic, ErasedItIsGone) {
    Publisher orders = publisher();
    Subscriber& one = member();
    publish(orders, 3);
    orders.erase("billing");
    EXPECT_TRUE(orders.subscriptions().empty());
    publish(orders, 3, 3);
    EXPECT_TRUE(orders.flush(Until::acked, kLong));  // nobody is left to settle it
    text_of_error(ErrorCode::not_found, [&] { orders.erase("billing"); });
    text_of_error(ErrorCode::not_found, [&] { orders.pause("billing"); });
    text_of_error(ErrorCode::not_found, [&] { orders.seek("nobody", From::start()); });
    // Asked for again it begins anew.
    EXPECT_EQ(1u, one.subscribe("orders.#").publishers);
    publish(orders, 1, 6);
    std::string text;
    while ((text = next_text(one)) != "6") EXPECT_LT(std::stoi(text), 3) << "received before";
}

TEST_P(DurableTopic, MaxLagMovesItOnWithAnExactGap) {
    Publisher orders = publisher();
    member({.max_lag = 10});
    end_members();
    publish(orders, 100);
    ASSERT_TRUE(lag_is(orders, 10));
    Subscriber& again = member({.max_lag = 10});
    EXPECT_EQ(numbers(10, 90), next_texts(again, 10));
    EXPECT_TRUE(eventually([&] { return again.missed() == 90; })) << again.missed();
    EXPECT_TRUE(events.wait(EventKind::gap, "max_lag"));
}

TEST_P(DurableTopic, WithoutMembersItExpiresWithAnExactGap) {
    Publisher orders = publisher();
    member({.expires_after = 50ms});
    end_members();
    publish(orders, 10);
    ASSERT_TRUE(eventually([&] { return billing(orders).expired; }));
    publish(orders, 10, 10);
    ASSERT_TRUE(lag_is(orders, 0));
    Subscriber& again = member({.expires_after = 1h});
    EXPECT_TRUE(eventually([&] { return again.missed() == 20; })) << again.missed();
    publish(orders, 1, 20);
    EXPECT_EQ("20", next_text(again));
    EXPECT_FALSE(billing(orders).expired);
}

INSTANTIATE_TEST_SUITE_P(Levels, DurableTopic,
                         ::testing::Values(Durability::memory, Durability::os, Durability::disk),
                         level_name);

/// Those with a spool: the publisher comes back as well.
class StoredTopic : public DurableTopic {};

TEST_P(StoredTopic, SurvivesARestartOfThePublisher) {
    std::optional<Publisher> orders(publisher());
    member({}, "orders.*");
    for (int i = 0; i < 20; ++i) {
        orders->post(i % 2 == 0 ? "orders.eu" : "orders", {.body = std::to_string(i)});
    }
    EXPECT_EQ((std::vector<std::string>{"0", "2", "4"}), next_texts(members_[0], 3));
    ASSERT_TRUE(lag_is(*orders, 7));
    orders->pause("billing");
    end_members();
    world.end_producer();
    orders.emplace(publisher());
    ASSERT_TRUE(lag_is(*orders, 7));
    const SubscriptionStats kept = billing(*orders);
    EXPECT_TRUE(kept.paused);
    EXPECT_EQ(std::vector<std::string>{"orders.*"}, kept.patterns);
    orders->post("orders", {.body = "not for it"});
    orders->post("orders.us", {.body = "20"});
    orders->resume("billing");
    Subscriber& again = member({}, "orders.*");
    std::set<std::string> seen;
    while (seen.size() < 8) seen.insert(next_text(again));
    EXPECT_EQ((std::set<std::string>{"6", "8", "10", "12", "14", "16", "18", "20"}), seen);
    ASSERT_TRUE(lag_is(*orders, 0));
}

TEST_P(StoredTopic, MembersStayOverARestartOfThePublisher) {
    std::optional<Publisher> orders(publisher());
    Subscriber& one = member();
    const std::string endpoint = world.fresh_endpoint();
    publish(*orders, 3);
    EXPECT_EQ(numbers(3), next_texts(one, 3));
    ASSERT_TRUE(lag_is(*orders, 0));
    world.end_producer();
    orders.emplace(publisher());
    peers_[0].connect(world.producer().bind("tcp://127.0.0.1:*"));
    ASSERT_TRUE(one.wait_for_publishers(1, kLong));
    publish(*orders, 3, 3);
    EXPECT_EQ(numbers(3, 3), next_texts(one, 3));
}

TEST_P(StoredTopic, ErasedItStaysGoneAfterARestart) {
    {
        Publisher orders = publisher();
        member();
        publish(orders, 3);
        end_members();
        orders.erase("billing");
    }
    world.end_producer();
    Publisher orders = publisher();
    EXPECT_TRUE(orders.subscriptions().empty());
    EXPECT_TRUE(eventually([&] { return orders.stats().bytes == 0; }));
}

TEST_P(StoredTopic, AGapThatNobodyWasToldOfIsToldAfterARestart) {
    {
        Publisher orders = publisher();
        member({.max_lag = 10});
        end_members();
        publish(orders, 100);
        ASSERT_TRUE(lag_is(orders, 10));
    }
    world.end_producer();
    Publisher orders = publisher();
    Subscriber& again = member({.max_lag = 10});
    std::set<std::string> seen;
    while (seen.size() < 10) seen.insert(next_text(again));
    EXPECT_TRUE(eventually([&] { return again.missed() == 90; })) << again.missed();
}

INSTANTIATE_TEST_SUITE_P(Levels, StoredTopic, ::testing::Values(Durability::os, Durability::disk),
                         level_name);

}  // namespace
}  // namespace peermq::test
