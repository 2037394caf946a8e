#include "unit/spool/crash_scenarios.hpp"

/// Cuts the power at every call that a scenario makes, with several outcomes of the crash each, and
/// again inside the recovery that follows.

namespace peermq::spool::test {
namespace {

using peermq::test::CrashPoint;
using peermq::test::CrashPolicy;
using peermq::test::FakeCrash;

const std::vector<std::pair<const char*, CrashPolicy>>& policies() {
    static const std::vector<std::pair<const char*, CrashPolicy>> list = {
        {"keep", CrashPolicy::keep_all()},
        {"drop", CrashPolicy::drop_all()},
        {"keep data, drop names", CrashPolicy::keep_data_drop_names()},
        {"drop data, keep names", CrashPolicy::drop_data_keep_names()},
        {"tear", CrashPolicy::tear()},
        {"corrupt", CrashPolicy::corrupt()},
    };
    return list;
}

void crash_everywhere(Scenario scenario) {
    for (std::uint64_t call = 1;; ++call) {
        for (const CrashPoint point : {CrashPoint::before, CrashPoint::half, CrashPoint::after}) {
            Bench bench(call);
            Ledger ledger;
            bench.files.crash_call(call, point);
            bool crashed = false;
            try {
                scenario(bench, ledger);
            } catch (const FakeCrash&) {
                crashed = true;
            } catch (const Error&) {
                // A call that swallowed the crash answered an error instead.
                crashed = true;
            }
            if (!crashed && point == CrashPoint::before && bench.files.counters().calls < call)
                return;
            bench.files.clear_failures();
            const peermq::test::FakeFileSystem dead = bench.files;
            for (const auto& [name, policy] : policies()) {
                const std::string where = "call " + std::to_string(call) + " point " +
                                          std::to_string(static_cast<int>(point)) + ", " + name;
                Bench after(call);
                after.files = dead;
                after.files.crash(policy);
                const std::vector<Seq> first = check(after, ledger, where);
                after.kill();
                EXPECT_EQ(check(after, ledger, where + ", again"), first) << where;
                after.commit({after.end_of() + 1, after.end_of() + 3});
                if (::testing::Test::HasFailure()) return;
            }
        }
    }
}

/// Ends the process, not the machine, at every call.
void kill_everywhere(Scenario scenario) {
    for (std::uint64_t call = 1;; ++call) {
        for (const CrashPoint point : {CrashPoint::before, CrashPoint::half, CrashPoint::after}) {
            Bench bench(call);
            Ledger ledger;
            bench.files.crash_call(call, point);
            try {
                scenario(bench, ledger);
            } catch (const FakeCrash&) {
            } catch (const Error&) {
            }
            if (point == CrashPoint::before && bench.files.counters().calls < call) return;
            bench.files.clear_failures();
            ledger.durable = ledger.written;
            const std::string where = "call " + std::to_string(call) + " point " +
                                      std::to_string(static_cast<int>(point));
            bench.kill();
            const std::vector<Seq> first = check(bench, ledger, where);
            bench.crash(CrashPolicy::drop_all());
            EXPECT_EQ(check(bench, ledger, where + ", then a power cut"), first) << where;
            bench.commit({bench.end_of() + 1, bench.end_of() + 3});
            if (::testing::Test::HasFailure()) return;
        }
    }
}

TEST(SpoolKill, LosesNothingWrittenWhileOpeningAndCommitting) { kill_everywhere(open_and_commit); }
TEST(SpoolKill, LosesNothingWrittenWhileRotating) { kill_everywhere(rotate); }
TEST(SpoolKill, LosesNothingWrittenWhileRetiring) { kill_everywhere(retire); }
TEST(SpoolKill, LosesNothingWrittenWhileCompacting) { kill_everywhere(compact); }
TEST(SpoolKill, LosesNothingWrittenWhileASyncFails) { kill_everywhere(fail_sync); }
TEST(SpoolKill, LosesNothingWrittenWhileMuchIsWrittenAgain) { kill_everywhere(fail_sync_of_much); }

TEST(SpoolCrash, LosesNothingDurableWhileMuchIsWrittenAgain) {
    crash_everywhere(fail_sync_of_much);
}
TEST(SpoolCrash, LosesNothingDurableWhileOpeningAndCommitting) {
    crash_everywhere(open_and_commit);
}
TEST(SpoolCrash, LosesNothingDurableWhileRotating) { crash_everywhere(rotate); }
TEST(SpoolCrash, LosesNothingDurableWhileRetiring) { crash_everywhere(retire); }
TEST(SpoolCrash, LosesNothingDurableWhileReusingSegments) { crash_everywhere(reuse); }
TEST(SpoolCrash, LosesNothingDurableWhileCompacting) { crash_everywhere(compact); }
TEST(SpoolCrash, LosesNothingDurableWhileClosingAndReopening) { crash_everywhere(reopen); }
TEST(SpoolCrash, ReportsNoDamageWhereAFooterCameToTheDiskFirst) {
    crash_everywhere(close_unsynced);
}
TEST(SpoolCrash, LosesNothingDurableWhileASyncFails) { crash_everywhere(fail_sync); }

/// Lets the n-th call of a kind fail for n = 1, 2, 3 ... until the scenario makes no n-th one.
void fail_everywhere(Scenario scenario, peermq::test::Operation operation, int error) {
    for (std::uint64_t call = 1;; ++call) {
        Bench bench(call);
        Ledger ledger;
        const std::string where = "operation " + std::to_string(static_cast<int>(operation)) +
                                  " call " + std::to_string(call) + " errno " +
                                  std::to_string(error);
        bench.files.fail_call(operation, call, error);
        const std::uint64_t before = bench.files.counters().calls;
        try {
            scenario(bench, ledger);
        } catch (const Error& failure) {
            EXPECT_TRUE(failure.code() == ErrorCode::io_error ||
                        failure.code() == ErrorCode::no_space)
                << where << ": " << failure.what();
        }
        bench.files.clear_failures();
        const std::uint64_t calls = bench.files.counters().calls - before;
        bench.kill();
        for (const CrashPolicy& policy : {CrashPolicy::keep_all(), CrashPolicy::drop_all()}) {
            Bench after(call);
            after.files = bench.files;
            after.files.crash(policy);
            (void)check(after, ledger, where);
        }
        if (call > calls || ::testing::Test::HasFailure()) return;
    }
}

TEST(SpoolCrash, LosesNothingDurableWhenAnyOneCallFails) {
    using peermq::test::Operation;
    for (const Scenario scenario : {&rotate, &retire, &reuse, &compact, &reopen}) {
        fail_everywhere(scenario, Operation::any, EIO);
        fail_everywhere(scenario, Operation::any, ENOSPC);
    }
}

TEST(SpoolCrash, SurvivesACrashInsideRecovery) {
    Bench bench;
    Ledger ledger;
    compact(bench, ledger);
    ASSERT_EQ(bench.write({ledger.attempted + 1, ledger.attempted + 4}), CommitResult::ok);
    ledger.attempted += 4;
    for (const auto& [name, policy] : policies()) {
        peermq::test::FakeFileSystem once = bench.files;
        once.crash(policy);
        for (std::uint64_t call = 1;; ++call) {
            Bench again(call);
            again.files = once;
            again.files.crash_call(call, CrashPoint::after);
            bool crashed = false;
            try {
                again.open();
            } catch (const FakeCrash&) {
                crashed = true;
            }
            again.crash(policy);
            (void)check(again, ledger, std::string(name) + ", call " + std::to_string(call));
            if (!crashed || ::testing::Test::HasFailure()) break;
        }
    }
}

}  // namespace
}  // namespace peermq::spool::test
