#pragma once

/// The real spool, seen from outside: tells the recorder what has become durable, and can break the
/// promises on purpose for a canary.
///
/// Threads: none. Callers: Process.

#include <map>
#include <memory>
#include <vector>

#include "sim/recorder.hpp"
#include "sim/transport.hpp"
#include "spool/spool.hpp"

namespace peermq::sim {

class SpoolTap final : public spool::Spool {
public:
    /// `letters`: dead letters on their way to the disk, kept beyond the end of the process:
    /// whether they got there shows when the spool is opened again.
    SpoolTap(std::unique_ptr<spool::Spool> inner, Recorder& recorder, std::vector<Event>& letters,
             Canary canary);

    /// Up to where records of this stream are synced, as far as was seen in this process.
    [[nodiscard]] base::Seq synced_end(spool::StreamIndex stream) const;
    /// True when anything was written since it was opened.
    [[nodiscard]] bool has_written() const noexcept { return has_written_; }
    /// A hash of the state that recovery found.
    [[nodiscard]] std::uint64_t recovered_hash() const noexcept { return recovered_hash_; }

    [[nodiscard]] base::SpoolId id() const override { return inner_->id(); }
    [[nodiscard]] base::PeerId peer() const override { return inner_->peer(); }
    [[nodiscard]] base::Epoch epoch() const override { return inner_->epoch(); }
    [[nodiscard]] const spool::RecoveryReport& recovery() const override {
        return inner_->recovery();
    }
    /// Tells the recorder what recovery has found to be settled.
    [[nodiscard]] std::vector<spool::RecoveredStream> take_recovered() override;
    spool::StreamInfo stream(spool::StreamKind kind, std::string_view name) override;
    [[nodiscard]] bool reserve(spool::StreamIndex stream, std::uint64_t bytes) override {
        return inner_->reserve(stream, bytes);
    }
    void unreserve(spool::StreamIndex stream, std::uint64_t bytes) override {
        inner_->unreserve(stream, bytes);
    }
    [[nodiscard]] spool::CommitResult write(const spool::Batch& batch) override;
    [[nodiscard]] spool::CommitResult sync() override;
    [[nodiscard]] std::string failure() const override { return inner_->failure(); }
    [[nodiscard]] spool::ReadResult read(spool::StreamIndex stream, base::Seq first,
                                         std::size_t bytes_max) override {
        return inner_->read(stream, first, bytes_max);
    }
    [[nodiscard]] std::optional<StoredRun> stored_from(spool::StreamIndex stream,
                                                       base::Seq seq) const override {
        return inner_->stored_from(stream, seq);
    }
    bool maintain() override { return inner_->maintain(); }
    [[nodiscard]] bool maintenance_due() override { return inner_->maintenance_due(); }
    std::uint64_t rewrite(const std::vector<std::uint64_t>& segments) override {
        return inner_->rewrite(segments);
    }
    [[nodiscard]] spool::SpoolStats stats() const override { return inner_->stats(); }
    [[nodiscard]] std::uint64_t stream_bytes(spool::StreamIndex stream) const override {
        return inner_->stream_bytes(stream);
    }
    void close() override { inner_->close(); }

private:
    void note_letter(base::ByteSpan bytes, StreamNumber stream);
    void note_batch(const spool::Batch& batch);
    void tell_recovered(const std::vector<spool::RecoveredStream>& streams);
    void forget_one(const spool::RecoveredStream& stream, base::RunSet& settled) const;
    void plant(std::vector<spool::RecoveredStream>& streams) const;

    std::unique_ptr<spool::Spool> inner_;
    Recorder& recorder_;
    std::vector<Event>& letters_;
    Canary canary_;
    std::map<spool::StreamIndex, spool::StreamInfo> streams_;
    std::map<std::string, StreamNumber, std::less<>> queues_;
    std::vector<Event> settled_;  ///< not synced yet
    std::map<spool::StreamIndex, base::Seq> written_;
    std::map<spool::StreamIndex, base::Seq> synced_;
    std::uint64_t recovered_hash_ = 1;
    bool has_written_ = false;
};

}  // namespace peermq::sim
