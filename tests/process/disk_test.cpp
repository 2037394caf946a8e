/// Disks that are full, and processes that may not write or open any more.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "effort.hpp"
#include "scene.hpp"

namespace peermq::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kDiskBytes = 8 << 20;

/// A file system of its own; root only. `reason` says why there is none.
class SmallDisk {
public:
    SmallDisk() {
        if (::geteuid() != 0) {
            reason = "mounting a small tmpfs needs root";
            return;
        }
        const std::string size = "size=" + std::to_string(kDiskBytes) + ",mode=0700";
        mounted_ = ::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, size.c_str()) == 0;
        if (!mounted_) reason = std::string("cannot mount a tmpfs: ") + std::strerror(errno);
    }
    ~SmallDisk() {
        if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] std::string operator/(std::string_view name) const { return directory_ / name; }
    [[nodiscard]] std::uint64_t free_bytes() const {
        struct statvfs now {};
        EXPECT_EQ(::statvfs(directory_.path().c_str(), &now), 0);
        return std::uint64_t{now.f_bavail} * now.f_frsize;
    }
    /// Somebody else takes all the room that is left.
    void fill_up() const {
        const int fd = ::open((directory_ / "foreign").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC,
                              0600);
        ASSERT_GE(fd, 0);
        const std::vector<char> zeros(65536);
        while (::write(fd, zeros.data(), zeros.size()) > 0) {
        }
        ::close(fd);
    }
    void free_again() const { ::unlink((directory_ / "foreign").c_str()); }

    std::string reason;

private:
    TemporaryDirectory directory_;
    bool mounted_ = false;
};

SceneOptions options(const SmallDisk& disk, std::vector<std::string> more) {
    SceneOptions options;
    options.spool = disk / "spool";
    options.producer = {"level=os", "segment_bytes=262144", "bytes=4000",
                        "burst=16", "pause_us=500",         "depth_max=1000000"};
    options.producer.insert(options.producer.end(), more.begin(), more.end());
    options.worker = {"odd_per_mille=0", "work_us=0"};
    return options;
}

/// Nothing became durable for half a second although the producer goes on trying.
[[nodiscard]] bool until_stuck(Scene& scene) {
    std::uint64_t durable = scene.producer().durable;
    auto since = TestClock::now();
    return scene.until("the disk is full", 60s, [&] {
        if (scene.producer().durable != durable) {
            durable = scene.producer().durable;
            since = TestClock::now();
        }
        return durable > 0 && TestClock::now() - since > 700ms;
    });
}

[[nodiscard]] bool until_resumed(Scene& scene) {
    const std::uint64_t durable = scene.producer().durable;
    return scene.until("posts go on after room was made", 30s,
                       [&] { return scene.producer().durable > durable + 100; });
}

/// Filled without workers, freed by one that consumes; again and again.
void fill_and_free(const SmallDisk& disk, const std::vector<std::string>& more, bool fails,
                   const std::string& replay) {
    Scene scene(options(disk, more));
    scene.start_producer();
    ASSERT_TRUE(scene.until_ready(scene.producer()));
    const int rounds = by_effort(1, 4, 100);
    for (int i = 0; i < rounds; ++i) {
        ASSERT_TRUE(until_stuck(scene));
        if (fails) {
            EXPECT_GT(scene.producer().failed, 0u) << scene.state();
        } else {
            EXPECT_EQ(scene.producer().failed, 0u) << scene.state();
        }
        const std::size_t worker = scene.add_worker();
        ASSERT_TRUE(until_resumed(scene));
        scene.kill(scene.worker(worker));
    }
    scene.add_worker();
    scene.finish(60s, replay);
}

TEST(FullDisk, BlocksPostsUntilConsumersMakeRoom) {
    const SmallDisk disk;
    if (!disk.reason.empty()) GTEST_SKIP() << disk.reason;
    fill_and_free(disk, {"free_bytes_min=2097152"}, false, replay_command(1, "FullDisk.Blocks*"));
}

TEST(FullDisk, FailsPostsUnderOverflowErrorUntilConsumersMakeRoom) {
    const SmallDisk disk;
    if (!disk.reason.empty()) GTEST_SKIP() << disk.reason;
    fill_and_free(disk, {"free_bytes_min=2097152", "overflow=error"}, true,
                  replay_command(1, "FullDisk.Fails*"));
}

TEST(FullDisk, DrainsAndResumesWhenNotOneByteIsFree) {
    const SmallDisk disk;
    if (!disk.reason.empty()) GTEST_SKIP() << disk.reason;
    fill_and_free(disk, {"free_bytes_min=0"}, false, replay_command(1, "FullDisk.Drains*"));
}

TEST(FullDisk, FilledBySomebodyElseHealsWhenTheRoomIsBack) {
    const SmallDisk disk;
    if (!disk.reason.empty()) GTEST_SKIP() << disk.reason;
    Scene scene(options(disk, {"free_bytes_min=0", "depth_max=200"}));
    scene.start_producer();
    scene.add_worker();
    ASSERT_TRUE(scene.until("work goes on", 60s, [&] { return scene.worker(0).deliveries > 100; }));
    const int rounds = by_effort(1, 3, 50);
    for (int i = 0; i < rounds; ++i) {
        disk.fill_up();
        scene.listen(1s);
        disk.free_again();
        ASSERT_TRUE(until_resumed(scene));
    }
    scene.finish(60s, replay_command(1, "FullDisk.FilledBySomebody*"));
}

TEST(FullDisk, KeepsWhatWasDurableOverAKill) {
    const SmallDisk disk;
    if (!disk.reason.empty()) GTEST_SKIP() << disk.reason;
    Scene scene(options(disk, {"free_bytes_min=0"}));
    const int rounds = by_effort(1, 3, 50);
    for (int i = 0; i < rounds; ++i) {
        scene.start_producer();
        ASSERT_TRUE(scene.until_ready(scene.producer()));
        // Full or already stuck: either way it is killed with the disk full.
        scene.listen(1500ms);
        EXPECT_LT(disk.free_bytes(), kDiskBytes / 4) << scene.state();
        scene.kill(scene.producer());
    }
    scene.start_producer({"count=0"});
    ASSERT_TRUE(scene.until_ready(scene.producer()));
    scene.add_worker();
    scene.finish(60s, replay_command(1, "FullDisk.KeepsWhat*"));
}

/// Takes a resource from a producer at work and gives it back.
class Limits : public ::testing::Test {
protected:
    static void set(Scene& scene, __rlimit_resource resource, rlim_t most) {
        rlimit now{};
        ASSERT_EQ(::prlimit(scene.producer().child->pid(), resource, nullptr, &now), 0);
        now.rlim_cur = std::min(most, now.rlim_max);
        ASSERT_EQ(::prlimit(scene.producer().child->pid(), resource, &now, nullptr), 0);
    }

    /// Under the limit for a while; lives; what was durable is there when it has gone.
    static void take_and_give_back(__rlimit_resource resource, rlim_t most,
                                   const std::string& replay) {
        SceneOptions options;
        options.producer = {"level=disk", "segment_bytes=65536", "bytes=1000", "pause_us=500",
                            "depth_max=1000000"};
        options.producer_limits.file_bytes_max = std::uint64_t{1} << 40;  // ignores SIGXFSZ
        Scene scene(options);
        scene.start_producer();
        scene.add_worker();
        ASSERT_TRUE(
            scene.until("work goes on", 60s, [&] { return scene.worker(0).deliveries > 100; }));
        const int rounds = by_effort(1, 3, 50);
        for (int i = 0; i < rounds; ++i) {
            set(scene, resource, most);
            scene.listen(1s);
            set(scene, resource, RLIM_INFINITY);
            ASSERT_FALSE(scene.producer().child->ended());
            // Healed by itself, or final until it is opened again, and then said so.
            const std::uint64_t durable = scene.producer().durable;
            ASSERT_TRUE(scene.until("healed or reported", 30s, [&] {
                return scene.producer().durable > durable + 100 || scene.producer().failed > 0;
            }));
            if (scene.producer().failed == 0) continue;
            EXPECT_NE(scene.state().find("io_error"), std::string::npos) << scene.state();
            scene.kill(scene.producer());
            scene.start_producer();
            ASSERT_TRUE(scene.until_ready(scene.producer()));
        }
        scene.finish(60s, replay);
    }
};

TEST_F(Limits, OfFileSizeAreTypedErrorsAndLoseNothing) {
    take_and_give_back(RLIMIT_FSIZE, 1000, replay_command(1, "Limits.OfFileSize*"));
}

TEST_F(Limits, OfDescriptorsAreTypedErrorsAndLoseNothing) {
    take_and_give_back(RLIMIT_NOFILE, 3, replay_command(1, "Limits.OfDescriptors*"));
}

TEST_F(Limits, OfFileSizeAtOpenRefuseToStartAndHarmNothing) {
    SceneOptions options;
    options.producer = {"level=disk", "segment_bytes=1048576", "count=300"};
    Scene scene(options);
    scene.start_producer();
    ASSERT_TRUE(scene.until("all durable", 60s, [&] { return scene.producer().durable == 300; }));
    scene.kill(scene.producer());

    std::string error;
    Child limited("process_producer", {"spool=" + scene.spool(), "process=99", "count=0"},
                  [&](std::string_view line) {
                      if (line.starts_with("error ")) error = line;
                  },
                  {.file_bytes_max = 2000});
    const auto status = limited.wait(20s);
    ASSERT_TRUE(status.has_value()) << "it neither starts nor ends";
    EXPECT_EQ(describe_status(*status), "exit 2");
    EXPECT_TRUE(error.find("no_space") != std::string::npos ||
                error.find("io_error") != std::string::npos)
        << error;

    scene.start_producer({"count=0"});
    ASSERT_TRUE(scene.until_ready(scene.producer()));
    scene.add_worker();
    scene.finish(60s, replay_command(1, "Limits.OfFileSizeAtOpen*"));
}

}  // namespace
}  // namespace peermq::test
