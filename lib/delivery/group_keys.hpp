#pragma once

/// The unsettled keyed messages that a group has looked at, per key in order. Private to Group.
///
/// INV-4: only the oldest message of a key may be handed out, and only while none of it is leased.

#include <cstdint>
#include <set>
#include <unordered_map>

#include "base/ids.hpp"

namespace peermq::delivery {

class KeyChains {
public:
    struct Chain {
        std::set<base::Seq> seqs;
        std::uint64_t leased = 0;
    };

    void insert(std::uint64_t key, base::Seq seq) { chains_[key].seqs.insert(seq); }

    void erase(std::uint64_t key, base::Seq seq) {
        auto it = chains_.find(key);
        if (it == chains_.end()) return;
        it->second.seqs.erase(seq);
        if (it->second.seqs.empty()) chains_.erase(it);
    }

    void lease(std::uint64_t key) { ++chains_.at(key).leased; }
    void end_lease(std::uint64_t key) { --chains_.at(key).leased; }

    /// The chain of `key`, or null when no unsettled message with it is known.
    [[nodiscard]] const Chain* find(std::uint64_t key) const {
        auto it = chains_.find(key);
        return it == chains_.end() ? nullptr : &it->second;
    }

    [[nodiscard]] bool leased(std::uint64_t key) const {
        const Chain* chain = find(key);
        return chain != nullptr && chain->leased > 0;
    }

    [[nodiscard]] bool may_go(std::uint64_t key, base::Seq seq) const {
        const Chain* chain = find(key);
        return chain != nullptr && chain->leased == 0 && *chain->seqs.begin() == seq;
    }

    [[nodiscard]] const std::unordered_map<std::uint64_t, Chain>& all() const { return chains_; }

private:
    std::unordered_map<std::uint64_t, Chain> chains_;
};

}  // namespace peermq::delivery
