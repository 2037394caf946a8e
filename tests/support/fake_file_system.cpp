#include "support/fake_file_system.hpp"

#include <stdexcept>

#include "peermq/error.hpp"
#include "support/fake_file_state.hpp"

namespace peermq::test {
namespace {

using Lock = std::lock_guard<std::recursive_mutex>;

[[noreturn]] void refuse(const std::string& path, int error) {
    const std::string text = "directory " + path + ": errno " + std::to_string(error);
    switch (error) {
        case ENOENT: throw Error(ErrorCode::not_found, text);
        case EINVAL: throw Error(ErrorCode::invalid_argument, text);
        case ENOTDIR: throw Error(ErrorCode::denied, text);
        case ENOSPC: throw Error(ErrorCode::no_space, text);
        default: throw Error(ErrorCode::io_error, text);
    }
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15;
    return hash ^ (hash >> 29);
}

std::uint64_t mixed(std::uint64_t hash, base::ByteSpan bytes) {
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
        hash = mixed(hash, base::load<std::uint64_t>(bytes.data()));
    }
    std::uint64_t rest = bytes.size();
    for (const std::byte byte : bytes) rest = (rest << 8) | std::to_integer<std::uint64_t>(byte);
    return mixed(hash, rest);
}

std::vector<std::byte> all_of(const FakeFileData& data) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(data.size()));
    data.read(bytes, 0);
    return bytes;
}

}  // namespace

FakeFileSystem::FakeFileSystem(std::uint64_t seed) : state_(std::make_shared<State>(seed)) {}

FakeFileSystem::FakeFileSystem(const FakeFileSystem& other) {
    const Lock lock(other.state_->mutex);
    state_ = std::make_shared<State>(*other.state_);
}

FakeFileSystem& FakeFileSystem::operator=(const FakeFileSystem& other) {
    FakeFileSystem copy(other);
    std::swap(state_, copy.state_);
    return *this;
}

FakeFileSystem::~FakeFileSystem() = default;

std::unique_ptr<base::Directory> FakeFileSystem::open(const std::string& path, bool create) {
    if (path.empty()) refuse(path, EINVAL);
    std::unique_ptr<base::Directory> at = make_fake_directory(state_, kRootNode, "");
    for (const std::string& level : path_levels(path)) {
        std::unique_ptr<base::Directory> next;
        if (const int error = at->open_directory(level, create, next)) refuse(path, error);
        at = std::move(next);
    }
    const Lock lock(state_->mutex);
    return make_fake_directory(state_, *state_->walk(path), path);
}

// --- ends ----------------------------------------------------------------------------------------

void FakeFileSystem::kill() {
    const Lock lock(state_->mutex);
    state_->reboot();
}

void FakeFileSystem::crash(const CrashPolicy& policy) {
    const Lock lock(state_->mutex);
    RandomChoices choices(state_->random, policy, state_->counters);
    state_->crash(choices);
}

void FakeFileSystem::crash(CrashChoices& choices) {
    const Lock lock(state_->mutex);
    state_->crash(choices);
}

void FakeFileSystem::crash_call(std::uint64_t number, CrashPoint point) {
    const Lock lock(state_->mutex);
    state_->crash_at = number == 0 ? 0 : state_->counters.calls + number;
    state_->crash_point = point;
}

// --- faults --------------------------------------------------------------------------------------

void FakeFileSystem::set_rate(Fault fault, std::uint32_t per_million) {
    const Lock lock(state_->mutex);
    state_->rates[static_cast<std::size_t>(fault)] = per_million;
}

void FakeFileSystem::clear_rates() {
    const Lock lock(state_->mutex);
    state_->rates = {};
}

void FakeFileSystem::fail_call(Operation operation, std::uint64_t number, int error, bool sticky) {
    const Lock lock(state_->mutex);
    state_->failures.push_back({operation, number, error, sticky});
}

void FakeFileSystem::clear_failures() {
    const Lock lock(state_->mutex);
    state_->failures.clear();
}

void FakeFileSystem::set_lying_sync(bool lying) {
    const Lock lock(state_->mutex);
    state_->lying = lying;
}

void FakeFileSystem::set_capacity(std::uint64_t bytes) {
    const Lock lock(state_->mutex);
    state_->space.capacity_pages = bytes / kPageBytes;
}

// --- from outside --------------------------------------------------------------------------------

FakeFileCounters FakeFileSystem::counters() const {
    const Lock lock(state_->mutex);
    return state_->counters;
}

std::size_t FakeFileSystem::unsynced() const {
    const Lock lock(state_->mutex);
    std::size_t count = 0;
    for (const auto& node : state_->nodes) {
        if (node) count += node->data.unsynced_pages() + node->names.unsynced();
    }
    return count;
}

std::uint64_t FakeFileSystem::used_bytes() const {
    const Lock lock(state_->mutex);
    return state_->space.used_pages * kPageBytes;
}

std::uint64_t FakeFileSystem::hash() const {
    const Lock lock(state_->mutex);
    std::uint64_t hash = 0;
    std::vector<NodeId> to_visit{kRootNode};
    while (!to_visit.empty()) {
        const FakeNode& node = *state_->nodes[to_visit.back()];
        to_visit.pop_back();
        for (const auto& [name, child] : node.names.all()) {
            hash = mixed(hash, base::as_bytes(name));
            to_visit.push_back(child);
        }
        hash = mixed(hash, all_of(node.data));
    }
    return hash;
}

std::vector<std::string> FakeFileSystem::files(const std::string& directory) const {
    const Lock lock(state_->mutex);
    std::vector<std::string> names;
    const auto at = state_->walk(directory);
    if (!at) return names;
    for (const auto& [name, child] : state_->nodes[*at]->names.all()) {
        if (!state_->nodes[child]->is_directory) names.push_back(name);
    }
    return names;
}

bool FakeFileSystem::exists(const std::string& path) const {
    const Lock lock(state_->mutex);
    return state_->walk(path).has_value();
}

std::vector<std::byte> FakeFileSystem::contents(const std::string& path) const {
    const Lock lock(state_->mutex);
    const auto at = state_->walk(path);
    if (!at) throw std::out_of_range("no such file: " + path);
    return all_of(state_->nodes[*at]->data);
}

void FakeFileSystem::set_contents(const std::string& path, base::ByteSpan bytes) {
    const Lock lock(state_->mutex);
    auto levels = path_levels(path);
    if (levels.empty()) throw std::out_of_range("no file name: " + path);
    auto at = state_->walk(path);
    if (!at) {
        const std::size_t slash = path.find_last_of('/');
        const auto parent = state_->walk(slash == std::string::npos ? "" : path.substr(0, slash));
        if (!parent) throw std::out_of_range("no such directory: " + path);
        at = state_->add_node(false);
        state_->node(*parent).names.create_durable(levels.back(), *at);
    }
    FakeFileData& data = state_->node(*at).data;
    data.truncate(0, state_->space);
    data.begin_write();
    data.write(bytes, 0, state_->space);
    data.sync();
}

void FakeFileSystem::remove(const std::string& path) {
    const Lock lock(state_->mutex);
    const auto at = state_->walk(path);
    if (!at || *at == kRootNode) throw std::out_of_range("no such file: " + path);
    const std::size_t slash = path.find_last_of('/');
    const auto parent = state_->walk(slash == std::string::npos ? "" : path.substr(0, slash));
    state_->node(*parent).names.unlink_durable(path_levels(path).back());
    state_->uncharge_if_unnamed(*at);
}

}  // namespace peermq::test
