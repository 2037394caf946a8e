#include "spool/scan.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "spool/records.hpp"

namespace peermq::spool {

bool read_exactly(base::File& file, std::span<std::byte> out, std::uint64_t offset) {
    while (!out.empty()) {
        const base::IoResult got = file.read_at(out, offset);
        if (!got.ok() || got.bytes == 0) return false;
        out = out.subspan(got.bytes);
        offset += got.bytes;
    }
    return true;
}

namespace {

constexpr std::size_t kWindowBytes = 256 * base::limits::kKiB;

/// A moving view of the file; bytes past the end or an error are simply not there.
class Window {
public:
    Window(base::File& file, std::uint64_t to) : file_(file), to_(to) {}

    [[nodiscard]] base::ByteSpan get(std::uint64_t offset, std::uint64_t bytes) {
        bytes = offset < to_ ? std::min(bytes, to_ - offset) : 0;
        if (offset < start_ || offset + bytes > start_ + filled_) load(offset, bytes);
        const std::uint64_t skip = offset - start_;
        if (skip >= filled_) return {};
        return base::ByteSpan(buffer_).subspan(skip,
                                               std::min<std::uint64_t>(bytes, filled_ - skip));
    }
    [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    void load(std::uint64_t offset, std::uint64_t bytes) {
        start_ = offset;
        filled_ = 0;
        const std::uint64_t want = std::min(std::max<std::uint64_t>(bytes, kWindowBytes),
                                            to_ > offset ? to_ - offset : 0);
        // Grows as bytes arrive, so a length that lies about the file costs no memory.
        while (filled_ < want) {
            const std::uint64_t step = std::min<std::uint64_t>(
                want - filled_, std::max<std::uint64_t>(filled_, kWindowBytes));
            if (buffer_.size() < filled_ + step) buffer_.resize(filled_ + step);
            const base::IoResult got = file_.read_at(std::span(buffer_).subspan(filled_, step),
                                                     offset + filled_);
            if (!got.ok()) failed_ = true;
            if (!got.ok() || got.bytes == 0) break;
            filled_ += got.bytes;
            bytes_read_ += got.bytes;
        }
        if (buffer_.size() > 8 * kWindowBytes && filled_ <= kWindowBytes) {
            buffer_.resize(kWindowBytes);
            buffer_.shrink_to_fit();
        }
    }

    base::File& file_;
    std::uint64_t to_;
    std::vector<std::byte> buffer_;
    std::uint64_t start_ = 0;
    std::uint64_t filled_ = 0;
    std::uint64_t bytes_read_ = 0;
    bool failed_ = false;
};

class Scanner {
public:
    Scanner(base::File& file, std::uint64_t seed, const ScanOptions& options)
        : seed_(seed), options_(options), window_(file, options.to) {}

    Scan go() {
        std::uint64_t at = options_.from;
        scan_.end = at;
        while (at + kBatchHeadBytes <= options_.to) {
            if (auto head = head_at(at)) {
                at = take(*head);
                const bool enough = at - options_.from >= options_.budget;
                if ((enough || (options_.stop && options_.stop())) && at < options_.to) {
                    scan_.stopped = true;
                    return finish();
                }
                continue;
            }
            const auto anchor = search(at);
            if (!anchor) break;
            if (anchor->offset > at) scan_.gaps.push_back({at, anchor->offset - at});
            at = take(*anchor);
        }
        if (at + kBatchHeadBytes > options_.to) find_tail(scan_.end);
        return finish();
    }

private:
    Scan finish() {
        scan_.bytes_read = window_.bytes_read();
        scan_.failed = window_.failed();
        return std::move(scan_);
    }

    std::optional<BatchHead> head_at(std::uint64_t at) {
        const auto head = decode_batch_head(window_.get(at, kBatchHeadBytes), kBatchMagic, seed_);
        return head && head->offset == at && head->number > last_number_ ? head : std::nullopt;
    }

    /// The next batch that has a head or a trailer from `at` on; notes the tail when there is none.
    std::optional<BatchHead> search(std::uint64_t at) {
        const std::uint64_t start = at;
        std::uint64_t last_used = at;
        for (; at < options_.to;) {
            const base::ByteSpan bytes = window_.get(at, kWindowBytes);
            if (bytes.empty()) break;
            const bool at_end = at + bytes.size() >= options_.to || bytes.size() < kWindowBytes;
            const std::size_t stop = at_end ? bytes.size() : bytes.size() - (kBatchHeadBytes - 8);
            for (std::size_t i = 0; i < stop; i += 8) {
                const std::size_t word = std::min<std::size_t>(8, bytes.size() - i);
                std::uint64_t value = 0;
                std::memcpy(&value, bytes.data() + i, word);
                if (value != 0) last_used = at + i + word;
                if (bytes.size() - i < kBatchHeadBytes) continue;
                const auto magic = base::load<std::uint32_t>(bytes.data() + i + 8);
                if (magic != kBatchMagic && magic != kTrailerMagic) continue;
                const auto head = decode_batch_head(bytes.subspan(i), magic, seed_);
                if (head && head->number > last_number_ && head->offset >= start &&
                    at + i ==
                        (magic == kBatchMagic ? head->offset : head->end() - kBatchHeadBytes)) {
                    return head;
                }
            }
            at += at_end ? bytes.size() : stop;
            if (at_end) break;
        }
        scan_.tail_bytes = last_used - start;
        return std::nullopt;
    }

    void find_tail(std::uint64_t at) {
        const base::ByteSpan rest = window_.get(at, options_.to > at ? options_.to - at : 0);
        for (std::size_t i = 0; i < rest.size(); ++i) {
            if (rest[i] != std::byte{0}) scan_.tail_bytes = i + 1;
        }
    }

    /// Takes in the batch with this head or trailer; returns where the next one starts.
    std::uint64_t take(const BatchHead& head) {
        ScannedBatch batch;
        batch.head = head;
        // One read for all of it; what follows looks into the window.
        if (options_.records) (void)window_.get(head.offset, head.bytes);
        const std::uint64_t back_at = head.end() - kBatchHeadBytes - head.table_bytes();
        batch.complete = head.end() <= options_.to && both_ends(head);
        read_table(batch, head.offset + kBatchHeadBytes);
        if (!batch.table_ok) {
            batch.complete = false;
            read_table(batch, back_at);
        } else if (options_.records && batch.complete) {
            const base::ByteSpan copy = window_.get(back_at, head.table_bytes());
            batch.complete = decode_parts(head, copy, seed_).has_value();
        }
        read_state(batch);
        if (batch.table_ok && options_.records) check_records(batch);
        batch.complete = batch.complete && batch.state_ok && batch.bad_records() == 0;
        last_number_ = head.number;
        scan_.proven = std::max(scan_.proven, head.synced);
        scan_.end = std::min(head.end(), options_.to);
        if (options_.each) {
            options_.each(batch);
        } else {
            scan_.batches.push_back(std::move(batch));
        }
        return scan_.end;
    }

    bool both_ends(const BatchHead& head) {
        const auto same = [&](std::uint64_t at, std::uint32_t magic) {
            const auto found = decode_batch_head(window_.get(at, kBatchHeadBytes), magic, seed_);
            return found && found->number == head.number && found->offset == head.offset;
        };
        if (!same(head.offset, kBatchMagic)) return false;
        // Without records the point is to skip them: the trailer would cost a read of its own.
        return !options_.records || same(head.end() - kBatchHeadBytes, kTrailerMagic);
    }

    void read_table(ScannedBatch& batch, std::uint64_t at) {
        const base::ByteSpan table = window_.get(at, batch.head.table_bytes());
        auto parts = decode_parts(batch.head, table, seed_);
        if (!parts) return;
        batch.table_ok = true;
        std::uint64_t offset = batch.head.records_at();
        for (const PartEntry& entry : *parts) {
            batch.parts.push_back({entry, offset, {}});
            offset += entry.bytes;
        }
    }

    void read_state(ScannedBatch& batch) {
        const std::uint64_t at = batch.head.offset + kBatchHeadBytes + batch.head.table_bytes();
        const base::ByteSpan state = window_.get(at, batch.head.state_bytes);
        batch.state_ok = state.size() == batch.head.state_bytes &&
                         checksum(state, seed_ + batch.head.number) == batch.head.state_checksum;
        if (batch.state_ok && options_.keep_state) batch.state.assign(state.begin(), state.end());
    }

    void check_records(ScannedBatch& batch) {
        for (ScannedPart& part : batch.parts) {
            const record::Seed seed = record::Seed::of(part.entry.id, part.entry.epoch);
            const base::ByteSpan bytes = window_.get(part.offset, part.entry.bytes);
            part.bad = walk_records(
                bytes, part.entry.run(), seed,
                [&](std::size_t offset, std::size_t length, const record::Record& record) {
                    if (options_.visit) {
                        options_.visit({part.entry, part.offset + offset,
                                        bytes.subspan(offset, length), record});
                    }
                    return true;
                });
        }
    }

    std::uint64_t seed_;
    const ScanOptions& options_;
    Window window_;
    Scan scan_;
    std::uint64_t last_number_ = 0;
};

}  // namespace

std::uint64_t ScannedBatch::bad_records() const noexcept {
    std::uint64_t sum = 0;
    for (const ScannedPart& part : parts) {
        for (const Run run : part.bad) sum += run.count();
    }
    return sum;
}

Scan scan_segment(base::File& file, std::uint64_t seed, const ScanOptions& options) {
    return Scanner(file, seed, options).go();
}

}  // namespace peermq::spool
