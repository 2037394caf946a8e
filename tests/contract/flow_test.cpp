/// Quotas, flushing, purging, pausing, numbers, and messages that are sent at most once.

#include <atomic>
#include <set>
#include <thread>

#include "contract/fixture.hpp"

namespace peermq::test {
namespace {

class Flow : public ::testing::TestWithParam<Durability> {
protected:
    /// Room for a few messages of kBytes.
    PushOptions small(Overflow overflow) {
        PushOptions options;
        options.overflow = overflow;
        options.memory_bytes_max = 8192;
        options.durability = GetParam();
        return options;
    }
    Peer& producer() {
        if (!producer_) {
            PeerOptions options = world.producer_options();
            options.spool_bytes_max = 8192;
            options.close_timeout = 50ms;
            producer_.emplace(options);
        }
        return *producer_;
    }
    Pull pull(std::uint32_t prefetch = 64) {
        if (!worker_) {
            worker_.emplace(PeerOptions{.close_timeout = 50ms});
            worker_->connect(producer().bind("tcp://127.0.0.1:*"));
        }
        return worker_->pull("jobs", {.prefetch = prefetch});
    }
    /// Posts until there is no room; how many were taken.
    static std::size_t fill(Push& push) {
        std::size_t count = 0;
        while (push.try_post({.body = std::string(kBytes, 'x')})) ++count;
        return count;
    }
    static constexpr std::size_t kBytes = 1000;
    const std::string body = std::string(kBytes, 'x');

    World world{Arrangement{Wire::tcp, GetParam(), true}};
    std::optional<Peer> producer_;
    std::optional<Peer> worker_;
};

TEST_P(Flow, PostWithinGivesUpWhenThereIsNoRoomInTime) {
    Push push = producer().push("jobs", small(Overflow::block));
    const std::size_t count = fill(push);
    const Message one{.body = std::string_view(body)};
    EXPECT_FALSE(push.post_within(one, 0ns).has_value());
    EXPECT_FALSE(push.post_within(one, 20ms).has_value());
    EXPECT_EQ(count, push.stats().depth);
    Pull jobs = pull();
    drain(jobs, count);
    EXPECT_TRUE(push.post_within(one, kLong).has_value());
}

TEST_P(Flow, TryPostReturnsNothingWhenFull) {
    Push push = producer().push("jobs", small(Overflow::block));
    const std::size_t count = fill(push);
    EXPECT_GE(count, 4u);
    EXPECT_LE(count, 8u);
    EXPECT_EQ(count, push.stats().depth);
    Pull jobs = pull();
    drain(jobs, count);
    EXPECT_TRUE(
        eventually([&] { return push.try_post({.body = std::string(kBytes, 'x')}).has_value(); }));
}

TEST_P(Flow, ErrorThrowsQuotaWhenFull) {
    Push push = producer().push("jobs", small(Overflow::error));
    fill(push);
    const std::string text = text_of_error(ErrorCode::quota,
                                           [&] { push.post({.body = std::string(kBytes, 'x')}); });
    EXPECT_NE(std::string::npos, text.find("jobs")) << text;
}

TEST_P(Flow, BlockWaitsForRoom) {
    Push push = producer().push("jobs", small(Overflow::block));
    const std::size_t count = fill(push);
    std::atomic<bool> posted{false};
    std::jthread posting([&] {
        push.post({.body = "late"});
        push.post({.body = std::string(kBytes, 'y')});
        posted = true;
    });
    Pull jobs = pull();
    drain(jobs, count + 2);
    EXPECT_TRUE(eventually([&] { return posted.load(); }));
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(Flow, DropOldestDropsCountsAndReports) {
    Push push = producer().push("jobs", small(Overflow::drop_oldest));
    for (int i = 0; i < 30; ++i) push.post({.body = std::to_string(i) + std::string(kBytes, '.')});
    const PushStats stats = push.stats();
    EXPECT_EQ(30u, stats.dropped + stats.depth);
    EXPECT_GE(stats.dropped, 20u);
    EXPECT_TRUE(world.events.wait(EventKind::dropped, "dropped"));
    Pull jobs = pull();
    std::string last;
    for (std::uint64_t i = 0; i < stats.depth; ++i) last = drain(jobs, 1).front();
    EXPECT_TRUE(last.starts_with("29")) << last.substr(0, 4);
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(Flow, SendManyIsDurableAtOnce) {
    Push push = producer().push("jobs", small(Overflow::block));
    const std::vector<Message> messages{{.body = "a"}, {.body = "b"}, {.body = "c"}};
    const Receipt receipt = push.send_many(messages);
    EXPECT_TRUE(receipt.done(Until::durable));
    EXPECT_EQ(3u, receipt.sequence());
    Pull jobs = pull();
    EXPECT_EQ((std::vector<std::string>{"a", "b", "c"}), drain(jobs, 3));
}

TEST_P(Flow, FlushTellsATimeOut) {
    Push push = producer().push("jobs", small(Overflow::block));
    push.post({.body = "x"});
    EXPECT_TRUE(push.flush(Until::durable, kLong));
    EXPECT_FALSE(push.flush(Until::acked, 10ms));
    EXPECT_FALSE(push.flush(Until::acked, 0ns));
    Pull jobs = pull();
    drain(jobs, 1);
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(Flow, PurgeRemovesAllThatNobodyHolds) {
    Push push = producer().push("jobs", small(Overflow::block));
    post_numbers(push, 10);
    ASSERT_TRUE(push.flush(Until::durable, kLong));
    Pull jobs = pull(2);
    Delivery held = next(jobs);
    ASSERT_TRUE(eventually([&] { return push.stats().in_flight == 2; }));
    EXPECT_EQ(8u, push.purge());
    EXPECT_EQ(8u, push.stats().purged);
    EXPECT_EQ(2u, push.stats().depth);
    held.ack();
    drain(jobs, 1);
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(0u, push.purge());
}

TEST_P(Flow, PausedHandsOutNothingUntilResumed) {
    Push push = producer().push("jobs", small(Overflow::block));
    push.pause();
    EXPECT_TRUE(push.stats().paused);
    post_numbers(push, 3);
    Pull jobs = pull();
    ASSERT_TRUE(eventually([&] { return push.stats().consumers == 1; }));
    EXPECT_FALSE(jobs.receive(30ms));
    push.resume();
    EXPECT_FALSE(push.stats().paused);
    EXPECT_EQ(numbers(3), drain(jobs, 3));
}

TEST_P(Flow, WithoutAcksAMessageIsSettledWhenHandedOut) {
    PushOptions options = small(Overflow::block);
    options.ack_required = false;
    Push push = producer().push("jobs", options);
    post_numbers(push, 20);
    Pull jobs = pull(4);
    for (int i = 0; i < 20; ++i) {
        Delivery delivery = next(jobs);
        EXPECT_EQ(std::to_string(i), delivery.text());
        EXPECT_FALSE(delivery.redelivered());
        delivery.ack();
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(0u, push.stats().depth);
    EXPECT_EQ(0u, push.stats().redelivered);
}

TEST_P(Flow, StatsTellWhatIsThere) {
    Push push = producer().push("jobs", small(Overflow::block));
    post_numbers(push, 5);
    ASSERT_TRUE(push.flush(Until::durable, kLong));
    PushStats stats = push.stats();
    EXPECT_EQ("jobs", stats.queue);
    EXPECT_EQ(GetParam() == Durability::memory ? "memory"
              : GetParam() == Durability::os   ? "os"
                                               : "disk",
              stats.durability);
    EXPECT_EQ(5u, stats.depth);
    EXPECT_EQ(5u, stats.posted);
    EXPECT_GT(stats.bytes, 5u);
    EXPECT_LT(stats.oldest_age, 1min);
    Pull jobs = pull(2);
    Delivery held = next(jobs);
    ASSERT_TRUE(eventually([&] { return push.stats().in_flight == 2; }));
    EXPECT_EQ(1u, push.stats().consumers);
    EXPECT_EQ(1u, jobs.stats().started);
    EXPECT_EQ(1u, jobs.stats().producers);
    held.ack();
    drain(jobs, 4);
    ASSERT_TRUE(push.flush(Until::acked, kLong));
    ASSERT_TRUE(eventually([&] { return jobs.stats().unconfirmed == 0; }));
    EXPECT_EQ(5u, jobs.stats().acked);
    const PeerStats peer = producer().stats();
    EXPECT_EQ(producer().id(), peer.peer);
    ASSERT_EQ(1u, peer.links.size());
    EXPECT_EQ("up", peer.links[0].state);
    EXPECT_EQ(worker_->id(), peer.links[0].peer);
    EXPECT_GT(peer.links[0].sent_bytes, 0u);
    EXPECT_EQ(0u, peer.protocol_errors);
    EXPECT_EQ(0u, peer.rejected_links);
    if (GetParam() == Durability::disk) {
        EXPECT_GT(peer.spool.syncs, 0u);
        EXPECT_GT(peer.spool.disk_bytes, 0u);
    }
}

INSTANTIATE_TEST_SUITE_P(With, Flow,
                         ::testing::Values(Durability::memory, Durability::os, Durability::disk),
                         level_name);

class SpoolRestart : public ::testing::TestWithParam<Durability> {
protected:
    World world{Arrangement{Wire::tcp, GetParam(), true}};
};

TEST_P(SpoolRestart, BringsTheBacklogAndGoesOn) {
    std::string peer_id;
    {
        Push push = world.push();
        peer_id = world.producer().id();
        post_numbers(push, 50);
        ASSERT_TRUE(push.flush(Until::durable, kLong));
        Pull pull = world.worker().pull("jobs", {.prefetch = 10});
        drain(pull, 20);
        Delivery started = next(pull);
        EXPECT_EQ("20", started.text());
        ASSERT_TRUE(eventually([&] { return push.stats().acked == 20; }));
        started.nack(0ns, "no");
        ASSERT_TRUE(eventually([&] { return push.stats().nacked == 1; }));
        pull.stop();
        ASSERT_TRUE(eventually([&] { return push.stats().in_flight == 0; }));
    }
    world.end_producer();
    EXPECT_EQ(peer_id, world.producer().id());
    // Without a push(): what the spool holds is handed out.
    Pull pull = world.worker().pull("jobs");
    std::set<std::string> got;
    for (int i = 0; i < 30; ++i) {
        Delivery delivery = next(pull);
        if (delivery.text() == "20") {
            EXPECT_EQ(2u, delivery.attempt());
            EXPECT_TRUE(delivery.redelivered());
        } else {
            EXPECT_EQ(1u, delivery.attempt());
        }
        got.insert(std::string(delivery.text()));
        delivery.ack();
    }
    const std::vector<std::string> expected = numbers(30, 20);
    EXPECT_EQ(std::set<std::string>(expected.begin(), expected.end()), got);
    Push push = world.push();
    EXPECT_EQ(51u, push.send({.body = "next"}).sequence());
    Delivery fresh = next(pull);
    EXPECT_EQ("next", fresh.text());
    EXPECT_FALSE(fresh.redelivered());
    fresh.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST_P(SpoolRestart, KeepsDeadLettersAndForgetsTheSettled) {
    {
        Push push = world.push();
        Pull pull = world.worker().pull("jobs");
        push.post({.body = "bad"});
        push.post({.body = "good"});
        next(pull).reject("why");
        drain(pull, 1);
        ASSERT_TRUE(push.flush(Until::acked, kLong));
        ASSERT_TRUE(eventually([&] { return push.stats().dead == 1; }));
    }
    world.end_producer();
    Peer& worker = world.worker();
    Pull dead = worker.pull("jobs.dead");
    Delivery letter = next(dead);
    EXPECT_EQ("bad", letter.text());
    EXPECT_EQ("why", letter.header("peermq-dead-error"));
    letter.ack();
    EXPECT_EQ(0u, world.push().stats().depth);
}

INSTANTIATE_TEST_SUITE_P(With, SpoolRestart, ::testing::Values(Durability::os, Durability::disk),
                         level_name);

}  // namespace
}  // namespace peermq::test
