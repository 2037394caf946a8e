#include "net/endpoint.hpp"

#include <gtest/gtest.h>

#include "peermq/error.hpp"

namespace peermq::net {
namespace {

ErrorCode code_of(std::string_view text, bool to_bind) {
    try {
        static_cast<void>(Endpoint::parse(text, to_bind));
    } catch (const Error& error) {
        EXPECT_NE(std::string::npos, std::string(error.what()).find("endpoint \"")) << error.what();
        return error.code();
    }
    ADD_FAILURE() << text << " was accepted";
    return ErrorCode::io_error;
}

TEST(Endpoint, ReadsTcpWithNamesAndAddresses) {
    const Endpoint name = Endpoint::parse("tcp://orders.example.com:7000", false);
    EXPECT_EQ(Endpoint::Scheme::tcp, name.scheme);
    EXPECT_EQ("orders.example.com", name.host);
    EXPECT_EQ(7000, name.port);
    EXPECT_EQ("::1", Endpoint::parse("tcp://[::1]:65535", false).host);
    EXPECT_EQ(0, Endpoint::parse("tcp://127.0.0.1:*", true).port);
    EXPECT_EQ(0, Endpoint::parse("tcp://127.0.0.1:0", true).port);
    EXPECT_EQ("*", Endpoint::parse("tcp://*:7000", true).host);
}

TEST(Endpoint, ReadsIpcAndInproc) {
    EXPECT_EQ("/run/a/orders", Endpoint::parse("ipc:///run/a/orders", false).path);
    EXPECT_EQ("@orders", Endpoint::parse("ipc://@orders", false).path);
    EXPECT_EQ("*", Endpoint::parse("ipc://*", true).path);
    EXPECT_EQ("a b", Endpoint::parse("inproc://a b", false).path);
}

TEST(Endpoint, WritesWhatItHasRead) {
    for (const char* text : {"tcp://a:1", "tcp://[fe80::1]:7000", "tcp://*:*", "ipc:///run/x",
                             "ipc://@x", "inproc://x"}) {
        EXPECT_EQ(text, Endpoint::parse(text, true).text());
    }
}

TEST(Endpoint, RefusesWhatIsMalformed) {
    for (const char* text : {"",
                             "7000",
                             "tcp:/a:1",
                             "tcp://",
                             "tcp://a",
                             "tcp://:7000",
                             "tcp://a:",
                             "tcp://a:65536",
                             "tcp://a:-1",
                             "tcp://a:7x",
                             "tcp://a b:1",
                             "tcp://::1:7000",
                             "tcp://[::1:7000",
                             "tcp://[a]:1",
                             "tcp://[fe80::1%]:1",
                             "tcp://[fe80::1% x]:1",
                             "tcp://a;b:1",
                             "tcp://a:99999999999999999999",
                             "ipc://",
                             "ipc://@",
                             "inproc://"}) {
        EXPECT_EQ(ErrorCode::invalid_argument, code_of(text, true)) << text;
    }
}

TEST(Endpoint, RefusesWhatLibzmqWouldCutOff) {
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {"tcp://a\0b:1"sv, "tcp://[::1\0]:1"sv, "inproc://a\0b"sv, "ipc:///a\0b"sv}) {
        EXPECT_EQ(ErrorCode::invalid_argument, code_of(text, true)) << text;
    }
}

TEST(Endpoint, RefusesUnknownTransports) {
    EXPECT_EQ(ErrorCode::unsupported, code_of("udp://a:1", true));
    EXPECT_EQ(ErrorCode::unsupported, code_of("http://a:1", false));
}

TEST(Endpoint, RefusesWildcardsToConnect) {
    for (const char* text : {"tcp://*:1", "tcp://a:*", "tcp://a:0", "ipc://*"}) {
        EXPECT_EQ(ErrorCode::invalid_argument, code_of(text, false)) << text;
    }
}

TEST(Endpoint, LimitsTheLengthOfIpcPaths) {
    EXPECT_NO_THROW(static_cast<void>(Endpoint::parse("ipc:///" + std::string(106, 'a'), true)));
    EXPECT_EQ(ErrorCode::invalid_argument, code_of("ipc:///" + std::string(107, 'a'), true));
    EXPECT_EQ(ErrorCode::invalid_argument, code_of("ipc:///" + std::string(100'000, 'a'), true));
}

TEST(Endpoint, KnowsWhatOnlyThisHostCanReach) {
    for (const char* text :
         {"tcp://127.0.0.1:1", "tcp://127.255.0.9:1", "tcp://[::1]:1", "tcp://localhost:1",
          "tcp://[::ffff:127.0.0.1]:1", "ipc://x", "inproc://x"}) {
        EXPECT_TRUE(Endpoint::parse(text, true).is_loopback()) << text;
    }
    for (const char* text : {"tcp://*:1", "tcp://0.0.0.0:1", "tcp://128.0.0.1:1", "tcp://[::]:1",
                             "tcp://10.0.0.1:1", "tcp://localhost.example.com:1"}) {
        EXPECT_FALSE(Endpoint::parse(text, true).is_loopback()) << text;
    }
}

}  // namespace
}  // namespace peermq::net
