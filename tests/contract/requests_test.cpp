/// What every service does, over every transport, whoever binds.

#include <deque>
#include <set>
#include <thread>

#include "contract/fixture.hpp"
#include "contract/service_fixture.hpp"

namespace peermq::test {
namespace {

class Asking : public ::testing::TestWithParam<Arrangement> {
protected:
    World world{GetParam()};
};

TEST_P(Asking, CallBringsTheReplyOfTheHandler) {
    Requester prices = world.producer().requester("price");
    Answering answering(world.worker(), "price", [](Request& request) {
        request.reply({.body = std::string(request.text()) + "!",
                       .headers = {{"currency", "EUR"}},
                       .content_type = "text/plain"});
    });
    const Reply reply = prices.call({.body = "apple"}, kLong);
    EXPECT_EQ("apple!", reply.text());
    EXPECT_EQ("EUR", reply.header("currency"));
    EXPECT_EQ("text/plain", reply.content_type());
    EXPECT_TRUE(reply.is_last());
    EXPECT_EQ(0u, reply.part());
    EXPECT_EQ("pear!", prices.call({.body = "pear"}, kLong).text());
    const RequesterStats stats = prices.stats();
    EXPECT_EQ(2u, stats.requests);
    EXPECT_EQ(2u, stats.replies);
    EXPECT_EQ(0u, stats.in_flight);
    EXPECT_EQ(0u, stats.late_replies);
}

TEST_P(Asking, RequestShowsWhatWasAsked) {
    Requester prices = world.producer().requester("price");
    Replier replier = world.worker().replier("price");
    const auto before = Timestamp(std::chrono::system_clock::now()) - 1min;
    PendingReply pending = prices.request({.body = "apple",
                                           .headers = {{"tenant", "a"}},
                                           .id = "request-1",
                                           .correlation_id = "order-7",
                                           .content_type = "text/plain"},
                                          {.timeout = 1h, .idempotent = true});
    Request request = next(replier);
    EXPECT_EQ("apple", request.text());
    EXPECT_EQ((std::vector<HeaderView>{{"tenant", "a"}}), request.headers());
    EXPECT_EQ("a", request.header("tenant"));
    EXPECT_EQ("request-1", request.id());
    EXPECT_EQ("order-7", request.correlation_id());
    EXPECT_EQ("text/plain", request.content_type());
    EXPECT_EQ("price", request.service());
    EXPECT_TRUE(request.idempotent());
    EXPECT_FALSE(request.redelivered());
    EXPECT_FALSE(request.cancelled());
    EXPECT_GT(request.timestamp(), before);
    EXPECT_GT(request.deadline(), before + 1h);
    EXPECT_GT(request.remaining(), std::chrono::nanoseconds(59min));
    EXPECT_LE(request.remaining(), std::chrono::nanoseconds(1h));
    request.reply("1.20");
    const Reply reply = pending.get();
    EXPECT_EQ("order-7", reply.correlation_id());
    EXPECT_EQ("1.20", reply.text());
}

TEST_P(Asking, ManyRequestsAreInFlightAndEachGetsItsOwnReply) {
    Requester prices = world.producer().requester("price");
    Answering answering(world.worker(), "price",
                        [](Request& request) { request.reply(request.body()); }, {.prefetch = 64});
    std::vector<PendingReply> pending;
    for (const std::string& body : numbers(300)) pending.push_back(prices.request({.body = body}));
    for (std::size_t i = 300; i > 0; --i)
        EXPECT_EQ(std::to_string(i - 1), pending[i - 1].get().text());
    EXPECT_EQ(300u, prices.stats().replies);
}

TEST_P(Asking, CallersOnManyThreadsDoNotDisturbEachOther) {
    Requester prices = world.producer().requester("price");
    Answering answering(
        world.worker(), "price", [](Request& request) { request.reply(request.body()); }, {}, 2);
    std::atomic<int> wrong{0};
    {
        std::vector<std::jthread> callers;
        for (int caller = 0; caller < 4; ++caller) {
            callers.emplace_back([&, caller] {
                for (int i = 0; i < 50; ++i) {
                    const std::string body = std::to_string(caller) + "/" + std::to_string(i);
                    if (prices.call({.body = body}, kLong).text() != body) ++wrong;
                }
            });
        }
    }
    EXPECT_EQ(0, wrong);
    EXPECT_EQ(200u, prices.stats().replies);
}

TEST_P(Asking, FailureOfTheHandlerIsThrownAtTheCaller) {
    Requester prices = world.producer().requester("price");
    Answering answering(world.worker(), "price", [](Request& request) {
        if (request.text() == "fail") request.fail("unknown_fruit", "no such thing");
        if (request.text() == "throw") throw std::runtime_error("out of fruit");
        if (request.text() == "error") throw Error(ErrorCode::quota, "too much fruit");
    });
    EXPECT_EQ((RemoteFailure{"unknown_fruit", "no such thing"}), remote_failure(prices, "fail"));
    EXPECT_EQ((RemoteFailure{"handler_failed", "out of fruit"}), remote_failure(prices, "throw"));
    EXPECT_EQ((RemoteFailure{"quota", "quota: too much fruit"}), remote_failure(prices, "error"));
    EXPECT_EQ("no_reply", remote_failure(prices, "nothing").code);
    EXPECT_EQ(4u, prices.stats().remote_failures);
}

TEST_P(Asking, ReplyLargerThanAFrameArrivesWhole) {
    Requester prices = world.producer().requester("price");
    Answering answering(world.worker(), "price", [](Request& request) {
        request.reply(std::string(3'000'000, request.text().front()));
    });
    EXPECT_EQ(std::string(3'000'000, 'x'), prices.call({.body = "x"}, kLong).text());
    EXPECT_EQ(std::string(3'000'000, 'y'), prices.call({.body = "y"}, kLong).text());
}

TEST_P(Asking, RequestMadeBeforeAnyReplierCameIsAnsweredOnceOneComes) {
    Requester prices = world.producer().requester("price");
    PendingReply pending = prices.request({.body = "apple"});
    EXPECT_FALSE(pending.done());
    Answering answering(world.worker(), "price",
                        [](Request& request) { request.reply(request.body()); });
    EXPECT_EQ("apple", pending.get().text());
}

TEST_P(Asking, RepliersShareTheRequests) {
    Requester prices = world.producer().requester("price");
    Replier first = world.worker().replier("price");
    Replier second = world.worker().replier("price");
    PendingReply one = prices.request({.body = "1"});
    Request held = next(first, second);
    PendingReply two = prices.request({.body = "2"});
    Request other = next(first, second);
    EXPECT_NE(held.text(), other.text());
    other.reply("b");
    held.reply("a");
    EXPECT_EQ("a", (held.text() == "1" ? one : two).get().text());
    EXPECT_EQ("b", (held.text() == "1" ? two : one).get().text());
}

TEST_P(Asking, QueueOfTheSameNameIsSomethingElse) {
    Requester prices = world.producer().requester("price");
    Push push = world.producer().push("price", {.durability = Durability::memory});
    Peer& worker = world.worker();
    Replier replier = worker.replier("price");
    Pull pull = worker.pull("price");
    push.post({.body = "message"});
    PendingReply pending = prices.request({.body = "request"});
    EXPECT_EQ("message", drain(pull, 1).front());
    Request request = next(replier);
    EXPECT_EQ("request", request.text());
    request.reply("reply");
    EXPECT_EQ("reply", pending.get().text());
}

TEST_P(Asking, ScatterBringsTheRepliesOfAllRepliers) {
    Requester prices = world.producer().requester("price");
    text_of_error(ErrorCode::not_connected, [&] { (void)prices.scatter({.body = "x"}, kLong); });
    std::deque<Answering> answering;
    for (const std::string& name : numbers(3)) {
        answering.emplace_back(world.worker(), "price", [name](Request& request) {
            request.reply(name + std::string(request.text()));
        });
    }
    ASSERT_TRUE(eventually([&] { return prices.stats().repliers == 3; }));
    for (int round = 0; round < 3; ++round) {
        const Gathered gathered = prices.scatter({.body = "!"}, kLong);
        EXPECT_EQ(3u, gathered.asked);
        EXPECT_TRUE(gathered.failures.empty());
        std::set<std::string> texts;
        for (const Reply& reply : gathered.replies) texts.insert(std::string(reply.text()));
        EXPECT_EQ((std::set<std::string>{"0!", "1!", "2!"}), texts);
    }
    // Who was asked by scatter is still one of the competing repliers.
    EXPECT_EQ('?', prices.call({.body = "?"}, kLong).text().back());
}

INSTANTIATE_TEST_SUITE_P(EverySetup, Asking,
                         ::testing::Values(Arrangement{Wire::inproc, Durability::memory, true},
                                           Arrangement{Wire::inproc, Durability::memory, false},
                                           Arrangement{Wire::ipc, Durability::memory, true},
                                           Arrangement{Wire::ipc, Durability::memory, false},
                                           Arrangement{Wire::tcp, Durability::memory, true},
                                           Arrangement{Wire::tcp, Durability::memory, false}),
                         setup_name);

}  // namespace
}  // namespace peermq::test
