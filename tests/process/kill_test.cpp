/// kill -9 at random instants, restarts on the same spool and endpoint, and the ledger at the end.

#include <gtest/gtest.h>
#include <signal.h>

#include <ostream>
#include <string>

#include "effort.hpp"
#include "program.hpp"
#include "scene.hpp"
#include "support/seeded_random.hpp"

namespace peermq::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

enum class Victim { producer, worker, both, recovery };

struct Plan {
    const char* name;
    Victim victim;
    const char* level;
    bool ipc;
    std::size_t workers;
    bool large;
    bool topic = false;  ///< a durable subscription instead of a queue
};

std::ostream& operator<<(std::ostream& out, const Plan& plan) { return out << plan.name; }

class Kill : public ::testing::TestWithParam<Plan> {
protected:
    static SceneOptions options(const Plan& plan, std::uint64_t seed) {
        SceneOptions options;
        options.ipc = plan.ipc;
        options.seed = seed;
        options.producer = {std::string("level=") + plan.level,
                            plan.large ? "large_per_mille=20" : "large_per_mille=0",
                            plan.large ? "segment_bytes=2097152" : "segment_bytes=65536"};
        options.worker = {"prefetch=" + std::to_string(1u << (seed % 9))};
        if (plan.topic) {
            options.producer.emplace_back("topic=1");
            options.worker.emplace_back("topic=1");
        }
        return options;
    }

    /// Restarted, killed again 0-20 ms into its life, that is inside recovery, up to three times.
    static void kill_in_recovery(Scene& scene, SeededRandom& random) {
        const std::uint64_t times = random.between(1, 3);
        for (std::uint64_t i = 0; i < times; ++i) {
            scene.start_producer();
            if (!scene.until("main begins", 30s, [&] { return scene.producer().begun; })) return;
            scene.listen(microseconds(random.below(20'000)));
            scene.kill(scene.producer());
        }
    }

    static void kill_once(Scene& scene, Victim victim, SeededRandom& random) {
        const std::size_t worker = random.below(scene.workers());
        const bool producer = victim != Victim::worker;
        const bool a_worker = victim == Victim::worker || victim == Victim::both;
        // Both in either order.
        if (a_worker && producer && random.below(2) == 0) scene.kill(scene.producer());
        if (a_worker) scene.kill(scene.worker(worker));
        if (producer && !scene.producer().child->ended()) scene.kill(scene.producer());
        if (victim == Victim::recovery) kill_in_recovery(scene, random);
        if (producer) scene.start_producer();
        if (a_worker) scene.restart_worker(worker);
        if (producer && !scene.until_ready(scene.producer())) return;
        if (a_worker) static_cast<void>(scene.until_ready(scene.worker(worker)));
    }
};

TEST_P(Kill, LosesNothingAltersNothingFlagsEveryRepeat) {
    const Plan& plan = GetParam();
    const std::uint64_t seed = run_seed(hash_of("", plan.name) % 1000);
    const std::string replay = replay_command(seed, std::string("*LosesNothing*/") + plan.name);
    SCOPED_TRACE(replay);
    SeededRandom random(seed);
    Scene scene(options(plan, seed));
    scene.start_producer();
    ASSERT_TRUE(scene.until_ready(scene.producer()));
    for (std::size_t i = 0; i < plan.workers; ++i) scene.add_worker();

    const int kills = by_effort(2, 16, 250);
    for (int i = 0; i < kills && !HasFailure(); ++i) {
        scene.listen(microseconds(random.below(300'000)));
        kill_once(scene, plan.victim, random);
    }
    ASSERT_FALSE(HasFailure()) << scene.state();
    scene.finish(90s, replay);
    if (HasFailure()) return;

    // What was settled stays so: a last look finds the queues empty.
    scene.start_producer({"count=0"});
    ASSERT_TRUE(scene.until("statistics", 30s, [&] { return scene.producer().stats_count > 0; }));
    EXPECT_EQ(scene.producer().depth, 0u) << scene.state();
    scene.end_one(scene.producer());
}

INSTANTIATE_TEST_SUITE_P(
    Cycles, Kill,
    ::testing::Values(
        Plan{"producer_disk_tcp_1_worker", Victim::producer, "disk", false, 1, false},
        Plan{"producer_os_tcp_2_workers_large", Victim::producer, "os", false, 2, true},
        Plan{"worker_disk_tcp_2_workers_large", Victim::worker, "disk", false, 2, true},
        Plan{"worker_os_ipc_3_workers", Victim::worker, "os", true, 3, false},
        Plan{"both_disk_tcp_2_workers", Victim::both, "disk", false, 2, false},
        Plan{"both_os_ipc_3_workers_large", Victim::both, "os", true, 3, true},
        Plan{"recovery_disk_tcp_1_worker", Victim::recovery, "disk", false, 1, false},
        Plan{"recovery_os_tcp_3_workers_large", Victim::recovery, "os", false, 3, true},
        Plan{"topic_producer_disk_tcp_2_members", Victim::producer, "disk", false, 2, false, true},
        Plan{"topic_both_disk_tcp_2_members", Victim::both, "disk", false, 2, false, true},
        Plan{"topic_recovery_os_ipc_3_members_large", Victim::recovery, "os", true, 3, true, true}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace peermq::test
