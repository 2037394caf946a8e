/// Other ends that are no peermq, and peers that die.

#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <csignal>

#include "fixture.hpp"
#include "support/raw_socket.hpp"

namespace peermq::net::testing {
namespace {

using test::raw_connect;
using test::RawListener;

bool reports_foreign(const Node& node) {
    for (const Failed& failed : node.failures) {
        if (failed.reason == LossReason::foreign) return true;
    }
    return false;
}

/// Impatient, so that the silent are given up soon.
NetworkOptions impatient() {
    NetworkOptions options;
    options.handshake_timeout = 300ms;
    return options;
}

class Stranger : public ::testing::TestWithParam<std::string_view> {};

TEST_P(Stranger, IsReportedAndOpensNoChannel) {
    Node node(impatient());
    const std::string bound = node.bind("tcp://127.0.0.1:*");
    const Descriptor stranger = raw_connect(bound, GetParam());
    ASSERT_TRUE(run({&node}, [&] { return reports_foreign(node); }));
    EXPECT_EQ(0u, node.failures[0].target);
    EXPECT_NE(std::string::npos, node.failures[0].text.find(bound)) << node.failures[0].text;
    EXPECT_TRUE(node.opens.empty());
    EXPECT_TRUE(node.frames.empty());
    // The connection is ended, and counted once.
    char byte;
    ASSERT_TRUE(run({&node}, [&] {
        return ::recv(stranger.get(), &byte, 1, MSG_DONTWAIT) == 0 ||
               (errno != EAGAIN && errno != 0);
    }));
    node.wait(node.clock.now() + 1ms);
    node.network->receive(node, 10);
    EXPECT_EQ(1u, node.failures.size());
}

using namespace std::string_view_literals;
std::string name_of(const ::testing::TestParamInfo<std::string_view>& kind) {
    static constexpr const char* kNames[] = {"Http",           "Tls",    "OldZmtp", "ZeroBytes",
                                             "BrokenGreeting", "Nothing"};
    return kNames[kind.index];
}

INSTANTIATE_TEST_SUITE_P(
    Speaking, Stranger,
    ::testing::Values("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n"sv,
                      "\x16\x03\x01\x00\x05tls-like and long enough to be taken for frames"sv,
                      "\x01\x00\x05\x00hell and more of it"sv, "\x00\x01\x02\x03\x04\x05\x06"sv,
                      "\xff\x12\x34\x56\x78\x9a\xbc\xde\xf0\x7f\x00\x00\x00\x00\x00"sv, ""sv),
    name_of);

TEST(StrangerProbe, IsNoNews) {
    Node node;
    const std::string bound = node.bind("tcp://127.0.0.1:*");
    for (int index = 0; index < 5; ++index) raw_connect(bound, "").reset();
    Node client;
    client.connect(bound);
    ASSERT_TRUE(run({&node, &client}, [&] { return !client.opens.empty(); }));
    EXPECT_EQ(SendResult::sent, client.send(client.opens[0].channel, "hello"));
    ASSERT_TRUE(run({&node, &client}, [&] { return !node.frames.empty(); }));
    EXPECT_TRUE(node.failures.empty());
}

TEST(StrangerListener, ThatNeverSpeaksIsForeign) {
    RawListener silent;
    Node node(impatient());
    const TargetId target = node.connect(silent.endpoint());
    ASSERT_TRUE(run(
        {&node}, [&] { return !node.failures.empty(); }, 15s));
    EXPECT_EQ(target, node.failures[0].target);
    EXPECT_EQ(LossReason::foreign, node.failures[0].reason) << node.failures[0].text;
}

TEST(StrangerListener, ThatHangsUpIsRetried) {
    RawListener rude;
    Node node;
    node.connect(rude.endpoint());
    rude.accept().reset();
    ASSERT_TRUE(run({&node}, [&] { return !node.failures.empty(); }));
    EXPECT_NE(LossReason::refused, node.failures[0].reason);
    EXPECT_NE(std::string::npos, node.failures[0].text.find("no peermq")) << node.failures[0].text;
    EXPECT_NE(base::kNever, node.network->next_deadline());
}

/// A plain ZeroMQ socket, without any of our settings.
class PlainZmq {
public:
    PlainZmq(int type, const std::string& endpoint, std::string_view routing_id)
        : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
        const int linger = 0;
        zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger);
        if (!routing_id.empty()) {
            zmq_setsockopt(socket_, ZMQ_ROUTING_ID, routing_id.data(), routing_id.size());
        }
        zmq_connect(socket_, endpoint.c_str());
    }
    ~PlainZmq() {
        zmq_close(socket_);
        zmq_ctx_term(context_);
    }
    PlainZmq(const PlainZmq&) = delete;
    PlainZmq& operator=(const PlainZmq&) = delete;
    void send(int parts) {
        for (int part = 1; part <= parts; ++part) {
            zmq_send(socket_, "part", 4, part < parts ? ZMQ_SNDMORE : 0);
        }
    }
    void send_bytes(std::size_t count) {
        const std::string bytes(count, 'x');
        zmq_send(socket_, bytes.data(), bytes.size(), 0);
    }

private:
    void* context_;
    void* socket_;
};

TEST(StrangeZmq, WithARoutingIdOfItsOwnIsCutOff) {
    Node node;
    const std::string bound = node.bind("tcp://127.0.0.1:*");
    PlainZmq stranger(ZMQ_DEALER, bound, "chosen-id");
    stranger.send(1);
    ASSERT_TRUE(run({&node}, [&] { return reports_foreign(node); }));
    EXPECT_TRUE(node.opens.empty());
    // The next one is counted for itself.
    const std::size_t before = node.failures.size();
    const Descriptor next = raw_connect(bound, "\xff\x12\x34\x56\x78\x9a\xbc\xde\xf0\x7f\x01");
    EXPECT_TRUE(run({&node}, [&] { return node.failures.size() > before; }));
}

TEST(StrangeZmq, OfAnotherSocketTypeOpensNoChannel) {
    // Which side finds the mismatch first is a race; ours may see no more than a hang-up.
    Node node;
    const std::string bound = node.bind("tcp://127.0.0.1:*");
    PlainZmq stranger(ZMQ_SUB, bound, {});
    PlainZmq friendly(ZMQ_DEALER, bound, {});
    friendly.send(1);
    ASSERT_TRUE(run({&node}, [&] { return !node.frames.empty(); }));
    EXPECT_EQ(1u, node.opens.size());
    EXPECT_TRUE(node.losses.empty());
}

TEST(StrangeZmq, WithThreePartsLosesItsChannel) {
    Node node;
    const std::string bound = node.bind("tcp://127.0.0.1:*");
    PlainZmq stranger(ZMQ_DEALER, bound, {});
    stranger.send(2);
    stranger.send(3);
    ASSERT_TRUE(run({&node}, [&] { return !node.losses.empty(); }));
    EXPECT_EQ(LossReason::foreign, node.losses[0].reason);
    ASSERT_EQ(1u, node.frames.size());
    EXPECT_TRUE(node.frames[0].received.two_parts);
}

TEST(StrangeZmq, FarAboveTheFrameLimitLosesItsChannel) {
    NetworkOptions options;
    options.frame_bytes_max = 1000;
    Node node(options);
    const std::string bound = node.bind("tcp://127.0.0.1:*");
    PlainZmq stranger(ZMQ_DEALER, bound, {});
    stranger.send(1);
    stranger.send_bytes(10'000'000);
    ASSERT_TRUE(run({&node}, [&] { return !node.losses.empty(); }));
    EXPECT_EQ(1u, node.frames.size());
}

/// A peer in a process of its own, made before this process has any ZeroMQ thread in the test.
class PeerProcess {
public:
    explicit PeerProcess(const std::function<void(int request, int answer)>& body) {
        int request[2];
        int answer[2];
        EXPECT_EQ(0, ::pipe(request));
        EXPECT_EQ(0, ::pipe(answer));
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(request[1]);
            ::close(answer[0]);
            body(request[0], answer[1]);
            ::_exit(0);
        }
        request_ = Descriptor(request[1]);
        answer_ = Descriptor(answer[0]);
        ::close(request[0]);
        ::close(answer[1]);
    }
    ~PeerProcess() { kill(); }
    PeerProcess(const PeerProcess&) = delete;
    PeerProcess& operator=(const PeerProcess&) = delete;

    void tell(const std::string& line) const {
        EXPECT_EQ(static_cast<ssize_t>(line.size()),
                  ::write(request_.get(), line.data(), line.size()));
    }
    [[nodiscard]] std::string hear() const { return read_line(answer_.get()); }
    void kill() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    static std::string read_line(int from) {
        std::string line;
        char byte;
        while (::read(from, &byte, 1) == 1 && byte != '\n') line += byte;
        return line;
    }

private:
    pid_t pid_ = -1;
    Descriptor request_;
    Descriptor answer_;
};

TEST(DeadPeer, ThatConnectedIsLostAtOnce) {
    PeerProcess peer([](int request, int) {
        Node client;
        client.connect(PeerProcess::read_line(request));
        run({&client}, [&] { return !client.opens.empty(); });
        static_cast<void>(client.send(client.opens.at(0).channel, "hello"));
        run(
            {&client}, [] { return false; }, 60s);
    });
    Node node;
    peer.tell(node.bind("tcp://127.0.0.1:*") + "\n");
    ASSERT_TRUE(run({&node}, [&] { return !node.frames.empty(); }));
    peer.kill();
    EXPECT_TRUE(run(
        {&node}, [&] { return !node.losses.empty(); }, 2s));
    EXPECT_EQ(SendResult::gone, node.send(node.opens[0].channel, "late"));
}

TEST(DeadPeer, ThatListenedIsLostAtOnceAndThenRefuses) {
    PeerProcess peer([](int, int answer) {
        Node server;
        const std::string line = server.bind("tcp://127.0.0.1:*") + "\n";
        if (::write(answer, line.data(), line.size()) < 0) return;
        run(
            {&server}, [] { return false; }, 60s);
    });
    Node node;
    node.connect(peer.hear());
    ASSERT_TRUE(run({&node}, [&] { return !node.opens.empty(); }));
    peer.kill();
    EXPECT_TRUE(run(
        {&node}, [&] { return !node.losses.empty(); }, 2s));
    ASSERT_TRUE(run(
        {&node}, [&] { return !node.failures.empty(); }, 2s));
    EXPECT_EQ(LossReason::refused, node.failures[0].reason) << node.failures[0].text;
}

}  // namespace
}  // namespace peermq::net::testing
