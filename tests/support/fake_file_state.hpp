#pragma once

/// Inside of FakeFileSystem: the nodes, and the gate that every call passes.

#include <cerrno>
#include <mutex>

#include "support/fake_file_system.hpp"
#include "support/fake_names.hpp"

namespace peermq::test {

struct FakeNode {
    bool is_directory = false;
    bool locked = false;
    bool charged = true;  ///< its pages count as used
    std::uint32_t handles = 0;
    FakeFileData data;
    FakeNames names;
};

inline constexpr NodeId kRootNode = 0;

struct FakeFileSystem::State {
    explicit State(std::uint64_t seed) : random(seed) {
        nodes.push_back(std::make_unique<FakeNode>());
        nodes[kRootNode]->is_directory = true;
    }
    State(const State& other);

    // --- calls; the lock is held
    /// 0, or the error of this call. Throws FakeCrash when it is its turn.
    [[nodiscard]] int begin(Operation operation, std::uint64_t boot_of_handle);
    /// Throws FakeCrash when the power is to be cut after this call.
    void end();
    [[nodiscard]] bool strikes(Fault fault);
    /// The power is cut in the middle of this call.
    [[nodiscard]] bool crashes_halfway() const {
        return crash_at == counters.calls && crash_point == CrashPoint::half;
    }

    // --- nodes
    [[nodiscard]] NodeId add_node(bool is_directory);
    [[nodiscard]] FakeNode& node(NodeId id) { return *nodes[id]; }
    [[nodiscard]] int make_directory(NodeId parent, std::string_view name,
                                     std::uint64_t boot_of_handle, NodeId& out);
    void release(NodeId id);
    /// The last name has gone: the space is free once nobody has the file open.
    void uncharge_if_unnamed(NodeId id);
    void collect();
    void reboot();
    void crash(CrashChoices& choices);
    /// The node at `path`, if any, for looks from outside.
    [[nodiscard]] std::optional<NodeId> walk(const std::string& path) const;

    struct Failure {
        Operation operation{};
        std::uint64_t left = 0;
        int error = 0;
        bool sticky = false;
    };

    /// Recursive: opening into a pointer that still owns a file closes that one within the call.
    mutable std::recursive_mutex mutex;
    std::vector<std::unique_ptr<FakeNode>> nodes;  ///< null = free number
    DiskSpace space;
    SeededRandom random;
    std::array<std::uint32_t, kFaults> rates{};
    std::vector<Failure> failures;
    bool lying = false;
    std::uint64_t boot = 1;      ///< handles of another boot are dead
    bool dead = false;           ///< crash_call() has struck, and nobody has rebooted yet
    std::uint64_t crash_at = 0;  ///< number of the call; 0 = none
    CrashPoint crash_point{};
    FakeFileCounters counters;
};

/// Draws by a policy, and counts.
class RandomChoices final : public CrashChoices {
public:
    RandomChoices(SeededRandom& random, const CrashPolicy& policy, FakeFileCounters& counters)
        : random_(random), policy_(policy), counters_(counters) {}

    std::uint32_t choose(Pending kind, std::uint32_t options) override;
    void garbage(std::span<std::byte> sector) override { random_.fill(sector); }

private:
    [[nodiscard]] bool percent(unsigned of_hundred) { return random_.below(100) < of_hundred; }

    SeededRandom& random_;
    CrashPolicy policy_;
    FakeFileCounters& counters_;
};

[[nodiscard]] std::vector<std::string> path_levels(const std::string& path);

/// The directory of an open handle.
[[nodiscard]] std::unique_ptr<base::Directory> make_fake_directory(
    std::shared_ptr<FakeFileSystem::State> state, NodeId node, std::string path);
[[nodiscard]] std::unique_ptr<base::File> make_fake_file(
    std::shared_ptr<FakeFileSystem::State> state, NodeId node, bool writable);

}  // namespace peermq::test
