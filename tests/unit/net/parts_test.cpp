/// The small parts: monitor events, owners of descriptors, watched processes, names.

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "fixture.hpp"
#include "net/fd_owners.hpp"
#include "net/monitor.hpp"
#include "net/process_watch.hpp"
#include "net/resolver.hpp"

namespace peermq::net::testing {
namespace {

TEST(MonitorEvent, IsDecodedFromItsTwoParts) {
    const unsigned char first[] = {0x00, 0x02, 7, 0, 0, 0};
    const auto event = decode_monitor_event(std::as_bytes(std::span(first)),
                                            base::as_bytes("tcp://a:1"));
    ASSERT_TRUE(event);
    EXPECT_EQ(ZMQ_EVENT_DISCONNECTED, event->event);
    EXPECT_EQ(7u, event->value);
    EXPECT_EQ("tcp://a:1", event->endpoint);
}

TEST(MonitorEvent, IsRefusedWithAnotherSize) {
    const unsigned char bytes[8] = {};
    for (const std::size_t size : {0u, 5u, 7u, 8u}) {
        EXPECT_FALSE(decode_monitor_event(std::as_bytes(std::span(bytes, size)), {}));
    }
}

TEST(MonitorEvent, NamesTheCauseOfAFailedHandshake) {
    EXPECT_NE(
        std::string::npos,
        describe_handshake_failure(
            {ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, {}})
            .find("security mechanisms"));
    EXPECT_NE(std::string::npos,
              describe_handshake_failure({ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 400, {}}).find("400"));
    EXPECT_TRUE(is_hang_up({ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EPIPE, {}}));
    EXPECT_FALSE(is_hang_up({ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EAGAIN, {}}));
}

TEST(FdOwners, NamesTheChannelWhoseConnectionEnds) {
    FdOwners owners;
    EXPECT_EQ(0u, owners.accepted(7));
    EXPECT_EQ(0u, owners.seen(7, 1).displaced);
    EXPECT_EQ(1u, owners.owner(7));
    EXPECT_EQ(1u, owners.disconnected(7));
    EXPECT_EQ(0u, owners.disconnected(7));
}

TEST(FdOwners, KnowsReusedDescriptorsApart) {
    FdOwners owners;
    owners.accepted(7);
    static_cast<void>(owners.seen(7, 1));
    EXPECT_EQ(1u, owners.disconnected(7));
    owners.accepted(7);
    EXPECT_EQ(0u, owners.owner(7));
    static_cast<void>(owners.seen(7, 2));
    EXPECT_EQ(2u, owners.disconnected(7));
}

TEST(FdOwners, GivesADescriptorToTheLatestChannel) {
    FdOwners owners;
    owners.accepted(7);
    static_cast<void>(owners.seen(7, 1));
    EXPECT_EQ(1u, owners.seen(7, 2).displaced);
    EXPECT_EQ(2u, owners.accepted(7));
}

TEST(FdOwners, SeesThatAChannelEndedBeforeItsFirstFrameWasRead) {
    FdOwners owners;
    owners.accepted(7);
    EXPECT_EQ(0u, owners.disconnected(7));
    EXPECT_TRUE(owners.seen(7, 1).ended);
    EXPECT_EQ(0u, owners.owner(7));
}

class PollerWait : public ::testing::TestWithParam<Poller::Timing> {
protected:
    std::shared_ptr<Wakeup> wakeup = std::make_shared<Wakeup>();
    Poller poller{wakeup, GetParam()};
    base::SystemClock clock;
};

TEST_P(PollerWait, EndsAtItsTimeAndNotBefore) {
    for (const base::Duration wait :
         {base::Duration(0), base::Duration(50us), base::Duration(3ms)}) {
        const base::Time until = clock.now() + wait;
        poller.idle(clock, until);
        EXPECT_GE(clock.now(), until);
    }
}

TEST_P(PollerWait, EndsWithWhateverComesFirst) {
    const base::Time late = base::after(clock.now(), 30s);
    for (int round = 0; round < 100; ++round) {
        // What ended the last wait must not end this one.
        poller.idle(clock, clock.now() + 20us);
        std::jthread waker([&] { wakeup->wake(); });
        poller.idle(clock, late);
    }
    Descriptor ready(::eventfd(1, EFD_CLOEXEC));
    int handled = 0;
    const Poller::Key key = poller.add(ready.get(), EPOLLIN, [&] { ++handled; });
    poller.idle(clock, late);
    poller.poll();
    EXPECT_EQ(1, handled);
    poller.remove(key, ready.get());
    EXPECT_LT(clock.now(), late) << "something waited to the end";
}

INSTANTIATE_TEST_SUITE_P(Ended, PollerWait,
                         ::testing::Values(Poller::Timing::by_wait, Poller::Timing::by_timer));

TEST(Resolver, KnowsNumericHosts) {
    for (const char* host : {"127.0.0.1", "::1", "fe80::1%lo"}) EXPECT_TRUE(is_numeric_host(host));
    for (const char* host : {"localhost", "1.2.3", "*", ""}) EXPECT_FALSE(is_numeric_host(host));
}

TEST(Resolver, AnswersWithAddressesOrAReason) {
    const auto wakeup = std::make_shared<Wakeup>();
    Resolver resolver(wakeup);
    resolver.ask(1, "localhost");
    resolver.ask(2, "name-that-does-not-exist.invalid");
    Poller poller(wakeup);
    base::SystemClock clock;
    std::vector<Resolution> all;
    const base::Time deadline = clock.now() + 20s;
    while (all.size() < 2 && clock.now() < deadline) {
        poller.idle(clock, deadline);
        poller.poll();
        for (Resolution& one : resolver.take()) all.push_back(std::move(one));
    }
    ASSERT_EQ(2u, all.size());
    EXPECT_EQ(1u, all[0].request);
    EXPECT_FALSE(all[0].addresses.empty());
    EXPECT_TRUE(all[1].addresses.empty());
    EXPECT_NE(std::string::npos, all[1].error.find("name-that-does-not-exist.invalid"));
}

/// A child that does nothing until it is killed.
struct Child {
    Child() : pid(::fork()) {
        if (pid == 0) {
            for (;;) ::pause();
        }
    }
    ~Child() { end(); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    void end() {
        if (pid <= 0) return;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        pid = -1;
    }
    [[nodiscard]] std::uint32_t id() const { return static_cast<std::uint32_t>(pid); }
    pid_t pid;
};

TEST(ProcessWatch, ReportsTheEndOfAProcessOnce) {
    Child child;
    Node node;
    const auto start = process_start_time(child.id());
    ASSERT_TRUE(start);
    ASSERT_TRUE(node.network->watch_process(5, child.id(), *start));
    node.network->receive(node, 1);
    EXPECT_TRUE(node.ended.empty());
    child.end();
    ASSERT_TRUE(run(
        {&node}, [&] { return !node.ended.empty(); }, 2s));
    EXPECT_EQ(std::vector<std::uint64_t>{5}, node.ended);
}

TEST(ProcessWatch, ReportsAtTheNextReceiveWhatIsGoneAlready) {
    Child child;
    const std::uint32_t pid = child.id();
    const auto start = process_start_time(pid);
    Node node;
    // Another process with the same pid: the one that was asked for must have ended.
    EXPECT_TRUE(node.network->watch_process(1, pid, *start + 1));
    child.end();
    EXPECT_TRUE(node.network->watch_process(2, pid, *start));
    node.network->receive(node, 1);
    EXPECT_EQ((std::vector<std::uint64_t>{1, 2}), node.ended);
}

TEST(ProcessWatch, SaysNothingAboutWhatIsNoLongerWatched) {
    Child first;
    Child second;
    Node node;
    EXPECT_TRUE(node.network->watch_process(1, first.id(), *process_start_time(first.id())));
    EXPECT_TRUE(node.network->watch_process(2, second.id(), *process_start_time(second.id())));
    node.network->unwatch_process(1);
    first.end();
    second.end();
    ASSERT_TRUE(run(
        {&node}, [&] { return !node.ended.empty(); }, 2s));
    EXPECT_EQ(std::vector<std::uint64_t>{2}, node.ended);
}

TEST(ProcessWatch, RefusesWhatIsNoProcess) {
    Node node;
    EXPECT_FALSE(node.network->watch_process(1, 0, 1));
    EXPECT_FALSE(node.network->watch_process(1, 0xffffffffu, 1));
}

TEST(ProcessStartTime, IsNothingForNoProcess) {
    EXPECT_TRUE(process_start_time(static_cast<std::uint32_t>(::getpid())));
    EXPECT_FALSE(process_start_time(0x7fffffffu));
}

}  // namespace
}  // namespace peermq::net::testing
