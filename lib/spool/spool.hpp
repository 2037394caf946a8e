#pragma once

/// The spool: one log per directory that makes streams and their delivery state survive crashes.
///
/// A commit writes records of any number of streams and changes of delivery state as one batch,
/// which recovery takes whole or not at all, with one write and one sync. Segments are numbered,
/// never appended to after a reopen, and retire one by one once all their records are settled and
/// that is durable in a later file. FORMAT.md beside this file has the bytes. Rules C1 to C16 of
/// ARCHITECTURE.md hold here.
///
/// Threads: write() and sync() from one committing thread, maintain() from another, read() and all
/// else from any. Callers: lib/peer, the simulator, `peermq spool`.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file_system.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/random.hpp"
#include "base/run_set.hpp"

namespace peermq::spool {

using base::Run;
using base::Seq;

/// A stream's number within this spool; stands for its 16-byte id in the log.
using StreamIndex = std::uint32_t;

/// Which delivery state of a stream: 0 for the group of a queue; others are for the durable
/// subscriptions of a topic. A record counts as finished, and its place may be reclaimed, once it
/// is settled in group 0; the others only keep cursors.
using GroupIndex = std::uint32_t;

enum class StreamKind : std::uint8_t {
    queue = 1,
    topic = 2,
    service = 3,  ///< requests that this peer has made
    dead = 4,
    reply = 5,  ///< replies to them that the application has not taken yet
};

struct SpoolOptions {
    std::uint64_t segment_bytes = base::limits::kSegmentBytesDefault;
    std::uint64_t max_bytes = base::limits::kSpoolBytesDefault;  ///< unsettled record bytes, dead
                                                                 ///< letters apart
    std::uint64_t dead_bytes_max = base::limits::kSpoolBytesDefault / 16;
    std::uint64_t
        free_bytes_min = 64 * base::limits::kMiB;  ///< stop accepting below this much free disk
    std::size_t message_bytes_max = base::limits::kMessageBytesMaxDefault;
};

struct StreamInfo {
    StreamIndex index = 0;
    base::StreamId id;
    StreamKind kind = StreamKind::queue;
    std::string name;
};

/// Stored failures of one unsettled message.
struct RetryRecord {
    Seq seq = 0;
    std::uint32_t nacks = 0;
    std::uint32_t crashes = 0;
    std::uint32_t suspicions = 0;
    base::WallTime due{};
    std::string last_error;
};

/// Delivery state of one group as recovered.
struct GroupState {
    GroupIndex group = 0;
    base::RunSet settled;  ///< of [1, end]
    Seq mark = 0;          ///< up to here messages may have been handed out
    std::vector<RetryRecord> retries;
    std::string info{};  ///< what its owner keeps of it; empty for group 0
};

struct RecoveredStream {
    StreamInfo info;
    Seq end = 0;                     ///< last seq ever used, also when everything is reclaimed
    std::vector<GroupState> groups;  ///< at least group 0
};

/// Damage or loss found, each with where and how much.
struct Damage {
    enum class Kind {
        torn_tail,        ///< written but never synced, cut: normal after a crash
        corrupt_records,  ///< was durable, is unreadable
        missing_segment,
        foreign_segment,  ///< of another spool, or under the wrong name
        duplicate_segment,
        bad_footer,   ///< nothing lost: rebuilt by a scan
        rolled_back,  ///< shorter or older than later files prove
        io_error,     ///< the system refused to read or sync; nothing lost yet
    };
    Kind kind{};
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;  ///< lost records, as far as known
    std::string text;           ///< one sentence for people
};

struct RecoveryReport {
    std::vector<Damage> damage;
    std::uint64_t segments = 0;
    std::uint64_t records_unsettled = 0;
    std::uint64_t bytes_scanned = 0;
    bool created = false;  ///< a new spool
};

/// A change of delivery state, stored in the order given, after the records of the same batch.
struct StateChange {
    enum class Kind : std::uint8_t { settled = 1, mark = 2, retry = 3, group = 7 };
    Kind kind{};
    StreamIndex stream = 0;
    GroupIndex group = 0;
    Run run;             ///< settled
    Seq mark = 0;        ///< mark
    RetryRecord retry;   ///< retry
    std::string info{};  ///< group: at most group_info_bytes_max; empty: the group is erased
};

/// Consecutive records of one stream, encoded (record/record.hpp) with this spool's epoch.
struct StreamPart {
    StreamIndex stream = 0;
    Run run;
    std::vector<base::ByteSpan> bytes;  ///< whole records in order, in one or more pieces
    std::vector<std::shared_ptr<const void>> pins;  ///< keep the bytes alive until they are synced
};

struct Batch {
    std::vector<StreamPart> parts;
    std::vector<StateChange> changes;
    [[nodiscard]] bool empty() const noexcept { return parts.empty() && changes.empty(); }
};

enum class CommitResult {
    ok,
    no_space,  ///< nothing of it is stored; the same batch may be tried again when space returns
    failed,    ///< final until reopened: failure() says why
};

struct ReadResult {
    Run run;            ///< records read; empty when `lost` says why or nothing is stored
    base::Epoch epoch;  ///< all of one epoch
    std::vector<std::byte> bytes;        ///< the records, verified
    std::vector<std::uint32_t> offsets;  ///< count + 1 entries
    Run lost;  ///< seqs from `first` on that are damaged (reported as Damage)
};

struct SpoolStats {
    std::uint64_t live_bytes = 0;  ///< of unsettled records, dead letters apart
    std::uint64_t dead_bytes = 0;
    std::uint64_t disk_bytes = 0;  ///< of all segment files
    std::uint64_t segments = 0;
    std::uint64_t commits = 0;
    std::uint64_t syncs = 0;
    std::uint64_t sync_ns_total = 0;
    std::uint64_t sync_ns_max = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t records_carried = 0;
    std::uint64_t segments_retired = 0;
    bool space_low = false;
};

class Spool {
public:
    /// Called with damage and I/O errors found while running; any thread, no lock held.
    using Report = std::function<void(const Damage&)>;

    /// Locks, recovers and opens the directory, creating it when missing. On return a new segment
    /// with a new epoch is durable. Throws Error: locked (text names the holder's pid),
    /// version_mismatch, corrupt (not a spool: foreign files instead of ours), denied, no_space,
    /// io_error.
    static std::unique_ptr<Spool> open(base::FileSystem& files, base::Clock& clock,
                                       base::Random& random, const std::string& path,
                                       SpoolOptions options, Report report);
    virtual ~Spool() = default;

    [[nodiscard]] virtual base::SpoolId id() const = 0;
    [[nodiscard]] virtual base::PeerId peer() const = 0;
    [[nodiscard]] virtual base::Epoch epoch() const = 0;
    [[nodiscard]] virtual const RecoveryReport& recovery() const = 0;
    /// As recovered at open; empties the store (call once).
    [[nodiscard]] virtual std::vector<RecoveredStream> take_recovered() = 0;

    /// The stream of this kind and name, registered with the next write() when it is new. Throws
    /// quota when there are too many.
    virtual StreamInfo stream(StreamKind kind, std::string_view name) = 0;

    /// Reserves `bytes` of the quota before records are accepted; false when it is full or the disk
    /// was low when upkeep last looked; asks nothing of the disk. What is reserved is given back
    /// when the records are settled, or by unreserve().
    [[nodiscard]] virtual bool reserve(StreamIndex stream, std::uint64_t bytes) = 0;
    virtual void unreserve(StreamIndex stream, std::uint64_t bytes) = 0;

    /// Writes a batch; on ok it survives the death of the process. Rotates segments as needed.
    [[nodiscard]] virtual CommitResult write(const Batch& batch) = 0;
    /// Makes all that was written durable. On a failed sync the file is poisoned, all of its
    /// unsynced batches go to a new file once; `failed` when that fails too.
    [[nodiscard]] virtual CommitResult sync() = 0;
    [[nodiscard]] virtual std::string failure() const = 0;

    /// Verified records from `first` on, up to `bytes_max` (at least one record), of one epoch.
    [[nodiscard]] virtual ReadResult read(StreamIndex stream, Seq first, std::size_t bytes_max) = 0;

    struct StoredRun {
        Run run;
        base::Epoch epoch;
    };
    /// The first records at or after `seq` that are in a file, as far as they are consecutive and
    /// of one epoch; nothing is read for it.
    [[nodiscard]] virtual std::optional<StoredRun> stored_from(StreamIndex stream,
                                                               Seq seq) const = 0;

    /// One step of upkeep: prepares the next segment, retires finished ones, carries survivors of
    /// mostly finished ones forward, checks free space. True when there is more to do now.
    virtual bool maintain() = 0;
    /// True when maintain() has something to do; looks for free space, too.
    [[nodiscard]] virtual bool maintenance_due() = 0;

    /// Has maintain() write what is live in these segments again, whatever their share of live
    /// bytes, after a copy of each was kept in quarantine/. Returns how many of them there are.
    virtual std::uint64_t rewrite(const std::vector<std::uint64_t>& segments) = 0;

    [[nodiscard]] virtual SpoolStats stats() const = 0;
    /// Bytes of the stream's unsettled records.
    [[nodiscard]] virtual std::uint64_t stream_bytes(StreamIndex stream) const = 0;
    /// Writes the footer and closes. The destructor does so too, ignoring errors.
    virtual void close() = 0;
};

}  // namespace peermq::spool
