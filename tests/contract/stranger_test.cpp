/// Others at our ports, and we at theirs: reported with the cause, while a good client goes on
/// working.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "contract/fixture.hpp"

namespace peermq::test {
namespace {

std::uint16_t port_of(const std::string& endpoint) {
    return static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A connection that says `bytes` and stays.
class RawClient {
public:
    RawClient(const std::string& endpoint, std::string_view bytes)
        : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const sockaddr_in address = loopback(port_of(endpoint));
        EXPECT_EQ(0,
                  ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address));
        EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
                  ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    ~RawClient() { ::close(socket_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

private:
    int socket_;
};

/// A plain ZeroMQ socket that connects or binds, without any of our settings.
class PlainZmq {
public:
    explicit PlainZmq(int type) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
        const int linger = 0;
        zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger);
        if (type == ZMQ_SUB) zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, "", 0);
    }
    ~PlainZmq() {
        zmq_close(socket_);
        zmq_ctx_term(context_);
    }
    PlainZmq(const PlainZmq&) = delete;
    PlainZmq& operator=(const PlainZmq&) = delete;
    void connect(const std::string& endpoint) {
        EXPECT_EQ(0, zmq_connect(socket_, endpoint.c_str()));
    }
    std::string bind() {
        EXPECT_EQ(0, zmq_bind(socket_, "tcp://127.0.0.1:*"));
        char endpoint[128];
        std::size_t size = sizeof endpoint;
        EXPECT_EQ(0, zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint, &size));
        return endpoint;
    }
    void say(std::string_view text) { zmq_send(socket_, text.data(), text.size(), ZMQ_DONTWAIT); }

private:
    void* context_;
    void* socket_;
};

/// A queue in use, beside which strangers come: nothing may be lost or disturbed by them.
class Stranger : public ::testing::Test {
protected:
    Stranger() {
        endpoint = world.producer().bind("tcp://127.0.0.1:*");
        worker.connect(endpoint);
        push.emplace(world.push());
        pull.emplace(worker.pull("jobs"));
        exchange();
    }
    void exchange() {
        post_numbers(*push, 50, sent);
        EXPECT_EQ(numbers(50, sent), drain(*pull, 50));
        sent += 50;
        EXPECT_TRUE(push->flush(Until::acked, kLong));
        EXPECT_EQ(1u, links_up(world.producer()));
        EXPECT_EQ(0u, pull->stats().redelivered);
    }

    World world{Arrangement{Wire::tcp, Durability::memory, true}};
    Peer worker;
    std::string endpoint;
    std::optional<Push> push;
    std::optional<Pull> pull;
    std::size_t sent = 0;
};

TEST_F(Stranger, ThatSpeaksAnotherProtocolIsReported) {
    using namespace std::string_view_literals;
    const RawClient http(endpoint,
                         "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n"sv);
    const RawClient tls(
        endpoint,
        "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 a hello of tls, as long as a greeting"sv);
    const RawClient noise(
        endpoint,
        "\x8f\x13\x00\xfe\x42\x42 bytes from anywhere, more than a greeting of ZMTP has"sv);
    exchange();
    EXPECT_TRUE(eventually([&] { return world.events.count(EventKind::peer_rejected) >= 3; }))
        << world.events.text();
    exchange();
    EXPECT_TRUE(world.events.wait(EventKind::peer_rejected, endpoint.substr(endpoint.rfind(':'))));
    EXPECT_GE(world.producer().stats().rejected_links, 3u);
}

TEST_F(Stranger, ThatIsAPlainZeroMqSocketIsReported) {
    for (const int type : {ZMQ_DEALER, ZMQ_REQ}) {
        const std::size_t before = world.events.count(EventKind::peer_rejected);
        PlainZmq stranger(type);
        stranger.connect(endpoint);
        stranger.say("hello, are you a broker?");
        EXPECT_TRUE(eventually([&] {
            return world.events.count(EventKind::peer_rejected) > before;
        })) << type
            << "\n"
            << world.events.text();
        exchange();
    }
    EXPECT_TRUE(world.events.wait(EventKind::peer_rejected, "HELLO")) << world.events.text();
}

TEST_F(Stranger, OfASocketTypeThatCannotTalkToUsDisturbsNobody) {
    for (const int type : {ZMQ_PUSH, ZMQ_PULL, ZMQ_PUB, ZMQ_SUB, ZMQ_PAIR}) {
        PlainZmq stranger(type);
        stranger.connect(endpoint);
        stranger.say("x");
        exchange();
    }
}

TEST_F(Stranger, ThatWeConnectToIsReportedAndTriedAgain) {
    PlainZmq router(ZMQ_ROUTER);
    PlainZmq publisher(ZMQ_PUB);
    EventLog events;
    Peer peer({.close_timeout = 50ms, .on_event = events.callback()});
    peer.connect(publisher.bind());
    EXPECT_TRUE(eventually([&] {
        return events.count(EventKind::peer_rejected) + events.count(EventKind::connect_failed) > 0;
    })) << events.text();
    peer.connect(endpoint);
    Pull jobs = peer.pull("jobs");
    push->post({.body = "y"});
    pull->stop();
    EXPECT_EQ("y", drain(jobs, 1).front());
}

TEST_F(Stranger, APeerThatConnectsToItselfIsToldSo) {
    world.producer().connect(endpoint);
    EXPECT_TRUE(world.events.wait(EventKind::peer_rejected, "itself")) << world.events.text();
    exchange();
}

TEST(WrongSize, AMessageLargerThanTheReceiverTakesIsReportedByBoth) {
    World world;
    Push push = world.push();
    EventLog events;
    Peer small({.message_bytes_max = 200000, .on_event = events.callback()});
    small.connect(world.producer().bind("tcp://127.0.0.1:*"));
    Pull pull = small.pull("jobs");
    push.post({.body = std::string(300000, 'x')});
    EXPECT_TRUE(events.wait(EventKind::peer_rejected, "200000")) << events.text();
    EXPECT_TRUE(world.events.wait(EventKind::peer_rejected, "200000")) << world.events.text();
    EXPECT_EQ(1u, push.stats().depth);
    Pull roomy = world.worker().pull("jobs");
    EXPECT_EQ(300000u, drain(roomy, 1).front().size());
}

}  // namespace
}  // namespace peermq::test
