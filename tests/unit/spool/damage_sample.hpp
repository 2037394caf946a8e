#pragma once

/// A closed or crashed spool to be damaged, and what is found when it is opened again.

#include "unit/spool/spool_fixture.hpp"

namespace peermq::spool::test {

using peermq::test::CrashPolicy;
using peermq::test::FakeFileSystem;

struct Sample {
    FakeFileSystem files;
    Seq end = 0;
    base::RunSet settled;
};

/// Three small segments: sealed, sealed, and one with or without a footer.
inline Sample make_sample(bool closed, Seq end = 90) {
    Bench bench;
    bench.open();
    for (Seq seq = 1; seq <= end; seq += 10) {
        bench.commit({seq, std::min(seq + 9, end)}, 300);
        if (seq == 31) {
            EXPECT_EQ(bench.settle_durably({12, 14}), CommitResult::ok);
            EXPECT_EQ(bench.change({StateChange::Kind::mark, bench.queue, 0, {}, 20, {}}),
                      CommitResult::ok);
        }
    }
    EXPECT_EQ(bench.spool->sync(), CommitResult::ok);
    if (closed) {
        bench.close();
    } else {
        // After a quiet while the log itself says how far it was durable.
        bench.clock.advance(std::chrono::seconds(1));
        bench.maintain();
        bench.crash(CrashPolicy::keep_all());
    }
    return {bench.files, end, base::RunSet(base::Run{12, 14})};
}

struct Outcome {
    std::size_t lost = 0;
    base::RunSet there;  ///< settled or read
    bool reported = false;
    bool named = false;  ///< with a path and a count of records
    bool state_lost = false;
    Seq end = 0;
};

/// Opens a damaged copy twice and reads everything.
inline Outcome examine(const Sample& sample, const std::string& where) {
    Bench bench;
    bench.files = sample.files;
    Outcome outcome;
    std::vector<Seq> first;
    for (int round = 0; round < 2; ++round) {
        bench.reports.clear();
        try {
            bench.open();
        } catch (const Error& error) {
            ADD_FAILURE() << where << ": " << error.what();
            return outcome;
        }
        const base::RunSet settled = bench.settled_of("orders");
        settled.for_each([&](base::Run run) {
            if (sample.settled.count_in(run) != run.count()) outcome.state_lost = true;
        });
        const Bench::Contents got = bench.read_all(bench.queue, 1, bench.end_of(), settled);
        EXPECT_FALSE(got.altered) << where;
        EXPECT_LE(bench.end_of(), sample.end) << where;
        if (round == 0) {
            first = got.seqs;
            base::RunSet there = sample.settled;
            for (const Seq seq : got.seqs) there.add(seq);
            outcome.lost = sample.end - there.size();
            outcome.there = there;
            outcome.reported = !bench.reports.empty();
            outcome.named = std::any_of(
                bench.reports.begin(), bench.reports.end(),
                [](const Damage& damage) { return !damage.path.empty() && damage.records > 0; });
            outcome.end = bench.end_of();
        } else {
            EXPECT_EQ(got.seqs, first) << where << ": another result at the second opening";
        }
        bench.kill();
    }
    return outcome;
}

inline std::vector<std::string> all_files(const FakeFileSystem& files) {
    std::vector<std::string> names;
    for (const std::string& name : files.files(kPath)) {
        if (name != "LOCK" && name != "quarantine") names.push_back(name);
    }
    return names;
}

}  // namespace peermq::spool::test
