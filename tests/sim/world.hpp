#pragma once

/// Runs one seed: peers over a simulated network, disk and clock, first with faults, then without,
/// and judges what happened.
///
/// Time jumps from event to event. Everything that is random comes from the seed, so a seed always
/// tells the same story; sim_run --seed N --trace shows it.
///
/// Threads: none; several worlds may run in threads of their own.

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/checker.hpp"
#include "sim/process.hpp"
#include "sim/recorder.hpp"
#include "sim/scenario.hpp"

namespace peermq::sim {

struct RunOptions {
    std::FILE* trace = nullptr;
    Canary canary = Canary::none;
    Profile profile = Profile::swarm;
};

struct RunResult {
    Outcome outcome = Outcome::unknown;
    std::string text;          ///< what is wrong, for people
    std::uint64_t hash = 0;    ///< equal for equal runs
    std::uint64_t turns = 0;   ///< of peers
    Duration drained_after{};  ///< since the faults ended
    CheckStats stats;
    FaultCounts faults{};
    std::vector<int> broken;  ///< invariants

    [[nodiscard]] bool ok() const noexcept { return outcome == Outcome::valid; }
};

class World {
public:
    World(Scenario scenario, RunOptions options);
    ~World();
    [[nodiscard]] RunResult run();

private:
    struct Place {
        std::unique_ptr<Process> process;  ///< null while it is down
        Time wake = base::kNever;
        Time paused_until{};
        Time restart_at = base::kNever;
        Time close_until = base::kNever;  ///< an orderly end is under way
        bool call_armed = false;
        bool cut_at_call = false;  ///< the armed call ends with a power cut
        Time last_turn{};
        std::uint32_t turns_at_once = 0;
    };

    void make_nodes();
    void start(std::uint32_t index);
    void arm_recovery(std::uint32_t index);
    void run_events(Time until);
    void route_network();
    void run_place(std::uint32_t index);
    void guard_against_spinning(std::uint32_t index);
    void tick();
    void strike(std::uint32_t index);
    void end_process(std::uint32_t index, bool power);
    void tell_unsynced_lost(Node& node);
    void end_one(std::uint32_t index, bool power);
    void begin_calm();
    [[nodiscard]] bool is_drained();
    void finish();
    void reopen_all();
    void collect_faults();
    [[nodiscard]] Time next_time() const;
    [[nodiscard]] Duration draw(Duration most);
    void fail(std::string text);

    Scenario scenario_;
    RunOptions options_;
    Recorder recorder_;
    test::SeededRandom random_;
    Network network_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<Place> places_;
    std::map<std::uint32_t, std::uint32_t> running_;
    Surroundings around_;
    Time now_{};
    Time tick_at_{};
    std::uint32_t next_pid_ = 100;
    std::uint64_t turns_ = 0;
    std::string failure_;
};

/// Draws the scenario of `seed` and runs it. An exception that escapes the code under test is a
/// failure of the run.
[[nodiscard]] RunResult run_seed(std::uint64_t seed, RunOptions options = {});

/// The one command that shows the run of this seed.
[[nodiscard]] std::string replay_command(std::uint64_t seed, Profile profile = Profile::swarm);

}  // namespace peermq::sim
