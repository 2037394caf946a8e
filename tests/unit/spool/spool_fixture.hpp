#pragma once

/// A spool on the fake disk, and short ways to write to it, read from it and look at it.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "peermq/error.hpp"
#include "record/record.hpp"
#include "spool/inspect.hpp"
#include "spool/spool.hpp"
#include "support/fake_clock.hpp"
#include "support/fake_file_system.hpp"
#include "support/seeded_random.hpp"

namespace peermq::spool::test {

inline const std::string kPath = "/spool";

/// The body of a test message: its seq as text, then filler that depends on it.
inline std::string body_of(Seq seq, std::size_t bytes) {
    std::string body = std::to_string(seq) + ":";
    while (body.size() < bytes)
        body.push_back(static_cast<char>('a' + (seq * 7 + body.size()) % 26));
    return body;
}

/// One spool at a time over a disk that outlives it.
class Bench {
public:
    explicit Bench(std::uint64_t seed = 1) : files(seed), random(seed + 1000) {
        options.segment_bytes = base::limits::kSegmentBytesMin;
        options.free_bytes_min = 0;
    }

    Spool& open() {
        spool.reset();
        spool = Spool::open(*disk, clock, random, kPath, options,
                            [this](const Damage& damage) { reports.push_back(damage); });
        for (const Damage& damage : spool->recovery().damage) reports.push_back(damage);
        recovered = spool->take_recovered();
        queue = spool->stream(StreamKind::queue, "orders").index;
        return *spool;
    }
    void close() { spool.reset(); }
    /// Power cut, then nothing is open.
    void crash(const peermq::test::CrashPolicy& policy) {
        files.crash(policy);
        spool.reset();
        reports.clear();  // what the dying one said
    }
    void kill() {
        files.kill();
        spool.reset();
        reports.clear();
    }

    /// Records `run` of a stream, encoded in one chunk.
    StreamPart part(StreamIndex stream, Run run, std::size_t body_bytes = 100) {
        const StreamInfo info = info_of(stream);
        const auto seed = record::Seed::of(info.id, spool->epoch());
        auto chunk = std::make_shared<std::vector<std::byte>>();
        for (Seq seq = run.first; seq <= run.last; ++seq) {
            const std::string body = body_of(seq, body_bytes);
            record::Record record;
            record.seq = seq;
            record.epoch = spool->epoch().counter;
            record.body = base::as_bytes(body);
            const std::size_t at = chunk->size();
            chunk->resize(at + record::encoded_size(record));
            record::encode(record, seed, std::span(*chunk).subspan(at));
        }
        return {stream, run, {base::ByteSpan(*chunk)}, {chunk}};
    }

    CommitResult write(Run run, std::size_t body_bytes = 100) {
        Batch batch;
        batch.parts.push_back(part(queue, run, body_bytes));
        return spool->write(batch);
    }
    /// Written and synced; fails the test otherwise.
    void commit(Run run, std::size_t body_bytes = 100) {
        ASSERT_EQ(write(run, body_bytes), CommitResult::ok) << spool->failure();
        ASSERT_EQ(spool->sync(), CommitResult::ok) << spool->failure();
    }
    CommitResult settle(Run run, GroupIndex group = 0) {
        return change({StateChange::Kind::settled, queue, group, run, 0, {}});
    }
    CommitResult change(StateChange state) {
        Batch batch;
        batch.changes.push_back(std::move(state));
        return spool->write(batch);
    }
    CommitResult settle_durably(Run run) {
        const CommitResult result = settle(run);
        return result == CommitResult::ok ? spool->sync() : result;
    }

    /// Runs upkeep until it has nothing more to do.
    void maintain() {
        for (int i = 0; i < 200; ++i) {
            const bool more = spool->maintain();
            if (!more && !spool->maintenance_due()) return;
        }
    }

    /// The same after so long a quiet that compaction and spares are due.
    void rest() {
        clock.advance(std::max<base::Duration>(base::limits::kCompactionRest,
                                               base::limits::kSpareSegmentsRest));
        maintain();
    }

    struct Contents {
        std::vector<Seq> seqs;
        std::vector<Seq> lost;
        bool altered = false;
    };
    /// Reads a stream from `first` to its last seq, the settled ones left out.
    Contents read_all(StreamIndex stream, Seq first, Seq last, const base::RunSet& settled = {},
                      std::size_t bytes_max = 4096) {
        Contents contents;
        for (Seq seq = first; seq <= last;) {
            if (const auto run = settled.run_at(seq)) {
                seq = run->last + 1;
                continue;
            }
            const ReadResult got = spool->read(stream, seq, bytes_max);
            if (!got.run.empty()) {
                check(got, stream, contents);
                for (Seq s = got.run.first; s <= got.run.last; ++s) {
                    if (!settled.contains(s)) contents.seqs.push_back(s);
                }
                seq = got.run.last + 1;
            } else if (!got.lost.empty()) {
                for (Seq s = got.lost.first; s <= got.lost.last; ++s) contents.lost.push_back(s);
                seq = got.lost.last + 1;
            } else {
                break;
            }
        }
        return contents;
    }
    Contents read_all(Seq last) { return read_all(queue, 1, last, settled_of("orders")); }

    [[nodiscard]] StreamInfo info_of(StreamIndex stream) {
        for (const StreamKind kind : {StreamKind::queue, StreamKind::topic, StreamKind::dead}) {
            for (const char* name : {"orders", "other", "third"}) {
                if (!exists(kind, name)) continue;
                const StreamInfo info = spool->stream(kind, name);
                if (info.index == stream) return info;
            }
        }
        ADD_FAILURE() << "unknown stream " << stream;
        return {};
    }
    /// Opens a further stream that the tests use.
    StreamIndex open_stream(StreamKind kind, const std::string& name) {
        used.emplace_back(kind, name);
        return spool->stream(kind, name).index;
    }

    [[nodiscard]] const RecoveredStream* recovered_stream(const std::string& name) const {
        for (const RecoveredStream& stream : recovered) {
            if (stream.info.name == name) return &stream;
        }
        return nullptr;
    }
    [[nodiscard]] base::RunSet settled_of(const std::string& name) const {
        const RecoveredStream* stream = recovered_stream(name);
        return stream == nullptr ? base::RunSet() : stream->groups.at(0).settled;
    }
    [[nodiscard]] Seq end_of(const std::string& name = "orders") const {
        const RecoveredStream* stream = recovered_stream(name);
        return stream == nullptr ? 0 : stream->end;
    }
    [[nodiscard]] std::vector<std::string> segment_names() const {
        std::vector<std::string> names;
        for (const std::string& name : files.files(kPath)) {
            if (name.rfind("seg-", 0) == 0) names.push_back(name);
        }
        return names;
    }

    peermq::test::FakeFileSystem files;
    base::FileSystem* disk = &files;  ///< or something in front of it
    peermq::test::FakeClock clock;
    peermq::test::SeededRandom random;
    SpoolOptions options;
    std::vector<RecoveredStream> recovered;
    std::vector<Damage> reports;
    StreamIndex queue = 0;
    std::unique_ptr<Spool> spool;  // last: it reports while it closes

private:
    [[nodiscard]] bool exists(StreamKind kind, const std::string& name) const {
        if (kind == StreamKind::queue && name == "orders") return true;
        return std::find(used.begin(), used.end(), std::pair(kind, name)) != used.end();
    }

    static void check(const ReadResult& got, StreamIndex, Contents& contents) {
        ASSERT_EQ(got.offsets.size(), got.run.count() + 1);
        for (std::size_t i = 0; i < got.run.count(); ++i) {
            const base::ByteSpan bytes = base::ByteSpan(got.bytes).subspan(
                got.offsets[i], got.offsets[i + 1] - got.offsets[i]);
            const Seq seq = got.run.first + i;
            if (record::peek_seq(bytes.data()) != seq) contents.altered = true;
            const std::string_view text = base::as_text(bytes.subspan(record::kHeaderBytes));
            const std::string start = std::to_string(seq) + ":";
            if (text.substr(0, start.size()) != start) contents.altered = true;
            // The filler proves the bytes behind the number.
            for (std::size_t k = start.size(); k < text.size(); ++k) {
                const char want = static_cast<char>('a' + (seq * 7 + k) % 26);
                if (text[k] != want && text[k] != '\0') contents.altered = true;
            }
        }
    }

    std::vector<std::pair<StreamKind, std::string>> used;
};

/// 1, 2, ... last.
inline std::vector<Seq> seqs(Seq first, Seq last) {
    std::vector<Seq> list;
    for (Seq seq = first; seq <= last; ++seq) list.push_back(seq);
    return list;
}

}  // namespace peermq::spool::test
