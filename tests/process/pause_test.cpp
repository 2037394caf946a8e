/// Processes that stop for a while, are asked to end, or abort.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <functional>
#include <string>

#include "effort.hpp"
#include "scene.hpp"
#include "support/seeded_random.hpp"

namespace peermq::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::uint64_t kLeaseMs = 6000;  // the shortest there is

SceneOptions options(std::uint64_t seed) {
    SceneOptions options;
    options.seed = seed;
    options.producer = {"lease_ms=" + std::to_string(kLeaseMs), "level=os", "burst=8"};
    // Work of some length, so that stops hit handlers, and few odd settlements.
    options.worker = {"prefetch=32", "work_us=4000", "odd_per_mille=0"};
    return options;
}

/// Started with `workers`, each of which has handled something.
[[nodiscard]] bool begin(Scene& scene, std::size_t workers) {
    scene.start_producer();
    for (std::size_t i = 0; i < workers; ++i) scene.add_worker();
    return scene.until("every worker works", 60s, [&] {
        for (std::size_t i = 0; i < scene.workers(); ++i) {
            if (scene.worker(i).deliveries < 5) return false;
        }
        return true;
    });
}

/// Two workers at work, `rounds` times `disturb`, and at the end nothing is lost.
void expect_kept_through(int rounds, std::uint64_t usual_seed, std::string_view test,
                         const std::function<void(Scene&, SeededRandom&)>& disturb) {
    const std::uint64_t seed = run_seed(usual_seed);
    const std::string replay = replay_command(seed, test);
    SCOPED_TRACE(replay);
    SeededRandom random(seed);
    Scene scene(options(seed));
    ASSERT_TRUE(begin(scene, 2));
    for (int i = 0; i < rounds; ++i) {
        disturb(scene, random);
        ASSERT_FALSE(::testing::Test::HasFailure()) << scene.state();
    }
    ASSERT_TRUE(scene.until_ready(scene.producer()));
    scene.finish(60s, replay);
}

std::size_t count(Scene& scene, std::string_view kind, int process) {
    const auto& events = scene.ledger().events();
    return static_cast<std::size_t>(std::count_if(
        events.begin(), events.end(),
        [&](const LedgerEvent& event) { return event.kind == kind && event.process == process; }));
}

TEST(Pause, OfAWorkerBeyondItsLeaseRefusesStaleAcksAndReportsThem) {
    const std::uint64_t seed = run_seed(31);
    const std::string replay = replay_command(seed, "Pause.OfAWorkerBeyond*");
    SCOPED_TRACE(replay);
    Scene scene(options(seed));
    scene.start_producer();
    scene.add_worker({"work_min_us=300000"});  // long enough to stop it inside a handler
    scene.add_worker();
    Actor& stopped = scene.worker(0);
    const int rounds = by_effort(1, 2, 20);
    for (int i = 0; i < rounds; ++i) {
        const std::uint64_t earlier = stopped.deliveries;
        ASSERT_TRUE(scene.until("a delivery", 60s, [&] { return stopped.deliveries > earlier; }));
        stopped.child->signal(SIGSTOP);
        const std::uint64_t elsewhere = scene.worker(1).deliveries;
        scene.listen(milliseconds(kLeaseMs) + 2500ms);
        EXPECT_GT(scene.worker(1).deliveries, elsewhere + 20) << scene.state();
        stopped.child->signal(SIGCONT);
        const std::uint64_t before = stopped.deliveries;
        ASSERT_TRUE(scene.until("the worker works again", 60s,
                                [&] { return stopped.deliveries > before + 3; }));
        // The message it was at went elsewhere meanwhile.
        EXPECT_GE(count(scene, "refused", stopped.process), static_cast<std::size_t>(i) + 1);
    }
    scene.finish(60s, replay);
    EXPECT_EQ(stopped.reported, count(scene, "refused", stopped.process));
}

TEST(Pause, OfAWorkerWithinItsLeaseRepeatsNothingWithoutFlag) {
    expect_kept_through(
        by_effort(1, 4, 60), 32, "Pause.OfAWorkerWithin*", [](Scene& scene, SeededRandom& random) {
            Actor& stopped = scene.worker(random.below(2));
            stopped.child->signal(SIGSTOP);
            scene.listen(milliseconds(random.between(200, 4500)));
            stopped.child->signal(SIGCONT);
            const std::uint64_t before = stopped.deliveries;
            ASSERT_TRUE(scene.until("the worker works again", 60s,
                                    [&] { return stopped.deliveries > before + 10; }));
        });
}

TEST(Pause, OfAProducerLosesNothing) {
    expect_kept_through(
        by_effort(1, 3, 40), 33, "Pause.OfAProducer*", [](Scene& scene, SeededRandom& random) {
            scene.producer().child->signal(SIGSTOP);
            scene.listen(milliseconds(random.between(500, kLeaseMs + 1500)));
            scene.producer().child->signal(SIGCONT);
            const std::uint64_t before = scene.worker(0).deliveries;
            ASSERT_TRUE(scene.until("a worker works again", 60s,
                                    [&] { return scene.worker(0).deliveries > before + 10; }));
        });
}

TEST(Terminate, ClosesWorkersAndProducersInTimeAndLosesNothing) {
    expect_kept_through(by_effort(2, 10, 100), 34, "Terminate.*",
                        [](Scene& scene, SeededRandom& random) {
                            scene.listen(milliseconds(random.below(200)));
                            const std::size_t worker = random.below(2);
                            const auto asked = TestClock::now();
                            if (random.below(2) == 0) {
                                scene.end_one(scene.worker(worker), SIGTERM);
                                scene.restart_worker(worker);
                            } else {
                                scene.end_one(scene.producer(), SIGTERM);
                                scene.start_producer();
                            }
                            EXPECT_LT(TestClock::now() - asked, 27s);
                        });
}

TEST(Abort, OfEitherSideLosesNothing) {
    expect_kept_through(by_effort(2, 10, 100), 35, "Abort.*",
                        [](Scene& scene, SeededRandom& random) {
                            scene.listen(milliseconds(random.below(300)));
                            if (random.below(2) == 0) {
                                const std::size_t worker = random.below(2);
                                scene.kill(scene.worker(worker), SIGABRT);
                                scene.restart_worker(worker);
                            } else {
                                scene.kill(scene.producer(), SIGABRT);
                                scene.start_producer();
                            }
                            ASSERT_TRUE(scene.until_ready(scene.producer()));
                        });
}

}  // namespace
}  // namespace peermq::test
