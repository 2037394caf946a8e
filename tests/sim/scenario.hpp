#pragma once

/// What one seed stands for: who takes part, what they do, and what goes wrong how often.
///
/// Every seed draws its own ranges ("swarm"): some runs have no power cuts but wild networks, some
/// the reverse, so that no fault hides another all the time.

#include <cstdint>
#include <string>
#include <vector>

#include "delivery/group.hpp"
#include "delivery/inbox.hpp"
#include "peermq/options.hpp"
#include "sim/network.hpp"
#include "sim/transport.hpp"
#include "spool/spool.hpp"
#include "support/fake_file_system.hpp"

namespace peermq::sim {

/// Everything that can go wrong; counted, and a kind that never happens is an error of the test.
enum class FaultKind : std::uint8_t {
    kill_producer,
    kill_consumer,
    power_cut,
    crash_in_call,
    crash_in_recovery,
    restart_failed,
    storing_failed,
    pause,
    wall_jump,
    orderly_end,
    pull_closed,
    frame_slow,
    connection_death,
    half_open,
    ghost,
    refused_connect,
    partition,
    partition_one_way,
    clog,
    swizzle,
    full_way,
    sync_error,
    sync_names_error,
    write_error,
    read_error,
    no_space,
    short_write,
    interrupted,
    open_error,
    quota,
    nack,
    release,
    reject,
    slow_handler,
    fragmented,
    dead_letter,
    settlement_refused,
    redelivered,
    // Of the profile `policies` alone.
    purge,
    drop_oldest,
    at_most_once,     ///< messages of such a queue that were handed over
    second_producer,  ///< refused by a pull with single_producer
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::second_producer) + 1;
/// Those that every profile may have.
inline constexpr std::size_t kCommonFaultKinds = static_cast<std::size_t>(FaultKind::redelivered) +
                                                 1;
[[nodiscard]] std::string_view to_string(FaultKind kind) noexcept;

struct PushPlan {
    std::string queue;
    Durability level = Durability::disk;
    std::uint32_t messages = 0;
    std::uint32_t keys = 0;    ///< 0 = no message has one
    std::uint32_t keyed = 0;   ///< per million
    std::uint32_t large = 0;   ///< per million: travels in fragments
    Duration gap_max{};        ///< between bursts
    bool drop_oldest = false;  ///< when the quota is reached
    delivery::GroupOptions group;
};

struct PullPlan {
    std::string queue;
    delivery::InboxOptions inbox;
    bool single_producer = false;
    std::uint32_t handlers = 1;  ///< at work at the same time
    Duration work_max{};
    std::uint32_t slow = 0;  ///< per million: works for up to slow_max
    Duration slow_max{};
    // What becomes of a message, per million; else it is acked.
    std::uint32_t nack = 0;
    std::uint32_t release = 0;
    std::uint32_t reject = 0;
};

struct NodePlan {
    std::vector<PushPlan> pushes;
    std::vector<PullPlan> pulls;
    std::vector<std::uint32_t> dials;  ///< nodes that it connects to
    std::uint32_t machine = 0;         ///< those on one machine can watch each other's processes
    bool has_spool = false;
    spool::SpoolOptions spool;
    std::uint64_t disk_bytes = UINT64_MAX;
};

/// Per million and tick, unless it says otherwise.
struct FaultPlan {
    NetworkOptions network;
    std::uint32_t kill_producer = 0;
    std::uint32_t kill_consumer = 0;
    std::uint32_t power_cut = 0;
    std::uint32_t crash_in_call = 0;
    std::uint32_t crash_again = 0;  ///< of restarts: crashes once more while it recovers
    std::uint32_t open_twice = 0;   ///< of restarts: dies right after it, to compare recoveries
    std::uint32_t orderly_end = 0;
    std::uint32_t purge = 0;
    std::uint32_t pull_closed = 0;  ///< one pull of the process; another takes its place
    std::uint32_t pause = 0;
    Duration pause_max{};
    std::uint32_t wall_jump = 0;
    Duration down_max{};
    std::uint32_t disk[test::kFaults] = {};  ///< per million calls
};

struct Scenario {
    std::uint64_t seed = 0;
    std::vector<NodePlan> nodes;
    FaultPlan faults;
    Duration faulty_for{};
    std::uint32_t steps_max = 0;  ///< turns of peers until the faults end
};

/// What a seed is drawn for.
enum class Profile : std::uint8_t {
    swarm,  ///< anything
    keys,   ///< few keys, long work, consumers out of reach for seconds, restarts of the producer
    policies,  ///< the swarm with purges, at most once, small quotas with drop_oldest, one producer
};
inline constexpr std::size_t kProfiles = 3;
[[nodiscard]] std::string_view to_string(Profile profile) noexcept;

[[nodiscard]] Scenario draw_scenario(std::uint64_t seed, Profile profile = Profile::swarm);

}  // namespace peermq::sim
