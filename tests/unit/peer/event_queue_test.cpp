#include "peer/event_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>

#include "base/limits.hpp"
#include "peermq/peer.hpp"
#include "support/wait.hpp"

namespace peermq::detail {
namespace {

using base::limits::kEventsWaitingMax;

Event some_event() { return {EventKind::quota, "", "jobs", 1, "text"}; }

TEST(EventQueue, CountsWhatFindsNoRoomAndTellsTheRest) {
    std::promise<void> entered;
    std::promise<void> go;
    std::atomic<std::uint64_t> told{0};
    EventQueue events(
        [&](const Event&) {
            if (told++ > 0) return;
            entered.set_value();
            go.get_future().wait();
        },
        {});
    events.emit(some_event());
    entered.get_future().wait();
    for (std::size_t i = 0; i < kEventsWaitingMax; ++i) events.emit(some_event());
    EXPECT_EQ(0u, events.dropped());
    for (int i = 0; i < 3; ++i) events.emit(some_event());
    EXPECT_EQ(3u, events.dropped());
    go.set_value();
    events.flush(test::kLong);
    EXPECT_EQ(kEventsWaitingMax + 1, told.load());
    EXPECT_EQ(0u, events.failures());
}

TEST(EventQueue, CountsExceptionsAndGoesOnCalling) {
    std::atomic<int> lines{0};
    EventQueue events([](const Event&) { throw std::runtime_error("on purpose"); },
                      [&](LogLevel, std::string_view) {
                          if (++lines == 2) throw 7;
                      });
    for (int i = 0; i < 3; ++i) events.emit(some_event());
    events.flush(test::kLong);
    EXPECT_EQ(3, lines.load()) << "the log line must not depend on the event callback";
    EXPECT_EQ(4u, events.failures());
    EXPECT_EQ(0u, events.dropped());
}

TEST(EventQueue, LeavesACallbackThatDoesNotReturn) {
    std::promise<void> entered;
    std::promise<void> go;
    std::atomic<int> told{0};
    std::atomic<bool> left{false};
    {
        EventQueue events(
            [&](const Event&) {
                ++told;
                entered.set_value();
                go.get_future().wait();
                left = true;
            },
            {});
        events.emit(some_event());
        events.emit(some_event());
        entered.get_future().wait();
        events.end(std::chrono::nanoseconds(0));
        events.emit(some_event());
    }
    go.set_value();
    EXPECT_TRUE(test::eventually([&] { return left.load(); }));
    EXPECT_EQ(1, told.load());
}

TEST(EventQueue, FailuresOfCallbacksStandInTheStatsOfThePeer) {
    Peer peer({.on_event = [](const Event&) { throw std::runtime_error("on purpose"); }});
    EXPECT_EQ(0u, peer.stats().callback_failures);
    peer.connect("tcp://127.0.0.1:1");  // nobody listens
    EXPECT_TRUE(test::eventually([&] { return peer.stats().callback_failures > 0; }));
    EXPECT_EQ(0u, peer.stats().events_dropped);
}

}  // namespace
}  // namespace peermq::detail
