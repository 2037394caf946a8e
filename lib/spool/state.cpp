#include "spool/state.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "spool/byte_stream.hpp"

namespace peermq::spool {

namespace limits = base::limits;

namespace {

constexpr std::size_t kEntryHeadBytes = 16;
/// A checkpoint block is closed once it is this long; its batch stays well below a commit.
constexpr std::size_t kBlockBytes = 256 * limits::kKiB;
constexpr std::size_t kRunsPerEntry = 4096;

/// Writes an entry's head now and its length when it goes out of scope.
class EntryScope {
public:
    EntryScope(std::vector<std::byte>& out, StateKind kind, StreamIndex stream, GroupIndex group)
        : out_(out), at_(out.size()) {
        ByteWriter writer(out_);
        writer.number(static_cast<std::uint32_t>(kind));
        writer.number(std::uint32_t{0});
        writer.number(stream);
        writer.number(group);
    }
    EntryScope(const EntryScope&) = delete;
    EntryScope& operator=(const EntryScope&) = delete;
    ~EntryScope() {
        out_.resize(base::padded(out_.size()));
        base::store(out_.data() + at_ + 4, static_cast<std::uint32_t>(out_.size() - at_));
    }

private:
    std::vector<std::byte>& out_;
    std::size_t at_;
};

void append_settled(std::vector<std::byte>& out, StreamIndex stream, GroupIndex group, Run run) {
    EntryScope scope(out, StateKind::settled, stream, group);
    ByteWriter writer(out);
    writer.number(run.first);
    writer.number(run.last);
}

void append_mark(std::vector<std::byte>& out, StreamIndex stream, GroupIndex group, Seq mark) {
    EntryScope scope(out, StateKind::mark, stream, group);
    ByteWriter(out).number(mark);
}

void append_retry(std::vector<std::byte>& out, StreamIndex stream, GroupIndex group,
                  const RetryRecord& retry) {
    EntryScope scope(out, StateKind::retry, stream, group);
    const std::size_t length = std::min(retry.last_error.size(), limits::kReasonBytesMax);
    ByteWriter writer(out);
    writer.number(retry.seq);
    writer.number(retry.nacks);
    writer.number(retry.crashes);
    writer.number(retry.suspicions);
    writer.number(static_cast<std::uint32_t>(length));
    writer.number(retry.due.time_since_epoch().count());
    writer.bytes(base::as_bytes(retry.last_error).first(length));
}

bool decode_runs(ByteReader& in, std::size_t count, std::vector<Run>& runs) {
    if (count * 16 > in.left()) return false;
    runs.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Run run{in.number<Seq>(), in.number<Seq>()};
        if (run.first == 0 || run.empty() || run.last > base::kSeqMax) return false;
        runs.push_back(run);
    }
    return true;
}

bool decode_stream(ByteReader& in, StateEntry& entry) {
    entry.info.index = entry.stream;
    entry.info.id = in.id<base::StreamId>();
    entry.end = in.number<Seq>();
    const auto kind = in.number<std::uint32_t>();
    const auto length = in.number<std::uint32_t>();
    entry.info.kind = static_cast<StreamKind>(kind);
    if (kind < 1 || kind > 5 || length > limits::kStreamNameBytesMax) return false;
    if (entry.end > base::kSeqMax) return false;
    entry.info.name = base::as_text(in.bytes(length));
    return entry.stream <= limits::kStreamsPerSpoolMax;
}

bool decode_retry(ByteReader& in, StateEntry& entry) {
    entry.retry.seq = in.number<Seq>();
    entry.retry.nacks = in.number<std::uint32_t>();
    entry.retry.crashes = in.number<std::uint32_t>();
    entry.retry.suspicions = in.number<std::uint32_t>();
    const auto length = in.number<std::uint32_t>();
    entry.retry.due = base::WallTime(base::Duration(in.number<base::Duration::rep>()));
    if (length > limits::kReasonBytesMax) return false;
    if (entry.retry.seq == 0 || entry.retry.seq > base::kSeqMax) return false;
    entry.retry.last_error = base::as_text(in.bytes(length));
    return true;
}

void append_group(std::vector<std::byte>& out, StreamIndex stream, GroupIndex group,
                  std::string_view info) {
    EntryScope scope(out, StateKind::group, stream, group);
    PEERMQ_ASSERT(info.size() <= limits::kGroupInfoBytesMax);
    ByteWriter writer(out);
    writer.number(static_cast<std::uint32_t>(info.size()));
    writer.number(std::uint32_t{0});
    writer.bytes(base::as_bytes(info));
}

bool decode_group(ByteReader& in, StateEntry& entry) {
    const auto length = in.number<std::uint32_t>();
    (void)in.number<std::uint32_t>();
    if (length > limits::kGroupInfoBytesMax || entry.group == 0) return false;
    entry.group_info = base::as_text(in.bytes(length));
    return true;
}

bool decode_chain(ByteReader& in, StateEntry& entry) {
    entry.chain.sealed = entry.group == 1;
    entry.chain.number = in.number<std::uint64_t>();
    entry.chain.random_id = in.number<std::uint64_t>();
    entry.chain.valid_end = in.number<std::uint64_t>();
    const auto count = in.number<std::uint64_t>();
    if (count > in.left() / 16) return false;
    for (std::uint64_t i = 0; i < count; ++i) {
        const ChainEntry::Range range{in.number<std::uint64_t>(), in.number<std::uint64_t>()};
        entry.chain.excluded.push_back(range);
    }
    return true;
}

}  // namespace

void append_stream(std::vector<std::byte>& out, const StreamInfo& info, Seq end) {
    EntryScope scope(out, StateKind::stream, info.index, 0);
    ByteWriter writer(out);
    writer.bytes(info.id.bytes);
    writer.number(end);
    writer.number(static_cast<std::uint32_t>(info.kind));
    writer.number(static_cast<std::uint32_t>(info.name.size()));
    writer.bytes(base::as_bytes(info.name));
}

void append_change(std::vector<std::byte>& out, const StateChange& change) {
    switch (change.kind) {
        case StateChange::Kind::settled:
            return append_settled(out, change.stream, change.group, change.run);
        case StateChange::Kind::mark:
            return append_mark(out, change.stream, change.group, change.mark);
        case StateChange::Kind::retry:
            return append_retry(out, change.stream, change.group, change.retry);
        case StateChange::Kind::group:
            return append_group(out, change.stream, change.group, change.info);
    }
}

void append_chain(std::vector<std::byte>& out, const ChainEntry& chain) {
    EntryScope scope(out, StateKind::chain, 0, chain.sealed ? 1 : 0);
    ByteWriter writer(out);
    writer.number(chain.number);
    writer.number(chain.random_id);
    writer.number(chain.valid_end);
    writer.number(static_cast<std::uint64_t>(chain.excluded.size()));
    for (const ChainEntry::Range& range : chain.excluded) {
        writer.number(range.offset);
        writer.number(range.bytes);
    }
}

std::optional<StateEntry> next_state_entry(base::ByteSpan& bytes) {
    ByteReader head(bytes);
    StateEntry entry;
    const auto kind = head.number<std::uint32_t>();
    const auto length = head.number<std::uint32_t>();
    entry.stream = head.number<StreamIndex>();
    entry.group = head.number<GroupIndex>();
    if (head.failed() || length < kEntryHeadBytes || length > bytes.size() || length % 8 != 0 ||
        kind > 0xff) {
        return std::nullopt;
    }
    entry.kind = static_cast<StateKind>(kind);
    ByteReader in(bytes.subspan(kEntryHeadBytes, length - kEntryHeadBytes));
    bool good = false;
    switch (entry.kind) {
        case StateKind::stream: good = decode_stream(in, entry); break;
        case StateKind::settled: good = decode_runs(in, 1, entry.runs); break;
        case StateKind::mark:
            entry.mark = in.number<Seq>();
            good = entry.mark <= base::kSeqMax;
            break;
        case StateKind::retry: good = decode_retry(in, entry); break;
        case StateKind::runs: good = decode_runs(in, in.left() / 16, entry.runs); break;
        case StateKind::chain: good = decode_chain(in, entry); break;
        case StateKind::group: good = decode_group(in, entry); break;
        default: good = (kind & kSkippableKind) != 0; break;
    }
    if (!good || in.failed()) return std::nullopt;
    bytes = bytes.subspan(length);
    return entry;
}

void GroupData::settle(Run run) {
    settled.add(run);
    if (retries.empty()) return;
    retries.erase(retries.lower_bound(run.first), retries.upper_bound(run.last));
}

// --- DeliveryState

StreamData& DeliveryState::place(const StreamInfo& info) {
    if (streams_.size() <= info.index) streams_.resize(info.index + std::size_t{1});
    auto& slot = streams_[info.index];
    if (!slot) {
        slot = std::make_unique<StreamData>();
        slot->info = info;
        by_name_.emplace(std::pair(info.kind, info.name), info.index);
    }
    return *slot;
}

StreamData* DeliveryState::add(StreamKind kind, std::string_view name, const base::StreamId& id) {
    // Index 0 stays unused, so that a forgotten one is noticed.
    const std::size_t index = std::max<std::size_t>(streams_.size(), 1);
    if (index > limits::kStreamsPerSpoolMax) return nullptr;
    StreamData& stream = place({static_cast<StreamIndex>(index), id, kind, std::string(name)});
    stream.registrations_due = 2;
    return &stream;
}

StreamData* DeliveryState::find(StreamIndex index) {
    return index < streams_.size() ? streams_[index].get() : nullptr;
}

const StreamData* DeliveryState::find(StreamIndex index) const {
    return index < streams_.size() ? streams_[index].get() : nullptr;
}

StreamData* DeliveryState::find(StreamKind kind, std::string_view name) {
    const auto it = by_name_.find(std::pair(kind, std::string(name)));
    return it == by_name_.end() ? nullptr : find(it->second);
}

bool DeliveryState::apply(const StateEntry& entry) {
    const bool skippable = (static_cast<unsigned>(entry.kind) & kSkippableKind) != 0;
    if (entry.kind == StateKind::chain || skippable) return true;
    if (entry.kind == StateKind::stream) {
        StreamData& stream = place(entry.info);
        stream.end = std::max(stream.end, entry.end);
        return true;
    }
    StreamData* stream = find(entry.stream);
    if (stream == nullptr) return false;
    if (entry.kind == StateKind::group && entry.group_info.empty()) {
        stream->groups.erase(entry.group);
        return true;
    }
    GroupData& group = stream->groups[entry.group];
    switch (entry.kind) {
        case StateKind::settled:
        case StateKind::runs:
            for (const Run run : entry.runs) {
                group.settle(run);
                // Used, even if damage has taken the records and all else that says so: a new
                // message under this seq would count as settled.
                stream->end = std::max(stream->end, run.last);
            }
            break;
        case StateKind::mark: group.mark = std::max(group.mark, entry.mark); break;
        case StateKind::retry:
            if (!group.settled.contains(entry.retry.seq)) {
                group.retries[entry.retry.seq] = entry.retry;
            }
            break;
        case StateKind::group: group.info = entry.group_info; break;
        case StateKind::stream:
        case StateKind::chain: break;
    }
    return true;
}

void DeliveryState::apply(const StateChange& change) {
    StreamData* stream = find(change.stream);
    PEERMQ_ASSERT(stream != nullptr);
    if (change.kind == StateChange::Kind::group && change.info.empty()) {
        stream->groups.erase(change.group);
        return;
    }
    GroupData& group = stream->groups[change.group];
    switch (change.kind) {
        case StateChange::Kind::settled: group.settle(change.run); break;
        case StateChange::Kind::mark: group.mark = std::max(group.mark, change.mark); break;
        case StateChange::Kind::retry:
            if (!group.settled.contains(change.retry.seq)) {
                group.retries[change.retry.seq] = change.retry;
            }
            break;
        case StateChange::Kind::group: group.info = change.info; break;
    }
}

void DeliveryState::join_ends_and_marks(bool whole) {
    for_each([whole](StreamData& stream) {
        Seq last = stream.end;
        if (whole) {
            for (auto& [index, group] : stream.groups) group.mark = std::min(group.mark, last);
        }
        for (const auto& [index, group] : stream.groups) last = std::max(last, group.mark);
        if (last == stream.end) return;
        for (auto& [index, group] : stream.groups) group.settle({stream.end + 1, last});
        stream.end = last;
    });
}

std::vector<std::vector<std::byte>> DeliveryState::checkpoint(
    const std::vector<ChainEntry>& chain) const {
    std::vector<std::vector<std::byte>> blocks(1);
    const auto block = [&]() -> std::vector<std::byte>& {
        if (blocks.back().size() >= kBlockBytes) blocks.emplace_back();
        return blocks.back();
    };
    for (const ChainEntry& entry : chain) append_chain(block(), entry);
    for (const auto& stream : streams_) {
        if (!stream) continue;
        append_stream(block(), stream->info, stream->end);
        for (const auto& [index, group] : stream->groups) {
            if (!group.info.empty()) append_group(block(), stream->info.index, index, group.info);
            if (group.mark > 0 || index > 0) {
                append_mark(block(), stream->info.index, index, group.mark);
            }
            const std::vector<Run> runs = group.settled.runs();
            for (std::size_t i = 0; i < runs.size(); i += kRunsPerEntry) {
                std::vector<std::byte>& out = block();
                EntryScope scope(out, StateKind::runs, stream->info.index, index);
                ByteWriter writer(out);
                for (std::size_t k = i; k < std::min(runs.size(), i + kRunsPerEntry); ++k) {
                    writer.number(runs[k].first);
                    writer.number(runs[k].last);
                }
            }
            for (const auto& [seq, retry] : group.retries) {
                append_retry(block(), stream->info.index, index, retry);
            }
        }
    }
    return blocks;
}

std::vector<RecoveredStream> DeliveryState::recovered() const {
    std::vector<RecoveredStream> list;
    for (const auto& stream : streams_) {
        if (!stream) continue;
        RecoveredStream out{stream->info, stream->end, {}};
        for (const auto& [index, group] : stream->groups) {
            GroupState state{index, group.settled, group.mark, {}, group.info};
            for (const auto& [seq, retry] : group.retries) state.retries.push_back(retry);
            out.groups.push_back(std::move(state));
        }
        list.push_back(std::move(out));
    }
    return list;
}

}  // namespace peermq::spool
