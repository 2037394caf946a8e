/// Many threads at once, callbacks that call back, and forks.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "peer_fixture.hpp"

namespace peermq::test {
namespace {

class PeerThreads : public PeerPair {};

TEST_F(PeerThreads, PostAndReceiveAllAtOnce) {
    constexpr int kThreads = 4;
    constexpr int kEach = 250;
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs", {.prefetch = 32, .concurrency = kThreads});
    std::mutex mutex;
    std::set<std::string> seen;
    std::atomic<int> received{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back([&, i] {
                for (int j = 0; j < kEach; ++j) push.post({.body = std::to_string(i * kEach + j)});
            });
            threads.emplace_back([&] {
                while (received < kThreads * kEach) {
                    std::optional<Delivery> delivery = pull.receive(20ms);
                    if (!delivery) continue;
                    ++received;
                    const std::lock_guard lock(mutex);
                    seen.insert(std::string(delivery->text()));
                    delivery->ack();
                }
            });
            threads.emplace_back([&] {
                while (received < kThreads * kEach) {
                    (void)push.stats();
                    (void)worker->stats();
                    (void)producer->stats();
                    std::this_thread::yield();
                }
            });
        }
    }
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(static_cast<std::size_t>(kThreads * kEach), seen.size());
    EXPECT_EQ(static_cast<std::uint64_t>(kThreads * kEach), push.stats().acked);
}

TEST_F(PeerThreads, RunUsesAsManyHandlersAsAskedFor) {
    constexpr int kHandlers = 3;
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs");
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    std::jthread running([&] {
        pull.run(
            [&](Delivery&) {
                const int now = ++inside;
                int before = most;
                while (now > before && !most.compare_exchange_weak(before, now)) {
                }
                (void)eventually([&] { return most == kHandlers; });
                --inside;
            },
            {.concurrency = kHandlers});
    });
    for (int i = 0; i < 20; ++i) push.post({.body = "x"});
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(kHandlers, most);
    pull.stop();
}

TEST_F(PeerThreads, HandlersMayThrowAnything) {
    Push push = producer->push("jobs",
                               {.max_attempts = 2, .retry_wait_min = 0ns, .retry_wait_max = 0ns});
    Pull pull = worker->pull("jobs");
    std::jthread running([&] {
        pull.run(
            [](Delivery& delivery) {
                if (delivery.text() == "int") throw 42;
                if (delivery.text() == "exception") throw std::runtime_error("no");
                if (delivery.text() == "settled") {
                    delivery.ack();
                    throw std::runtime_error("after the ack");
                }
            },
            {.concurrency = 2});
    });
    for (const char* body : {"int", "exception", "settled", "fine"}) push.post({.body = body});
    EXPECT_TRUE(push.flush(Until::acked, kLong));
    EXPECT_EQ(2u, push.stats().acked);
    EXPECT_EQ(2u, push.stats().dead);
    pull.stop();
}

TEST_F(PeerThreads, HandlersMayCallTheApi) {
    Push push = producer->push("jobs");
    Push answers = worker->push("answers");
    Pull pull = worker->pull("jobs");
    Pull answers_pull = producer->pull("answers");
    std::jthread running([&] {
        pull.run([&](Delivery& delivery) {
            answers.send({.body = delivery.body()});
            (void)pull.stats();
            (void)worker->stats();
            if (delivery.text() == "last") pull.stop();
        });
    });
    push.post({.body = "x"});
    push.post({.body = "last"});
    EXPECT_EQ("x", next(answers_pull).take().body);
    Delivery last = next(answers_pull);
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

TEST(PeerCallbacks, MayCallTheApi) {
    std::atomic<Peer*> self{nullptr};
    std::atomic<int> calls{0};
    std::atomic<int> lines{0};
    PeerOptions options;
    options.on_event = [&](const Event& event) {
        Peer* peer = self;
        if (peer == nullptr || event.kind != EventKind::peer_up) return;
        peer->push("from-callback").send({.body = event.text});
        calls += peer->stats().links.empty() ? 0 : 1;
        throw std::runtime_error("swallowed");
    };
    options.log = [&](LogLevel, std::string_view line) { lines += line.empty() ? 0 : 1; };
    options.close_timeout = 50ms;
    Peer peer(options);
    self = &peer;
    const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
    Peer worker({.close_timeout = 50ms});
    worker.connect(endpoint);
    Pull pull = worker.pull("from-callback");
    std::optional<Delivery> delivery = pull.receive(kLong);
    ASSERT_TRUE(delivery);
    delivery->ack();
    EXPECT_TRUE(eventually([&] { return calls > 0; }));
}

class PeerFork : public PeerPair {};

TEST_F(PeerFork, ChildIsRefusedAndParentGoesOn) {
    Push push = producer->push("jobs");
    Pull pull = worker->pull("jobs");
    push.post({.body = "before"});
    Delivery held = next(pull);
    const Receipt receipt = push.post({.body = "between"});
    const pid_t child = ::fork();
    if (child == 0) {
        int refused = 0;
        const auto expect_refusal = [&](auto&& action) {
            refused += code_of(action) == ErrorCode::invalid_state;
        };
        expect_refusal([&] { push.post({.body = "x"}); });
        expect_refusal([&] { (void)push.flush(); });
        expect_refusal([&] { push.purge(); });
        expect_refusal([&] { (void)push.stats(); });
        expect_refusal([&] { (void)pull.receive(1s); });
        expect_refusal([&] { (void)pull.stats(); });
        expect_refusal([&] { pull.stop(); });
        expect_refusal([&] { (void)producer->stats(); });
        expect_refusal([&] { (void)producer->bind("tcp://127.0.0.1:*"); });
        expect_refusal([&] { (void)producer->push("other"); });
        expect_refusal([&] { (void)producer->close(1s); });
        expect_refusal([&] { (void)receipt.wait(Until::acked); });
        expect_refusal([&] { held.ack(); });
        // Neither hangs nor says goodbye in the parent's name.
        { const Pull ended = std::move(pull); }
        producer.reset();
        worker.reset();
        ::_exit(refused == 13 ? 0 : 100 + refused);
    }
    int status = 0;
    ASSERT_TRUE(eventually([&] { return ::waitpid(child, &status, WNOHANG) == child; }));
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status));
    EXPECT_EQ(SettlementState::accepted, held.ack().wait(kLong));
    EXPECT_EQ("between", next(pull).take().body);
    push.post({.body = "after"});
    EXPECT_EQ("after", next(pull).take().body);
}

}  // namespace
}  // namespace peermq::test
