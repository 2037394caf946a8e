#include "sim/scenario.hpp"

#include <algorithm>
#include <array>

#include "base/limits.hpp"

namespace peermq::sim {
namespace {

using namespace std::chrono_literals;
using test::Fault;
using test::SeededRandom;

constexpr std::uint32_t kPercent = 10'000;  // of a million

Duration between(SeededRandom& random, Duration low, Duration high) {
    return Duration(static_cast<std::int64_t>(random.between(
        static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
}

std::uint32_t up_to(SeededRandom& random, std::uint32_t most) {
    return static_cast<std::uint32_t>(random.below(std::uint64_t{most} + 1));
}

/// Half of all seeds do without it.
std::uint32_t maybe(SeededRandom& random, std::uint32_t most) {
    return random.below(2) == 0 ? 0 : 1 + up_to(random, most);
}

template <typename Value, std::size_t count>
Value pick(SeededRandom& random, const std::array<Value, count>& values) {
    return values[random.below(count)];
}

PushPlan draw_push(SeededRandom& random, const std::string& queue, bool has_spool) {
    PushPlan push;
    push.queue = queue;
    push.level = Durability::memory;
    if (has_spool && random.below(8) != 0) {
        push.level = random.below(4) == 0 ? Durability::os : Durability::disk;
    }
    push.messages = static_cast<std::uint32_t>(random.between(5, 60));
    push.keys = random.below(2) == 0 ? 0 : static_cast<std::uint32_t>(random.between(1, 6));
    push.keyed = push.keys == 0 ? 0 : up_to(random, 100 * kPercent);
    push.large = random.below(8) == 0 ? 4 * kPercent : 0;
    push.gap_max = pick<Duration>(random, std::array<Duration, 3>{5ms, 100ms, 1s});
    push.group.max_attempts = static_cast<std::uint32_t>(pick(random, std::array{2, 3, 10, 10}));
    push.group.retry_wait_min = pick<Duration>(random, std::array<Duration, 3>{0ms, 20ms, 500ms});
    push.group.retry_wait_max = push.group.retry_wait_min * 4;
    if (random.below(8) == 0) push.group.max_consumers = 1;
    if (random.below(8) == 0) push.group.key_lookahead_max = 4;
    return push;
}

PullPlan draw_pull(SeededRandom& random, const std::string& queue) {
    PullPlan pull;
    pull.queue = queue;
    pull.inbox.prefetch = static_cast<std::uint32_t>(
        pick(random, std::array{1, 1, 2, 4, 8, 16, 64}));
    if (random.below(8) == 0) pull.inbox.prefetch_bytes = random.between(1, 4096);
    pull.inbox.concurrency = static_cast<std::uint32_t>(pick(random, std::array{1, 1, 2, 4}));
    pull.handlers = random.below(4) == 0 ? pull.inbox.prefetch : pull.inbox.concurrency;
    pull.work_max = pick<Duration>(random, std::array<Duration, 4>{0ms, 2ms, 20ms, 200ms});
    pull.slow = maybe(random, 5 * kPercent);
    pull.slow_max = pick<Duration>(random, std::array<Duration, 3>{1s, 5s, 40s});
    pull.nack = maybe(random, 15 * kPercent);
    pull.release = maybe(random, 10 * kPercent);
    pull.reject = maybe(random, 5 * kPercent);
    return pull;
}

NodePlan draw_producer(SeededRandom& random, const std::vector<std::string>& queues) {
    NodePlan node;
    node.has_spool = random.below(10) != 0;
    for (const std::string& queue : queues) {
        if (node.pushes.empty() || random.below(2) == 0) {
            node.pushes.push_back(draw_push(random, queue, node.has_spool));
        }
    }
    node.spool.segment_bytes = random.between(16, random.below(2) == 0 ? 32 : 256) * 1024;
    node.spool.free_bytes_min = random.below(2) == 0 ? 0 : 64 * 1024;
    node.spool.max_bytes = random.below(8) == 0 ? random.between(2, 20) * 1024
                                                : 64 * base::limits::kMiB;
    node.spool.dead_bytes_max = 64 * base::limits::kMiB;
    if (random.below(4) == 0) node.disk_bytes = random.between(192, 1024) * 1024;
    return node;
}

std::uint32_t draw_consumer_count(SeededRandom& random) {
    return static_cast<std::uint32_t>(pick(random, std::array{1, 1, 2, 2, 2, 3, 3, 4, 5, 8}));
}

void draw_dials(SeededRandom& random, std::vector<NodePlan>& nodes) {
    const std::uint64_t usual = random.below(4);  // 0: producers dial, 1: either, else consumers
    for (std::uint32_t a = 0; a < nodes.size(); ++a) {
        for (std::uint32_t b = 0; b < nodes.size(); ++b) {
            if (a == b || nodes[a].pushes.empty() || nodes[b].pulls.empty()) continue;
            const bool both_known = std::find(nodes[a].dials.begin(), nodes[a].dials.end(), b) !=
                                        nodes[a].dials.end() ||
                                    std::find(nodes[b].dials.begin(), nodes[b].dials.end(), a) !=
                                        nodes[b].dials.end();
            if (both_known) continue;
            const bool from_producer = usual == 0 || (usual == 1 && random.below(2) == 0);
            if (from_producer) nodes[a].dials.push_back(b);
            if (!from_producer || random.below(8) == 0) nodes[b].dials.push_back(a);
        }
    }
}

NetworkOptions draw_network(SeededRandom& random) {
    NetworkOptions network;
    network.delay_max = pick<Duration>(random, std::array<Duration, 3>{300us, 5ms, 200ms});
    network.notice_max = pick<Duration>(random, std::array<Duration, 3>{10ms, 500ms, 5s});
    network.frames_max = random.below(4) == 0 ? random.between(2, 20) : 1000;
    network.slow_frame = maybe(random, 3 * kPercent);
    network.slow_max = between(random, 10ms, 5s);
    network.die_at_frame = maybe(random, 2 * kPercent);
    network.refuse = maybe(random, 30 * kPercent);
    network.half_open = maybe(random, 50 * kPercent);
    network.ghost = maybe(random, 30 * kPercent);
    network.partition = maybe(random, 1 * kPercent);
    network.partition_one_way = maybe(random, 1 * kPercent);
    network.heal = 1 * kPercent + up_to(random, 10 * kPercent);
    network.clog = maybe(random, 3 * kPercent);
    network.clog_max = between(random, 100ms, 5s);
    network.swizzle = maybe(random, kPercent / 2);
    return network;
}

FaultPlan draw_faults(SeededRandom& random) {
    FaultPlan faults;
    faults.network = draw_network(random);
    faults.kill_producer = maybe(random, kPercent);
    faults.kill_consumer = maybe(random, 2 * kPercent);
    faults.power_cut = maybe(random, kPercent);
    faults.crash_in_call = maybe(random, kPercent);
    faults.crash_again = maybe(random, 50 * kPercent);
    faults.open_twice = maybe(random, 20 * kPercent);
    faults.orderly_end = maybe(random, kPercent);
    faults.pause = maybe(random, kPercent);
    faults.pause_max = pick<Duration>(random, std::array<Duration, 4>{500ms, 3s, 10s, 60s});
    faults.wall_jump = maybe(random, 2 * kPercent);
    faults.down_max = pick<Duration>(random, std::array<Duration, 3>{50ms, 1s, 10s});
    const auto disk = [&](Fault fault, std::uint32_t most) {
        faults.disk[static_cast<std::size_t>(fault)] = maybe(random, most);
    };
    disk(Fault::sync_error, 2 * kPercent);
    disk(Fault::sync_names_error, 2 * kPercent);
    disk(Fault::write_error, kPercent);
    disk(Fault::read_error, kPercent);
    disk(Fault::no_space, 2 * kPercent);
    disk(Fault::short_write, 10 * kPercent);
    disk(Fault::interrupted, 10 * kPercent);
    disk(Fault::open_error, kPercent);
    return faults;
}

/// A message whose holder was out of reach is in the hands of a second consumer when the producer
/// ends, and of the two the first comes back first.
Scenario draw_keys(std::uint64_t seed) {
    SeededRandom random(seed ^ 0x4E15);
    Scenario scenario;
    scenario.seed = seed;
    NodePlan producer;
    producer.has_spool = true;
    producer.spool.segment_bytes = 64 * 1024;
    producer.spool.max_bytes = producer.spool.dead_bytes_max = 64 * base::limits::kMiB;
    PushPlan push = draw_push(random, "a", true);
    push.level = Durability::disk;
    push.messages = 60;
    push.keys = static_cast<std::uint32_t>(random.between(1, 2));
    push.keyed = 100 * kPercent;
    push.gap_max = 300ms;
    push.group.max_consumers = 0;
    producer.pushes.push_back(push);
    scenario.nodes.push_back(producer);
    const std::uint64_t consumers = random.between(2, 4);
    for (std::uint32_t i = 1; i <= consumers; ++i) {
        NodePlan node;
        PullPlan pull = draw_pull(random, "a");
        pull.slow = 50 * kPercent;
        pull.slow_max = between(random, 2s, 8s);
        pull.handlers = pull.inbox.concurrency = 2;
        node.pulls.push_back(pull);
        node.machine = i;
        node.dials.push_back(0);
        scenario.nodes.push_back(node);
    }
    FaultPlan& faults = scenario.faults;
    NetworkOptions& network = faults.network;
    network.delay_max = 5ms;
    network.notice_max = 500ms;
    network.partition = kPercent / 2 + up_to(random, 2 * kPercent);
    network.heal = kPercent + up_to(random, 3 * kPercent);
    network.slow_frame = maybe(random, 3 * kPercent);
    network.slow_max = between(random, 10ms, 2s);
    faults.kill_producer = kPercent / 4 + up_to(random, kPercent);
    faults.down_max = pick<Duration>(random, std::array<Duration, 2>{50ms, 1s});
    scenario.faulty_for = between(random, 10s, 30s);
    scenario.steps_max = 6000;
    return scenario;
}

Scenario draw_swarm(std::uint64_t seed) {
    SeededRandom random(seed);
    Scenario scenario;
    scenario.seed = seed;
    std::vector<std::string> queues{"a"};
    if (random.below(3) == 0) queues.emplace_back("b");
    const auto producers = static_cast<std::uint32_t>(
        pick(random, std::array{1, 1, 1, 1, 2, 2, 3}));
    for (std::uint32_t i = 0; i < producers; ++i) {
        scenario.nodes.push_back(draw_producer(random, queues));
    }
    const std::uint32_t consumers = draw_consumer_count(random);
    const bool read_dead = random.below(3) == 0;
    for (std::uint32_t i = 0; i < consumers; ++i) {
        NodePlan node;
        for (const std::string& queue : queues) {
            // The first consumer pulls everything, so that nothing waits for ever.
            if (i > 0 && !node.pulls.empty() && random.below(2) == 0) continue;
            node.pulls.push_back(draw_pull(random, queue));
        }
        if (i == 0 && read_dead) {
            PullPlan dead = draw_pull(random, "a.dead");
            dead.nack = dead.release = dead.reject = 0;
            node.pulls.push_back(dead);
        }
        scenario.nodes.push_back(std::move(node));
    }
    const std::uint64_t machines = random.between(1, scenario.nodes.size());
    for (NodePlan& node : scenario.nodes) {
        node.machine = static_cast<std::uint32_t>(random.below(machines));
    }
    draw_dials(random, scenario.nodes);
    scenario.faults = draw_faults(random);
    // Draws of its own: the other scenarios stay what they were.
    SeededRandom more(seed ^ 0xC105ED);
    if (more.below(4) == 0) scenario.faults.pull_closed = 1 + up_to(more, 3 * kPercent);
    scenario.faulty_for = between(random, 1s, 20s);
    scenario.steps_max = static_cast<std::uint32_t>(random.between(500, 4000));
    return scenario;
}

void draw_policies(SeededRandom& random, NodePlan& node) {
    if (node.has_spool && random.below(2) == 0) node.spool.max_bytes = random.between(2, 20) * 1024;
    for (PushPlan& push : node.pushes) {
        push.drop_oldest = random.below(2) == 0;
        // Keys need acks. Less than disk may forget what it has handed out.
        if (push.level != Durability::disk || random.below(3) != 0) continue;
        push.group.ack_required = false;
        push.keys = push.keyed = 0;
    }
}

Scenario draw_policies(std::uint64_t seed) {
    Scenario scenario = draw_swarm(seed);
    SeededRandom random(seed ^ 0x9011C1E5);
    scenario.faults.purge = maybe(random, 3 * kPercent);
    bool first = true;
    for (NodePlan& node : scenario.nodes) {
        draw_policies(random, node);
        if (node.pulls.empty()) continue;
        // The first consumer pulls from all, so that nothing waits for ever.
        const bool single = random.below(3) == 0;
        for (PullPlan& pull : node.pulls) pull.single_producer = single && !first;
        first = false;
    }
    return scenario;
}

}  // namespace

std::string_view to_string(FaultKind kind) noexcept {
    static constexpr std::array<std::string_view, kFaultKinds> kNames{"kill_producer",
                                                                      "kill_consumer",
                                                                      "power_cut",
                                                                      "crash_in_call",
                                                                      "crash_in_recovery",
                                                                      "restart_failed",
                                                                      "storing_failed",
                                                                      "pause",
                                                                      "wall_jump",
                                                                      "orderly_end",
                                                                      "pull_closed",
                                                                      "frame_slow",
                                                                      "connection_death",
                                                                      "half_open",
                                                                      "ghost",
                                                                      "refused_connect",
                                                                      "partition",
                                                                      "partition_one_way",
                                                                      "clog",
                                                                      "swizzle",
                                                                      "full_way",
                                                                      "sync_error",
                                                                      "sync_names_error",
                                                                      "write_error",
                                                                      "read_error",
                                                                      "no_space",
                                                                      "short_write",
                                                                      "interrupted",
                                                                      "open_error",
                                                                      "quota",
                                                                      "nack",
                                                                      "release",
                                                                      "reject",
                                                                      "slow_handler",
                                                                      "fragmented",
                                                                      "dead_letter",
                                                                      "settlement_refused",
                                                                      "redelivered",
                                                                      "purge",
                                                                      "drop_oldest",
                                                                      "at_most_once",
                                                                      "second_producer"};
    return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(Profile profile) noexcept {
    static constexpr std::array<std::string_view, kProfiles> kNames{"swarm", "keys", "policies"};
    return kNames[static_cast<std::size_t>(profile)];
}

Scenario draw_scenario(std::uint64_t seed, Profile profile) {
    switch (profile) {
        case Profile::swarm: return draw_swarm(seed);
        case Profile::keys: return draw_keys(seed);
        case Profile::policies: return draw_policies(seed);
    }
    return {};
}

}  // namespace peermq::sim
