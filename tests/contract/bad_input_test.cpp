/// Calls and directories that cannot work: each a clear error, after which the peer works on.

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "contract/fixture.hpp"
#include "spool/format.hpp"

namespace peermq::test {
namespace {

namespace fs = std::filesystem;

class BadCall : public ::testing::Test {
protected:
    ~BadCall() override {
        // Whatever was refused, the peer works.
        Pull pull = world.worker().pull("check");
        Push push = world.push("check");
        push.post({.body = "x"});
        EXPECT_EQ("x", drain(pull, 1).front());
    }
    World world;
};

TEST_F(BadCall, EndpointsAreRefusedWithTheirText) {
    Peer& peer = world.producer();
    for (const char* text :
         {"", "tcp", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:99999",
          "tcp://127.0.0.1:-1", "tcp://127.0.0.1:http", "ipc://", "inproc://", "127.0.0.1:7000"}) {
        EXPECT_NE("", text_of_error(ErrorCode::invalid_argument, [&] { peer.bind(text); })) << text;
        EXPECT_NE("", text_of_error(ErrorCode::invalid_argument, [&] { peer.connect(text); }))
            << text;
    }
    for (const char* text : {"udp://127.0.0.1:1", "http://127.0.0.1:1", "pgm://127.0.0.1:1"}) {
        const std::string said = text_of_error(ErrorCode::unsupported, [&] { peer.bind(text); });
        EXPECT_NE(std::string::npos, said.find(text)) << said;
        text_of_error(ErrorCode::unsupported, [&] { peer.connect(text); });
    }
    // A wildcard is for binding only.
    text_of_error(ErrorCode::invalid_argument, [&] { peer.connect("tcp://127.0.0.1:*"); });
}

TEST_F(BadCall, APortInUseIsNamed) {
    Peer other;
    const std::string endpoint = other.bind("tcp://127.0.0.1:*");
    const std::string said = text_of_error(ErrorCode::address_in_use,
                                           [&] { world.producer().bind(endpoint); });
    EXPECT_NE(std::string::npos, said.find(endpoint)) << said;
    const std::string path = "ipc://" + (world.directory() / "in-use");
    other.bind(path);
    text_of_error(ErrorCode::address_in_use, [&] { world.producer().bind(path); });
    other.bind("inproc://bad-call");
    text_of_error(ErrorCode::address_in_use, [&] { world.producer().bind("inproc://bad-call"); });
}

TEST_F(BadCall, OtherHostsAreLetInOnlyOnRequest) {
    const std::string said = text_of_error(ErrorCode::denied,
                                           [&] { world.producer().bind("tcp://0.0.0.0:*"); });
    EXPECT_NE(std::string::npos, said.find("insecure")) << said;
    text_of_error(ErrorCode::denied, [&] { world.producer().bind("tcp://*:*"); });
    Peer insecure({.insecure = true});
    EXPECT_NE("", insecure.bind("tcp://0.0.0.0:*"));
}

TEST_F(BadCall, QueueNamesAreChecked) {
    Peer& peer = world.producer();
    for (const std::string& name :
         {std::string(), std::string("two words"), std::string("tab\t"), std::string("\xc3\xa9"),
          std::string(256, 'q'), std::string("nul\0", 4)}) {
        text_of_error(ErrorCode::invalid_argument, [&] { (void)peer.push(name); });
        text_of_error(ErrorCode::invalid_argument, [&] { (void)peer.pull(name); });
    }
    text_of_error(ErrorCode::invalid_argument, [&] { (void)peer.push("jobs.dead"); });
    (void)peer.push(std::string(255, 'q'));
}

TEST_F(BadCall, OptionsAreChecked) {
    Peer& peer = world.producer();
    text_of_error(ErrorCode::invalid_argument, [&] { (void)peer.push("a", {.lease = 1s}); });
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)peer.push("a", {.retry_wait_min = -1s}); });
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)peer.push("a", {.retry_wait_min = 2s, .retry_wait_max = 1s}); });
    text_of_error(ErrorCode::unsupported,
                  [&] { (void)peer.push("a", {.durability = Durability::disk}); });
    text_of_error(ErrorCode::invalid_argument, [&] { (void)peer.pull("a", {.prefetch = 0}); });
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)peer.pull("a", {.prefetch = 1'000'001}); });
    for (const std::uint32_t concurrency : {0u, 1025u}) {
        text_of_error(ErrorCode::invalid_argument,
                      [&] { (void)peer.pull("a", {.concurrency = concurrency}); });
    }
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)peer.pull("a", {.prefetch_bytes = 0}); });
    for (const auto max_processing : {0ns, -1ns}) {
        text_of_error(ErrorCode::invalid_argument,
                      [&] { (void)peer.pull("a", {.max_processing = max_processing}); });
    }
    text_of_error(ErrorCode::invalid_argument,
                  [&] { (void)peer.push("a", {.memory_bytes_max = 1023}); });
    text_of_error(ErrorCode::invalid_argument, [] { Peer tiny({.message_bytes_max = 1023}); });
    text_of_error(ErrorCode::invalid_argument,
                  [] { Peer huge({.segment_bytes = (1u << 30) + 1}); });
    Push push = peer.push("a");
    text_of_error(ErrorCode::invalid_state, [&] { (void)peer.push("a", {.max_attempts = 3}); });
    Pull pull = peer.pull("a");
    text_of_error(ErrorCode::invalid_state, [&] { (void)peer.pull("a"); });
    for (const std::uint32_t concurrency : {0u, 1025u}) {
        text_of_error(ErrorCode::invalid_argument,
                      [&] { pull.run([](Delivery&) {}, {.concurrency = concurrency}); });
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// Leaves this process only so much more address space while it lives.
class ScarceMemory {
public:
    explicit ScarceMemory(rlim_t more) {
        ::getrlimit(RLIMIT_AS, &before_);
        std::size_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        rlimit scarce = before_;
        scarce.rlim_cur = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + more;
        ::setrlimit(RLIMIT_AS, &scarce);
    }
    ~ScarceMemory() { ::setrlimit(RLIMIT_AS, &before_); }

private:
    rlimit before_{};
};

TEST_F(BadCall, RunThatCannotStartItsThreadsHasHandledNothingAndMayBeTriedAgain) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    push.post({.body = "one"});
    // Once it has come, both peers have all the threads that they will need.
    ASSERT_TRUE(eventually([&] { return pull.stats().ready == 1; }));
    int handled = 0;
    const std::string said = text_of_error(ErrorCode::io_error, [&] {
        const ScarceMemory scarce(64u << 20);
        pull.run([&](Delivery&) { ++handled; }, {.concurrency = 1024});
    });
    EXPECT_NE(std::string::npos, said.find("of 1023")) << said;
    EXPECT_EQ(0, handled);
    pull.run([&](Delivery&) {
        ++handled;
        pull.stop();
    });
    EXPECT_EQ(1, handled);
}
#endif

TEST_F(BadCall, MessagesBeyondTheLimitsAreRefusedAndTheNextIsTaken) {
    Push push = world.push();
    Pull pull = world.worker().pull("jobs");
    const std::string huge((16u << 20) + 1, 'x');
    const std::string said = text_of_error(ErrorCode::too_large,
                                           [&] { push.post({.body = huge}); });
    EXPECT_NE(std::string::npos, said.find("16777216")) << said;
    text_of_error(ErrorCode::too_large, [&] { (void)push.try_post({.body = huge}); });
    text_of_error(ErrorCode::too_large, [&] { push.post({.key = std::string(1025, 'k')}); });
    text_of_error(ErrorCode::too_large, [&] {
        push.post({.headers = {{"big", std::string(65536, 'h')}}});
    });
    const std::string reserved = text_of_error(ErrorCode::invalid_argument, [&] {
        push.post({.headers = {{"peermq-id", "1"}}});
    });
    EXPECT_NE(std::string::npos, reserved.find("peermq-id")) << reserved;
    push.post({.key = std::string(1024, 'k'), .headers = {{"big", std::string(60000, 'h')}}});
    Delivery delivery = next(pull);
    EXPECT_EQ(1u, delivery.sequence());
    EXPECT_EQ(60000u, delivery.header("big")->size());
    delivery.ack();
    EXPECT_TRUE(push.flush(Until::acked, kLong));
}

class BadSpool : public ::testing::Test {
protected:
    std::string open_fails(ErrorCode code, const std::string& path) {
        return text_of_error(code, [&] { Peer peer({.spool = path}); });
    }
    static std::string read_file(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    TemporaryDirectory directory;
};

TEST_F(BadSpool, InUseNamesThePid) {
    Peer first({.spool = directory / "spool"});
    Push push = first.push("jobs");
    const std::string said = open_fails(ErrorCode::locked, directory / "spool");
    EXPECT_NE(std::string::npos, said.find(std::to_string(::getpid()))) << said;
    EXPECT_EQ(1u, push.send({.body = "still works"}).sequence());
}

TEST_F(BadSpool, OfANewerVersionSaysWhichAndWhatToDo) {
    { Peer first({.spool = directory / "spool"}); }
    const std::string path = directory / "spool/MANIFEST";
    std::string manifest = read_file(path);
    std::vector<std::byte> bytes(manifest.size());
    std::memcpy(bytes.data(), manifest.data(), manifest.size());
    const std::size_t covered = bytes.size() - 8;
    base::store(bytes.data() + 8, spool::kFormatVersion + 6);
    base::store(bytes.data() + covered, spool::checksum(base::ByteSpan(bytes).first(covered), 0));
    manifest = base::as_text(bytes);
    std::ofstream(path, std::ios::binary) << manifest;

    const std::string said = open_fails(ErrorCode::version_mismatch, directory / "spool");
    EXPECT_NE(std::string::npos, said.find(path)) << said;
    EXPECT_NE(std::string::npos, said.find("format 7")) << said;
    EXPECT_NE(std::string::npos, said.find("open the spool with the newer version")) << said;
    EXPECT_EQ(manifest, read_file(path));
}

TEST_F(BadSpool, AFileIsNoDirectory) {
    std::ofstream(directory / "file") << "x";
    const std::string said = open_fails(ErrorCode::denied, directory / "file");
    EXPECT_NE(std::string::npos, said.find("file")) << said;
}

TEST_F(BadSpool, AForeignDirectoryIsLeftAlone) {
    fs::create_directory(directory / "photos");
    std::ofstream(directory / "photos/holiday.jpg") << "not a segment";
    try {
        Peer peer({.spool = directory / "photos"});
        ADD_FAILURE() << "opened";
    } catch (const Error& error) {
        EXPECT_NE(std::string::npos, std::string(error.what()).find("photos")) << error.what();
    }
    EXPECT_EQ(
        1, std::distance(fs::directory_iterator(directory / "photos"), fs::directory_iterator()));
}

TEST_F(BadSpool, AnUnreadableDirectoryIsDenied) {
    const std::string closed = directory / "closed";
    fs::create_directory(closed);
    ASSERT_EQ(0, ::chmod(closed.c_str(), 0));
    // Root may read everything: somebody else tries then, with a directory of his own.
    constexpr uid_t kNobody = 65534;
    const bool root = ::geteuid() == 0;
    if (root) {
        ASSERT_EQ(0, ::chmod(directory.path().c_str(), 0711));
        ASSERT_EQ(0, ::chown(closed.c_str(), kNobody, kNobody));
    }
    const pid_t child = ::fork();
    if (child == 0) {
        if (root && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(3);
        try {
            const Peer peer({.spool = closed});
        } catch (const Error& error) {
            const bool clear = std::string_view(error.what()).find(closed) != std::string::npos;
            ::_exit(error.code() == ErrorCode::denied && clear ? 0 : 2);
        }
        ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(child, ::waitpid(child, &status, 0));
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status)) << "1: no error, 2: another one, 3: cannot become nobody";
    ::chmod(closed.c_str(), 0700);
}

TEST_F(BadSpool, MissingDirectoriesAreMade) {
    { Peer peer({.spool = directory / "no/such/parent"}); }
    EXPECT_TRUE(fs::is_directory(directory / "no/such/parent"));
}

}  // namespace
}  // namespace peermq::test
