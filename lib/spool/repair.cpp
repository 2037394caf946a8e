#include "spool/repair.hpp"

#include <algorithm>
#include <set>

#include "peermq/error.hpp"
#include "spool/format.hpp"
#include "spool/inspect.hpp"

namespace peermq::spool {
namespace {

/// Durably; throws when the spool cannot store it.
void store(Spool& spool, const Batch& batch) {
    if (batch.empty()) return;
    if (spool.write(batch) == CommitResult::ok && spool.sync() == CommitResult::ok) return;
    const std::string why = spool.failure().empty() ? "the disk is full" : spool.failure();
    throw Error(ErrorCode::io_error, "cannot store the change: " + why);
}

StateChange settled(StreamIndex stream, Run run) {
    StateChange change;
    change.kind = StateChange::Kind::settled;
    change.stream = stream;
    change.run = run;
    return change;
}

base::RunSet settled_of(const RecoveredStream& stream) {
    for (const GroupState& group : stream.groups) {
        if (group.group == 0) return group.settled;
    }
    return {};
}

void tidy(Spool& spool) {
    while (spool.maintain()) {
    }
}

class Repair {
public:
    explicit Repair(Spool& spool) : spool_(spool) {
        for (const RecoveredStream& stream : spool.take_recovered()) {
            streams_.push_back({stream.info.index, stream.end, settled_of(stream)});
        }
    }

    /// Settles what no file holds; how many messages that were.
    std::uint64_t give_up_lost() {
        Batch batch;
        std::uint64_t count = 0;
        for (Stream& stream : streams_) {
            for (const Run lost : holes(stream)) {
                batch.changes.push_back(settled(stream.index, lost));
                stream.settled.add(lost);
                count += lost.count();
            }
        }
        store(spool_, batch);
        return count;
    }

private:
    struct Stream {
        StreamIndex index = 0;
        Seq end = 0;
        base::RunSet settled;
    };

    [[nodiscard]] std::vector<Run> holes(const Stream& stream) const {
        base::RunSet missing;
        for (const Run open : stream.settled.gaps({1, stream.end})) missing.add(open);
        for (Seq seq = 1; seq <= stream.end;) {
            const auto stored = spool_.stored_from(stream.index, seq);
            if (!stored) break;
            missing.remove(stored->run);
            seq = stored->run.last + 1;
        }
        std::vector<Run> runs;
        missing.for_each([&](Run run) { runs.push_back(run); });
        return runs;
    }

    Spool& spool_;
    std::vector<Stream> streams_;
};

std::vector<std::uint64_t> damaged_segments(const Inspection& inspection) {
    std::set<std::uint64_t> numbers;
    for (const Damage& damage : inspection.damage) {
        const auto number = segment_number(damage.path.substr(damage.path.rfind('/') + 1));
        if (number && damage.kind != Damage::Kind::torn_tail) numbers.insert(*number);
    }
    return {numbers.begin(), numbers.end()};
}

}  // namespace

RepairReport repair(base::FileSystem& files, base::Clock& clock, base::Random& random,
                    const std::string& path, const SpoolOptions& options) {
    RepairReport report;
    const Inspection before = inspect(files, path);
    report.found = before.damage;
    if (before.damage.empty()) return report;

    const auto spool = Spool::open(files, clock, random, path, options, [](const Damage&) {});
    Repair repair(*spool);
    report.records_lost = repair.give_up_lost();
    report.segments_rewritten = spool->rewrite(damaged_segments(before));
    tidy(*spool);
    // Rewriting shows what is lost within a file whose footer vouched for it.
    report.records_lost += repair.give_up_lost();
    tidy(*spool);
    spool->close();
    report.left = inspect(files, path).damage;
    return report;
}

std::uint64_t purge(base::FileSystem& files, base::Clock& clock, base::Random& random,
                    const std::string& path, const SpoolOptions& options, StreamKind kind,
                    std::string_view name) {
    const auto spool = Spool::open(files, clock, random, path, options, [](const Damage&) {});
    for (const RecoveredStream& stream : spool->take_recovered()) {
        if (stream.info.kind != kind || stream.info.name != name) continue;
        Batch batch;
        std::uint64_t count = 0;
        for (const Run open : settled_of(stream).gaps({1, stream.end})) {
            batch.changes.push_back(settled(stream.info.index, open));
            count += open.count();
        }
        store(*spool, batch);
        tidy(*spool);
        spool->close();
        return count;
    }
    throw Error(ErrorCode::not_found, path + " holds no stream \"" + std::string(name) + "\"");
}

}  // namespace peermq::spool
