#include "peermq/control.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "peer/control_protocol.hpp"
#include "peermq/error.hpp"
#include "peermq/peer.hpp"
#include "peermq/stats_fields.hpp"

namespace peermq::detail {
namespace {

using namespace std::chrono_literals;

/// A directory of its own, gone at the end.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "peermq-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }

private:
    std::string path_;
};

ErrorCode code_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code();
    }
    return ErrorCode{};
}

// --- the protocol

struct Anything {
    template <typename Type>
    operator Type() const;
};

template <typename Stats, typename... Fields>
constexpr std::size_t count_fields() {
    if constexpr (requires { Stats{Fields{}..., Anything{}}; }) {
        return count_fields<Stats, Fields..., Anything>();
    } else {
        return sizeof...(Fields);
    }
}

template <typename Stats>
std::size_t visited_fields() {
    std::size_t count = 0;
    for_each_field(Stats{}, [&](std::string_view, const auto&) { ++count; });
    return count;
}

TEST(StatsFields, NameEveryField) {
    EXPECT_EQ(visited_fields<PushStats>(), count_fields<PushStats>());
    EXPECT_EQ(visited_fields<PullStats>(), count_fields<PullStats>());
    EXPECT_EQ(visited_fields<PublisherStats>(), count_fields<PublisherStats>());
    EXPECT_EQ(visited_fields<SubscriberStats>(), count_fields<SubscriberStats>());
    EXPECT_EQ(visited_fields<LinkStats>(), count_fields<LinkStats>());
    EXPECT_EQ(visited_fields<SpoolStats>(), count_fields<SpoolStats>());
    EXPECT_EQ(visited_fields<PeerStats>(), count_fields<PeerStats>());
}

TEST(ControlProtocol, StatsComeBackAsTheyWere) {
    PeerStats stats;
    stats.peer = "me";
    stats.damage = 7;
    stats.spool.sync_max = 3ms;
    stats.spool.space_low = true;
    PushStats push;
    push.queue = "a";
    push.depth = 5;
    push.oldest_age = 2s;
    push.paused = true;
    stats.pushes.push_back(push);
    push.queue = "b";
    stats.pushes.push_back(push);
    SubscriberStats subscriber;
    subscriber.refusals = {"x", "y"};
    stats.subscribers.push_back(subscriber);
    std::string bytes;
    to_control(stats).encode(bytes);
    const auto value = ControlValue::decode(bytes);
    ASSERT_TRUE(value);
    const PeerStats back = stats_of(*value);
    EXPECT_EQ(back.peer, "me");
    EXPECT_EQ(back.damage, 7U);
    EXPECT_EQ(back.spool.sync_max, 3ms);
    EXPECT_TRUE(back.spool.space_low);
    ASSERT_EQ(back.pushes.size(), 2U);
    EXPECT_EQ(back.pushes[0].depth, 5U);
    EXPECT_EQ(back.pushes[0].oldest_age, 2s);
    EXPECT_TRUE(back.pushes[0].paused);
    EXPECT_EQ(back.pushes[1].queue, "b");
    ASSERT_EQ(back.subscribers.size(), 1U);
    EXPECT_EQ(back.subscribers[0].refusals, (std::vector<std::string>{"x", "y"}));
}

TEST(ControlProtocol, UnknownFieldsArePassedOverAndMissingOnesKeepTheirDefault) {
    const ControlValue value(ControlObject{{"queue", std::string("a")}, {"new", std::uint64_t{1}}});
    const PeerStats stats = stats_of(ControlObject{{"pushes", ControlList{value}}});
    ASSERT_EQ(stats.pushes.size(), 1U);
    EXPECT_EQ(stats.pushes[0].queue, "a");
    EXPECT_EQ(stats.pushes[0].depth, 0U);
}

TEST(ControlProtocol, RefusesEveryCutAndEveryLieAboutLengths) {
    std::string bytes;
    ControlValue(to_control("queue", {.body = "body", .headers = {{"a", "b"}}})).encode(bytes);
    ASSERT_TRUE(ControlValue::decode(bytes));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(ControlValue::decode(std::string_view(bytes).substr(0, size))) << size;
    }
    EXPECT_FALSE(ControlValue::decode(bytes + "x"));
    EXPECT_FALSE(ControlValue::decode(std::string("\x03\xff\xff\xff\xff", 5)));
    EXPECT_FALSE(ControlValue::decode(std::string("\x02\xff\xff\xff\xff", 5)));
    EXPECT_FALSE(ControlValue::decode(std::string("\x09\0\0\0\0", 5)));
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += std::string("\x03\x01\0\0\0", 5);
    EXPECT_FALSE(ControlValue::decode(deep));
}

// --- a peer and who asks it

TEST(Control, TellsWhoThePeerIsAndItsNumbers) {
    const TemporaryDirectory directory;
    Peer peer({.spool = directory / "spool"});
    const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
    peer.push("jobs").send({.body = "a"});

    Control control(directory / "spool");
    const PeerInfo info = control.info();
    EXPECT_EQ(info.peer, peer.id());
    EXPECT_EQ(info.pid, static_cast<std::uint64_t>(::getpid()));
    EXPECT_EQ(info.endpoints, std::vector<std::string>{endpoint});
    const PeerStats stats = control.stats();
    const auto jobs = std::find_if(stats.pushes.begin(), stats.pushes.end(),
                                   [](const PushStats& each) { return each.queue == "jobs"; });
    ASSERT_NE(jobs, stats.pushes.end());
    EXPECT_EQ(jobs->depth, 1U);
    EXPECT_EQ(Control(directory / "spool/control").info().peer, peer.id());
}

TEST(Control, HandsAMessageOverThatIsDurableOnReturn) {
    const TemporaryDirectory directory;
    std::string id;
    {
        Peer peer({.spool = directory / "spool"});
        id = Control(directory / "spool")
                 .push("jobs", {.body = "a", .key = "k", .headers = {{"name", "value"}}});
        EXPECT_EQ(Control(directory / "spool").push("jobs", {.body = "b", .id = "mine"}), "mine");
    }
    Peer peer({.spool = directory / "spool"});
    Peer worker;
    worker.connect(peer.bind("tcp://127.0.0.1:*"));
    Pull jobs = worker.pull("jobs");
    auto first = jobs.receive(30s);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->text(), "a");
    EXPECT_EQ(first->key(), "k");
    EXPECT_EQ(first->header("name"), "value");
    EXPECT_EQ(first->id(), id);
    first->ack();
    auto second = jobs.receive(30s);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->id(), "mine");
    second->ack();
}

TEST(Control, RefusesWhatThePeerWouldRefuse) {
    const TemporaryDirectory directory;
    Peer peer({.spool = directory / "spool", .message_bytes_max = 4096});
    Push memory = peer.push("memory", {.durability = Durability::memory});
    Control control(directory / "spool");
    EXPECT_EQ(code_of([&] { control.push("two words", {.body = "a"}); }),
              ErrorCode::invalid_argument);
    EXPECT_EQ(code_of([&] { control.push("jobs.dead", {.body = "a"}); }),
              ErrorCode::invalid_argument);
    EXPECT_EQ(code_of([&] { control.push("jobs", {.body = std::string(8192, 'x')}); }),
              ErrorCode::too_large);
    EXPECT_EQ(code_of([&] { control.push("memory", {.body = "a"}); }), ErrorCode::unsupported);
    EXPECT_FALSE(control.push("jobs", {.body = "a"}).empty());
}

TEST(Control, OnlyTheUserMayOpenTheSocket) {
    const TemporaryDirectory directory;
    Peer peer({.spool = directory / "spool"});
    struct stat status {};
    ASSERT_EQ(::lstat((directory / "spool/control").c_str(), &status), 0);
    EXPECT_TRUE(S_ISSOCK(status.st_mode));
    EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(Control, ThereIsNoneWithoutAPeerOrWhenItIsNotWanted) {
    const TemporaryDirectory directory;
    EXPECT_EQ(code_of([&] { Control(directory / "nowhere"); }), ErrorCode::not_found);
    { Peer peer({.spool = directory / "spool"}); }
    EXPECT_FALSE(std::filesystem::exists(directory / "spool/control"));
    EXPECT_EQ(code_of([&] { Control(directory / "spool"); }), ErrorCode::not_found);
    Peer peer({.spool = directory / "spool", .control = false});
    EXPECT_EQ(code_of([&] { Control(directory / "spool"); }), ErrorCode::not_found);
}

TEST(Control, WhatAKilledProcessLeftIsReplaced) {
    const TemporaryDirectory directory;
    const pid_t child = ::fork();
    if (child == 0) {
        const Peer peer({.spool = directory / "spool"});
        std::_Exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(std::filesystem::exists(directory / "spool/control"));
    EXPECT_EQ(code_of([&] { Control(directory / "spool"); }), ErrorCode::not_found);
    Peer peer({.spool = directory / "spool"});
    EXPECT_EQ(Control(directory / "spool").info().peer, peer.id());
}

TEST(Control, ThePathMayBeLongerThanASocketAddressTakes) {
    const TemporaryDirectory directory;
    std::string name(201, 'a');
    name[100] = '/';
    const std::string spool = directory / name;
    Peer peer({.spool = spool});
    EXPECT_EQ(Control(spool).info().peer, peer.id());
}

TEST(Control, NonsenseEndsItsConnectionAlone) {
    const TemporaryDirectory directory;
    Peer peer({.spool = directory / "spool"});
    const ControlSocket stranger(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory / "spool/control";
    ASSERT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    ASSERT_EQ(
        ::connect(stranger.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::send(stranger.get(), "\xff\xff\xff\xff nonsense", 13, MSG_NOSIGNAL), 13);
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    EXPECT_TRUE(stranger.receive(1 << 20, deadline));   // the greeting
    EXPECT_FALSE(stranger.receive(1 << 20, deadline));  // the end
    EXPECT_EQ(Control(directory / "spool").info().peer, peer.id());
}

TEST(Control, ClosingThePeerEndsWhoIsConnected) {
    const TemporaryDirectory directory;
    Peer peer({.spool = directory / "spool"});
    Control control(directory / "spool");
    EXPECT_TRUE(peer.close(30s));
    EXPECT_EQ(code_of([&] { (void)control.stats(); }), ErrorCode::io_error);
}

}  // namespace
}  // namespace peermq::detail
