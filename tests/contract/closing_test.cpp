/// Peers that close and go while other threads are inside every call that waits.

#include <thread>
#include <type_traits>

#include "contract/fixture.hpp"

namespace peermq::test {
namespace {

/// Calls until one throws, which must be with Error closed; counts those that have ended.
class Callers {
public:
    template <typename Call>
    void until_closed(Call call) {
        threads_.emplace_back([this, call = std::move(call)] {
            try {
                while (call()) {
                }
            } catch (const Error& error) {
                EXPECT_EQ(ErrorCode::closed, error.code()) << error.what();
            }
            ++ended_;
        });
    }
    [[nodiscard]] bool all_ended() const {
        return eventually([&] { return ended_ == threads_.size(); });
    }

private:
    std::atomic<std::size_t> ended_{0};
    std::vector<std::jthread> threads_;
};

class Closing : public ::testing::TestWithParam<Durability> {
protected:
    /// Two that receive, settle and wait for the outcome.
    void consume(Callers& callers, Pull& pull) {
        for (int i = 0; i < 2; ++i) {
            callers.until_closed([&] {
                std::optional<Delivery> delivery = pull.receive();
                if (!delivery) return false;
                const SettlementState state = delivery->ack().wait(kLong);
                if (state == SettlementState::accepted) ++handled;
                EXPECT_NE(SettlementState::pending, state) << "the wait ended without an answer";
                return true;
            });
        }
    }

    void produce(Callers& callers, Push& push) {
        callers.until_closed([&] {
            push.post({.body = "posted"});
            return true;
        });
        callers.until_closed([&] { return push.send({.body = "sent"}).wait(Until::acked); });
        callers.until_closed([&] {
            push.post({.body = "flushed"});
            return push.flush(Until::acked);
        });
    }

    World world{Arrangement{Wire::tcp, GetParam(), true}};
    std::atomic<std::size_t> handled{0};
};

TEST_P(Closing, OfAWorkerEndsReceiveAndSettlementOnOtherThreads) {
    Push push = world.push();
    const std::string endpoint = world.producer().bind("tcp://127.0.0.1:*");
    for (int round = 0; round < 5; ++round) {
        post_numbers(push, 2000);
        std::optional<Peer> worker(std::in_place);
        worker->connect(endpoint);
        Pull pull = worker->pull("jobs");
        Callers callers;
        const std::size_t before = handled;
        consume(callers, pull);
        ASSERT_TRUE(eventually([&] { return handled > before + 10; }));
        (void)worker->close(round % 2 == 0 ? 0ns : 100ms);
        worker.reset();
        EXPECT_TRUE(callers.all_ended());
    }
}

TEST_P(Closing, OfAProducerEndsPostAndWaitOnOtherThreads) {
    for (int round = 0; round < 5; ++round) {
        std::optional<Push> push(world.push("jobs", {.memory_bytes_max = 4096}));
        Pull pull = world.worker().pull("jobs");
        Callers callers;
        const std::size_t before = handled;
        produce(callers, *push);
        // Their acks may stay without an answer: the producer may come back with its spool.
        Callers consumers;
        consumers.until_closed([&] {
            std::optional<Delivery> delivery = pull.receive();
            if (!delivery) return false;
            delivery->ack();
            ++handled;
            return true;
        });
        ASSERT_TRUE(eventually([&] { return handled > before + 10; }));
        (void)world.producer().close(round % 2 == 0 ? 0ns : 100ms);
        world.end_producer();
        EXPECT_TRUE(callers.all_ended());
        pull.stop();
        EXPECT_TRUE(consumers.all_ended());
    }
}

INSTANTIATE_TEST_SUITE_P(Over, Closing, ::testing::Values(Durability::memory, Durability::disk),
                         level_name);

}  // namespace
}  // namespace peermq::test
