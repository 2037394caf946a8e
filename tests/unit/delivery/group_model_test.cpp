// Random histories of a group against a plain model with one entry per message.

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "group_rig.hpp"

namespace peermq::delivery::test {
namespace {

struct Modelled {
    LeaseId lease;  ///< last one granted
    ConsumerId holder = 0;
    bool usable = false;  ///< its holder may still settle
    bool leased = false;
    bool must_flag = false;  ///< the next hand-out must be marked as a redelivery
    bool settled = false;
    bool dying = false;
    base::Time expires{};
};

struct ModelledConsumer {
    std::uint32_t window = 0;
    bool up = true;
    bool forgotten = false;
    base::Time grace = base::kNever;
};

class Model {
public:
    Model(std::uint64_t seed, const GroupOptions& options) : rig_(options), dice_(seed) {
        durable_ = options.durable;
    }

    void run(int steps) {
        for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
            act();
            rig_.group.check_invariants();
        }
        drain();
    }

private:
    std::uint64_t roll(std::uint64_t bound) { return dice_.below(bound); }
    Modelled& at(Seq seq) { return messages_[seq - 1]; }

    void act() {
        switch (roll(16)) {
            case 0: append(); break;
            case 1: arrive(); break;
            case 2: window(); break;
            case 3: suspect(); break;
            case 4: come_back(); break;
            case 5:
                if (roll(3) == 0) depart();
                break;
            case 6: advance(Duration(static_cast<Duration::rep>(roll(3'000'000'000)))); break;
            case 7: store(); break;
            case 8: renew(); break;
            case 9: (void)rig_.group.take_recalls(rig_.now); break;
            case 10:
                if (roll(20) == 0) lose();
                break;
            case 11: hand_out(); break;
            default: settle_some(); break;
        }
    }

    void append() {
        const std::uint64_t count = 1 + roll(12);
        for (std::uint64_t n = 0; n < count; ++n) {
            messages_.emplace_back();
            if (roll(3) == 0) rig_.records.keys[messages_.size()] = 1 + roll(4);
        }
        rig_.group.append(messages_.size());
        if (durable_ && roll(2) == 0) rig_.group.mark_stored(messages_.size() + roll(10));
    }

    void arrive() {
        if (consumers_.size() >= 40) return;
        const ConsumerId id = ++last_id_;
        rig_.group.add_consumer(id, rig_.now);
        consumers_[id] = {};
        set_window(id);
    }

    ConsumerId any() {
        if (consumers_.empty()) return 0;
        auto it = consumers_.begin();
        std::advance(it, static_cast<std::ptrdiff_t>(roll(consumers_.size())));
        return it->first;
    }

    void set_window(ConsumerId id) {
        consumers_[id].window = static_cast<std::uint32_t>(1 + roll(8));
        rig_.group.set_window(id, consumers_[id].window, 100 + roll(2000),
                              static_cast<std::uint32_t>(1 + roll(3)));
    }
    void window() {
        if (const ConsumerId id = any()) set_window(id);
    }

    void suspect() {
        const ConsumerId id = any();
        if (id == 0 || !consumers_[id].up) return;
        rig_.group.suspect_consumer(id, rig_.now);
        consumers_[id].up = false;
        consumers_[id].grace = rig_.now + 2s;
    }

    /// A lost consumer is back and announces a random part of what it held.
    void come_back() {
        const ConsumerId id = any();
        if (id == 0 || consumers_[id].up || !rig_.group.has_consumer(id)) return;
        rig_.group.resume_consumer(id, rig_.now);
        std::vector<HeldRun> held;
        for (Seq seq = 1; seq <= messages_.size(); ++seq) {
            const Modelled& one = at(seq);
            if (one.holder == id && one.usable && !one.settled && roll(2) == 0) {
                held.push_back({{seq, seq}, one.lease, roll(2) == 0});
            }
        }
        base::RunSet revoked;
        for (const Run run : rig_.announce(id, held)) revoked.add(run);
        base::RunSet kept;
        for (const HeldRun& one : held) {
            if (!revoked.contains(one.run.first)) kept.add(one.run);
        }
        for (Seq seq = 1; seq <= messages_.size(); ++seq) {
            Modelled& one = at(seq);
            if (one.holder != id || !one.usable) continue;
            if (kept.contains(seq)) {
                one.leased = true;
                one.expires = rig_.now + 30s;
            } else if (one.leased) {  // never arrived
                one.leased = one.usable = false;
            }
        }
        consumers_[id].up = true;
        consumers_[id].grace = base::kNever;
    }

    void depart() {
        const ConsumerId id = any();
        if (id == 0) return;
        rig_.remove(id, roll(2) == 0);
        for (Modelled& one : messages_) {
            if (one.holder != id || !one.usable) continue;
            one.leased = one.usable = false;
            one.must_flag = true;
        }
        consumers_.erase(id);
        note_dead();
    }

    void advance(Duration time) {
        rig_.pass(time);
        for (auto& [id, consumer] : consumers_) {
            if (rig_.now < consumer.grace) continue;
            consumer.grace = base::kNever;
            for (Modelled& one : messages_) {
                if (one.holder == id && one.leased) run_out(one);
            }
        }
        for (Modelled& one : messages_) {
            // The group looks through its leases up to a second late.
            if (one.leased && rig_.now >= one.expires + 1s) run_out(one);
        }
        std::erase_if(consumers_, [&](auto& one) { return !rig_.group.has_consumer(one.first); });
    }
    static void run_out(Modelled& one) {
        one.leased = false;
        one.must_flag = true;
    }

    void store() {
        note_dead();
        for (const auto& retry : pending_.retries) rig_.group.retry_stored(retry.seq);
        for (const auto& dead : pending_.dead) {
            rig_.group.dead_stored(dead.seq);
            at(dead.seq).settled = true;
        }
        pending_ = {};
    }
    void note_dead() {
        Facts facts = rig_.group.take_facts();
        for (const auto& dead : facts.dead) {
            at(dead.seq).dying = true;
            at(dead.seq).usable = at(dead.seq).leased = false;
            pending_.dead.push_back(dead);
        }
        pending_.retries.insert(pending_.retries.end(), facts.retries.begin(), facts.retries.end());
    }

    void renew() {
        const ConsumerId id = any();
        if (id == 0 || !consumers_[id].up) return;
        for (Seq seq = 1; seq <= messages_.size(); ++seq) {
            Modelled& one = at(seq);
            if (one.holder != id || !one.leased || rig_.now >= one.expires) continue;
            const std::vector<Run> runs{{seq, seq}};
            rig_.group.renew(id, runs, rig_.now);
            one.expires = rig_.now + 30s;
        }
    }

    void lose() {
        if (messages_.empty()) return;
        const Seq seq = 1 + roll(messages_.size());
        if (at(seq).leased || at(seq).dying) return;
        rig_.group.lose({seq, seq});
        if (!rig_.group.settled(seq)) return;
        at(seq).settled = true;
        at(seq).usable = false;
    }

    void hand_out() {
        const auto out = rig_.give(200 + roll(3000), 100 + roll(600));
        for (const Assignment& given : out) check_given(given);
        std::map<ConsumerId, std::uint64_t> leased;
        for (const Modelled& one : messages_) {
            leased[one.holder] += one.leased && rig_.now < one.expires ? 1 : 0;
        }
        for (const auto& given : out) {
            EXPECT_LE(leased[given.consumer], consumers_[given.consumer].window);
        }
    }

    void check_given(const Assignment& given) {
        ASSERT_TRUE(consumers_.contains(given.consumer));
        EXPECT_TRUE(consumers_[given.consumer].up);
        for (Seq seq = given.run.first; seq <= given.run.last; ++seq) {
            Modelled& one = at(seq);
            EXPECT_FALSE(one.settled || one.dying) << seq;
            EXPECT_TRUE(!one.leased || rig_.now >= one.expires) << seq;
            EXPECT_TRUE(given.redelivered || !one.must_flag) << seq;
            EXPECT_LT(one.lease, given.lease) << seq;
            check_key(seq);
            one = {given.lease,       given.consumer, true,  true,
                   given.redelivered, false,          false, rig_.now + 30s};
        }
    }

    void check_key(Seq seq) {
        const auto key = rig_.records.keys.find(seq);
        if (key == rig_.records.keys.end()) return;
        for (const auto& [other, other_key] : rig_.records.keys) {
            if (other_key != key->second || other == seq || other > messages_.size()) continue;
            EXPECT_TRUE(other > seq || at(other).settled) << other << " before " << seq;
            EXPECT_FALSE(at(other).leased && rig_.now < at(other).expires) << other;
        }
    }

    void settle_some() {
        if (messages_.empty()) return;
        const Seq seq = 1 + roll(messages_.size());
        const Modelled before = at(seq);
        const ConsumerId id = roll(8) == 0 ? any() : before.holder;
        if (!consumers_.contains(id)) return;
        LeaseId lease = before.lease;
        if (roll(8) == 0 && lease.counter > 1) lease.counter -= 1;
        const auto kind = static_cast<SettleKind>(
            std::max<std::int64_t>(0, static_cast<std::int64_t>(roll(9)) - 4));
        const auto refused = rig_.settle(id, kind, {seq, seq}, lease, {}, "no");
        const bool repeated = settled_.contains({id, lease, seq});
        const bool accepted = before.usable && before.holder == id && before.lease == lease;
        EXPECT_EQ(refused.empty(), accepted || repeated) << "seq " << seq << " consumer " << id;
        if (!accepted || repeated) return;
        settled_.insert({id, lease, seq});
        Modelled& one = at(seq);
        one.leased = one.usable = false;
        if (kind == SettleKind::ack) one.settled = true;
        if (kind != SettleKind::recalled) one.must_flag = true;
        note_dead();
    }

    /// With one sound consumer and no more faults, all is settled in bounded time.
    void drain() {
        store();
        std::vector<ConsumerId> old;
        for (const auto& [id, consumer] : consumers_) old.push_back(id);
        for (const ConsumerId id : old) rig_.remove(id, false);
        rig_.group.mark_stored(messages_.size());
        rig_.consumer(++last_id_, 50);
        for (int round = 0; round < 5000 && rig_.group.stats().depth > 0; ++round) {
            rig_.store();
            for (const Assignment& given : rig_.give()) EXPECT_TRUE(rig_.ack(given).empty());
            rig_.pass(1s);
        }
        EXPECT_EQ(rig_.group.stats().depth, 0U);
        EXPECT_EQ(rig_.group.settled_floor(), messages_.size());
    }

    Rig rig_;
    SeededRandom dice_;
    bool durable_ = false;
    std::vector<Modelled> messages_;
    std::map<ConsumerId, ModelledConsumer> consumers_;
    std::set<std::tuple<ConsumerId, LeaseId, Seq>> settled_;
    Facts pending_;
    ConsumerId last_id_ = 0;
};

class GroupModel : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(GroupModel, AgreesInMemory) {
    GroupOptions options;
    options.max_attempts = 4;
    Model(GetParam(), options).run(3000);
}

TEST_P(GroupModel, AgreesWhenDurable) {
    GroupOptions options = durable();
    options.key_lookahead_max = 6;
    options.max_consumers = 3;
    Model(GetParam() + 1000, options).run(3000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, GroupModel, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace peermq::delivery::test
