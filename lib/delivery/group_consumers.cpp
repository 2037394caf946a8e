#include "delivery/group_consumers.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "base/limits.hpp"

namespace peermq::delivery {

void SettledMemory::begin(std::uint64_t number, std::uint64_t confirmed) {
    if (number < number_) {
        while (!earlier_.empty()) forget_first(earlier_);
        earlier_.swap(entries_);
    }
    number_ = number;
    while (!entries_.empty() && entries_.front().number <= confirmed) forget_first(entries_);
}

void SettledMemory::remember(base::LeaseId lease, base::Run run) {
    const bool extends = !entries_.empty() && entries_.back().number == number_ &&
                         entries_.back().lease == lease &&
                         entries_.back().run.last + 1 == run.first;
    if (extends) {
        entries_.back().run.last = run.last;
    } else {
        if (entries_.size() + earlier_.size() >= base::limits::kSettledMemoryRunsMax) {
            forget_first(earlier_.empty() ? entries_ : earlier_);
        }
        entries_.push_back({number_, lease, run});
    }
    by_lease_[lease].add(run);
}

std::vector<base::Run> SettledMemory::missing(base::LeaseId lease, base::Run run) const {
    auto it = by_lease_.find(lease);
    if (it == by_lease_.end()) return {run};
    return it->second.gaps(run);
}

void SettledMemory::forget(base::Run run) {
    for (auto& [lease, runs] : by_lease_) runs.remove(run);
    std::erase_if(by_lease_, [](const auto& entry) { return entry.second.empty(); });
}

void SettledMemory::forget_first(std::deque<Entry>& entries) {
    const Entry& entry = entries.front();
    auto it = by_lease_.find(entry.lease);
    if (it != by_lease_.end()) {
        it->second.remove(entry.run);
        if (it->second.empty()) by_lease_.erase(it);
    }
    entries.pop_front();
}

void ConsumerTable::set_active_max(std::uint32_t active_max) {
    active_max_ = active_max;
    choose_active();
}

Consumer& ConsumerTable::add(std::uint64_t id) {
    const auto [it, added] = table_.try_emplace(id);
    PEERMQ_ASSERT(added);
    it->second.id = id;
    order_.push_back(&it->second);
    choose_active();
    return it->second;
}

void ConsumerTable::remove(std::uint64_t id) {
    auto it = table_.find(id);
    if (it == table_.end()) return;
    order_.erase(std::find(order_.begin(), order_.end(), &it->second));
    table_.erase(it);
    choose_active();
}

Consumer* ConsumerTable::find(std::uint64_t id) {
    auto it = table_.find(id);
    return it == table_.end() ? nullptr : &it->second;
}

const Consumer* ConsumerTable::find(std::uint64_t id) const {
    auto it = table_.find(id);
    return it == table_.end() ? nullptr : &it->second;
}

void ConsumerTable::requeue(std::uint64_t id) {
    auto it = std::find_if(order_.begin(), order_.end(),
                           [&](Consumer* one) { return one->id == id; });
    PEERMQ_ASSERT(it != order_.end());
    std::rotate(it, it + 1, order_.end());
    choose_active();
}

void ConsumerTable::choose_active() {
    std::uint32_t active = 0;
    for (Consumer* consumer : order_) {
        const bool place = consumer->link != ConsumerLink::lapsed;
        const bool chosen = place && (active_max_ == 0 || active < active_max_);
        if (chosen != std::exchange(consumer->active, chosen)) ++activity_;
        if (consumer->active) ++active;
    }
}

}  // namespace peermq::delivery
