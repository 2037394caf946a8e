// Today's spool equals the stored one byte for byte, and the stored one opens and drains. A change
// of these bytes is a change of the format: see lib/spool/FORMAT.md before touching them. A new
// format gets a directory of its own beside spool-v1, which stays.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file_system.hpp"
#include "base/limits.hpp"
#include "golden/golden_data.hpp"
#include "record/record.hpp"
#include "spool/format.hpp"
#include "spool/inspect.hpp"
#include "spool/spool.hpp"
#include "spool/state.hpp"
#include "support/fake_clock.hpp"
#include "support/fake_file_system.hpp"
#include "support/seeded_random.hpp"
#include "support/temporary_directory.hpp"

namespace peermq::spool {
namespace {

namespace fs = std::filesystem;

const std::string kStored = PEERMQ_SOURCE_DIR "/tests/golden/data/spool-v1";
const std::string kPath = "/spool";

SpoolOptions options() {
    SpoolOptions options;
    options.segment_bytes = base::limits::kSegmentBytesMin;
    options.free_bytes_min = 0;
    return options;
}

std::string body_of(Seq seq) { return "message " + std::to_string(seq) + std::string(200, '.'); }

StreamPart part(Spool& spool, StreamIndex index, const base::StreamId& id, base::Run run) {
    const auto seed = record::Seed::of(id, spool.epoch());
    auto chunk = std::make_shared<std::vector<std::byte>>();
    for (Seq seq = run.first; seq <= run.last; ++seq) {
        const std::string body = body_of(seq);
        record::Record record;
        record.seq = seq;
        record.epoch = spool.epoch().counter;
        record.enqueued = base::WallTime(std::chrono::seconds(1'700'000'000));
        record.key = seq % 2 == 0 ? "customer-7" : "";
        record.body = base::as_bytes(body);
        const std::size_t at = chunk->size();
        chunk->resize(at + record::encoded_size(record));
        record::encode(record, seed, std::span(*chunk).subspan(at));
    }
    return {index, run, {base::ByteSpan(*chunk)}, {chunk}};
}

/// Two openings: the first fills segments and dies, the second carries survivors and closes.
test::FakeFileSystem write_sample() {
    test::FakeFileSystem files(1);
    test::FakeClock clock;
    test::SeededRandom random(1);
    {
        auto spool = Spool::open(files, clock, random, kPath, options(), {});
        const StreamInfo orders = spool->stream(StreamKind::queue, "orders");
        const StreamInfo dead = spool->stream(StreamKind::dead, "orders.dead");
        for (Seq seq = 1; seq <= 80; seq += 20) {
            Batch batch;
            batch.parts.push_back(part(*spool, orders.index, orders.id, {seq, seq + 19}));
            EXPECT_EQ(spool->write(batch), CommitResult::ok);
            EXPECT_EQ(spool->sync(), CommitResult::ok);
        }
        Batch batch;
        batch.parts.push_back(part(*spool, dead.index, dead.id, {1, 2}));
        batch.changes.push_back({StateChange::Kind::settled, orders.index, 0, {3, 4}, 0, {}});
        batch.changes.push_back({StateChange::Kind::settled, orders.index, 0, {6, 50}, 0, {}});
        batch.changes.push_back({StateChange::Kind::settled, orders.index, 2, {1, 9}, 0, {}});
        batch.changes.push_back({StateChange::Kind::mark, orders.index, 0, {}, 60, {}});
        const RetryRecord retry{
            5, 2, 1, 1, base::WallTime(std::chrono::seconds(1'700'000'009)), "time-out"};
        batch.changes.push_back({StateChange::Kind::retry, orders.index, 0, {}, 0, retry});
        EXPECT_EQ(spool->write(batch), CommitResult::ok);
        EXPECT_EQ(spool->sync(), CommitResult::ok);
        files.kill();
    }
    auto spool = Spool::open(files, clock, random, kPath, options(), {});
    const StreamInfo orders = spool->stream(StreamKind::queue, "orders");
    while (spool->maintain()) {
    }
    Batch batch;
    batch.parts.push_back(part(*spool, orders.index, orders.id, {81, 85}));
    EXPECT_EQ(spool->write(batch), CommitResult::ok);
    spool->close();
    return files;
}

std::vector<std::byte> load(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in.is_open()) << path;
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const base::ByteSpan bytes = base::as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

/// The files of the spool; LOCK holds no more than the last owner's pid.
std::vector<std::string> names(const test::FakeFileSystem& files) {
    std::vector<std::string> list = files.files(kPath);
    std::erase(list, "LOCK");
    return list;
}

TEST(SpoolGolden, WritesTheStoredBytes) {
    const test::FakeFileSystem files = write_sample();
    if (std::getenv("PEERMQ_WRITE_GOLDEN") != nullptr) {
        fs::create_directories(kStored);
        for (const std::string& name : names(files)) {
            const std::vector<std::byte> bytes = files.contents(kPath + "/" + name);
            std::ofstream(fs::path(kStored) / name, std::ios::binary) << base::as_text(bytes);
        }
    }
    std::vector<std::string> stored;
    for (const auto& entry : fs::directory_iterator(kStored))
        stored.push_back(entry.path().filename());
    std::sort(stored.begin(), stored.end());
    EXPECT_EQ(names(files), stored);
    for (const std::string& name : stored) {
        EXPECT_TRUE(files.contents(kPath + "/" + name) == load(fs::path(kStored) / name))
            << name << " differs from the stored one";
    }
}

/// A copy of the stored spool that may be changed.
void copy_stored(const std::string& to) {
    fs::create_directory(to);
    fs::permissions(to, fs::perms::owner_all);
    for (const auto& entry : fs::directory_iterator(kStored)) {
        const fs::path path = fs::path(to) / entry.path().filename();
        fs::copy_file(entry.path(), path);
        fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    }
}

struct Seen {
    std::vector<Seq> seqs;
    std::vector<std::string> bodies;
};

Seen read_unsettled(Spool& spool, const RecoveredStream& stream) {
    Seen seen;
    const base::RunSet& settled = stream.groups.at(0).settled;
    for (const base::Run run : settled.gaps({1, stream.end})) {
        for (Seq seq = run.first; seq <= run.last;) {
            const ReadResult got = spool.read(stream.info.index, seq, 4096);
            if (got.run.empty()) {
                ADD_FAILURE() << "nothing at " << seq;
                return seen;
            }
            for (Seq s = got.run.first; s <= std::min(got.run.last, run.last); ++s) {
                const auto offset = got.offsets[s - got.run.first];
                const auto decoded = record::decode(base::ByteSpan(got.bytes).subspan(offset),
                                                    record::Seed::of(stream.info.id, got.epoch),
                                                    got.bytes.size());
                seen.seqs.push_back(s);
                seen.bodies.emplace_back(base::as_text(decoded.record.body));
            }
            seq = got.run.last + 1;
        }
    }
    return seen;
}

TEST(SpoolGolden, OpensAndDrainsTheStoredSpool) {
    const test::TemporaryDirectory directory;
    const std::string path = directory / "spool";
    copy_stored(path);
    base::SystemFileSystem files;
    test::FakeClock clock;
    base::SystemRandom random;
    auto spool = Spool::open(files, clock, random, path, options(), {});
    EXPECT_TRUE(spool->recovery().damage.empty());
    EXPECT_EQ(spool->epoch().counter, 3u);
    const std::vector<RecoveredStream> streams = spool->take_recovered();
    ASSERT_EQ(streams.size(), 2u);

    const RecoveredStream& orders = streams[0];
    EXPECT_EQ(orders.info.name, "orders");
    EXPECT_EQ(orders.info.kind, StreamKind::queue);
    EXPECT_EQ(orders.end, 85u);
    ASSERT_EQ(orders.groups.size(), 2u);
    EXPECT_EQ(orders.groups[0].mark, 60u);
    ASSERT_EQ(orders.groups[0].retries.size(), 1u);
    EXPECT_EQ(orders.groups[0].retries[0].seq, 5u);
    EXPECT_EQ(orders.groups[0].retries[0].last_error, "time-out");
    EXPECT_EQ(orders.groups[1].group, 2u);
    EXPECT_EQ(orders.groups[1].settled.runs(), (std::vector<base::Run>{{1, 9}}));
    EXPECT_EQ(streams[1].info.name, "orders.dead");
    EXPECT_EQ(streams[1].info.kind, StreamKind::dead);

    std::vector<Seq> expected = {1, 2, 5};
    for (Seq seq = 51; seq <= 85; ++seq) expected.push_back(seq);
    const Seen seen = read_unsettled(*spool, orders);
    EXPECT_EQ(seen.seqs, expected);
    for (std::size_t i = 0; i < seen.seqs.size(); ++i)
        EXPECT_EQ(seen.bodies[i], body_of(seen.seqs[i]));
    EXPECT_EQ(read_unsettled(*spool, streams[1]).seqs, (std::vector<Seq>{1, 2}));

    Batch batch;
    for (const RecoveredStream& stream : streams) {
        batch.changes.push_back(
            {StateChange::Kind::settled, stream.info.index, 0, {1, stream.end}, 0, {}});
    }
    ASSERT_EQ(spool->write(batch), CommitResult::ok);
    ASSERT_EQ(spool->sync(), CommitResult::ok);
    while (spool->maintain()) {
    }
    EXPECT_EQ(spool->stats().live_bytes, 0u);
    EXPECT_LE(spool->stats().segments, 2u);
}

TEST(SpoolGolden, InspectionOfTheStoredSpoolFindsNoDamage) {
    const test::TemporaryDirectory directory;
    const std::string path = directory / "spool";
    copy_stored(path);
    base::SystemFileSystem files;
    const Inspection found = inspect(files, path);
    EXPECT_TRUE(found.damage.empty());
    EXPECT_EQ(found.format_version, 1u);
    ASSERT_EQ(found.streams.size(), 2u);
    EXPECT_EQ(found.streams[0].unsettled, 38u);
}

// --- the worked example of FORMAT.md

constexpr std::uint64_t kSeed = 0x0123456789abcdef;

std::vector<std::byte> example() {
    base::StreamId id;
    for (std::size_t at = 0; at < id.bytes.size(); ++at) id.bytes[at] = static_cast<std::byte>(at);
    const base::Epoch epoch{3, 0x1122334455667788};
    record::Record record;
    record.seq = 1;
    record.epoch = epoch.counter;
    record.enqueued = base::WallTime(base::Duration(1'700'000'000'000'000'000));
    record.body = base::as_bytes("hello");
    std::vector<std::byte> records(record::encoded_size(record));
    record::encode(record, record::Seed::of(id, epoch), records);

    std::vector<std::byte> state;
    append_change(state, {StateChange::Kind::mark, 1, 0, {}, 1, {}});
    const std::vector<PartEntry> parts = {{1, 0, id, epoch, 1, 1, records.size()}};
    BatchHead head;
    head.number = 2;
    head.offset = 1392;
    head.bytes = batch_bytes(1, state.size(), records.size());
    head.synced = 1;
    head.part_count = 1;
    head.state_bytes = static_cast<std::uint32_t>(state.size());
    head.change_count = 1;
    std::vector<std::byte> bytes = encode_batch_front(head, parts, state, kSeed);
    bytes.insert(bytes.end(), records.begin(), records.end());
    const std::vector<std::byte> back = encode_batch_back(head, parts, kSeed);
    bytes.insert(bytes.end(), back.begin(), back.end());
    return bytes;
}

TEST(SpoolGolden, TheExampleInTheFormatDocumentIsExact) {
    EXPECT_EQ(test::to_hex(test::worked_example("lib/spool/FORMAT.md")), test::to_hex(example()));
}

TEST(SpoolGolden, TheExampleInTheFormatDocumentCanBeRead) {
    const std::vector<std::byte> bytes = test::worked_example("lib/spool/FORMAT.md");
    const auto head = decode_batch_head(bytes, kBatchMagic, kSeed);
    ASSERT_TRUE(head.has_value());
    EXPECT_EQ(head->bytes, bytes.size());
    const auto parts = decode_parts(
        *head, base::ByteSpan(bytes).subspan(kBatchHeadBytes, head->table_bytes()), kSeed);
    ASSERT_TRUE(parts.has_value());
    ASSERT_EQ(parts->size(), 1u);
    const auto decoded = record::decode(
        base::ByteSpan(bytes).subspan(head->records_at() - head->offset),
        record::Seed::of(parts->front().id, parts->front().epoch), bytes.size());
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(base::as_text(decoded.record.body), "hello");
}

}  // namespace
}  // namespace peermq::spool
