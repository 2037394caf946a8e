/// How requests end other than by a reply in time: deadlines, cancelling, lost repliers, bad input.

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "contract/fixture.hpp"
#include "contract/service_fixture.hpp"

namespace peermq::test {
namespace {

class RequestEnd : public ::testing::Test {
protected:
    World world;
    Requester prices = world.producer().requester("price");
};

TEST_F(RequestEnd, TimesOutAtItsDeadlineWhenNobodyAnswers) {
    text_of_error(ErrorCode::timeout, [&] { (void)prices.call({.body = "apple"}, 20ms); });
    PendingReply pending = prices.request({.body = "apple"}, {.timeout = 20ms});
    EXPECT_TRUE(pending.wait(kLong));
    text_of_error(ErrorCode::timeout, [&] { (void)pending.get(); });
    const RequesterStats stats = prices.stats();
    EXPECT_EQ(2u, stats.timeouts);
    EXPECT_EQ(0u, stats.in_flight);
}

TEST_F(RequestEnd, OverdueRequestIsNeverHandedOut) {
    text_of_error(ErrorCode::timeout, [&] { (void)prices.call({.body = "late"}, 20ms); });
    Replier replier = world.worker().replier("price");
    PendingReply pending = prices.request({.body = "in time"});
    Request request = next(replier);
    EXPECT_EQ("in time", request.text());
    request.reply("x");
    EXPECT_EQ("x", pending.get().text());
    EXPECT_EQ(1u, replier.stats().received);
}

TEST_F(RequestEnd, OverdueRequestThatWaitsAtAReplierIsSkipped) {
    Replier replier = world.worker().replier("price", {.prefetch = 4});
    PendingReply first = prices.request({.body = "first"});
    Request held = next(replier);
    PendingReply late = prices.request({.body = "late"}, {.timeout = 50ms});
    PendingReply last = prices.request({.body = "last"});
    ASSERT_TRUE(eventually([&] { return replier.stats().received == 3; }));
    ASSERT_TRUE(late.wait(kLong));
    Request request = next(replier);
    EXPECT_EQ("last", request.text());
    request.reply("a");
    held.reply("b");
    EXPECT_EQ("a", last.get().text());
    EXPECT_EQ("b", first.get().text());
    const ReplierStats stats = replier.stats();
    // Overdue when its turn came, or told to be so before; both when the word came in between.
    EXPECT_GE(stats.expired + stats.cancelled, 1u);
    EXPECT_EQ(2u, stats.replies);
}

TEST_F(RequestEnd, LateReplyIsDroppedAndCounted) {
    Replier replier = world.worker().replier("price");
    PendingReply late = prices.request({.body = "late"}, {.timeout = 50ms});
    Request request = next(replier);
    ASSERT_TRUE(late.wait(kLong));
    ASSERT_TRUE(eventually([&] { return request.cancelled(); }));
    request.reply("too late");
    EXPECT_TRUE(eventually([&] { return prices.stats().late_replies == 1; }));
    text_of_error(ErrorCode::timeout, [&] { (void)late.get(); });
    // The next one gets its own.
    PendingReply pending = prices.request({.body = "next"});
    next(replier).reply("its own");
    EXPECT_EQ("its own", pending.get().text());
}

TEST_F(RequestEnd, CancelTellsTheHandlerAndTheWaiter) {
    Replier replier = world.worker().replier("price");
    PendingReply pending = prices.request({.body = "apple"});
    Request request = next(replier);
    EXPECT_FALSE(request.cancelled());
    EXPECT_TRUE(pending.cancel());
    EXPECT_TRUE(eventually([&] { return request.cancelled(); }));
    text_of_error(ErrorCode::cancelled, [&] { (void)pending.get(); });
    EXPECT_FALSE(pending.cancel());
    EXPECT_EQ(1u, prices.stats().cancelled);
}

TEST_F(RequestEnd, DroppedPendingReplyCancelsItsRequest) {
    Replier replier = world.worker().replier("price");
    { const PendingReply dropped = prices.request({.body = "apple"}); }
    EXPECT_EQ(1u, prices.stats().cancelled);
    EXPECT_EQ(0u, prices.stats().in_flight);
}

TEST_F(RequestEnd, CallbackIsCalledOnceWithWhatCame) {
    Answering answering(world.worker(), "price", [](Request& request) {
        if (request.text() == "fail") return request.fail("no", "thing");
        request.reply(request.body());
    });
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> ends;
    const auto note = [&](PendingReply& reply) {
        std::string end;
        try {
            end = reply.get().text();
        } catch (const Error& error) {
            end = to_string(error.code());
        }
        const std::lock_guard lock(mutex);
        ends.push_back(end);
        changed.notify_all();
    };
    prices.request({.body = "apple"}, {}, note);
    prices.request({.body = "fail"}, {}, note);
    prices.request({.body = "x"}, {}, [](PendingReply&) { throw std::runtime_error("mine"); });
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kLong, [&] { return ends.size() == 2; }));
    EXPECT_EQ((std::vector<std::string>{"apple", "remote_error"}), ends);
    lock.unlock();
    EXPECT_TRUE(eventually([&] { return prices.stats().callback_failures == 1; }));
}

TEST_F(RequestEnd, SecondReplyIsRefused) {
    Replier replier = world.worker().replier("price");
    PendingReply pending = prices.request({.body = "apple"});
    Request request = next(replier);
    request.reply("first");
    const std::string text = text_of_error(ErrorCode::invalid_state,
                                           [&] { request.reply("second"); });
    EXPECT_NE(std::string::npos, text.find("answered already")) << text;
    text_of_error(ErrorCode::invalid_state, [&] { request.fail("code"); });
    text_of_error(ErrorCode::invalid_state, [&] { (void)request.reply_part("part"); });
    EXPECT_EQ("first", pending.get().text());
    text_of_error(ErrorCode::invalid_state, [&] { (void)pending.get(); });
}

TEST_F(RequestEnd, ReplyOfAMovedFromRequestIsRefused) {
    Replier replier = world.worker().replier("price");
    PendingReply pending = prices.request({.body = "apple"});
    Request request = next(replier);
    Request moved = std::move(request);
    text_of_error(ErrorCode::invalid_state,
                  [&] { request.reply("x"); });  // NOLINT(bugprone-use-after-move)
    moved.reply("y");
    EXPECT_EQ("y", pending.get().text());
}

TEST_F(RequestEnd, CorrelationIdInFlightIsRefusedAndFreeAfterwards) {
    Replier replier = world.worker().replier("price");
    PendingReply pending = prices.request({.body = "1", .correlation_id = "order-7"});
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)prices.request({.body = "2", .correlation_id = "order-7"}); });
    next(replier).reply("x");
    EXPECT_EQ("order-7", pending.get().correlation_id());
    PendingReply again = prices.request({.body = "3", .correlation_id = "order-7"});
    Request request = next(replier);
    EXPECT_EQ("3", request.text());
    request.reply("y");
    EXPECT_EQ("y", again.get().text());
}

TEST_F(RequestEnd, RequestsBeyondTheLimitAreRefusedAtOnce) {
    Requester few = world.producer().requester("few", {.in_flight_max = 2});
    PendingReply first = few.request({.body = "1"});
    PendingReply second = few.request({.body = "2"});
    text_of_error(ErrorCode::quota, [&] { (void)few.request({.body = "3"}); });
    EXPECT_TRUE(first.cancel());
    PendingReply third = few.request({.body = "3"});
    EXPECT_EQ(2u, few.stats().in_flight);
}

TEST_F(RequestEnd, BadOptionsAreRefusedWithTheirName) {
    Peer& peer = world.producer();
    const auto refused = [&](RequesterOptions options, std::string_view name) {
        const std::string text = text_of_error(ErrorCode::invalid_argument,
                                               [&] { (void)peer.requester("other", options); });
        EXPECT_NE(std::string::npos, text.find(name)) << text;
    };
    refused({.timeout = 0s}, "timeout");
    refused({.in_flight_max = 0}, "in_flight_max");
    refused({.breaker_failures = 30}, "breaker_failures");
    refused({.breaker_window = 0}, "breaker_window");
    text_of_error(ErrorCode::unsupported,
                  [&] { (void)peer.requester("other", {.durability = Durability::disk}); });
    text_of_error(ErrorCode::invalid_state,
                  [&] { (void)peer.requester("price", {.timeout = 1s}); });
    text_of_error(ErrorCode::invalid_argument, [&] { (void)peer.requester("a b"); });
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)prices.request({.body = "x"}, {.timeout = 0s}); });
    Replier replier = world.worker().replier("price");
    PendingReply pending = prices.request({.body = "x"});
    Request request = next(replier);
    text_of_error(ErrorCode::invalid_argument, [&] { request.fail(""); });
    text_of_error(ErrorCode::invalid_argument,
                  [&] { request.reply({.body = "x", .correlation_id = "other"}); });
    text_of_error(ErrorCode::too_large, [&] { request.reply(std::string(17 << 20, 'x')); });
    request.reply("still possible");
    EXPECT_EQ("still possible", pending.get().text());
}

TEST_F(RequestEnd, ClosingThePeerEndsWhatWaits) {
    PendingReply pending = prices.request({.body = "apple"});
    (void)world.producer().close(1s);
    text_of_error(ErrorCode::closed, [&] { (void)pending.get(); });
    text_of_error(ErrorCode::closed, [&] { (void)prices.request({.body = "apple"}); });
}

TEST_F(RequestEnd, CallbackIsCalledAlsoWhenNothingIsLeftOfThePeer) {
    std::mutex mutex;
    std::condition_variable changed;
    std::string end;
    {
        Peer peer;
        Requester asking = peer.requester("price");
        asking.request({.body = "apple"}, {}, [&](PendingReply& reply) {
            std::string code;
            try {
                (void)reply.get();
            } catch (const Error& error) {
                code = to_string(error.code());
            }
            const std::lock_guard lock(mutex);
            end = code;
            changed.notify_all();
        });
    }
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kLong, [&] { return !end.empty(); }));
    EXPECT_EQ("closed", end);
}

// --- repliers that are lost

TEST_F(RequestEnd, IdempotentRequestGoesToAnotherReplierWhenItsOwnIsLost) {
    Peer second_peer;
    std::optional<Peer> first_peer(std::in_place, PeerOptions{.close_timeout = 0s});
    world.link(*first_peer);
    std::optional<Replier> first(first_peer->replier("price"));
    PendingReply pending = prices.request({.body = "apple"}, {.idempotent = true});
    std::optional<Request> held(next(*first));
    EXPECT_FALSE(held->redelivered());
    world.link(second_peer);
    Replier second = second_peer.replier("price");
    ASSERT_TRUE(eventually([&] { return prices.stats().repliers == 2; }));
    first_peer->close(0s);  // with the request unanswered
    Request request = next(second);
    EXPECT_EQ("apple", request.text());
    EXPECT_TRUE(request.redelivered());
    request.reply("from the second");
    EXPECT_EQ("from the second", pending.get().text());
    EXPECT_EQ(1u, prices.stats().retries);
}

TEST_F(RequestEnd, OtherRequestsEndAsOutcomeUnknownWhenTheirReplierIsLost) {
    Peer second_peer;
    Peer first_peer(PeerOptions{.close_timeout = 0s});
    world.link(first_peer);
    Replier first = first_peer.replier("price");
    PendingReply pending = prices.request({.body = "apple"});
    Request held = next(first);
    world.link(second_peer);
    Replier second = second_peer.replier("price");
    ASSERT_TRUE(eventually([&] { return prices.stats().repliers == 2; }));
    first_peer.close(0s);
    ASSERT_TRUE(pending.wait(kLong));
    text_of_error(ErrorCode::outcome_unknown, [&] { (void)pending.get(); });
    EXPECT_FALSE(second.receive(0s));
    EXPECT_EQ(1u, prices.stats().outcome_unknown);
    EXPECT_EQ(0u, prices.stats().in_flight);
}

TEST_F(RequestEnd, WhatAReplierHasNotBegunGoesElsewhereWhenItStops) {
    Replier first = world.worker().replier("price", {.prefetch = 4});
    PendingReply one = prices.request({.body = "1"});
    PendingReply two = prices.request({.body = "2"});
    Request held = next(first);
    ASSERT_TRUE(eventually([&] { return first.stats().ready == 1; }));
    first.stop();
    Replier second = world.worker().replier("price");
    Request request = next(second);
    request.reply(request.body());
    held.reply(held.body());
    EXPECT_EQ("1", one.get().text());
    EXPECT_EQ("2", two.get().text());
}

TEST_F(RequestEnd, BudgetLimitsHowManyRequestsAreRepeated) {
    Requester thrifty = world.producer().requester("thrifty",
                                                   {.retry_percent = 1, .retry_burst = 1});
    Peer first_peer(PeerOptions{.close_timeout = 0s});
    world.link(first_peer);
    Replier first = first_peer.replier("thrifty", {.prefetch = 4});
    PendingReply one = thrifty.request({.body = "1"}, {.idempotent = true});
    PendingReply two = thrifty.request({.body = "2"}, {.idempotent = true});
    Request held_one = next(first);
    Request held_two = next(first);
    first_peer.close(0s);
    ASSERT_TRUE(eventually([&] { return one.done() || two.done(); }));
    PendingReply& ended = one.done() ? one : two;
    PendingReply& repeated = one.done() ? two : one;
    const std::string text = text_of_error(ErrorCode::outcome_unknown, [&] { (void)ended.get(); });
    EXPECT_NE(std::string::npos, text.find("budget")) << text;
    Answering answering(world.worker(), "thrifty",
                        [](Request& request) { request.reply(request.body()); });
    EXPECT_NO_THROW((void)repeated.get());
}

TEST_F(RequestEnd, RepeatedIdIsAnsweredFromTheCacheWithoutRunning) {
    std::atomic<int> runs{0};
    Answering answering(world.worker(), "price", [&](Request& request) {
        request.reply(std::to_string(++runs) + std::string(request.text()));
    });
    const Message once{.body = "a", .id = "payment-1"};
    EXPECT_EQ("1a", prices.call(once, kLong).text());
    // Remembered once the requester has confirmed the reply.
    ASSERT_TRUE(eventually([&] { return answering.replier().stats().unconfirmed == 0; }));
    EXPECT_EQ("1a", prices.call(once, kLong).text());
    EXPECT_EQ("2b", prices.call({.body = "b", .id = "payment-2"}, kLong).text());
    EXPECT_EQ("3c", prices.call({.body = "c"}, kLong).text());
    EXPECT_EQ(1u, answering.replier().stats().replayed);
}

// --- replies in parts

TEST_F(RequestEnd, ReplyInPartsComesPartByPart) {
    Replier replier = world.worker().replier("price");
    PendingReply pending = prices.request({.body = "all"});
    Request request = next(replier);
    EXPECT_TRUE(request.reply_part("a"));
    EXPECT_TRUE(request.progress("50 %"));
    std::optional<Reply> part = pending.next(kLong);
    ASSERT_TRUE(part);
    EXPECT_EQ("a", part->text());
    EXPECT_FALSE(part->is_last());
    part = pending.next(kLong);
    ASSERT_TRUE(part);
    EXPECT_TRUE(part->is_progress());
    EXPECT_EQ(1u, part->part());
    EXPECT_FALSE(pending.next(0s));
    EXPECT_FALSE(pending.done());
    request.reply("z");
    part = pending.next(kLong);
    ASSERT_TRUE(part);
    EXPECT_TRUE(part->is_last());
    EXPECT_EQ("z", part->text());
    EXPECT_FALSE(pending.next());
}

TEST_F(RequestEnd, FailureAfterPartsIsThrownAfterThem) {
    Answering answering(world.worker(), "price", [](Request& request) {
        (void)request.reply_part("a");
        request.fail("broken", "in the middle");
    });
    PendingReply pending = prices.request({.body = "all"});
    EXPECT_EQ("a", pending.next()->text());
    EXPECT_THROW((void)pending.next(), RemoteError);
}

TEST_F(RequestEnd, GetReturnsTheLastPart) {
    Answering answering(world.worker(), "price", [](Request& request) {
        for (int i = 0; i < 100; ++i) (void)request.reply_part(std::string(100'000, 'x'));
        request.reply("end");
    });
    const Reply reply = prices.call({.body = "all"}, kLong);
    EXPECT_EQ("end", reply.text());
    EXPECT_EQ(100u, reply.part());
}

TEST_F(RequestEnd, WhoTakesPartsSlowlyHoldsTheHandlerUpAndLosesNothing) {
    std::atomic<int> given{0};
    Answering answering(world.worker(), "price", [&](Request& request) {
        for (int i = 0; i < 64; ++i) {
            if (!request.reply_part(std::string(100'000, static_cast<char>('A' + i % 26)))) return;
            ++given;
        }
        request.reply("end");
    });
    PendingReply pending = prices.request({.body = "all"});
    ASSERT_TRUE(pending.next(kLong));
    // 1 MiB under way and as much waiting, and what has just been taken.
    EXPECT_LE(given, 24);
    int parts = 1;
    while (const std::optional<Reply> part = pending.next(kLong)) {
        if (part->is_last()) break;
        EXPECT_EQ(std::string(100'000, static_cast<char>('A' + parts % 26)), part->text());
        ++parts;
    }
    EXPECT_EQ(64, parts);
}

TEST_F(RequestEnd, CancelledReaderFreesTheHandlerThatWaitsForRoom) {
    std::atomic<bool> told{false};
    Answering answering(world.worker(), "price", [&](Request& request) {
        while (request.reply_part(std::string(100'000, 'x'))) {
        }
        told = true;
    });
    PendingReply pending = prices.request({.body = "all"});
    ASSERT_TRUE(pending.next(kLong));
    EXPECT_TRUE(pending.cancel());
    EXPECT_TRUE(eventually([&] { return told.load(); }));
}

// --- scatter-gather

TEST_F(RequestEnd, ScatterTellsOfThoseWhoFailOrAreLost) {
    Answering good(world.worker(), "price", [](Request& request) { request.reply("good"); });
    Answering bad(world.worker(), "price", [](Request& request) { request.fail("bad", "luck"); });
    Peer lost_peer(PeerOptions{.close_timeout = 0s});
    world.link(lost_peer);
    Replier lost = lost_peer.replier("price");
    ASSERT_TRUE(eventually([&] { return prices.stats().repliers == 3; }));
    std::jthread ending([&] {
        const Request held = next(lost);
        lost_peer.close(0s);
    });
    const Gathered gathered = prices.scatter({.body = "x"}, kLong);
    EXPECT_EQ(3u, gathered.asked);
    ASSERT_EQ(1u, gathered.replies.size());
    EXPECT_EQ("good", gathered.replies.front().text());
    std::multiset<std::string_view> codes;
    for (const Error& error : gathered.failures) codes.insert(to_string(error.code()));
    EXPECT_EQ((std::multiset<std::string_view>{"outcome_unknown", "remote_error"}), codes);
}

TEST_F(RequestEnd, ScatterDoesNotWaitForASlowReplierBeyondTheDeadline) {
    Answering good(world.worker(), "price", [](Request& request) { request.reply("good"); });
    Replier slow = world.worker().replier("price");
    ASSERT_TRUE(eventually([&] { return prices.stats().repliers == 2; }));
    const Gathered gathered = prices.scatter({.body = "x"}, 200ms);
    EXPECT_EQ(2u, gathered.asked);
    EXPECT_EQ(1u, gathered.replies.size());
    ASSERT_EQ(1u, gathered.failures.size());
    EXPECT_EQ(ErrorCode::timeout, gathered.failures.front().code());
}

// --- the circuit breaker

TEST_F(RequestEnd, BreakerOpensAfterFailuresAndClosesAfterASuccess) {
    Requester guarded = world.producer().requester(
        "guarded", {.breaker_failures = 2, .breaker_window = 4, .breaker_wait = 50ms});
    for (int i = 0; i < 2; ++i)
        text_of_error(ErrorCode::timeout, [&] { (void)guarded.call({.body = "x"}, 5ms); });
    EXPECT_EQ(BreakerState::open, guarded.stats().breaker);
    text_of_error(ErrorCode::circuit_open, [&] { (void)guarded.call({.body = "x"}, kLong); });
    EXPECT_EQ(1u, guarded.stats().rejected);
    Answering answering(world.worker(), "guarded",
                        [](Request& request) { request.reply(request.body()); });
    ASSERT_TRUE(eventually([&] { return guarded.stats().breaker == BreakerState::half_open; }));
    EXPECT_EQ("x", guarded.call({.body = "x"}, kLong).text());
    EXPECT_EQ(BreakerState::closed, guarded.stats().breaker);
}

}  // namespace
}  // namespace peermq::test
