/// Every state in which a power cut can leave the spool's files: at each call that a scenario
/// makes, each unsynced page, size and name survives or not, for itself. Where there are more
/// outcomes than can be tried, they are drawn.

#include <set>

#include "sim/effort.hpp"
#include "unit/spool/crash_scenarios.hpp"

namespace peermq::sim {
namespace {

using namespace spool::test;
using peermq::test::CrashChoices;
using peermq::test::CrashPoint;
using peermq::test::FakeCrash;
using peermq::test::FakeFileSystem;
using peermq::test::Pending;
using peermq::test::SeededRandom;

/// Counts through all outcomes of one crash, like the wheels of an odometer. Pages survive whole.
class AllOutcomes final : public CrashChoices {
public:
    std::uint32_t choose(Pending kind, std::uint32_t options) override {
        if (kind == Pending::tear || kind == Pending::garbage) return 0;
        if (at_ == wheels_.size()) wheels_.push_back({0, options});
        return wheels_[at_++].position;
    }
    void garbage(std::span<std::byte>) override {}

    /// False when all were seen.
    bool next() {
        while (!wheels_.empty() && wheels_.back().position + 1 >= wheels_.back().options)
            wheels_.pop_back();
        at_ = 0;
        if (wheels_.empty()) return false;
        ++wheels_.back().position;
        return true;
    }

private:
    struct Wheel {
        std::uint32_t position = 0;
        std::uint32_t options = 1;
    };
    std::vector<Wheel> wheels_;
    std::size_t at_ = 0;
};

/// Any outcome, torn pages included.
class AnyOutcome final : public CrashChoices {
public:
    explicit AnyOutcome(std::uint64_t seed) : random_(seed) {}
    std::uint32_t choose(Pending kind, std::uint32_t options) override {
        if (kind == Pending::tear) return random_.below(4) == 0 ? 1 : 0;
        if (kind == Pending::garbage) return 0;
        return static_cast<std::uint32_t>(random_.below(options));
    }
    void garbage(std::span<std::byte> sector) override { random_.fill(sector); }

private:
    SeededRandom random_;
};

struct Tally {
    std::uint64_t states = 0;  ///< different ones, opened and checked
    std::uint64_t outcomes = 0;
    std::uint64_t exhausted = 0;  ///< crashes of which every outcome was tried
    std::uint64_t crashes = 0;
};

class CrashStates {
public:
    explicit CrashStates(std::uint64_t outcomes_max) : outcomes_max_(outcomes_max) {}

    void explore(const FakeFileSystem& dead, const Ledger& ledger, const std::string& where) {
        ++tally_.crashes;
        seen_.clear();
        AllOutcomes all;
        for (std::uint64_t i = 0; i < outcomes_max_; ++i) {
            visit(dead, ledger, all, where + ", outcome " + std::to_string(i));
            if (testing::Test::HasFailure()) return;
            if (!all.next()) {
                ++tally_.exhausted;
                return;
            }
        }
        // The wheels have only turned the last of many: the others by chance.
        for (std::uint64_t i = 0; i < outcomes_max_ && !testing::Test::HasFailure(); ++i) {
            AnyOutcome any(i);
            visit(dead, ledger, any, where + ", draw " + std::to_string(i));
        }
    }

    [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

private:
    void visit(const FakeFileSystem& dead, const Ledger& ledger, CrashChoices& choices,
               const std::string& where) {
        ++tally_.outcomes;
        Bench after(1);
        after.files = dead;
        after.files.crash(choices);
        if (!seen_.insert(after.files.hash()).second) return;
        ++tally_.states;
        const std::vector<spool::Seq> first = check(after, ledger, where);
        after.kill();
        EXPECT_EQ(check(after, ledger, where + ", again"), first) << where;
    }

    std::uint64_t outcomes_max_;
    std::set<std::uint64_t> seen_;
    Tally tally_;
};

void explore(Scenario scenario, std::uint64_t outcomes_max, Tally& sum) {
    CrashStates states(outcomes_max);
    for (std::uint64_t call = 1;; ++call) {
        bool made = false;
        for (const CrashPoint point : {CrashPoint::half, CrashPoint::after}) {
            Bench bench(call);
            Ledger ledger;
            bench.files.crash_call(call, point);
            try {
                scenario(bench, ledger);
            } catch (const FakeCrash&) {
            } catch (const Error&) {
            }
            made = bench.files.counters().calls >= call;
            bench.files.clear_failures();
            const FakeFileSystem dead = bench.files;
            states.explore(dead, ledger,
                           "call " + std::to_string(call) + " point " +
                               std::to_string(static_cast<int>(point)));
            if (testing::Test::HasFailure()) break;
        }
        if (!made || testing::Test::HasFailure()) break;
    }
    sum.states += states.tally().states;
    sum.outcomes += states.tally().outcomes;
    sum.exhausted += states.tally().exhausted;
    sum.crashes += states.tally().crashes;
}

struct Work {
    const char* name = "";
    Scenario scenario = nullptr;
};

class CrashStatesTest : public testing::TestWithParam<Work> {};

TEST_P(CrashStatesTest, AllOpenAndLoseNothingDurable) {
    Tally tally;
    explore(GetParam().scenario, by_effort(8, 512, 20'000), tally);
    RecordProperty("states", std::to_string(tally.states));
    std::printf("%llu states of %llu outcomes, %llu of %llu crashes exhausted\n",
                static_cast<unsigned long long>(tally.states),
                static_cast<unsigned long long>(tally.outcomes),
                static_cast<unsigned long long>(tally.exhausted),
                static_cast<unsigned long long>(tally.crashes));
    EXPECT_GT(tally.states, tally.crashes / 4);
    EXPECT_GT(tally.exhausted, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Spool, CrashStatesTest,
    testing::Values(Work{"OpenAndCommit", open_and_commit}, Work{"Rotate", rotate},
                    Work{"Retire", retire}, Work{"Reuse", reuse}, Work{"Compact", compact},
                    Work{"Reopen", reopen}, Work{"CloseUnsynced", close_unsynced},
                    Work{"FailSync", fail_sync}, Work{"FailSyncOfMuch", fail_sync_of_much}),
    [](const auto& each) { return std::string(each.param.name); });

/// A disk that says it has synced and has not: these very checks must see it.
TEST(CrashStatesControl, ALyingDiskIsFoundOut) {
    Bench bench;
    Ledger ledger;
    bench.files.set_lying_sync(true);
    open_and_commit(bench, ledger);
    AllOutcomes nothing_survives;
    bench.files.crash(nothing_survives);
    bench.spool.reset();
    bench.files.set_lying_sync(false);
    bench.open();
    EXPECT_LT(bench.end_of(), ledger.durable);
}

}  // namespace
}  // namespace peermq::sim
