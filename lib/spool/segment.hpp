#pragma once

/// What the spool keeps in memory about its segments: which records lie where and how many of them
/// are still live. Costs memory per segment and stream, not per record.
///
/// A record is live until it is settled in group 0. Not thread-safe: the spool's mutex guards all
/// of it; a Segment's file may be read without.

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/file_system.hpp"
#include "spool/state.hpp"

namespace peermq::spool {

/// Records of one stream and epoch in one segment.
struct Extent {
    StreamIndex stream = 0;
    base::StreamId id;
    base::Epoch epoch;
    bool carried = false;
    base::RunSet runs;          ///< those that are read from here
    std::uint64_t records = 0;  ///< ever written here, to share `bytes` out
    std::uint64_t bytes = 0;
    std::uint64_t live = 0;  ///< of runs

    [[nodiscard]] std::uint64_t live_bytes() const noexcept;
};

/// Where in a segment to look for a stretch of a stream.
class SegmentIndex {
public:
    SegmentIndex() = default;
    explicit SegmentIndex(const std::vector<IndexEntry>& entries);
    void add(const PartEntry& part, std::uint64_t begin, std::uint64_t end);
    /// Stretches that may hold `seq`, the likeliest first.
    [[nodiscard]] std::vector<IndexEntry> candidates(StreamIndex stream, Seq seq) const;
    [[nodiscard]] std::vector<IndexEntry> entries() const;

private:
    struct Lists {
        std::vector<IndexEntry> regular;  // seqs rise
        std::vector<IndexEntry> carried;
    };
    std::unordered_map<StreamIndex, Lists> lists_;
};

struct Segment {
    SegmentHeader header;
    std::string name;  ///< of the file
    std::shared_ptr<base::File> file;
    std::uint64_t used = kSegmentDataAt;  ///< where the valid batches end
    std::uint64_t file_bytes = 0;
    std::uint64_t batches = 0;
    bool sealed = false;  ///< has a footer
    /// When this process sealed it or last settled something in it; recovered ones begin with none.
    base::Time changed_at{};
    /// Recovered, and from here on nothing proves that it was ever synced; 0 = all of it is proven.
    std::uint64_t unproven_from = 0;
    bool quarantined = false;  ///< a copy is kept already
    std::vector<ChainEntry::Range> excluded;
    std::vector<std::unique_ptr<Extent>> extents;
    std::shared_ptr<SegmentIndex> index;  ///< null: load it from the footer
    /// Appends (counted over the spool) that must be synced before this segment may go.
    std::uint64_t released_by = 0;

    [[nodiscard]] std::uint64_t number() const noexcept { return header.number; }
    [[nodiscard]] std::uint64_t live() const noexcept;
    [[nodiscard]] std::uint64_t live_bytes() const noexcept;
    [[nodiscard]] std::uint64_t data_bytes() const noexcept { return used - kSegmentDataAt; }
};

class Catalog {
public:
    void add_segment(std::shared_ptr<Segment> segment);
    /// Forgets a segment and its extents.
    void remove_segment(std::uint64_t number);
    [[nodiscard]] const std::map<std::uint64_t, std::shared_ptr<Segment>>& segments() const {
        return segments_;
    }
    [[nodiscard]] std::shared_ptr<Segment> find_segment(std::uint64_t number) const;

    /// Notes that `segment` holds the records of `part`, `live` of them unsettled.
    void add_part(Segment& segment, const PartEntry& part, bool dead, std::uint64_t live);
    /// Notes a whole extent (recovery); `live` of its records are unsettled.
    void add_extent(Segment& segment, const ExtentEntry& entry, bool dead, std::uint64_t live);
    /// `run` is no longer read from this segment; `live` of it were unsettled.
    void remove_run(Segment& segment, StreamIndex stream, const base::Epoch& epoch, bool carried,
                    Run run, std::uint64_t live);
    /// `run` of a stream, none of it settled before, is settled by append number `append`, `now`.
    void settle(StreamIndex stream, Run run, std::uint64_t append, base::Time now);

    struct Place {
        std::shared_ptr<Segment> segment;
        const Extent* extent = nullptr;
        Run run;  ///< from the seq asked for to the end of the stored run
    };
    [[nodiscard]] std::optional<Place> find(StreamIndex stream, Seq seq) const;
    /// The first stored seq at or after `seq`; 0 when there is none.
    [[nodiscard]] Seq next_stored(StreamIndex stream, Seq seq) const;

    [[nodiscard]] std::uint64_t live_bytes() const noexcept { return live_bytes_; }
    [[nodiscard]] std::uint64_t dead_bytes() const noexcept { return dead_bytes_; }
    [[nodiscard]] std::uint64_t disk_bytes() const noexcept;
    [[nodiscard]] std::uint64_t live_bytes(StreamIndex stream) const;

private:
    struct Ref {
        Segment* segment = nullptr;
        Extent* extent = nullptr;
    };
    struct StreamRefs {
        bool dead = false;
        std::vector<Ref> regular;  // by first seq; extents do not overlap
        std::vector<Ref> carried;
    };

    Ref extent_for(Segment& segment, StreamRefs& refs, const PartEntry& part);
    void change_live(const StreamRefs& refs, Extent& extent, std::uint64_t live);
    void settle_in(StreamRefs& refs, const Ref& ref, Run run, std::uint64_t append, base::Time now);
    static std::size_t first_ending_at(const std::vector<Ref>& refs, Seq seq);

    std::map<std::uint64_t, std::shared_ptr<Segment>> segments_;
    std::unordered_map<StreamIndex, StreamRefs> streams_;
    std::uint64_t live_bytes_ = 0;
    std::uint64_t dead_bytes_ = 0;
};

}  // namespace peermq::spool
