#include "support/fake_file_state.hpp"

#include <algorithm>

namespace peermq::test {

FakeFileSystem::State::State(const State& other)
    : space(other.space),
      random(other.random),
      rates(other.rates),
      failures(other.failures),
      lying(other.lying),
      counters(other.counters) {
    nodes.reserve(other.nodes.size());
    for (const auto& from : other.nodes) {
        nodes.push_back(from ? std::make_unique<FakeNode>(*from) : nullptr);
    }
    reboot();
}

// --- calls ---------------------------------------------------------------------------------------

int FakeFileSystem::State::begin(Operation operation, std::uint64_t boot_of_handle) {
    if (dead || boot_of_handle != boot) return EIO;
    ++counters.calls;
    const bool now = crash_at == counters.calls &&
                     (crash_point == CrashPoint::before ||
                      (crash_point == CrashPoint::half && operation != Operation::write));
    // A call that fails early never comes to its end(); then the next one strikes instead.
    const bool missed = crash_at != 0 && crash_at < counters.calls;
    if (now || missed) {
        dead = true;
        throw FakeCrash();
    }
    int error = 0;
    for (Failure& failure : failures) {
        if (failure.operation != operation && failure.operation != Operation::any) continue;
        if (failure.left > 0) --failure.left;
        if (failure.left == 0 && error == 0) {
            error = failure.error;
            if (!failure.sticky) failure.error = 0;
        }
    }
    return error;
}

void FakeFileSystem::State::end() {
    if (crash_at != counters.calls || dead || crash_point == CrashPoint::before) return;
    dead = true;
    throw FakeCrash();
}

bool FakeFileSystem::State::strikes(Fault fault) {
    const auto index = static_cast<std::size_t>(fault);
    if (!random.chance(rates[index])) return false;
    ++counters.faults[index];
    return true;
}

// --- nodes ---------------------------------------------------------------------------------------

NodeId FakeFileSystem::State::add_node(bool is_directory) {
    auto free = std::find(nodes.begin(), nodes.end(), nullptr);
    if (free == nodes.end()) free = nodes.insert(nodes.end(), nullptr);
    *free = std::make_unique<FakeNode>();
    (*free)->is_directory = is_directory;
    return static_cast<NodeId>(free - nodes.begin());
}

int FakeFileSystem::State::make_directory(NodeId parent, std::string_view name,
                                          std::uint64_t boot_of_handle, NodeId& out) {
    if (const int error = begin(Operation::make_directory, boot_of_handle)) return error;
    if (strikes(Fault::no_space)) return ENOSPC;
    out = add_node(true);
    node(parent).names.create(name, out);
    end();
    return 0;
}

void FakeFileSystem::State::release(NodeId id) {
    FakeNode& closed = node(id);
    --closed.handles;
    uncharge_if_unnamed(id);
}

void FakeFileSystem::State::uncharge_if_unnamed(NodeId id) {
    FakeNode& unnamed = node(id);
    if (unnamed.handles > 0 || !unnamed.charged || unnamed.is_directory) return;
    for (const auto& parent : nodes) {
        if (!parent) continue;
        for (const auto& [name, child] : parent->names.all()) {
            if (child == id) return;
        }
    }
    unnamed.charged = false;
    space.used_pages -= unnamed.data.pages_used();
}

void FakeFileSystem::State::collect() {
    std::vector<bool> reached(nodes.size(), false);
    std::vector<NodeId> to_visit{kRootNode};
    while (!to_visit.empty()) {
        const NodeId id = to_visit.back();
        to_visit.pop_back();
        if (reached[id]) continue;
        reached[id] = true;
        node(id).names.for_each_node([&](NodeId child) { to_visit.push_back(child); });
    }
    for (NodeId id = 0; id < nodes.size(); ++id) {
        if (nodes[id] && !reached[id] && nodes[id]->handles == 0) nodes[id].reset();
    }
}

void FakeFileSystem::State::reboot() {
    ++boot;
    dead = false;
    crash_at = 0;
    for (const auto& each : nodes) {
        if (!each) continue;
        each->locked = false;
        each->handles = 0;
    }
    for (NodeId id = 0; id < nodes.size(); ++id) {
        if (nodes[id]) uncharge_if_unnamed(id);
    }
}

void FakeFileSystem::State::crash(CrashChoices& choices) {
    ++counters.crashes;
    for (const auto& each : nodes) {
        if (!each) continue;
        each->data.crash(choices, space);
        each->names.crash(choices);
        each->handles = 0;
        each->locked = false;
        each->charged = true;
    }
    collect();
    space.used_pages = 0;
    for (const auto& each : nodes) {
        if (each) space.used_pages += each->data.pages_used();
    }
    reboot();
}

std::optional<NodeId> FakeFileSystem::State::walk(const std::string& path) const {
    NodeId at = kRootNode;
    for (const std::string& level : path_levels(path)) {
        const auto next = nodes[at]->names.find(level);
        if (!next) return std::nullopt;
        at = *next;
    }
    return at;
}

std::vector<std::string> path_levels(const std::string& path) {
    std::vector<std::string> levels;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        std::string level = path.substr(at, end - at);
        if (!level.empty() && level != ".") levels.push_back(std::move(level));
        at = end + 1;
    }
    return levels;
}

// --- choices -------------------------------------------------------------------------------------

CrashPolicy CrashPolicy::any(SeededRandom& random) {
    static constexpr std::array<unsigned, 5> kLevels{0, 10, 50, 90, 100};
    const auto level = [&] { return kLevels[random.below(kLevels.size())]; };
    return {level(), level(), random.below(2) ? level() : 0, level(), level()};
}

std::uint32_t RandomChoices::choose(Pending kind, std::uint32_t options) {
    switch (kind) {
        case Pending::page: {
            const bool keep = percent(policy_.keep_pages);
            ++(keep ? counters_.pages_kept : counters_.pages_dropped);
            if (keep) return options - 1;
            // All dropped in a policy that keeps nothing; else any of the older versions.
            if (policy_.keep_pages == 0) return 0;
            return static_cast<std::uint32_t>(random_.below(options - 1));
        }
        case Pending::tear: {
            const bool torn = policy_.tear_pages != 0 && percent(policy_.tear_pages);
            counters_.pages_torn += torn ? 1 : 0;
            return torn ? 1 : 0;
        }
        case Pending::garbage: return policy_.garbage != 0 && percent(policy_.garbage) ? 1 : 0;
        case Pending::sector: return static_cast<std::uint32_t>(random_.below(options));
        case Pending::size:
            if (percent(policy_.keep_sizes)) return options - 1;
            if (policy_.keep_sizes == 0) return 0;
            return static_cast<std::uint32_t>(random_.below(options - 1));
        case Pending::create:
        case Pending::unlink:
        case Pending::rename: {
            const bool keep = percent(policy_.keep_names);
            ++(keep ? counters_.names_kept : counters_.names_dropped);
            if (keep && options == 3 && policy_.tear_pages != 0 && percent(policy_.tear_pages)) {
                return 1;
            }
            return keep ? options - 1 : 0;
        }
    }
    return 0;
}

}  // namespace peermq::test
