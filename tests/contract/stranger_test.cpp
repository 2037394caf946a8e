/// Others at our ports, and we at theirs: reported with the cause, while a good client goes on
/// working.

#include <zmq.h>

#include "contract/fixture.hpp"
#include "support/raw_socket.hpp"

namespace peermq::test {
namespace {

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
    const net::Descriptor http = raw_connect(
        endpoint, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n"sv);
    const net::Descriptor tls = raw_connect(
        endpoint,
        "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 a hello of tls, as long as a greeting"sv);
    const net::Descriptor noise = raw_connect(
        endpoint,
        "\x8f\x13\x00\xfe\x42\x42 bytes from anywhere, more than a greeting of ZMTP has"sv);
    ASSERT_TRUE(http.get() >= 0 && tls.get() >= 0 && noise.get() >= 0);
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
