/// Closing while the disk of the spool does not answer, and calls that are inside meanwhile.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "peer/compose.hpp"
#include "peer/runtime.hpp"
#include "peermq/peermq.hpp"
#include "support/hanging_file_system.hpp"
#include "support/temporary_directory.hpp"
#include "support/wait.hpp"

namespace peermq::detail {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::kLong;

class HangingDisk : public ::testing::Test {
protected:
    ~HangingDisk() override { disk->go_on(); }

    std::shared_ptr<Runtime> open() {
        PeerOptions options;
        options.spool = directory / "spool";
        options.close_timeout = 0ns;
        options.on_event = [this](const Event& event) {
            const std::lock_guard lock(mutex);
            events.push_back(event);
        };
        auto runtime = Runtime::start(std::move(options), disk);
        alive = runtime;
        return runtime;
    }
    static base::Seq post(const std::shared_ptr<OutStream>& stream) {
        return *append(*stream, {.body = "x"}, {}, WhenFull::as_configured);
    }
    bool was_told(std::string_view text) {
        const std::lock_guard lock(mutex);
        return std::any_of(events.begin(), events.end(), [&](const Event& event) {
            return event.kind == EventKind::io_error && event.text.find(text) != std::string::npos;
        });
    }
    void expect_end_when_the_disk_goes_on() {
        EXPECT_FALSE(alive.expired());
        disk->go_on();
        EXPECT_TRUE(eventually([&] { return alive.expired(); }));
    }

    test::TemporaryDirectory directory;
    std::shared_ptr<test::HangingFileSystem> disk = std::make_shared<test::HangingFileSystem>();
    std::weak_ptr<Runtime> alive;
    std::mutex mutex;
    std::vector<Event> events;
};

TEST_F(HangingDisk, CloseReturnsAndTheRestEndsWhenTheDiskGoesOn) {
    std::shared_ptr<Runtime> runtime = open();
    const auto stream = runtime->open_push("jobs", {});
    EXPECT_TRUE(stream->wait(Until::durable, post(stream), base::kNever));
    disk->hang();
    const base::Seq stuck = post(stream);
    ASSERT_TRUE(eventually([&] { return disk->waiting() > 0; }));
    EXPECT_FALSE(runtime->close(0ns));
    EXPECT_TRUE(was_told("does not answer"));
    EXPECT_FALSE(runtime->close(kLong));
    EXPECT_THROW(post(stream), Error);
    EXPECT_THROW((void)stream->wait(Until::durable, stuck, base::kNever), Error);
    runtime.reset();
    expect_end_when_the_disk_goes_on();
    // Closed in order after all.
    const auto again = open();
    EXPECT_EQ(2u, again->open_push("jobs", {})->accepted_end());
    EXPECT_TRUE(again->close(kLong));
}

TEST_F(HangingDisk, CloseReturnsWhileSomebodyReads) {
    {
        const auto runtime = open();
        const auto stream = runtime->open_push("jobs", {});
        EXPECT_TRUE(stream->wait(Until::durable, post(stream), base::kNever));
        EXPECT_TRUE(runtime->close(kLong));
    }
    std::shared_ptr<Runtime> runtime = open();
    const std::string endpoint = runtime->bind("tcp://127.0.0.1:*");
    disk->hang();
    const int before = disk->waiting();
    Peer worker({.close_timeout = 0ns});
    worker.connect(endpoint);
    Pull pull = worker.pull("jobs");
    // What lies in the spool is read for it, in the owner role.
    ASSERT_TRUE(eventually([&] { return disk->waiting() > before; }));
    runtime->close_by_destructor();
    EXPECT_TRUE(was_told("does not answer"));
    runtime.reset();
    expect_end_when_the_disk_goes_on();
}

TEST_F(HangingDisk, CloseReturnsWhenTheDiskHangsOnlyThen) {
    std::shared_ptr<Runtime> runtime = open();
    disk->hang();
    EXPECT_FALSE(runtime->close(0ns));
    runtime.reset();
    expect_end_when_the_disk_goes_on();
}

TEST_F(HangingDisk, AWaitingCallKeepsThePeerThatItIsIn) {
    std::shared_ptr<Runtime> runtime = open();
    auto stream = runtime->open_push("jobs", {});
    disk->hang();
    const base::Seq seq = post(stream);
    std::atomic<int> ended{0};
    // One of them, or the committer, stores what is pending; the others wait for it.
    std::vector<std::jthread> waiting;
    for (int i = 0; i < 3; ++i) {
        waiting.emplace_back([&ended, stream, seq] {
            try {
                (void)stream->wait(Until::durable, seq, base::kNever);
            } catch (const Error& error) {
                EXPECT_EQ(ErrorCode::closed, error.code());
            }
            ++ended;
        });
    }
    ASSERT_TRUE(eventually([&] { return disk->waiting() > 0; }));
    EXPECT_FALSE(runtime->close(0ns));
    stream.reset();
    runtime.reset();
    expect_end_when_the_disk_goes_on();
    EXPECT_TRUE(eventually([&] { return ended == 3; }));
}

}  // namespace
}  // namespace peermq::detail
