/// A Notifier wakes an event loop whenever it is worth looking, and never for nothing new.

#include <poll.h>

#include <set>
#include <thread>

#include "contract/fixture.hpp"
#include "support/temporary_directory.hpp"

namespace peermq::test {
namespace {

constexpr int kPatienceMs = 20'000;

bool readable(const Notifier& notifier, int timeout_ms) {
    pollfd one{notifier.fd(), POLLIN, 0};
    return poll(&one, 1, timeout_ms) == 1 && (one.revents & POLLIN) != 0;
}

class Notify : public ::testing::TestWithParam<Wire> {
protected:
    Pull pull(std::uint32_t prefetch = 64) {
        return world.worker().pull("jobs", {.prefetch = prefetch});
    }
    World world{Arrangement{GetParam(), Durability::memory, true}};
    Notifier notifier;
};

TEST_P(Notify, ALoopThatResetsThenLooksMissesNoMessage) {
    constexpr int kMessages = 5000;
    Push push = world.push();
    Pull jobs = pull();
    jobs.notify(notifier);
    std::jthread producer([&] {
        for (int i = 0; i < kMessages; ++i) (void)push.post({.body = std::to_string(i)});
    });
    std::set<std::string> seen;
    std::optional<Delivery> delivery;
    while (seen.size() < kMessages) {
        ASSERT_TRUE(readable(notifier, kPatienceMs)) << seen.size() << " of " << kMessages;
        notifier.reset();
        while (jobs.receive_into(delivery, 0ns)) {
            seen.insert(std::string(delivery->text()));
            delivery->ack();
        }
        EXPECT_FALSE(delivery.has_value());
    }
}

TEST_P(Notify, WhatArrivedBeforeTheNotifierCameIsTold) {
    Push push = world.push();
    Pull jobs = pull();
    (void)push.post({.body = "x"});
    ASSERT_TRUE(eventually([&] { return jobs.stats().ready == 1; }));
    jobs.notify(notifier);
    EXPECT_TRUE(readable(notifier, 0));
}

TEST_P(Notify, StopIsTold) {
    Pull jobs = pull();
    jobs.notify(notifier);
    notifier.reset();
    jobs.stop();
    EXPECT_TRUE(readable(notifier, kPatienceMs));
}

TEST_P(Notify, DurableAndAckedMessagesAreTold) {
    Push push = world.push();
    Pull jobs = pull();
    push.notify(notifier);
    notifier.reset();
    const Receipt receipt = push.post({.body = "x"});
    EXPECT_FALSE(receipt.failed(Until::acked));
    auto delivery = jobs.receive(20s);
    ASSERT_TRUE(delivery.has_value());
    delivery->ack();
    while (!receipt.done(Until::acked)) {
        ASSERT_TRUE(readable(notifier, kPatienceMs));
        notifier.reset();
    }
}

TEST_P(Notify, RequestsAndRepliesAreTold) {
    Notifier of_replies;
    Replier replier = world.producer().replier("price");
    Requester requester = world.worker().requester("price");
    replier.notify(notifier);
    requester.notify(of_replies);
    PendingReply pending = requester.request({.body = "x"});
    std::optional<Request> request;
    while (!request) {
        ASSERT_TRUE(readable(notifier, kPatienceMs));
        notifier.reset();
        request = replier.receive(0ns);
    }
    ASSERT_TRUE(request->reply_part("part"));
    std::optional<Reply> part;
    while (!part) {
        ASSERT_TRUE(readable(of_replies, kPatienceMs));
        of_replies.reset();
        part = pending.next(0ns);
    }
    EXPECT_EQ("part", part->text());
    request->reply("end");
    while (!pending.done()) {
        ASSERT_TRUE(readable(of_replies, kPatienceMs));
        of_replies.reset();
    }
    EXPECT_EQ("end", pending.get().text());
}

TEST_P(Notify, TheEndOfThePeerIsToldToWhoWaitsForReceipts) {
    Peer peer({.close_timeout = 0ns});
    Push push = peer.push("jobs");
    push.notify(notifier);
    notifier.reset();
    const Receipt receipt = push.post({.body = "x"});
    (void)peer.close(0ns);
    EXPECT_TRUE(readable(notifier, 0));
    EXPECT_TRUE(receipt.failed(Until::acked));
    EXPECT_FALSE(receipt.failed());
}

INSTANTIATE_TEST_SUITE_P(Over, Notify, ::testing::Values(Wire::inproc, Wire::ipc, Wire::tcp),
                         [](const auto& one) {
                             return one.param == Wire::inproc ? "inproc"
                                    : one.param == Wire::ipc  ? "ipc"
                                                              : "tcp";
                         });

TEST(NotifyStored, DurabilityOnDiskIsToldWithoutAnybodyWaitingInside) {
    TemporaryDirectory directory;
    Peer peer({.spool = directory.path(), .close_timeout = 0ns});
    Push push = peer.push("jobs");
    Notifier notifier;
    push.notify(notifier);
    notifier.reset();
    const Receipt receipt = push.post({.body = "x"});
    while (!receipt.done()) {
        ASSERT_TRUE(readable(notifier, kPatienceMs));
        notifier.reset();
    }
}

TEST(NotifierAlone, IsReadableFromNotifyUntilReset) {
    const Notifier notifier;
    EXPECT_FALSE(readable(notifier, 0));
    notifier.notify();
    notifier.notify();
    EXPECT_TRUE(readable(notifier, 0));
    notifier.reset();
    EXPECT_FALSE(readable(notifier, 0));
    notifier.notify();
    EXPECT_TRUE(readable(notifier, 0));
}

}  // namespace
}  // namespace peermq::test
