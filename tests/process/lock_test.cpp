/// One spool directory, several processes: exactly one has it.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "effort.hpp"
#include "scene.hpp"

namespace peermq::test {
namespace {

using namespace std::chrono_literals;

/// A producer that is only to open a spool.
struct Opener {
    std::string opened;
    std::string error;
    std::unique_ptr<Child> child;
    TestClock::time_point begun{};
    TestClock::time_point answered{};

    explicit Opener(const std::string& spool)
        : child(std::make_unique<Child>(
              "process_producer",
              std::vector<std::string>{"spool=" + spool, "process=1", "count=0"},
              [this](std::string_view line) { read(line); })) {}

    void read(std::string_view line) {
        if (line.starts_with("open ")) {
            begun = TestClock::now();
        } else if (line.starts_with("opened ")) {
            opened = line;
        } else if (line.starts_with("error ")) {
            error = line;
        } else {
            return;
        }
        answered = TestClock::now();
    }
    [[nodiscard]] bool decided() const { return !opened.empty() || !error.empty(); }
};

using Openers = std::vector<std::unique_ptr<Opener>>;

bool until_decided(const Openers& openers) {
    std::vector<Child*> children;
    for (const auto& each : openers) children.push_back(each->child.get());
    return pump(children, TestClock::now() + 60s, [&] {
        return std::all_of(openers.begin(), openers.end(),
                           [](const auto& each) { return each->decided(); });
    });
}

void expect_refused(const Opener& loser, pid_t owner) {
    EXPECT_NE(loser.error.find(" locked "), std::string::npos) << loser.error;
    EXPECT_NE(loser.error.find(std::to_string(owner)), std::string::npos)
        << "the owner is " << owner << ", the text: " << loser.error;
}

TEST(SpoolLock, RefusesASecondProcessAndNamesTheOwner) {
    TemporaryDirectory directory;
    Openers openers;
    openers.push_back(std::make_unique<Opener>(directory / "spool"));
    ASSERT_TRUE(until_decided(openers));
    ASSERT_FALSE(openers[0]->opened.empty()) << openers[0]->error;

    openers.push_back(std::make_unique<Opener>(directory / "spool"));
    ASSERT_TRUE(until_decided(openers));
    expect_refused(*openers[1], openers[0]->child->pid());
    EXPECT_LT(openers[1]->answered - openers[1]->begun, 2s);
    const auto status = openers[1]->child->wait(10s);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(WEXITSTATUS(*status), 2);
}

TEST(SpoolLock, HasExactlyOneWinnerOfTwenty) {
    const int rounds = by_effort(1, 4, 40);
    for (int round = 0; round < rounds; ++round) {
        TemporaryDirectory directory;
        Openers openers;
        for (int i = 0; i < 20; ++i) {
            openers.push_back(std::make_unique<Opener>(directory / "spool"));
        }
        ASSERT_TRUE(until_decided(openers));
        const Opener* winner = nullptr;
        for (const auto& each : openers) {
            if (each->opened.empty()) continue;
            EXPECT_EQ(winner, nullptr) << "two processes opened the spool";
            winner = each.get();
        }
        ASSERT_NE(winner, nullptr);
        for (const auto& each : openers) {
            if (each.get() != winner) expect_refused(*each, winner->child->pid());
        }
    }
}

TEST(SpoolLock, IsFreeAtOnceAfterItsOwnerWasKilled) {
    TemporaryDirectory directory;
    const int rounds = by_effort(2, 10, 200);
    for (int round = 0; round < rounds; ++round) {
        Openers openers;
        openers.push_back(std::make_unique<Opener>(directory / "spool"));
        ASSERT_TRUE(until_decided(openers));
        ASSERT_FALSE(openers[0]->opened.empty()) << openers[0]->error;
        openers[0]->child->kill_and_reap(SIGKILL);
    }
}

TEST(SpoolLock, StaysWithAnOwnerThatIsStopped) {
    TemporaryDirectory directory;
    Openers openers;
    openers.push_back(std::make_unique<Opener>(directory / "spool"));
    ASSERT_TRUE(until_decided(openers));
    ASSERT_FALSE(openers[0]->opened.empty()) << openers[0]->error;
    openers[0]->child->signal(SIGSTOP);
    openers.push_back(std::make_unique<Opener>(directory / "spool"));
    ASSERT_TRUE(until_decided(openers));
    expect_refused(*openers[1], openers[0]->child->pid());
}

}  // namespace
}  // namespace peermq::test
