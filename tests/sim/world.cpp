#include "sim/world.hpp"

#include <algorithm>
#include <exception>

namespace peermq::sim {
namespace {

using namespace std::chrono_literals;
using test::CrashPoint;
using test::CrashPolicy;
using test::Fault;

constexpr Duration kTick = 50ms;
/// From the end of the faults; a little more than the checker grants, so that it sees the
/// violation.
constexpr Duration kDrainMax = 121s;
constexpr Duration kCalmRestartMax = 200ms;
constexpr Duration kCloseMax = 5s;
constexpr std::uint64_t kCallsMax = 60;
constexpr std::uint32_t kTurnsAtOnceMax = 5000;
constexpr auto kYear = std::chrono::hours(24 * 365);

constexpr FaultKind kDiskFaults[test::kFaults] = {
    FaultKind::sync_error,  FaultKind::sync_names_error, FaultKind::write_error,
    FaultKind::read_error,  FaultKind::no_space,         FaultKind::short_write,
    FaultKind::interrupted, FaultKind::open_error};

}  // namespace

World::World(Scenario scenario, RunOptions options)
    : scenario_(std::move(scenario)),
      options_(options),
      recorder_(options.trace),
      random_(scenario_.seed ^ 0x5EEDu),
      network_(random_.next(), scenario_.faults.network),
      around_{network_, recorder_, nodes_, running_, options.canary} {
    make_nodes();
}

World::~World() = default;

Duration World::draw(Duration most) {
    return Duration(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

void World::fail(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
}

void World::make_nodes() {
    for (std::uint32_t i = 0; i < scenario_.nodes.size(); ++i) {
        auto node = std::make_unique<Node>();
        node->plan = scenario_.nodes[i];
        node->host = network_.add_host();
        node->actor = i + 1;
        node->memory_actor = i + 1001;
        for (const PushPlan& push : node->plan.pushes) node->left.push_back(push.messages);
        if (node->plan.has_spool) {
            node->disk = std::make_unique<test::FakeFileSystem>(random_.next());
            node->disk->set_capacity(node->plan.disk_bytes);
            node->disk->set_lying_sync(options_.canary == Canary::lying_sync);
            for (std::size_t fault = 0; fault < test::kFaults; ++fault) {
                node->disk->set_rate(static_cast<Fault>(fault), scenario_.faults.disk[fault]);
            }
        }
        now_ = node->clock.now();
        nodes_.push_back(std::move(node));
    }
    places_.resize(nodes_.size());
    tick_at_ = now_ + kTick;
    recorder_.set_now(now_);
}

// --- processes come and go -----------------------------------------------------------------------

void World::arm_recovery(std::uint32_t index) {
    if (around_.calm || !random_.chance(scenario_.faults.crash_again)) return;
    places_[index].call_armed = true;
    places_[index].cut_at_call = random_.below(2) == 0;
    nodes_[index]->disk->crash_call(1 + random_.below(kCallsMax),
                                    static_cast<CrashPoint>(random_.below(3)));
}

void World::start(std::uint32_t index) {
    Node& node = *nodes_[index];
    Place& place = places_[index];
    place.restart_at = base::kNever;
    node.clock.advance_to(now_);
    const std::uint32_t pid = next_pid_++;
    running_[pid] = index;
    if (node.disk) arm_recovery(index);
    try {
        place.process = std::make_unique<Process>(around_, node, pid, random_.fork());
    } catch (const test::FakeCrash&) {
        recorder_.count(FaultKind::crash_in_recovery);
        running_.erase(pid);
        return end_process(index, place.cut_at_call);
    } catch (const Error& error) {
        recorder_.note(node.actor, std::string("does not start: ") + error.what());
        recorder_.count(FaultKind::restart_failed);
        running_.erase(pid);
        return end_process(index, false);
    }
    recorder_.note(node.actor, "starts as process " + std::to_string(pid));
    if (node.disk && !place.call_armed && !around_.calm &&
        random_.chance(scenario_.faults.open_twice)) {
        return end_process(index, random_.below(2) == 0);
    }
    network_.listen(node.host, kPort);
    place.wake = now_;
    place.close_until = base::kNever;
}

void World::end_process(std::uint32_t index, bool power) {
    end_one(index, power);
    if (!power) return;
    for (std::uint32_t other = 0; other < nodes_.size(); ++other) {
        if (other == index || nodes_[other]->plan.machine != nodes_[index]->plan.machine) continue;
        if (places_[other].process) end_one(other, true);
    }
}

void World::tell_unsynced_lost(Node& node) {
    for (Event& event : node.unsynced) {
        event.kind = EventKind::damaged;
        recorder_.add(event);
    }
    node.unsynced.clear();
}

void World::end_one(std::uint32_t index, bool power) {
    Node& node = *nodes_[index];
    Place& place = places_[index];
    if (place.process) {
        place.process->record_end();
        running_.erase(place.process->pid());
        std::vector<ActorId> actors = node.later_actors;
        actors.insert(actors.end(), {node.actor, node.memory_actor});
        for (const ActorId actor : actors) {
            Event event;
            event.kind = EventKind::crash;
            event.actor = actor;
            recorder_.add(event);
        }
    }
    recorder_.note(node.actor, power ? "loses power" : "is gone");
    if (power) tell_unsynced_lost(node);
    network_.kill_host(node.host, power, now_);
    if (node.disk) {
        node.disk->crash_call(0, CrashPoint::before);
        if (power) {
            node.disk->crash(CrashPolicy::any(random_));
        } else {
            node.disk->kill();
        }
    }
    place.process.reset();
    place.call_armed = false;
    place.paused_until = {};
    place.wake = base::kNever;
    place.close_until = base::kNever;
    place.restart_at = now_ + 1ms +
                       draw(around_.calm ? kCalmRestartMax : scenario_.faults.down_max);
    // Those who watch the process learn of it soon.
    for (std::uint32_t other = 0; other < nodes_.size(); ++other) {
        if (places_[other].process && nodes_[other]->plan.machine == node.plan.machine) {
            places_[other].wake = std::min(places_[other].wake, now_ + draw(20ms));
        }
    }
}

// --- events --------------------------------------------------------------------------------------

Time World::next_time() const {
    Time next = std::min(tick_at_, network_.next_event());
    for (const Place& place : places_) {
        if (place.process) {
            next = std::min(next, std::max(place.wake, place.paused_until));
        } else {
            next = std::min(next, place.restart_at);
        }
    }
    return next;
}

void World::route_network() {
    while (std::optional<NetworkEvent> event = network_.poll(now_)) {
        Place& place = places_[event->host];
        if (!place.process) continue;
        place.process->take(std::move(*event));
        place.wake = std::min(place.wake, now_);
    }
}

void World::guard_against_spinning(std::uint32_t index) {
    Place& place = places_[index];
    if (now_ - place.last_turn > 1ms) {
        place.last_turn = now_;
        place.turns_at_once = 0;
    }
    if (++place.turns_at_once > kTurnsAtOnceMax) {
        fail("peer " + std::to_string(index + 1) + " does not come to rest");
    }
}

void World::run_place(std::uint32_t index) {
    Place& place = places_[index];
    recorder_.mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()) * 31 + index);
    guard_against_spinning(index);
    ++turns_;
    try {
        place.process->run(now_);
        if (place.process->broken()) return end_process(index, false);
        if (place.close_until != base::kNever &&
            (place.process->closed() || now_ >= place.close_until)) {
            place.process->say_bye();
            return end_process(index, false);
        }
        place.wake = std::max(place.process->next_wake(), now_ + 10us);
    } catch (const test::FakeCrash&) {
        recorder_.count(FaultKind::crash_in_call);
        end_process(index, place.cut_at_call);
    }
}

void World::run_events(Time until) {
    while (failure_.empty()) {
        const Time next = next_time();
        if (next > until) break;
        now_ = std::max(now_, next);
        recorder_.set_now(now_);
        route_network();
        for (std::uint32_t i = 0; i < places_.size(); ++i) {
            Place& place = places_[i];
            if (!place.process) {
                if (place.restart_at <= now_) start(i);
            } else if (place.wake <= now_ && place.paused_until <= now_) {
                run_place(i);
            }
        }
        if (tick_at_ <= now_) tick();
        if (!around_.calm && turns_ >= scenario_.steps_max) return;
    }
    now_ = std::max(now_, until);
    recorder_.set_now(now_);
}

// --- faults --------------------------------------------------------------------------------------

void World::tick() {
    tick_at_ = now_ + kTick;
    const auto index = static_cast<std::uint32_t>(random_.below(places_.size()));
    if (places_[index].process) places_[index].process->check_invariants();
    if (around_.calm) return;
    network_.disturb(now_);
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
        if (places_[i].process) strike(i);
    }
}

void World::strike(std::uint32_t index) {
    const FaultPlan& faults = scenario_.faults;
    Node& node = *nodes_[index];
    Place& place = places_[index];
    const bool produces = !node.plan.pushes.empty();
    if (random_.chance(produces ? faults.kill_producer : faults.kill_consumer)) {
        recorder_.count(produces ? FaultKind::kill_producer : FaultKind::kill_consumer);
        return end_process(index, false);
    }
    if (random_.chance(faults.power_cut)) {
        recorder_.count(FaultKind::power_cut);
        return end_process(index, true);
    }
    if (node.disk && !place.call_armed && random_.chance(faults.crash_in_call)) {
        place.call_armed = true;
        place.cut_at_call = random_.below(2) == 0;
        node.disk->crash_call(1 + random_.below(kCallsMax),
                              static_cast<CrashPoint>(random_.below(3)));
    }
    if (random_.chance(faults.wall_jump)) {
        recorder_.count(FaultKind::wall_jump);
        const Duration far = random_.below(2) == 0 ? Duration(kYear) : Duration(1h);
        node.clock.jump_wall(random_.below(2) == 0 ? far : -far);
    }
    if (place.close_until == base::kNever && random_.chance(faults.orderly_end)) {
        recorder_.count(FaultKind::orderly_end);
        place.process->begin_close();
        place.close_until = now_ + draw(kCloseMax);
        place.wake = now_;
    }
    if (faults.purge != 0 && produces && random_.chance(faults.purge)) {
        recorder_.count(FaultKind::purge);
        place.process->purge();
        place.wake = now_;
    }
    if (faults.pull_closed != 0 && !node.plan.pulls.empty() && random_.chance(faults.pull_closed)) {
        recorder_.count(FaultKind::pull_closed);
        place.process->replace_pull();
        place.wake = now_;
    }
    if (place.paused_until <= now_ && random_.chance(faults.pause)) {
        recorder_.count(FaultKind::pause);
        recorder_.note(node.actor, "is stopped");
        place.paused_until = now_ + draw(faults.pause_max);
    }
}

void World::begin_calm() {
    collect_faults();
    around_.calm = true;
    network_.calm(now_);
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
        Node& node = *nodes_[i];
        if (node.disk) {
            node.disk->clear_rates();
            node.disk->set_capacity(UINT64_MAX);
            node.disk->crash_call(0, CrashPoint::before);
        }
        // What was delayed while the clock stood elsewhere is due now.
        node.clock.jump_wall(100 * kYear);
        // One more each, after the faults: everything must be usable again.
        for (std::uint32_t& left : node.left) left = std::min<std::uint32_t>(left, 4) + 1;
        Place& place = places_[i];
        place.call_armed = false;
        place.paused_until = {};
        if (!place.process) {
            place.restart_at = now_ + draw(kCalmRestartMax);
        } else {
            place.wake = now_;
        }
    }
    Event healed;
    healed.kind = EventKind::healed;
    recorder_.add(healed);
}

void World::collect_faults() {
    const NetworkCounters& network = network_.counters();
    recorder_.count(FaultKind::frame_slow, network.frames_slow);
    recorder_.count(FaultKind::connection_death, network.deaths);
    recorder_.count(FaultKind::half_open, network.half_open);
    recorder_.count(FaultKind::ghost, network.ghosts);
    recorder_.count(FaultKind::refused_connect, network.refused);
    recorder_.count(FaultKind::partition, network.partitions);
    recorder_.count(FaultKind::partition_one_way, network.partitions_one_way);
    recorder_.count(FaultKind::clog, network.clogs);
    recorder_.count(FaultKind::swizzle, network.swizzles);
    recorder_.count(FaultKind::full_way, network.frames_full);
    for (const auto& node : nodes_) {
        if (!node->disk) continue;
        const test::FakeFileCounters disk = node->disk->counters();
        for (std::size_t fault = 0; fault < test::kFaults; ++fault) {
            recorder_.count(kDiskFaults[fault], disk.faults[fault]);
        }
        recorder_.count(FaultKind::no_space, disk.no_space);
    }
}

// --- the end -------------------------------------------------------------------------------------

bool World::is_drained() {
    return std::all_of(places_.begin(), places_.end(), [](const Place& place) {
        return place.process && place.close_until == base::kNever && place.process->drained();
    });
}

void World::reopen_all() {
    // The power goes once more: what was promised must be on the disks.
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
        if (nodes_[i]->disk && places_[i].process) end_one(i, true);
    }
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
        if (!nodes_[i]->disk) continue;
        start(i);
        if (places_[i].process) places_[i].process->record_remains();
    }
}

void World::finish() {
    for (const Place& place : places_) {
        place.process->check_invariants();
        place.process->record_end();
        place.process->record_remains();
    }
    Event drained;
    drained.kind = EventKind::drained;
    recorder_.add(drained);
    reopen_all();
}

RunResult World::run() {
    const Time began = now_;
    for (std::uint32_t i = 0; i < places_.size(); ++i) start(i);
    run_events(began + scenario_.faulty_for);
    const Time healed = now_;
    begin_calm();
    bool drained = false;
    while (failure_.empty() && !drained && now_ - healed <= kDrainMax) {
        run_events(now_ + kTick);
        drained = is_drained();
    }
    RunResult result;
    result.drained_after = now_ - healed;
    if (drained) {
        finish();
    } else {
        std::string text = "not drained:";
        for (const Place& place : places_) {
            text += "\n" +
                    (place.process ? place.process->describe() : std::string("a peer is down"));
        }
        fail(std::move(text));
        Event late;
        late.kind = EventKind::gauge;
        recorder_.add(late);
    }
    const Verdict verdict = check(recorder_.history());
    result.outcome = failure_.empty() ? verdict.outcome : Outcome::invalid;
    result.text = verdict.text();
    if (!failure_.empty()) result.text += failure_ + "\n";
    for (const Violation& each : verdict.violations) result.broken.push_back(each.invariant);
    result.hash = recorder_.hash();
    result.turns = turns_;
    result.stats = verdict.stats;
    result.faults = recorder_.faults();
    return result;
}

RunResult run_seed(std::uint64_t seed, RunOptions options) {
    World world(draw_scenario(seed, options.profile), options);
    try {
        return world.run();
    } catch (const std::exception& error) {
        RunResult result;
        result.outcome = Outcome::invalid;
        result.text = std::string("an exception escaped: ") + error.what() + "\n";
        return result;
    }
}

std::string replay_command(std::uint64_t seed, Profile profile) {
    std::string command = "./dev sim --seed " + std::to_string(seed) + " --trace";
    if (profile != Profile::swarm) command += " --profile " + std::string(to_string(profile));
    return command;
}

}  // namespace peermq::sim
