#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "support/fake_clock.hpp"
#include "support/seeded_random.hpp"
#include "support/temporary_directory.hpp"

namespace peermq::test {
namespace {

using namespace std::chrono_literals;

TEST(FakeClock, StandsStillUntilItIsMoved) {
    FakeClock clock;
    const base::Time start = clock.now();
    const base::WallTime wall = clock.wall_now();
    EXPECT_EQ(clock.now(), start);
    clock.advance(3s);
    EXPECT_EQ(clock.now() - start, 3s);
    EXPECT_EQ(clock.wall_now() - wall, 3s);
    clock.advance_to(start);
    EXPECT_EQ(clock.now() - start, 3s);
    clock.advance_to(start + 5s);
    EXPECT_EQ(clock.wall_now() - wall, 5s);
}

TEST(FakeClock, JumpsOfTheWallClockLeaveTheOtherAlone) {
    FakeClock clock;
    const base::Time start = clock.now();
    const base::WallTime wall = clock.wall_now();
    clock.jump_wall(-1h);
    EXPECT_EQ(clock.now(), start);
    EXPECT_EQ(clock.wall_now() - wall, -1h);
}

TEST(SeededRandom, RepeatsItselfForTheSameSeedOnly) {
    SeededRandom a(1), b(1), c(2);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(), b.next());
    EXPECT_NE(a.next(), c.next());
}

TEST(SeededRandom, FillsEveryByteAlsoOfOddLengths) {
    SeededRandom random(1);
    std::array<std::byte, 13> last{};
    std::array<bool, 13> changed{};
    for (int i = 0; i < 20; ++i) {
        std::array<std::byte, 13> bytes{};
        random.fill(bytes);
        for (std::size_t at = 0; at < 13; ++at) changed[at] |= bytes[at] != last[at];
        last = bytes;
    }
    for (const bool each : changed) EXPECT_TRUE(each);
}

TEST(SeededRandom, StaysInBoundsAndReachesThem) {
    SeededRandom random(1);
    std::array<int, 4> seen{};
    for (int i = 0; i < 1000; ++i) ++seen.at(random.between(3, 6) - 3);
    for (const int count : seen) EXPECT_GT(count, 150);
    EXPECT_EQ(random.below(0), 0u);
    EXPECT_FALSE(random.chance(0));
    EXPECT_TRUE(random.chance(1'000'000));
}

TEST(SeededRandom, AForkDoesNotFollowItsParent) {
    SeededRandom parent(1);
    SeededRandom fork = parent.fork();
    SeededRandom again(1);
    static_cast<void>(again.next());
    EXPECT_EQ(parent.next(), again.next());
    EXPECT_NE(fork.next(), parent.next());
}

TEST(TemporaryDirectory, IsPrivateAndGoesAwayWithItsContent) {
    std::string path;
    {
        TemporaryDirectory directory;
        path = directory.path();
        struct stat status {};
        ASSERT_EQ(::stat(path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0700u);
        std::filesystem::create_directories(directory / "a/b");
        std::ofstream(directory / "a/b/c") << "x";
        EXPECT_NE(TemporaryDirectory().path(), path);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace peermq::test
