/// What every queue does, over every transport, at every level of durability, whoever binds.

#include <algorithm>
#include <condition_variable>
#include <set>
#include <thread>

#include "base/limits.hpp"
#include "contract/fixture.hpp"
#include "record/record.hpp"

namespace peermq::test {
namespace {

class Delivering : public ::testing::TestWithParam<Arrangement> {
protected:
    World world{GetParam()};
};

TEST_P(Delivering, BringsEveryMessageOnceAndInOrder) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    post_numbers(push, 500);
    EXPECT_EQ(numbers(500), drain(pull, 500));
    ASSERT_TRUE(push.flush(Until::acked, kLong));
    const PushStats stats = push.stats();
    EXPECT_EQ(500u, stats.acked);
    EXPECT_EQ(0u, stats.depth);
    EXPECT_EQ(0u, stats.redelivered);
    EXPECT_EQ(500u, pull.stats().received);
}

TEST_P(Delivering, CompetingConsumersShareWithoutLoss) {
    constexpr std::size_t kWorkers = 3;
    constexpr std::size_t kMessages = 600;
    Push push = world.push();
    std::vector<Pull> pulls;
    for (std::size_t i = 0; i < kWorkers; ++i)
        pulls.push_back(world.worker().pull("jobs", {.prefetch = 8}));

    std::mutex mutex;
    std::condition_variable changed;
    std::multiset<std::string> seen;
    std::size_t started = 0;
    std::vector<std::jthread> threads;
    for (Pull& pull : pulls) {
        threads.emplace_back([&] {
            bool first = true;
            pull.run([&](Delivery& delivery) {
                std::unique_lock lock(mutex);
                seen.insert(std::string(delivery.text()));
                // Nobody goes on before everybody has had a message.
                if (std::exchange(first, false)) {
                    ++started;
                    changed.notify_all();
                    changed.wait_for(lock, kLong, [&] { return started == kWorkers; });
                }
                changed.notify_all();
            });
        });
    }
    post_numbers(push, kMessages);
    {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(changed.wait_for(lock, kLong, [&] { return seen.size() >= kMessages; }));
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    for (Pull& pull : pulls) pull.stop();
    threads.clear();
    EXPECT_EQ(kWorkers, started);
    EXPECT_EQ(kMessages, seen.size());
    EXPECT_EQ(kMessages, std::set<std::string>(seen.begin(), seen.end()).size());
}

TEST_P(Delivering, KeepsPropertiesAndHeadersUnchanged) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    const std::string binary("\0\x01\xff\n", 4);
    push.post({.body = binary,
               .key = "customer-7",
               .headers = {{"tenant", "a"}, {"empty", ""}, {"trace", binary}},
               .id = "order-1",
               .correlation_id = "request-9",
               .reply_to = "answers",
               .content_type = "application/json"});
    const Receipt plain = push.post({.body = "plain"});
    const auto before = Timestamp(std::chrono::system_clock::now()) - 1min;

    Delivery delivery = next(pull);
    EXPECT_EQ(binary, delivery.text());
    EXPECT_EQ("customer-7", delivery.key());
    EXPECT_EQ("order-1", delivery.id());
    EXPECT_EQ("request-9", delivery.correlation_id());
    EXPECT_EQ("answers", delivery.reply_to());
    EXPECT_EQ("application/json", delivery.content_type());
    const std::vector<HeaderView> expected{{"tenant", "a"}, {"empty", ""}, {"trace", binary}};
    EXPECT_EQ(expected, delivery.headers());
    EXPECT_EQ(binary, delivery.header("trace"));
    EXPECT_FALSE(delivery.header("absent"));
    EXPECT_EQ(1u, delivery.attempt());
    EXPECT_FALSE(delivery.redelivered());
    EXPECT_EQ(1u, delivery.sequence());
    EXPECT_EQ("jobs", delivery.queue());
    EXPECT_GT(delivery.timestamp(), before);
    EXPECT_LT(delivery.timestamp(), before + 2min);
    const OwnedMessage owned = delivery.take();
    delivery.ack();

    Delivery second = next(pull);
    EXPECT_EQ(plain.id(), second.id());
    EXPECT_TRUE(second.key().empty());
    EXPECT_TRUE(second.headers().empty());
    EXPECT_TRUE(second.correlation_id().empty());
    second.ack();
    EXPECT_EQ("order-1", owned.id);
    EXPECT_EQ(binary, owned.body);
    ASSERT_EQ(3u, owned.headers.size());
    EXPECT_EQ(binary, owned.headers[2].second);
}

TEST_P(Delivering, TakesBodiesOfEverySize) {
    const std::size_t overhead = record::encoded_size(record::Record{});
    const std::size_t limit = base::limits::kBatchBytesMax - overhead;
    const std::vector<std::size_t> sizes{0,         1,         limit - 9, limit - 8, limit - 7,
                                         limit - 1, limit,     limit + 1, limit + 8, limit + 9,
                                         0,         2 * limit, 5u << 20,  3};
    Push push = world.push();
    Pull pull = world.worker().pull("jobs", {.prefetch = 4});
    std::vector<std::string> bodies;
    for (const std::size_t size : sizes) {
        std::string body(size, '\0');
        for (std::size_t i = 0; i < size; ++i)
            body[i] = static_cast<char>((i * 31 + i / 251 + size) & 0xff);
        bodies.push_back(std::move(body));
        push.post({.body = bodies.back()});
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        Delivery delivery = next(pull);
        EXPECT_TRUE(delivery.text() == bodies[i])
            << "message " << i << " of " << sizes[i] << " bytes came as " << delivery.body().size()
            << " bytes";
        delivery.ack();
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(Delivering, NeverHandsOutMoreThanThePrefetch) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs", {.prefetch = 5});
    post_numbers(push, 50);
    std::vector<Delivery> held;
    for (int i = 0; i < 5; ++i) held.push_back(next(pull));
    EXPECT_FALSE(pull.receive(50ms));
    EXPECT_EQ(5u, push.stats().in_flight);
    for (int i = 0; i < 45; ++i) {
        held.front().ack();
        held.erase(held.begin());
        held.push_back(next(pull));
        EXPECT_LE(push.stats().in_flight, 5u);
    }
    for (Delivery& delivery : held) delivery.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(50u, push.stats().acked);
}

TEST_P(Delivering, GivesOneKeyToOneHandlerAtATimeAndInOrder) {
    constexpr int kKeys = 10;
    constexpr int kPerKey = 20;
    constexpr std::size_t kWorkers = 3;
    Push push = world.push();
    std::vector<Pull> pulls;
    for (std::size_t i = 0; i < kWorkers; ++i)
        pulls.push_back(world.worker().pull("jobs", {.prefetch = 16}));
    for (int i = 0; i < kPerKey; ++i) {
        for (int key = 0; key < kKeys; ++key) {
            push.post({.body = std::to_string(i), .key = "key-" + std::to_string(key)});
        }
    }
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::string, int> expected;
    std::set<std::string> busy;
    int handled = 0;
    std::string broken;
    std::vector<std::jthread> threads;
    for (Pull& pull : pulls) {
        threads.emplace_back([&] {
            pull.run(
                [&](Delivery& delivery) {
                    const std::string key(delivery.key());
                    {
                        const std::lock_guard lock(mutex);
                        if (!busy.insert(key).second) broken += key + " is in two handlers; ";
                        if (delivery.text() != std::to_string(expected[key])) {
                            broken += key + ": " + std::string(delivery.text()) + " instead of " +
                                      std::to_string(expected[key]) + "; ";
                        }
                    }
                    std::this_thread::yield();
                    const std::lock_guard lock(mutex);
                    busy.erase(key);
                    ++expected[key];
                    ++handled;
                    changed.notify_all();
                },
                {.concurrency = 2});
        });
    }
    {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(changed.wait_for(lock, kLong, [&] { return handled >= kKeys * kPerKey; }));
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    for (Pull& pull : pulls) pull.stop();
    threads.clear();
    EXPECT_EQ("", broken);
    EXPECT_EQ(kKeys * kPerKey, handled);
}

TEST_P(Delivering, TellsTheSenderHowFarAMessageHasCome) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    const Receipt receipt = push.send({.body = "x"});
    EXPECT_TRUE(receipt.done(Until::durable));
    EXPECT_FALSE(receipt.done(Until::acked));
    EXPECT_EQ(1u, receipt.sequence());
    Delivery delivery = next(pull);
    EXPECT_FALSE(receipt.wait(Until::acked, 1ms));
    const Settlement settlement = delivery.ack();
    EXPECT_EQ(SettlementState::accepted, settlement.wait(kLong));
    EXPECT_TRUE(receipt.wait(Until::acked, kLong));
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

INSTANTIATE_TEST_SUITE_P(Over, Delivering, ::testing::ValuesIn(all_setups()), setup_name);

}  // namespace
}  // namespace peermq::test
