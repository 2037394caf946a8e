#include "base/run_set.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <set>

namespace peermq::base {
namespace {

using Seqs = Run;  // within a test, Run is a member of ::testing::Test
constexpr Seq kMax = std::numeric_limits<Seq>::max();

TEST(RunSet, MeltsRunsThatTouchOrOverlap) {
    RunSet set;
    EXPECT_EQ(set.add(Seqs{5, 9}), 5U);
    EXPECT_EQ(set.add(Seqs{1, 3}), 3U);
    EXPECT_EQ(set.run_count(), 2U);
    EXPECT_EQ(set.add(Seqs{4, 4}), 1U);
    EXPECT_EQ(set.runs(), (std::vector<Seqs>{{1, 9}}));
    EXPECT_EQ(set.add(Seqs{8, 12}), 3U);
    EXPECT_EQ(set.add(Seqs{2, 11}), 0U);
    EXPECT_EQ(set.runs(), (std::vector<Seqs>{{1, 12}}));
}

TEST(RunSet, IgnoresEmptyRuns) {
    RunSet set(Seqs{3, 4});
    EXPECT_EQ(set.add(Seqs{5, 4}), 0U);
    EXPECT_EQ(set.remove(Seqs{5, 4}), 0U);
    EXPECT_EQ(set.count_in({9, 1}), 0U);
    EXPECT_TRUE(set.intersection({9, 1}).empty());
    EXPECT_TRUE(set.gaps({9, 1}).empty());
    EXPECT_EQ(set.size(), 2U);
}

TEST(RunSet, SplitsARunWhenItsMiddleIsRemoved) {
    RunSet set(Seqs{1, 9});
    EXPECT_EQ(set.remove(Seqs{4, 6}), 3U);
    EXPECT_EQ(set.runs(), (std::vector<Seqs>{{1, 3}, {7, 9}}));
}

TEST(RunSet, RemovesAcrossSeveralRuns) {
    RunSet set;
    for (Seq first = 1; first < 40; first += 4) set.add(Seqs{first, first + 1});
    EXPECT_EQ(set.remove(Seqs{2, 33}), 16U);
    EXPECT_EQ(set.front(), (Seqs{1, 1}));
    EXPECT_EQ(set.next_from(2), (Seqs{34, 34}));
}

TEST(RunSet, HoldsTheHighestSeq) {
    RunSet set;
    EXPECT_EQ(set.add(Seqs{kMax - 1, kMax}), 2U);
    EXPECT_EQ(set.add(Seqs{kMax - 2, kMax}), 1U);
    EXPECT_TRUE(set.contains(kMax));
    EXPECT_EQ(set.gaps({kMax - 4, kMax}), (std::vector<Seqs>{{kMax - 4, kMax - 3}}));
    EXPECT_EQ(set.add(Seqs{1, 1}), 1U);
    EXPECT_EQ(set.run_count(), 2U);
    EXPECT_EQ(set.add(Seqs{2, kMax}), kMax - 4);
    EXPECT_EQ(set.remove(Seqs{2, kMax}), kMax - 1);
    EXPECT_EQ(set.runs(), (std::vector<Seqs>{{1, 1}}));
}

TEST(RunSet, HoldsSeqZeroBesideTheHighest) {
    RunSet set(Seqs{0, 0});
    EXPECT_EQ(set.add(kMax), 1U);
    EXPECT_EQ(set.run_count(), 2U);
    EXPECT_EQ(set.add(Seqs{0, 1}), 1U);
    EXPECT_EQ(set.runs(), (std::vector<Seqs>{{0, 1}, {kMax, kMax}}));
}

/// Compares every question with a std::set of the same seqs.
void compare(const RunSet& set, const std::set<Seq>& model, Run asked) {
    std::vector<Run> inside;
    std::vector<Run> outside;
    std::uint64_t count = 0;
    for (Seq seq = asked.first; seq <= asked.last; ++seq) {
        const bool in = model.contains(seq);
        ASSERT_EQ(set.contains(seq), in) << seq;
        count += in ? 1 : 0;
        auto& parts = in ? inside : outside;
        if (!parts.empty() && parts.back().last + 1 == seq) {
            parts.back().last = seq;
        } else {
            parts.push_back({seq, seq});
        }
    }
    ASSERT_EQ(set.size(), model.size());
    ASSERT_EQ(set.count_in(asked), count);
    ASSERT_EQ(set.intersection(asked), inside);
    ASSERT_EQ(set.gaps(asked), outside);
    const auto next = model.lower_bound(asked.first);
    const auto found = set.next_from(asked.first);
    ASSERT_EQ(found.has_value(), next != model.end());
    if (found) {
        ASSERT_EQ(found->first, *next);
    }
    const auto at = set.run_at(asked.first);
    ASSERT_EQ(at.has_value(), model.contains(asked.first));
    if (at) {
        ASSERT_FALSE(model.contains(at->last + 1));
        ASSERT_FALSE(at->first > 0 && model.contains(at->first - 1));
    }
    if (!model.empty()) {
        ASSERT_EQ(set.front().first, *model.begin());
        ASSERT_EQ(set.back().last, *model.rbegin());
    }
    Seq previous_last = 0;
    bool first_run = true;
    set.for_each([&](Run run) {
        ASSERT_FALSE(run.empty());
        ASSERT_TRUE(first_run || run.first > previous_last + 1);
        first_run = false;
        previous_last = run.last;
    });
}

TEST(RunSet, AgreesWithASetOfSeqs) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        std::mt19937 dice(seed);
        const auto roll = [&](Seq bound) { return static_cast<Seq>(dice()) % bound; };
        RunSet set;
        std::set<Seq> model;
        for (int step = 0; step < 400; ++step) {
            const Seq first = roll(120);
            const Seqs run{first, first + roll(step % 7 == 0 ? 60 : 6)};
            std::uint64_t changed = 0;
            const bool add = roll(100) < 55;
            for (Seq seq = run.first; seq <= run.last; ++seq) {
                changed += add ? model.insert(seq).second : model.erase(seq);
            }
            ASSERT_EQ(add ? set.add(run) : set.remove(run), changed) << "seed " << seed;
            const Seq from = roll(130);
            compare(set, model, {from, from + roll(60)});
            if (HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
        }
    }
}

TEST(RunSet, IsEqualWhenItHoldsTheSameSeqs) {
    RunSet one(Seqs{1, 5});
    RunSet other(Seqs{1, 9});
    other.remove(Seqs{6, 9});
    EXPECT_EQ(one, other);
    other.clear();
    EXPECT_TRUE(other.empty());
    EXPECT_EQ(other.size(), 0U);
}

}  // namespace
}  // namespace peermq::base
