#pragma once

/// The names in one directory of the fake disk: what programs see, and what survives a power cut.
///
/// Until the directory is synced, each creation, renaming and removal survives a crash or not,
/// independently of the others; a half-done renaming shows both names. Stricter than journaling
/// file systems are, as POSIX allows.
///
/// Threads: none. Callers: FakeFileSystem.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/fake_file_data.hpp"

namespace peermq::test {

using NodeId = std::uint32_t;

class FakeNames {
public:
    using Map = std::map<std::string, NodeId, std::less<>>;

    [[nodiscard]] std::optional<NodeId> find(std::string_view name) const;
    [[nodiscard]] const Map& all() const noexcept { return seen_; }

    void create(std::string_view name, NodeId node);
    void unlink(std::string_view name);
    /// Replaces `to` when it is there. `from` must be there.
    void rename(std::string_view from, std::string_view to);

    /// The same, durable at once and without touching what else is unsynced.
    void create_durable(std::string_view name, NodeId node);
    void unlink_durable(std::string_view name);

    void sync();
    /// Some of the changes reach the disk, the others never will, though they are still seen.
    void fail_sync(CrashChoices& choices);
    void crash(CrashChoices& choices);

    [[nodiscard]] std::size_t unsynced() const noexcept { return changes_.size(); }
    /// Visits every node that a name has, had when last synced, or may have after a crash.
    void for_each_node(const std::function<void(NodeId)>& visit) const;

private:
    struct Change {
        Pending kind{};
        std::string name;
        std::string to;
        NodeId node = 0;
    };

    /// `outcome` as in Pending.
    void apply(const Change& change, std::uint32_t outcome);
    void settle(CrashChoices& choices);

    Map seen_;
    Map durable_;
    std::vector<Change> changes_;
};

}  // namespace peermq::test
