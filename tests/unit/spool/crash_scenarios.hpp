#pragma once

/// What a spool does while its power is cut, and what must hold afterwards.

#include "unit/spool/spool_fixture.hpp"

namespace peermq::spool::test {

/// What must hold after a crash, kept outside of the machine that crashes.
struct Ledger {
    Seq attempted = 0;      ///< written at some time
    Seq written = 0;        ///< all up to here outlive the process
    Seq durable = 0;        ///< all up to here were synced
    base::RunSet settling;  ///< settled, perhaps durably
    base::RunSet settled;   ///< durably
};

using Scenario = void (*)(Bench&, Ledger&);

inline void put(Bench& bench, Ledger& ledger, Seq count, std::size_t body_bytes = 300) {
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

inline void done(Bench& bench, Ledger& ledger, base::Run run) {
    // Nobody settles what was refused for want of space: its seqs are still to be used.
    run.last = std::min(run.last, ledger.attempted);
    if (run.empty()) return;
    ledger.settling.add(run);
    if (bench.settle(run) != CommitResult::ok) return;
    if (bench.spool->sync() == CommitResult::ok) ledger.settled.add(run);
}

inline void open_and_commit(Bench& bench, Ledger& ledger) {
    bench.open();
    put(bench, ledger, 3);
    put(bench, ledger, 1);
    done(bench, ledger, {2, 2});
    put(bench, ledger, 2);
}

inline void rotate(Bench& bench, Ledger& ledger) {
    bench.open();
    for (int i = 0; i < 4; ++i) put(bench, ledger, 15);
    done(bench, ledger, {1, 5});
}

inline void retire(Bench& bench, Ledger& ledger) {
    bench.open();
    for (int i = 0; i < 4; ++i) put(bench, ledger, 15);
    done(bench, ledger, {1, 40});
    bench.maintain();
    put(bench, ledger, 15);
    done(bench, ledger, {41, 60});
    bench.maintain();
}

/// Long enough that the files of the first messages hold later ones.
inline void reuse(Bench& bench, Ledger& ledger) {
    bench.open();
    for (int round = 0; round < 6; ++round) {
        put(bench, ledger, 30);
        done(bench, ledger, {round * 30u + 1, round * 30u + 28});
        bench.maintain();
    }
    put(bench, ledger, 3);
}

inline void compact(Bench& bench, Ledger& ledger) {
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

inline void reopen(Bench& bench, Ledger& ledger) {
    rotate(bench, ledger);
    bench.close();
    bench.open();
    put(bench, ledger, 5);
    bench.close();
}

/// The last batch is only written when the segment is closed with its footer.
inline void close_unsynced(Bench& bench, Ledger& ledger) {
    bench.open();
    put(bench, ledger, 5);
    for (int i = 0; i < 3; ++i) {
        const base::Run run{ledger.attempted + 1, ledger.attempted + 10};
        ledger.attempted = run.last;
        if (bench.write(run, 300) != CommitResult::ok) ledger.attempted = run.first - 1;
    }
    bench.close();
}

inline void fail_sync(Bench& bench, Ledger& ledger) {
    bench.open();
    put(bench, ledger, 5);
    bench.files.fail_call(peermq::test::Operation::sync, 1, EIO);
    put(bench, ledger, 5);
    put(bench, ledger, 30);
    done(bench, ledger, {1, 7});
    bench.maintain();
}

inline void fail_sync_of_much(Bench& bench, Ledger& ledger) {
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
inline std::vector<Seq> check(Bench& bench, const Ledger& ledger, const std::string& where) {
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

}  // namespace peermq::spool::test
