#include "spool_fixture.hpp"

/// Cuts the power at every call that a scenario makes, with several outcomes of the crash each, and
/// again inside the recovery that follows.

namespace peermq::spool::test {
namespace {

using peermq::test::CrashPoint;
using peermq::test::CrashPolicy;
using peermq::test::FakeCrash;

/// What must hold after a crash, kept outside of the machine that crashes.
struct Ledger {
    Seq attempted = 0;      ///< written at some time
    Seq written = 0;        ///< all up to here outlive the process
    Seq durable = 0;        ///< all up to here were synced
    base::RunSet settling;  ///< settled, perhaps durably
    base::RunSet settled;   ///< durably
};

using Scenario = void (*)(Bench&, Ledger&);

void put(Bench& bench, Ledger& ledger, Seq count, std::size_t body_bytes = 300) {
    const base::Run run{ledger.attempted + 1, ledger.attempted + count};
    // A record that a crash left behind keeps its seq.
    ledger.attempted = run.last;
    const CommitResult result = bench.write(run, body_bytes);
    // Nothing of a refused batch is stored: its seqs are free for the next.
    if (result == CommitResult::no_space) ledger.attempted = run.first - 1;
    if (result != CommitResult::ok) return;
    ledger.written = run.last;
    if (bench.spool->sync() == CommitResult::ok) ledger.durable = run.last;
}

void done(Bench& bench, Ledger& ledger, base::Run run) {
    // Nobody settles what was refused for want of space: its seqs are still to be used.
    run.last = std::min(run.last, ledger.attempted);
    if (run.empty()) return;
    ledger.settling.add(run);
    if (bench.settle(run) != CommitResult::ok) return;
    if (bench.spool->sync() == CommitResult::ok) ledger.settled.add(run);
}

void open_and_commit(Bench& bench, Ledger& ledger) {
    bench.open();
    put(bench, ledger, 3);
    put(bench, ledger, 1);
    done(bench, ledger, {2, 2});
    put(bench, ledger, 2);
}

void rotate(Bench& bench, Ledger& ledger) {
    bench.open();
    for (int i = 0; i < 4; ++i) put(bench, ledger, 15);
    done(bench, ledger, {1, 5});
}

void retire(Bench& bench, Ledger& ledger) {
    bench.open();
    for (int i = 0; i < 4; ++i) put(bench, ledger, 15);
    done(bench, ledger, {1, 40});
    bench.maintain();
    put(bench, ledger, 15);
    done(bench, ledger, {41, 60});
    bench.maintain();
}

/// Long enough that the files of the first messages hold later ones.
void reuse(Bench& bench, Ledger& ledger) {
    bench.open();
    for (int round = 0; round < 6; ++round) {
        put(bench, ledger, 30);
        done(bench, ledger, {round * 30u + 1, round * 30u + 28});
        bench.maintain();
    }
    put(bench, ledger, 3);
}

void compact(Bench& bench, Ledger& ledger) {
    bench.open();
    for (int i = 0; i < 4; ++i) put(bench, ledger, 15);
    done(bench, ledger, {1, 3});
    done(bench, ledger, {5, 29});
    done(bench, ledger, {31, 44});
    bench.rest();
    put(bench, ledger, 5);
    bench.rest();
    done(bench, ledger, {4, 4});
}

void reopen(Bench& bench, Ledger& ledger) {
    rotate(bench, ledger);
    bench.close();
    bench.open();
    put(bench, ledger, 5);
    bench.close();
}

/// The last batch is only written when the segment is closed with its footer.
void close_unsynced(Bench& bench, Ledger& ledger) {
    bench.open();
    put(bench, ledger, 5);
    for (int i = 0; i < 3; ++i) {
        const base::Run run{ledger.attempted + 1, ledger.attempted + 10};
        ledger.attempted = run.last;
        if (bench.write(run, 300) != CommitResult::ok) ledger.attempted = run.first - 1;
    }
    bench.close();
}

void fail_sync(Bench& bench, Ledger& ledger) {
    bench.open();
    put(bench, ledger, 5);
    bench.files.fail_call(peermq::test::Operation::sync, 1, EIO);
    put(bench, ledger, 5);
    put(bench, ledger, 30);
    done(bench, ledger, {1, 7});
    bench.maintain();
}

void fail_sync_of_much(Bench& bench, Ledger& ledger) {
    bench.open();
    put(bench, ledger, 5);
    for (int i = 0; i < 3; ++i) {
        const base::Run run{ledger.attempted + 1, ledger.attempted + 4};
        ledger.attempted = run.last;
        if (bench.write(run, 300) == CommitResult::ok) ledger.written = run.last;
    }
    bench.files.fail_call(peermq::test::Operation::sync, 1, EIO);
    put(bench, ledger, 2);
    put(bench, ledger, 1);
}

/// Opens and checks all promises; returns what was found, for a comparison.
std::vector<Seq> check(Bench& bench, const Ledger& ledger, const std::string& where) {
    bench.open();
    for (const Damage& damage : bench.reports) {
        // Where a footer could not be read, the scan found all the same.
        EXPECT_TRUE(damage.kind == Damage::Kind::torn_tail ||
                    damage.kind == Damage::Kind::bad_footer)
            << where << ": " << damage.text;
    }
    bench.reports.clear();
    EXPECT_GE(bench.end_of(), ledger.durable) << where;
    EXPECT_LE(bench.end_of(), ledger.attempted) << where;
    const base::RunSet settled = bench.settled_of("orders");
    ledger.settled.for_each([&](base::Run run) {
        EXPECT_EQ(settled.count_in(run), run.count()) << where << ": a settlement came back";
    });
    settled.for_each([&](base::Run run) {
        EXPECT_EQ(ledger.settling.count_in(run), run.count()) << where << ": settled by nobody";
    });
    const Bench::Contents got = bench.read_all(bench.queue, 1, bench.end_of(), settled);
    EXPECT_FALSE(got.altered) << where;
    for (const Seq seq : got.lost) EXPECT_GT(seq, ledger.durable) << where << ": lost";
    base::RunSet found;
    for (const Seq seq : got.seqs) found.add(seq);
    for (Seq seq = 1; seq <= ledger.durable; ++seq) {
        if (settled.contains(seq)) continue;
        EXPECT_TRUE(found.contains(seq)) << where << ": record " << seq << " is lost";
    }
    return got.seqs;
}

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
