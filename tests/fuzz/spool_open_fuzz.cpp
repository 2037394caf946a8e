/// A spool of one segment file of any bytes, and no manifest: inspected without a change, then
/// refused with an Error or opened and read to its end, and the same again after a kill (INV-14).
///
/// Bits of the first byte of the input: 1 = right checksums of header, batches and footer, 2 = of
/// the records as well.

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/limits.hpp"
#include "fuzz/fuzz.hpp"
#include "fuzz/repair.hpp"
#include "peermq/error.hpp"
#include "spool/format.hpp"
#include "spool/inspect.hpp"
#include "spool/spool.hpp"
#include "support/fake_clock.hpp"
#include "support/fake_file_system.hpp"
#include "support/seeded_random.hpp"

namespace {

using namespace peermq;
using namespace peermq::spool;
using test::require;

const std::string kPath = "/spool";
constexpr std::size_t kReadBytes = 64 * 1024;

/// What an opening found; two of the same files are to be equal.
struct Found {
    struct Group {
        GroupIndex group = 0;
        std::vector<Run> settled;
        Seq mark = 0;
        std::vector<Seq> retries;
        bool operator==(const Group&) const = default;
    };
    struct Stream {
        std::string name;
        Seq end = 0;
        std::vector<Group> groups;
        std::vector<Run> readable;
        bool operator==(const Stream&) const = default;
    };
    std::vector<Stream> streams;
    bool operator==(const Found&) const = default;
};

/// All that can be read of what is unsettled. Stops where nothing more is stored.
std::vector<Run> read_all(Spool& spool, const RecoveredStream& stream) {
    base::RunSet readable;
    for (const Run gap : stream.groups.front().settled.gaps({1, stream.end})) {
        for (Seq seq = gap.first; seq <= gap.last;) {
            const ReadResult got = spool.read(stream.info.index, seq, kReadBytes);
            if (got.run.empty() && got.lost.empty()) break;
            const Run& step = got.run.empty() ? got.lost : got.run;
            require(step.first == seq && step.last >= seq, "reading starts where it was asked to");
            if (!got.run.empty()) {
                require(got.offsets.size() == got.run.count() + 1, "each record has its place");
                require(got.offsets.back() <= got.bytes.size(), "and lies within what was read");
                readable.add(got.run);
            }
            seq = step.last + 1;
        }
    }
    return readable.runs();
}

/// nullopt when the spool is refused.
std::optional<Found> open_and_read(test::FakeFileSystem& files) {
    test::FakeClock clock;
    test::SeededRandom random(1);
    SpoolOptions options;
    options.segment_bytes = base::limits::kSegmentBytesMin;
    options.free_bytes_min = 0;
    try {
        const auto spool = Spool::open(files, clock, random, kPath, options, {});
        Found found;
        for (const RecoveredStream& stream : spool->take_recovered()) {
            require(!stream.groups.empty(), "a stream has its own group");
            Found::Stream seen{stream.info.name, stream.end, {}, read_all(*spool, stream)};
            for (const GroupState& group : stream.groups) {
                Found::Group& copy = seen.groups.emplace_back();
                copy = {group.group, group.settled.runs(), group.mark, {}};
                for (const RetryRecord& retry : group.retries) copy.retries.push_back(retry.seq);
            }
            found.streams.push_back(std::move(seen));
        }
        files.kill();
        return found;
    } catch (const Error&) {
        files.kill();
        return std::nullopt;
    }
}

void inspect_unchanged(test::FakeFileSystem& files) {
    const std::uint64_t before = files.hash();
    try {
        static_cast<void>(inspect(files, kPath, [](const LogEntry&) {}));
    } catch (const Error&) {
        // Refused; that is all right.
    }
    require(files.hash() == before, "inspection changes nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::vector<std::byte> segment = test::bytes_of(data + 1, size - 1);
    if ((data[0] & 1) != 0) test::repair_segment(segment, (data[0] & 2) != 0);
    SegmentHeader header;
    const bool has_header = segment.size() >= kSegmentHeaderBytes &&
                            decode_segment_header(segment, header) == BlockState::ok;

    test::FakeFileSystem files;
    static_cast<void>(files.open(kPath, true));
    files.set_contents(kPath + "/" + segment_name(has_header ? header.number : 1), segment);
    inspect_unchanged(files);
    const auto first = open_and_read(files);
    inspect_unchanged(files);
    const auto second = open_and_read(files);
    require(first.has_value() == second.has_value(), "refused twice or never");
    require(first == second, "recovery is idempotent");
    return 0;
}
