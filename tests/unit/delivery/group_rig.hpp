#pragma once

// A group with a clock set by hand, records of chosen sizes and keys, and seeded randomness.

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "delivery/group.hpp"

namespace peermq::delivery::test {

using namespace std::chrono_literals;
using base::WallTime;
using Seqs = Run;  // within a test, Run is a member of ::testing::Test

class SeededRandom final : public base::Random {
public:
    explicit SeededRandom(std::uint64_t seed = 1) : state_(seed) {}
    void fill(std::span<std::byte> out) override {
        for (std::byte& one : out) {
            state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
            one = static_cast<std::byte>(state_ >> 56);
        }
    }

private:
    std::uint64_t state_;
};

class Records final : public HandOutContext {
public:
    Slice slice(Run wanted) override {
        if (unreadable.contains(wanted.first)) return {};
        offsets_.assign(1, 0);
        keys_.clear();
        bool any_key = false;
        for (Seq seq = wanted.first; seq <= wanted.last && offsets_.size() <= slice_max; ++seq) {
            if (unreadable.contains(seq)) break;
            offsets_.push_back(offsets_.back() + size_of(seq));
            keys_.push_back(keys.contains(seq) ? keys.at(seq) : 0);
            any_key = any_key || keys_.back() != 0;
        }
        if (!any_key) keys_.clear();
        return {wanted.first, offsets_, keys_};
    }
    std::size_t room(ConsumerId consumer) override {
        return rooms.contains(consumer) ? rooms.at(consumer) : std::size_t{1} << 30;
    }
    [[nodiscard]] std::uint32_t size_of(Seq seq) const {
        return sizes.contains(seq) ? sizes.at(seq) : 100;
    }

    std::map<Seq, std::uint32_t> sizes;
    std::map<Seq, std::uint64_t> keys;
    std::map<ConsumerId, std::size_t> rooms;
    std::set<Seq> unreadable;
    std::size_t slice_max = 1000;

private:
    std::vector<std::uint32_t> offsets_;
    std::vector<std::uint64_t> keys_;
};

struct Rig {
    static constexpr std::uint32_t kEpoch = 7;

    explicit Rig(GroupOptions options = {}) : group(options, kEpoch, random) {}

    void consumer(ConsumerId id, std::uint32_t window = 100, std::uint32_t concurrency = 1,
                  std::uint64_t bytes = 1U << 30) {
        group.add_consumer(id, now);
        (void)group.announce(id, {}, true, now);  // as every inbox does before its first GRANT
        group.set_window(id, window, bytes, concurrency);
    }
    std::vector<Assignment> give(std::size_t bytes = 1U << 30, std::size_t batch = 128 * 1024) {
        std::vector<Assignment> out;
        more = group.hand_out(records, bytes, batch, now, wall, out);
        group.check_invariants();
        return out;
    }
    /// Hands out and expects one assignment.
    Assignment give_one() {
        const auto out = give();
        return out.size() == 1 ? out.front() : Assignment{};
    }
    std::vector<RefusedRun> settle(ConsumerId id, SettleKind kind, Run run, LeaseId lease,
                                   std::optional<Duration> delay = {}, std::string reason = {}) {
        auto refused = group.settle(id, ++number, confirmed,
                                    {kind, run, lease, delay, std::move(reason)}, now, wall);
        group.check_invariants();
        return refused;
    }
    std::vector<RefusedRun> settle(SettleKind kind, const Assignment& given) {
        return settle(given.consumer, kind, given.run, given.lease);
    }
    std::vector<RefusedRun> ack(const Assignment& given) { return settle(SettleKind::ack, given); }
    void pass(Duration time) {
        now += time;
        wall += time;
        group.tick(now, wall);
        group.check_invariants();
    }
    void remove(ConsumerId id, bool crashed) {
        group.remove_consumer(id, crashed, now);
        group.check_invariants();
    }
    std::vector<Run> announce(ConsumerId id, std::vector<HeldRun> held, bool complete = true) {
        auto revoked = group.announce(id, held, complete, now);
        group.check_invariants();
        return revoked;
    }
    void recover(std::vector<Run> settled, Seq end, Seq mark,
                 std::vector<Facts::Retry> retries = {}) {
        base::RunSet set;
        for (const Run run : settled) set.add(run);
        group.recover(set, end, mark, std::move(retries), now, wall);
        group.check_invariants();
    }
    /// Makes all facts durable, as the spool would; returns them.
    Facts store() {
        Facts facts = group.take_facts();
        for (const auto& retry : facts.retries) group.retry_stored(retry.seq);
        for (const auto& dead : facts.dead) group.dead_stored(dead.seq);
        group.check_invariants();
        return facts;
    }

    SeededRandom random;
    Records records;
    Group group;
    base::Time now{std::chrono::seconds(1000)};
    WallTime wall{std::chrono::seconds(1'700'000'000)};
    std::uint64_t number = 0;
    std::uint64_t confirmed = 0;
    bool more = false;
};

inline constexpr LeaseId kOldLease{3, 50};

inline GroupOptions durable() {
    GroupOptions options;
    options.durable = true;
    return options;
}

}  // namespace peermq::delivery::test
