#pragma once

/// The delivery state of a spool: its streams, how far each was used, what is settled, handed out
/// and retried, kept in memory as it stands in the log, and its bytes in state blocks.
///
/// Applying an entry twice, or an older one again, changes nothing: settled only grows, marks and
/// ends only rise; an erased group's index is not used again. So replay may start at any complete
/// checkpoint. Not thread-safe: the spool's
/// mutex.

#include <map>
#include <memory>
#include <vector>

#include "spool/format.hpp"

namespace peermq::spool {

/// What the checkpoint of a later file says about a segment.
struct ChainEntry {
    struct Range {
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;
    };
    std::uint64_t number = 0;
    std::uint64_t random_id = 0;
    std::uint64_t valid_end = 0;  ///< nothing from here on counts, apart from the footer
    bool sealed = false;          ///< had a footer
    std::vector<Range> excluded;  ///< stretches below valid_end that were cut at recovery
};

/// Kinds of state entries in the log: numbered by hand, never reused.
enum class StateKind : std::uint8_t {
    stream = 1,
    settled = 2,
    mark = 3,
    retry = 4,
    runs = 5,  ///< many settled runs, in checkpoints
    chain = 6,
    group = 7,  ///< what the owner of a group keeps of it
};
/// Set in the kind of an entry that a reader which does not know it may pass over.
inline constexpr unsigned kSkippableKind = 0x80;

struct StateEntry {
    StateKind kind{};
    StreamIndex stream = 0;
    GroupIndex group = 0;
    StreamInfo info;         ///< stream
    Seq end = 0;             ///< stream
    Seq mark = 0;            ///< mark
    std::vector<Run> runs;   ///< settled, runs
    RetryRecord retry;       ///< retry
    ChainEntry chain;        ///< chain
    std::string group_info;  ///< group
};

void append_stream(std::vector<std::byte>& out, const StreamInfo& info, Seq end);
void append_change(std::vector<std::byte>& out, const StateChange& change);
void append_chain(std::vector<std::byte>& out, const ChainEntry& chain);

/// Decodes a state block; false when an entry is malformed (those before it were visited).
template <typename Visit>
bool visit_state(base::ByteSpan bytes, Visit&& visit);
/// The entry at the start of `bytes`, which then begin behind it; nullopt when malformed.
[[nodiscard]] std::optional<StateEntry> next_state_entry(base::ByteSpan& bytes);

template <typename Visit>
bool visit_state(base::ByteSpan bytes, Visit&& visit) {
    while (!bytes.empty()) {
        const auto entry = next_state_entry(bytes);
        if (!entry) return false;
        visit(*entry);
    }
    return true;
}

struct GroupData {
    base::RunSet settled;
    Seq mark = 0;
    std::map<Seq, RetryRecord> retries;  ///< of unsettled messages
    std::string info;

    void settle(Run run);
};

struct StreamData {
    StreamInfo info;
    Seq end = 0;
    std::map<GroupIndex, GroupData> groups{{0, {}}};
    /// How many more batches shall repeat the registration, so that damage to one loses no name.
    int registrations_due = 0;
    bool unregistered = false;  ///< not in the log at all yet

    [[nodiscard]] base::RunSet& finished() { return groups[0].settled; }
    [[nodiscard]] const base::RunSet& finished() const { return groups.at(0).settled; }
};

class DeliveryState {
public:
    /// Registers a new stream under the next index; nullptr when there are too many.
    StreamData* add(StreamKind kind, std::string_view name, const base::StreamId& id);
    [[nodiscard]] StreamData* find(StreamIndex index);
    [[nodiscard]] const StreamData* find(StreamIndex index) const;
    [[nodiscard]] StreamData* find(StreamKind kind, std::string_view name);

    /// Merges an entry of a stored state block; false when it names a stream that is not known.
    bool apply(const StateEntry& entry);
    void apply(const StateChange& change);

    /// Messages up to a mark may be in somebody's hands although a power cut took them from the
    /// log, so their seqs must not name others: every stream ends no earlier than its marks, and
    /// what is stored nowhere counts as settled. In a `whole` log there are none: there the marks
    /// end with the stream.
    void join_ends_and_marks(bool whole);

    /// The whole state as blocks for checkpoint batches, at least one.
    [[nodiscard]] std::vector<std::vector<std::byte>> checkpoint(
        const std::vector<ChainEntry>& chain) const;

    [[nodiscard]] std::vector<RecoveredStream> recovered() const;

    template <typename Visit>
    void for_each(Visit&& visit) {
        for (auto& stream : streams_) {
            if (stream) visit(*stream);
        }
    }

private:
    StreamData& place(const StreamInfo& info);

    std::vector<std::unique_ptr<StreamData>> streams_;  // by index
    std::map<std::pair<StreamKind, std::string>, StreamIndex, std::less<>> by_name_;
};

}  // namespace peermq::spool
