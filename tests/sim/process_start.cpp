/// How a simulated process comes up: as Runtime does it, with the spool, network and clock of the
/// simulation.

#include <algorithm>

#include "peer/dead_letter.hpp"
#include "sim/process.hpp"

namespace peermq::sim {
namespace {

constexpr const char* kSpoolPath = "spool";
constexpr std::size_t kMessageBytesMax = 1024 * 1024;

}  // namespace

Process::Process(Surroundings& around, Node& node, std::uint32_t pid, test::SeededRandom random)
    : around_(around),
      node_(node),
      recorder_(around.recorder),
      pid_(pid),
      random_(random),
      engine_random_(random_.fork()),
      transport_(around.network, node.host, random_.fork(), *this, around.canary) {
    started_at_ = node_.clock.now();
    maintain_at_ = started_at_;
    if (node_.plan.has_spool) open_spool();
    detail::EngineOptions options;
    options.peer = spool_ ? spool_->peer() : engine_random_.id<base::PeerId>();
    options.session = engine_random_.id<base::SessionId>();
    options.host.boot_id.fill(static_cast<std::byte>(node_.plan.machine + 1));
    options.host.pid_namespace = 1;
    options.host.pid = pid_;
    options.host.start_time = pid_;
    options.agent = "simulated";
    options.message_bytes_max = kMessageBytesMax;
    options.dead_bytes_max = node_.plan.spool.dead_bytes_max;
    engine_ = std::make_unique<detail::Engine>(std::move(options), engine_random_, transport_,
                                               spool_.get(), commits_.get(), *this);
    engine_->set_now(node_.clock.now(), node_.clock.wall_now());
    if (spool_) recover_streams();
    open_pushes();
    open_pulls();
    for (const std::uint32_t to : node_.plan.dials) {
        (void)transport_.connect(around_.nodes[to]->host, kPort, node_.clock.now());
    }
}

Process::~Process() = default;

void Process::open_spool() {
    const auto report = [this](const spool::Damage& damage) {
        recorder_.note(node_.actor, "damage: " + damage.text + " " + damage.path + " at " +
                                        std::to_string(damage.offset) + ", bytes " +
                                        std::to_string(damage.bytes) + ", records " +
                                        std::to_string(damage.records));
    };
    std::unique_ptr<spool::Spool> opened = spool::Spool::open(
        *node_.disk, node_.clock, engine_random_, kSpoolPath, node_.plan.spool, report);
    for (const spool::Damage& damage : opened->recovery().damage) report(damage);
    spool_ = std::make_unique<SpoolTap>(std::move(opened), recorder_, node_.letters,
                                        around_.canary);
    commits_ = std::make_unique<detail::CommitQueue>(*spool_, node_.clock, *this);
}

void Process::recover_streams() {
    // Opening a spool syncs what it finds.
    for (const Event& event : node_.unsynced) recorder_.add(event);
    node_.unsynced.clear();
    const std::vector<spool::RecoveredStream> all = spool_->take_recovered();
    Event opened;
    opened.kind = EventKind::opened;
    opened.actor = node_.actor;
    opened.epoch = recorder_.history().number_of(spool_->epoch());
    opened.value = spool_->epoch().counter;
    opened.hash = node_.wrote ? 0 : spool_->recovered_hash();
    recorder_.add(opened);
    node_.wrote = false;
    for (const spool::RecoveredStream& recovered : all) {
        const std::string& name = recovered.info.name;
        if (!streams_.contains(name)) {
            if (recovered.info.kind == spool::StreamKind::dead) {
                engine_->add_producer(make_stream(name, spool::StreamKind::dead, Durability::disk),
                                      detail::dead_letter_options(), nullptr);
            } else {
                (void)make_queue(name, Durability::disk, {});
            }
        }
        detail::OutStream& stream = *streams_.at(name);
        base::RunSet settled;
        for (const spool::GroupState& group : recovered.groups) {
            if (group.group == 0) settled = group.settled;
        }
        stream.recover(recovered.end, settled);
        recorder_.note(node_.actor, "recovers " + name + " up to " + std::to_string(recovered.end) +
                                        ", " + std::to_string(settled.size()) + " settled");
        engine_->recover_producer(stream, recovered);
    }
}

std::shared_ptr<detail::OutStream> Process::make_stream(const std::string& name,
                                                        spool::StreamKind kind, Durability level) {
    detail::OutStreamConfig config;
    config.name = name;
    config.kind = kind;
    config.durability = level;
    config.overflow = Overflow::error;
    config.memory_bytes_max = 64 * 1024 * 1024;
    config.message_bytes_max = kMessageBytesMax;
    // Small, so that reading back from the spool is common.
    config.chunk_bytes = 2048;
    config.cache_bytes = 4096;
    if (level == Durability::memory) {
        config.id = engine_random_.id<base::StreamId>();
        config.epoch = {1, engine_random_.next()};
    } else {
        const spool::StreamInfo info = spool_->stream(kind, name);
        config.id = info.id;
        config.index = info.index;
        config.epoch = spool_->epoch();
    }
    auto stream = std::make_shared<detail::OutStream>(config, self_, node_.clock);
    streams_[name] = stream;
    declare(*stream);
    return stream;
}

void Process::declare(const detail::OutStream& stream) {
    Event declared;
    declared.kind = EventKind::stream;
    declared.actor = stream.stored() ? node_.actor : node_.memory_actor;
    declared.again = !stream.stored();
    declared.stream = recorder_.history().number_of(stream.config().id);
    const bool at_most_once = std::any_of(
        node_.plan.pushes.begin(), node_.plan.pushes.end(), [&](const PushPlan& push) {
            return push.queue == stream.config().name && !push.group.ack_required;
        });
    if (at_most_once) {
        declared.value = 1;
        recorder_.declare_at_most_once(declared.stream);
    }
    recorder_.add(declared);
}

std::shared_ptr<detail::OutStream> Process::make_queue(const std::string& name, Durability level,
                                                       const delivery::GroupOptions& options) {
    const std::string dead_name = name + ".dead";
    std::shared_ptr<detail::OutStream> dead;
    if (const auto known = streams_.find(dead_name); known != streams_.end()) {
        dead = known->second;
    } else {
        dead = make_stream(dead_name, spool::StreamKind::dead,
                           level == Durability::memory ? level : Durability::disk);
        engine_->add_producer(dead, detail::dead_letter_options(), nullptr);
    }
    std::shared_ptr<detail::OutStream> stream = make_stream(name, spool::StreamKind::queue, level);
    engine_->add_producer(stream, options, dead);
    return stream;
}

void Process::open_pushes() {
    for (std::size_t i = 0; i < node_.plan.pushes.size(); ++i) {
        const PushPlan& plan = node_.plan.pushes[i];
        Push push;
        push.plan = &plan;
        push.index = i;
        if (const auto known = streams_.find(plan.queue); known != streams_.end()) {
            push.stream = known->second;
            push.stream->configure(plan.level, Overflow::error);
            engine_->configure_producer(*push.stream, plan.group);
        } else {
            push.stream = make_queue(plan.queue, plan.level, plan.group);
        }
        push.dead = streams_.at(plan.queue + ".dead");
        static constexpr const char* kLevels[] = {"memory", "os", "disk"};
        recorder_.note(node_.actor,
                       "sends " + plan.queue + " at level " +
                           kLevels[static_cast<int>(plan.level)] + " as stream " +
                           std::to_string(recorder_.history().number_of(push.stream->config().id)));
        push.next_burst = base::after(started_at_, draw(plan.gap_max));
        pushes_.push_back(std::move(push));
    }
}

void Process::open_pulls() {
    for (const PullPlan& plan : node_.plan.pulls) open_pull(plan, node_.actor);
}

void Process::open_pull(const PullPlan& plan, ActorId actor) {
    Pull pull;
    pull.plan = &plan;
    pull.actor = actor;
    pull.stream = std::make_shared<detail::InStream>(plan.queue, plan.inbox, plan.single_producer,
                                                     self_, node_.clock);
    pulls_.push_back(std::move(pull));
    engine_->add_consumer(pulls_.back().stream);
}

}  // namespace peermq::sim
