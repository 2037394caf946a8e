/// Requests and replies in the spool: they survive the requester, and the replier's death.

#include <algorithm>

#include "contract/fixture.hpp"
#include "contract/service_fixture.hpp"

namespace peermq::test {
namespace {

class DurableRequests : public ::testing::TestWithParam<Durability> {
protected:
    Requester open() { return world.producer().requester("price", {.durability = GetParam()}); }

    World world{Arrangement{Wire::tcp, GetParam(), false}};
};

TEST_P(DurableRequests, AreAnsweredLikeOthers) {
    Requester prices = open();
    Answering answering(world.worker(), "price",
                        [](Request& request) { request.reply(request.body()); });
    EXPECT_EQ("apple", prices.call({.body = "apple"}, kLong).text());
    std::vector<PendingReply> pending;
    for (const std::string& body : numbers(50)) pending.push_back(prices.request({.body = body}));
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(std::to_string(i), pending[i].get().text());
    EXPECT_TRUE(prices.unanswered().empty());
}

TEST_P(DurableRequests, RequestOfAnEarlierProcessIsAnsweredAndItsReplyReceived) {
    {
        Requester prices = open();
        PendingReply pending = prices.request({.body = "apple", .correlation_id = "order-7"},
                                              {.timeout = std::chrono::nanoseconds::max()});
    }
    world.end_producer();
    Requester prices = open();
    EXPECT_EQ(std::vector<std::string>{"order-7"}, prices.unanswered());
    Answering answering(world.worker(), "price",
                        [](Request& request) { request.reply(request.body()); });
    std::optional<PendingReply> received = prices.receive(kLong);
    ASSERT_TRUE(received);
    const Reply reply = received->get();
    EXPECT_EQ("apple", reply.text());
    EXPECT_EQ("order-7", reply.correlation_id());
    EXPECT_TRUE(prices.unanswered().empty());
    EXPECT_FALSE(prices.receive(0s));
}

TEST_P(DurableRequests, ReplyThatNobodyTookIsThereAfterARestart) {
    {
        Requester prices = open();
        Answering answering(world.worker(), "price", [](Request& request) {
            (void)request.reply_part("first");
            request.reply({.body = "last", .headers = {{"currency", "EUR"}}});
        });
        PendingReply pending = prices.request({.body = "apple", .correlation_id = "order-7"});
        ASSERT_TRUE(pending.wait(kLong));
    }
    world.end_producer();
    Requester prices = open();
    EXPECT_EQ(std::vector<std::string>{"order-7"}, prices.unanswered());
    std::optional<PendingReply> received = prices.receive(kLong);
    ASSERT_TRUE(received);
    EXPECT_EQ("first", received->next()->text());
    const std::optional<Reply> last = received->next();
    ASSERT_TRUE(last);
    EXPECT_EQ("last", last->text());
    EXPECT_EQ("EUR", last->header("currency"));
    EXPECT_EQ((std::vector<HeaderView>{{"currency", "EUR"}}), last->headers());
    EXPECT_TRUE(last->is_last());
    // Taken: the next process does not get it again.
    received.reset();
    world.end_producer();
    EXPECT_TRUE(open().unanswered().empty());
}

TEST_P(DurableRequests, ReplyGivenWhileTheRequesterIsAwayComesWhenItReturns) {
    Peer replier_peer;
    const std::string endpoint = replier_peer.bind("tcp://127.0.0.1:*");
    Replier replier = replier_peer.replier("price");
    std::optional<Request> request;
    {
        Requester prices = open();
        world.producer().connect(endpoint);
        PendingReply pending = prices.request({.body = "apple", .correlation_id = "order-7"},
                                              {.timeout = std::chrono::nanoseconds::max()});
        request.emplace(next(replier));
    }
    world.end_producer();
    request->reply("while you were out");
    Requester prices = open();
    world.producer().connect(endpoint);
    std::optional<PendingReply> received = prices.receive(kLong);
    ASSERT_TRUE(received);
    EXPECT_EQ("while you were out", received->get().text());
    EXPECT_EQ(1u, replier.stats().received);
}

TEST_P(DurableRequests, FailureIsThrownAfterARestartToo) {
    {
        Requester prices = open();
        Answering answering(world.worker(), "price",
                            [](Request& request) { request.fail("no", "fruit"); });
        PendingReply pending = prices.request({.body = "apple"});
        ASSERT_TRUE(pending.wait(kLong));
    }
    world.end_producer();
    Requester prices = open();
    std::optional<PendingReply> received = prices.receive(kLong);
    ASSERT_TRUE(received);
    EXPECT_THROW((void)received->get(), RemoteError);
}

TEST_P(DurableRequests, DroppedPendingReplyLeavesItsReplyToReceive) {
    Requester prices = open();
    { const PendingReply dropped = prices.request({.body = "apple"}); }
    EXPECT_EQ(1u, prices.unanswered().size());
    Answering answering(world.worker(), "price",
                        [](Request& request) { request.reply(request.body()); });
    std::optional<PendingReply> received = prices.receive(kLong);
    ASSERT_TRUE(received);
    EXPECT_EQ("apple", received->get().text());
}

TEST_P(DurableRequests, DeadlineOfAnEarlierProcessStillHolds) {
    {
        Requester prices = open();
        const PendingReply pending = prices.request({.body = "apple"}, {.timeout = 50ms});
    }
    world.end_producer();
    Requester prices = open();
    std::optional<PendingReply> received = prices.receive(kLong);
    ASSERT_TRUE(received);
    text_of_error(ErrorCode::timeout, [&] { (void)received->get(); });
    world.end_producer();
    EXPECT_TRUE(open().unanswered().empty());
}

TEST_P(DurableRequests, CannotBeOpenedInMemoryWhileTheSpoolHasRequests) {
    {
        Requester prices = open();
        const PendingReply pending = prices.request({.body = "apple"});
    }
    world.end_producer();
    text_of_error(ErrorCode::invalid_state, [&] { (void)world.producer().requester("price"); });
}

INSTANTIATE_TEST_SUITE_P(Levels, DurableRequests,
                         ::testing::Values(Durability::os, Durability::disk), level_name);

}  // namespace
}  // namespace peermq::test
