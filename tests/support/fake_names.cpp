#include "support/fake_names.hpp"

namespace peermq::test {

std::optional<NodeId> FakeNames::find(std::string_view name) const {
    const auto at = seen_.find(name);
    return at == seen_.end() ? std::nullopt : std::optional(at->second);
}

void FakeNames::create(std::string_view name, NodeId node) {
    seen_.emplace(name, node);
    changes_.push_back({Pending::create, std::string(name), {}, node});
}

void FakeNames::unlink(std::string_view name) {
    const auto at = seen_.find(name);
    changes_.push_back({Pending::unlink, at->first, {}, at->second});
    seen_.erase(at);
}

void FakeNames::rename(std::string_view from, std::string_view to) {
    const auto at = seen_.find(from);
    const NodeId node = at->second;
    changes_.push_back({Pending::rename, at->first, std::string(to), node});
    seen_.erase(at);
    seen_.insert_or_assign(std::string(to), node);
}

void FakeNames::create_durable(std::string_view name, NodeId node) {
    seen_.insert_or_assign(std::string(name), node);
    durable_.insert_or_assign(std::string(name), node);
}

void FakeNames::unlink_durable(std::string_view name) {
    const std::string key(name);
    const auto at = seen_.find(name);
    const NodeId node = at == seen_.end() ? 0 : at->second;
    seen_.erase(key);
    durable_.erase(key);
    // A change that is still pending must not bring the name back.
    std::erase_if(changes_, [&](const Change& change) {
        return change.node == node && (change.kind == Pending::create || change.to == name);
    });
}

void FakeNames::apply(const Change& change, std::uint32_t outcome) {
    if (outcome == 0) return;
    const auto erase = [&] {
        const auto at = durable_.find(change.name);
        if (at != durable_.end() && at->second == change.node) durable_.erase(at);
    };
    switch (change.kind) {
        case Pending::create: durable_.insert_or_assign(change.name, change.node); break;
        case Pending::unlink: erase(); break;
        default:
            if (outcome == 2) erase();
            durable_.insert_or_assign(change.to, change.node);
            break;
    }
}

void FakeNames::sync() {
    for (const Change& change : changes_) apply(change, change.kind == Pending::rename ? 2 : 1);
    changes_.clear();
}

void FakeNames::settle(CrashChoices& choices) {
    for (const Change& change : changes_) {
        apply(change, choices.choose(change.kind, change.kind == Pending::rename ? 3 : 2));
    }
    changes_.clear();
}

void FakeNames::fail_sync(CrashChoices& choices) { settle(choices); }

void FakeNames::crash(CrashChoices& choices) {
    settle(choices);
    seen_ = durable_;
}

void FakeNames::for_each_node(const std::function<void(NodeId)>& visit) const {
    for (const auto& [name, node] : seen_) visit(node);
    for (const auto& [name, node] : durable_) visit(node);
    for (const Change& change : changes_) visit(change.node);
}

}  // namespace peermq::test
