/// Damage to a reference spool, wherever it can be: every bit, every byte, every truncation.
/// Lost are exactly the records that were touched; what was durable and is gone is reported, by
/// path and count; nothing is invented; a second opening finds the same.

#include <map>

#include "sim/effort.hpp"
#include "spool/format.hpp"
#include "spool/inspect.hpp"
#include "unit/spool/damage_sample.hpp"

namespace peermq::sim {
namespace {

using namespace spool::test;
using spool::LogEntry;
using spool::Seq;

/// Where the records of a file lie.
class RecordMap {
public:
    explicit RecordMap(const Sample& sample) {
        FakeFileSystem files = sample.files;
        (void)spool::inspect(files, kPath, [&](const LogEntry& entry) {
            if (entry.kind == LogEntry::Kind::batch) {
                if (entry.path != last_path_) last_batches_.clear();
                last_path_ = entry.path;
                last_batches_[entry.offset] = entry.offset + entry.bytes;
            }
            if (entry.kind != LogEntry::Kind::record) return;
            places_[entry.path][entry.offset] = {entry.offset + entry.bytes, entry.record->seq};
        });
    }
    /// The seq of the record at this byte, 0 = none.
    [[nodiscard]] Seq at(const std::string& path, std::uint64_t offset) const {
        const auto file = places_.find(path);
        if (file == places_.end()) return 0;
        auto record = file->second.upper_bound(offset);
        if (record == file->second.begin()) return 0;
        --record;
        return offset < record->second.end ? record->second.seq : 0;
    }
    /// The log ends here as if a batch had never been written: where no footer and no later segment
    /// vouches for it, nobody can tell the difference.
    [[nodiscard]] bool looks_unwritten(const std::string& path, std::uint64_t cut) const {
        if (path != last_path_) return false;
        const auto next = last_batches_.upper_bound(cut);
        if (next == last_batches_.begin()) return true;
        return cut - std::prev(next)->first < spool::kBatchHeadBytes;
    }
    /// Where nothing vouches for a batch, it counts whole or not at all.
    [[nodiscard]] std::uint64_t lost_from(const std::string& path, std::uint64_t cut) const {
        const auto next = last_batches_.upper_bound(cut);
        if (path != last_path_ || next == last_batches_.begin()) return cut;
        const auto [begin, end] = *std::prev(next);
        return cut < end ? begin : cut;
    }
    [[nodiscard]] std::size_t count() const {
        std::size_t all = 0;
        for (const auto& [path, records] : places_) all += records.size();
        return all;
    }

private:
    struct Place {
        std::uint64_t end = 0;
        Seq seq = 0;
    };
    std::map<std::string, std::map<std::uint64_t, Place>> places_;
    std::string last_path_;  ///< of the last segment with anything in it
    std::map<std::uint64_t, std::uint64_t> last_batches_;  ///< of it: begin, end
};

class Corruption : public testing::TestWithParam<bool> {
protected:
    Corruption() : sample_(make_sample(GetParam())), records_(sample_) {}

    /// `change` of the byte at `offset`; only the record that it lies in may be lost.
    void damage(const std::string& path, const std::vector<std::byte>& bytes, std::size_t offset,
                std::byte changed) {
        std::vector<std::byte> copy = bytes;
        copy[offset] = changed;
        Sample damaged = sample_;
        damaged.files.set_contents(path, copy);
        const std::string where = path + " byte " + std::to_string(offset) +
                                  " := " + std::to_string(static_cast<int>(changed));
        const Outcome outcome = examine(damaged, where);
        const Seq touched = records_.at(path, offset);
        base::RunSet expected(base::Run{1, sample_.end});
        if (touched != 0 && !sample_.settled.contains(touched)) expected.remove(touched);
        EXPECT_EQ(outcome.there.runs(), expected.runs()) << where << ", record " << touched;
        if (outcome.lost > 0) {
            EXPECT_TRUE(outcome.named) << where;
        }
        ++cases_;
    }

    /// Calls `each` for every `step`-th place of all files, from another one on in each of them.
    template <typename Each>
    void for_places(std::size_t step, Each&& each) {
        std::size_t from = 0;
        for (const std::string& name : all_files(sample_.files)) {
            const std::string path = kPath + "/" + name;
            const std::vector<std::byte> bytes = sample_.files.contents(path);
            for (std::size_t at = from; at < bytes.size(); at += step) {
                each(path, bytes, at);
                if (HasFailure()) return;
            }
            from = (from + 3) % step;
        }
    }

    void tell() {
        std::printf("%llu cases over %zu records\n", static_cast<unsigned long long>(cases_),
                    records_.count());
        RecordProperty("cases", std::to_string(cases_));
    }

    Sample sample_;
    RecordMap records_;
    std::uint64_t cases_ = 0;
};

TEST_P(Corruption, AFlippedBitLosesTheRecordThatItIsInAndNoOther) {
    // A step that is odd beside the eight bits of a byte: all bits of words get their turn.
    const std::size_t step = by_effort(1009, 37, 1);
    for_places(1,
               [&](const std::string& path, const std::vector<std::byte>& bytes, std::size_t at) {
                   for (std::size_t bit = 0; bit < 8; ++bit) {
                       if ((at * 8 + bit) % step != 0) continue;
                       damage(path, bytes, at, bytes[at] ^ static_cast<std::byte>(1u << bit));
                   }
               });
    tell();
}

TEST_P(Corruption, AnOverwrittenByteLosesTheRecordThatItIsInAndNoOther) {
    peermq::test::SeededRandom random(7);
    for_places(by_effort(211, 13, 1),
               [&](const std::string& path, const std::vector<std::byte>& bytes, std::size_t at) {
                   for (const std::byte value : {std::byte{0}, std::byte{0xFF},
                                                 static_cast<std::byte>(random.below(256))}) {
                       if (value != bytes[at]) damage(path, bytes, at, value);
                   }
               });
    tell();
}

TEST_P(Corruption, ATruncatedSegmentLosesWhatWasCutOffAndSaysSo) {
    for_places(by_effort(251, 11, 1),
               [&](const std::string& path, const std::vector<std::byte>& bytes, std::size_t at) {
                   if (path.ends_with("MANIFEST")) return;
                   Sample damaged = sample_;
                   damaged.files.set_contents(path, base::ByteSpan(bytes).first(at));
                   const std::string where = path + " cut to " + std::to_string(at);
                   const Outcome outcome = examine(damaged, where);
                   base::RunSet expected(base::Run{1, sample_.end});
                   const std::size_t from = GetParam() ? at : records_.lost_from(path, at);
                   for (std::size_t offset = from; offset < bytes.size(); ++offset) {
                       const Seq seq = records_.at(path, offset);
                       if (seq != 0 && !sample_.settled.contains(seq)) expected.remove(seq);
                   }
                   EXPECT_EQ(outcome.there.runs(), expected.runs()) << where;
                   if (outcome.lost > 0 && (GetParam() || !records_.looks_unwritten(path, at))) {
                       EXPECT_TRUE(outcome.reported) << where;
                   }
                   ++cases_;
               });
    tell();
}

INSTANTIATE_TEST_SUITE_P(Spool, Corruption, testing::Bool(),
                         [](const auto& each) { return each.param ? "Closed" : "Crashed"; });

}  // namespace
}  // namespace peermq::sim
