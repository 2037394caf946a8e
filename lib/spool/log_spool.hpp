#pragma once

/// The Spool over segment files: spool.cpp opens and closes, commit.cpp writes, sync.cpp syncs,
/// read.cpp reads, maintain.cpp retires, prepares and compacts.
///
/// Locks, in this order: append_mutex_ (the active segment and all writing to it), mutex_ (all
/// state in memory; never held over input or output). Reports are made without either.

#include <atomic>
#include <deque>
#include <mutex>

#include "spool/files.hpp"
#include "spool/reader.hpp"
#include "spool/recovery.hpp"
#include "spool/segment.hpp"

namespace peermq::spool {

/// A batch on its way to the disk, kept until it is synced so that it can be written again.
struct PendingBatch {
    std::uint32_t flags = 0;
    std::vector<PartEntry> parts;
    std::vector<std::byte> state;
    std::uint32_t change_count = 0;
    std::vector<base::ByteSpan> pieces;  ///< records
    std::vector<std::shared_ptr<const void>> pins;
    std::uint64_t record_bytes = 0;

    [[nodiscard]] std::uint64_t bytes() const {
        return batch_bytes(parts.size(), state.size(), record_bytes);
    }
};

class LogSpool final : public Spool {
public:
    LogSpool(base::Clock& clock, base::Random& random, SpoolOptions options, Report report,
             std::unique_ptr<Files> files, Recovered recovered);
    ~LogSpool() override;

    /// Makes a new segment with a new epoch durable, then tidies up what recovery found.
    void start();

    [[nodiscard]] base::SpoolId id() const override { return manifest_.spool; }
    [[nodiscard]] base::PeerId peer() const override { return manifest_.peer; }
    [[nodiscard]] base::Epoch epoch() const override { return epoch_; }
    [[nodiscard]] const RecoveryReport& recovery() const override { return recovery_; }
    [[nodiscard]] std::vector<RecoveredStream> take_recovered() override;
    StreamInfo stream(StreamKind kind, std::string_view name) override;
    [[nodiscard]] bool reserve(StreamIndex stream, std::uint64_t bytes) override;
    void unreserve(StreamIndex stream, std::uint64_t bytes) override;
    [[nodiscard]] CommitResult write(const Batch& batch) override;
    [[nodiscard]] CommitResult sync() override;
    [[nodiscard]] std::string failure() const override;
    [[nodiscard]] ReadResult read(StreamIndex stream, Seq first, std::size_t bytes_max) override;
    [[nodiscard]] std::optional<StoredRun> stored_from(StreamIndex stream, Seq seq) const override;
    bool maintain() override;
    [[nodiscard]] bool maintenance_due() override;
    std::uint64_t rewrite(const std::vector<std::uint64_t>& segments) override;
    [[nodiscard]] SpoolStats stats() const override;
    [[nodiscard]] std::uint64_t stream_bytes(StreamIndex stream) const override;
    void close() override;

private:
    // --- spool.cpp: opening and closing
    [[nodiscard]] int create_first_segment(bool preallocate, std::vector<std::byte>& front);
    [[nodiscard]] static int make_durable(Segment& segment);
    void cut_unused();
    void tidy();
    void close_files();
    [[nodiscard]] int store_manifest(const std::vector<std::uint64_t>& without);
    [[nodiscard]] SegmentHeader new_header();
    void check_space();
    /// Reports wait until no lock is held: each public call that may cause one has a Reporter
    /// first.
    void report(Damage damage);
    class Reporter {
    public:
        explicit Reporter(LogSpool& spool) : spool_(spool) {}
        ~Reporter() { spool_.deliver_reports(); }
        Reporter(const Reporter&) = delete;
        Reporter& operator=(const Reporter&) = delete;

    private:
        LogSpool& spool_;
    };
    void deliver_reports();

    // --- read.cpp
    struct Cursor {
        StreamIndex stream = 0;
        Seq next = 0;
        std::uint64_t segment = 0;
        PartPlace place;
    };
    [[nodiscard]] ReadResult nothing_at(const StreamData& stream, Seq first) const;
    [[nodiscard]] std::shared_ptr<SegmentIndex> index_of(const std::shared_ptr<Segment>& segment);
    [[nodiscard]] std::shared_ptr<SegmentIndex> load_index(Segment& segment);
    [[nodiscard]] std::optional<PartPlace> locate(const std::shared_ptr<Segment>& segment,
                                                  const PartQuery& query, std::uint64_t from,
                                                  bool& failed);
    [[nodiscard]] std::optional<PartPlace> take_cursor(StreamIndex stream, Seq first,
                                                       std::uint64_t segment);
    void keep_cursor(const Cursor& cursor);
    void lose(const std::shared_ptr<Segment>& segment, const PartQuery& query, Run lost,
              std::uint64_t offset);
    void keep_copy(Segment& segment);

    // --- commit.cpp; append_mutex_ is held
    [[nodiscard]] PendingBatch make_pending(const Batch& batch, bool& reserve_use);
    [[nodiscard]] CommitResult place(PendingBatch&& pending, bool reserve_use);
    [[nodiscard]] bool fits(std::uint64_t bytes, bool reserve_use) const;
    [[nodiscard]] int append(PendingBatch&& pending);
    void note_appended(const PendingBatch& pending, const BatchHead& head);
    void note_changes(const PendingBatch& pending);
    void note_registered();
    [[nodiscard]] CommitResult rotate(bool reserve_use);
    [[nodiscard]] std::shared_ptr<Segment> take_prepared(bool reserve_use, int& error);
    [[nodiscard]] int create_prepared(std::uint64_t bytes);
    void add_prepared(std::shared_ptr<Segment> segment);
    [[nodiscard]] bool keep_reserve(std::uint64_t bytes);
    [[nodiscard]] bool has_prepared() const;
    [[nodiscard]] bool reserve_affordable();
    [[nodiscard]] int seal();
    void make_active(std::shared_ptr<Segment> next);
    [[nodiscard]] CommitResult activate(std::shared_ptr<Segment> next);
    [[nodiscard]] int write_checkpoint();
    [[nodiscard]] static ChainEntry chain_entry(const Segment& segment);
    [[nodiscard]] std::vector<ChainEntry> chain() const;

    // --- sync.cpp; append_mutex_ is held
    [[nodiscard]] bool cut_back();
    [[nodiscard]] CommitResult sync_active();
    void note_synced();
    [[nodiscard]] CommitResult relocate(const std::string& what, int error, PendingBatch* extra);
    void forget_unsynced(const std::deque<PendingBatch>& batches);
    [[nodiscard]] int write_again(std::deque<PendingBatch>& batches, PendingBatch* extra,
                                  std::uint64_t& count);
    [[nodiscard]] CommitResult fail(const std::string& text);

    // --- maintain.cpp
    [[nodiscard]] std::vector<std::uint64_t> finished_segments() const;
    [[nodiscard]] bool retire();
    [[nodiscard]] bool reuse(const std::shared_ptr<Segment>& retired);
    void give_back_spares();
    void keep_manifest_reserve();
    void free_reserve();
    [[nodiscard]] bool prepare();
    [[nodiscard]] std::shared_ptr<Segment> pick_victim() const;
    [[nodiscard]] bool carry_due() const;
    [[nodiscard]] bool carry();
    [[nodiscard]] bool finish_victim(const std::shared_ptr<Segment>& victim);
    [[nodiscard]] bool sync_record_due() const;
    void write_sync_record();

    base::Clock& clock_;
    base::Random& random_;
    const SpoolOptions options_;
    const std::uint64_t segment_bytes_;
    const Report report_;
    const std::unique_ptr<Files> files_;
    RecoveryReport recovery_;
    std::unique_ptr<Recovered> recovered_;  // until start()
    base::Epoch epoch_;
    std::mutex random_mutex_;
    std::mutex reports_mutex_;
    std::vector<Damage> reports_;  // not yet delivered

    // Guarded by append_mutex_.
    std::mutex append_mutex_;
    std::deque<PendingBatch> unsynced_;
    std::uint64_t unsynced_bytes_ = 0;
    std::uint64_t synced_batch_ = 0;  // of the active segment
    std::uint64_t synced_offset_ = kSegmentDataAt;
    std::uint64_t proven_batch_ = 0;  // the highest synced number written in a head
    std::uint64_t active_limit_ = 0;
    std::uint64_t content_at_ = kSegmentDataAt;  // where the checkpoint ends
    bool checkpoint_pending_ = false;
    std::shared_ptr<Segment> poisoned_;  // while its unsynced batches are written again
    bool closed_ = false;

    // Guarded by mutex_.
    mutable std::mutex mutex_;
    Manifest manifest_;
    std::vector<std::uint64_t> aside_;  // numbers of files to leave alone
    DeliveryState state_;
    Catalog catalog_;
    std::shared_ptr<Segment> active_;  // written under both locks
    std::vector<std::shared_ptr<Segment>> prepared_;
    /// No longer prepared, not yet active: each manifest must name it, or the next opening would
    /// take it for a reclaimed one, with all that was written to it in between.
    std::shared_ptr<Segment> taken_;
    std::vector<std::uint64_t> creating_;  // numbers given out, files not there yet
    std::uint64_t next_number_ = 1;
    std::vector<StreamIndex> unregistered_;
    std::uint64_t appends_ = 0;
    std::uint64_t synced_appends_ = 0;
    std::uint64_t checkpoint_append_ = 0;
    std::uint64_t reserved_ = 0;
    std::uint64_t reserved_dead_ = 0;
    bool manifest_dirty_ = false;
    bool record_due_ = false;  // synced further than any head says
    base::Time last_commit_{};
    base::Time prepare_after_{};
    base::Time manifest_after_{};  // not tried again before; 0 = the last one succeeded
    base::Time space_check_at_{};
    std::uint64_t free_bytes_ = ~std::uint64_t{0};  // when it was last checked
    std::uint64_t written_when_checked_ = 0;
    SpoolStats stats_;
    std::string failure_;
    std::vector<Cursor> cursors_;
    std::size_t cursor_next_ = 0;
    std::deque<std::pair<std::uint64_t, std::shared_ptr<SegmentIndex>>> indexes_;

    std::vector<std::uint64_t> unreadable_;  // segments that compaction could not read
    std::vector<std::uint64_t> rewrite_;     // segments that rewrite() named

    // Guarded by maintain_mutex_.
    std::mutex maintain_mutex_;
    std::uint64_t victim_ = 0;
    std::uint64_t victim_at_ = 0;
    std::mutex manifest_mutex_;
};

}  // namespace peermq::spool
