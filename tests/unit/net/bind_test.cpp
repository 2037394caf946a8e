/// What may be bound, and what is in the way.

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "fixture.hpp"
#include "net/ipc_guard.hpp"
#include "peermq/error.hpp"
#include "support/raw_socket.hpp"

namespace peermq::net::testing {
namespace {

using test::RawListener;

/// The code and the text of the Error that binding throws.
std::pair<ErrorCode, std::string> bind_error(Node& node, const std::string& endpoint) {
    try {
        node.bind(endpoint);
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    return {ErrorCode::closed, "was bound"};
}

/// A socket at `path` that listens, by no peer's doing.
Descriptor listen_at(const std::string& path) {
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(0, ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(socket.get(), 4));
    return socket;
}

TEST(Bind, ReturnsTheRealPort) {
    Node node;
    for (const char* endpoint : {"tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "tcp://[::1]:*",
                                 "tcp://*:*", "tcp://localhost:*"}) {
        const std::string bound = node.bind(endpoint);
        EXPECT_NE(0, Endpoint::parse(bound, true).port) << bound;
        EXPECT_EQ(Endpoint::parse(endpoint, true).host, Endpoint::parse(bound, true).host);
    }
}

TEST(Bind, ServesIpv4AndIpv6OnTheWildcard) {
    Node server;
    const std::string bound = server.bind("tcp://*:*");
    const std::string port = bound.substr(bound.rfind(':'));
    Node client;
    client.connect("tcp://127.0.0.1" + port);
    client.connect("tcp://[::1]" + port);
    ASSERT_TRUE(run({&client, &server}, [&] { return client.opens.size() == 2; }));
    for (const Opened& opened : client.opens) {
        EXPECT_EQ(SendResult::sent, client.send(opened.channel, "hello"));
    }
    ASSERT_TRUE(run({&client, &server}, [&] { return server.opens.size() == 2; }));
    EXPECT_EQ(0u, server.opens[0].remote.find("tcp://"));
    EXPECT_EQ(std::string::npos, server.opens[0].remote.find("ffff"));
}

TEST(Bind, RefusesAPortInUse) {
    Node node;
    RawListener other;
    const auto [code, text] = bind_error(node, other.endpoint());
    EXPECT_EQ(ErrorCode::address_in_use, code);
    EXPECT_NE(std::string::npos, text.find(other.endpoint()));
}

TEST(Bind, RefusesAddressesThatAreNotOurs) {
    Node node;
    EXPECT_EQ(ErrorCode::invalid_argument, bind_error(node, "tcp://192.0.2.1:*").first);
    const auto [code, text] = bind_error(node, "tcp://name-that-does-not-exist.invalid:*");
    EXPECT_EQ(ErrorCode::invalid_argument, code);
    EXPECT_NE(std::string::npos, text.find("cannot resolve"));
}

TEST(Bind, RefusesASecondBinderOfAnInprocNameUntilTheFirstIsGone) {
    auto first = std::make_unique<Node>();
    first->bind("inproc://bind-twice");
    Node second;
    EXPECT_EQ(ErrorCode::address_in_use, bind_error(second, "inproc://bind-twice").first);
    EXPECT_EQ(ErrorCode::address_in_use, bind_error(*first, "inproc://bind-twice").first);
    first.reset();
    EXPECT_EQ("inproc://bind-twice", second.bind("inproc://bind-twice"));
}

TEST(Bind, RefusesAnIpcPathInUse) {
    TemporaryDirectory directory;
    const std::string endpoint = "ipc://" + (directory / "socket");
    auto first = std::make_unique<Node>();
    first->bind(endpoint);
    Node second;
    const auto [code, text] = bind_error(second, endpoint);
    EXPECT_EQ(ErrorCode::address_in_use, code);
    EXPECT_NE(std::string::npos, text.find(endpoint));
    Node client;
    client.connect(endpoint);
    EXPECT_TRUE(run({first.get(), &client}, [&] { return !client.opens.empty(); }));
    first.reset();
    EXPECT_EQ(endpoint, second.bind(endpoint));
}

TEST(Bind, RefusesAnIpcPathWhereAStrangerListens) {
    TemporaryDirectory directory;
    const std::string path = directory / "socket";
    const Descriptor stranger = listen_at(path);
    Node node;
    EXPECT_EQ(ErrorCode::address_in_use, bind_error(node, "ipc://" + path).first);
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(Bind, TakesOverTheIpcPathOfADeadProcess) {
    TemporaryDirectory directory;
    const std::string path = directory / "socket";
    listen_at(path).reset();
    std::ofstream(path + ".lock") << "";
    ASSERT_TRUE(std::filesystem::exists(path));
    Node server;
    server.bind("ipc://" + path);
    Node client;
    client.connect("ipc://" + path);
    EXPECT_TRUE(run({&server, &client}, [&] { return !client.opens.empty(); }));
}

TEST(Bind, RefusesAnIpcPathThatIsNoSocket) {
    TemporaryDirectory directory;
    const std::string path = directory / "file";
    std::ofstream(path) << "precious";
    Node node;
    EXPECT_EQ(ErrorCode::invalid_argument, bind_error(node, "ipc://" + path).first);
    EXPECT_EQ(8u, std::filesystem::file_size(path));
    EXPECT_FALSE(std::filesystem::exists(path + ".lock"));
}

TEST(Bind, RefusesAnIpcPathInAMissingDirectory) {
    TemporaryDirectory directory;
    Node node;
    const auto [code, text] = bind_error(node, "ipc://" + (directory / "none/socket"));
    EXPECT_EQ(ErrorCode::invalid_argument, code);
    EXPECT_NE(std::string::npos, text.find("create the directory"));
}

TEST(Bind, RemovesItsIpcFilesAtTheEnd) {
    TemporaryDirectory directory;
    const std::string path = directory / "socket";
    auto node = std::make_unique<Node>();
    node->bind("ipc://" + path);
    EXPECT_TRUE(std::filesystem::is_socket(path));
    node.reset();
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Bind, GivesAnIpcWildcardAPathOfItsOwn) {
    std::string path;
    {
        Node server;
        const std::string bound = server.bind("ipc://*");
        path = Endpoint::parse(bound, false).path;
        struct stat status {};
        ASSERT_EQ(0, ::stat(std::filesystem::path(path).parent_path().c_str(), &status));
        EXPECT_EQ(0700u, status.st_mode & 0777u);
        Node client;
        client.connect(bound);
        EXPECT_TRUE(run({&server, &client}, [&] { return !client.opens.empty(); }));
    }
    EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(path).parent_path()));
}

TEST(Bind, RefusesAnAbstractNameInUse) {
    TemporaryDirectory directory;
    const std::string endpoint = "ipc://@" + directory.path();
    Node first;
    EXPECT_EQ(endpoint, first.bind(endpoint));
    Node second;
    EXPECT_EQ(ErrorCode::address_in_use, bind_error(second, endpoint).first);
}

TEST(OpenFiles, AreRaisedWhenLowAndRequiredOnlyForIpc) {
    // In a child: the limit cannot be raised again.
    const pid_t child = ::fork();
    if (child == 0) {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        const rlimit low{256, limit.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &low);
        int failures = 0;
        try {
            require_open_files("ipc://x");
            ::getrlimit(RLIMIT_NOFILE, &limit);
            if (limit.rlim_cur < 4096) ++failures;
        } catch (const Error&) {
            if (limit.rlim_max >= 4096) ++failures;
        }
        const rlimit hard{256, 256};
        ::setrlimit(RLIMIT_NOFILE, &hard);
        try {
            require_open_files("ipc://x");
            ++failures;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::unsupported) ++failures;
        }
        ::_exit(failures);
    }
    int status = 0;
    ASSERT_EQ(child, ::waitpid(child, &status, 0));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status));
}

}  // namespace
}  // namespace peermq::net::testing
