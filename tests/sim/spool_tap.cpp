#include "sim/spool_tap.hpp"

#include <charconv>

#include "record/headers.hpp"
#include "record/record.hpp"

namespace peermq::sim {
namespace {

class StateHash {
public:
    void mix(std::uint64_t word) {
        value_ = (value_ ^ word) * 0x9E3779B97F4A7C15;
        value_ ^= value_ >> 29;
    }
    [[nodiscard]] std::uint64_t value() const { return value_ | 1; }

private:
    std::uint64_t value_ = 0;
};

std::uint64_t hash_of(const std::vector<spool::RecoveredStream>& streams) {
    StateHash hash;
    for (const spool::RecoveredStream& stream : streams) {
        hash.mix(stream.info.index);
        hash.mix(std::hash<base::StreamId>{}(stream.info.id));
        hash.mix(stream.end);
        for (const spool::GroupState& group : stream.groups) {
            hash.mix(group.group);
            hash.mix(group.mark);
            group.settled.for_each([&](base::Run run) {
                hash.mix(run.first);
                hash.mix(run.last);
            });
            for (const spool::RetryRecord& retry : group.retries) {
                hash.mix(retry.seq);
                hash.mix(retry.nacks + (std::uint64_t{retry.crashes} << 20) +
                         (std::uint64_t{retry.suspicions} << 40));
            }
        }
    }
    return hash.value();
}

template <typename Visit>
void for_each_record(const spool::StreamPart& part, Visit&& visit) {
    for (const base::ByteSpan span : part.bytes) {
        for (std::size_t at = 0; at < span.size();) {
            const std::size_t length = record::peek_length(span.data() + at);
            visit(span.subspan(at, length));
            at += length;
        }
    }
}

}  // namespace

SpoolTap::SpoolTap(std::unique_ptr<spool::Spool> inner, Recorder& recorder,
                   std::vector<Event>& letters, Canary canary)
    : inner_(std::move(inner)), recorder_(recorder), letters_(letters), canary_(canary) {}

base::Seq SpoolTap::synced_end(spool::StreamIndex stream) const {
    const auto at = synced_.find(stream);
    return at == synced_.end() ? 0 : at->second;
}

std::vector<spool::RecoveredStream> SpoolTap::take_recovered() {
    std::vector<spool::RecoveredStream> streams = inner_->take_recovered();
    recovered_hash_ = hash_of(streams);
    for (const spool::RecoveredStream& stream : streams) {
        streams_[stream.info.index] = stream.info;
        queues_[stream.info.name] = recorder_.history().number_of(stream.info.id);
        synced_[stream.info.index] = stream.end;
    }
    tell_recovered(streams);
    plant(streams);
    return streams;
}

void SpoolTap::tell_recovered(const std::vector<spool::RecoveredStream>& streams) {
    // Nobody can have settled them yet; what a stream skips because of its mark counts as settled.
    std::map<StreamNumber, base::RunSet> there;
    for (const spool::RecoveredStream& stream : streams) {
        base::RunSet& open = there[recorder_.history().number_of(stream.info.id)];
        for (const base::Run run : stream.groups.at(0).settled.gaps({1, stream.end})) open.add(run);
    }
    // A batch is there whole or not at all: the letter, its durability and the end of the original.
    for (std::size_t i = 0; i + 1 < letters_.size(); i += 2) {
        if (!there[letters_[i + 1].stream].contains(letters_[i + 1].seq)) continue;
        recorder_.add(letters_[i]);
        recorder_.add(letters_[i + 1]);
    }
    letters_.clear();
    for (const spool::RecoveredStream& stream : streams) {
        for (const spool::GroupState& group : stream.groups) {
            group.settled.for_each([&](base::Run run) {
                Event settled;
                settled.kind = EventKind::settled;
                settled.stream = recorder_.history().number_of(stream.info.id);
                settled.epoch = 0;
                settled.seq = run.first;
                settled.last = run.last;
                recorder_.add(settled);
            });
        }
    }
}

/// The last one that names a message: what a stream skips because of its mark does not.
void SpoolTap::forget_one(const spool::RecoveredStream& stream, base::RunSet& settled) const {
    const StreamNumber number = recorder_.history().number_of(stream.info.id);
    const std::vector<Event>& events = recorder_.history().events();
    for (auto event = events.rbegin(); event != events.rend(); ++event) {
        if (event->kind != EventKind::durable || event->stream != number) continue;
        if (settled.remove(event->seq) > 0) return;
    }
}

void SpoolTap::plant(std::vector<spool::RecoveredStream>& streams) const {
    for (spool::RecoveredStream& stream : streams) {
        if (stream.info.kind != spool::StreamKind::queue || stream.end == 0) continue;
        for (spool::GroupState& group : stream.groups) {
            const std::vector<base::Run> open = group.settled.gaps({1, stream.end});
            switch (canary_) {
                case Canary::lose_record:
                    if (!open.empty()) group.settled.add(open.front().first);
                    break;
                case Canary::forget_settled: forget_one(stream, group.settled); break;
                case Canary::forget_mark: group.mark = 0; break;
                default: break;
            }
        }
    }
}

spool::StreamInfo SpoolTap::stream(spool::StreamKind kind, std::string_view name) {
    const spool::StreamInfo info = inner_->stream(kind, name);
    streams_[info.index] = info;
    queues_[info.name] = recorder_.history().number_of(info.id);
    return info;
}

void SpoolTap::note_letter(base::ByteSpan bytes, StreamNumber stream) {
    const record::Record letter = record::parts(bytes);
    const auto queue = record::find_header(letter.headers, "peermq-dead-queue");
    const auto sequence = record::find_header(letter.headers, "peermq-dead-sequence");
    if (!queue || !sequence) return;
    Event dead;
    dead.kind = EventKind::dead;
    dead.stream = queues_.at(std::string(*queue));
    dead.other = stream;
    std::from_chars(sequence->data(), sequence->data() + sequence->size(), dead.seq);
    dead.hash = number_of_body(letter.body);
    dead.key = number_of_key(letter.key);
    dead.epoch = recorder_.epoch_of(dead.hash);
    letters_.push_back(dead);
    Event durable;
    durable.kind = EventKind::durable;
    durable.stream = stream;
    durable.epoch = recorder_.history().number_of(inner_->epoch());
    durable.seq = letter.seq;
    durable.hash = dead.hash;
    durable.key = dead.key;
    letters_.push_back(durable);
}

void SpoolTap::note_batch(const spool::Batch& batch) {
    for (const spool::StreamPart& part : batch.parts) {
        written_[part.stream] = part.run.last;
    }
    for (const spool::StateChange& change : batch.changes) {
        if (change.kind != spool::StateChange::Kind::settled) continue;
        Event settled;
        settled.kind = EventKind::settled;
        settled.stream = recorder_.history().number_of(streams_.at(change.stream).id);
        settled.epoch = 0;
        settled.seq = change.run.first;
        settled.last = change.run.last;
        settled_.push_back(settled);
    }
}

spool::CommitResult SpoolTap::write(const spool::Batch& batch) {
    has_written_ = true;
    const std::size_t letters = letters_.size();
    for (const spool::StreamPart& part : batch.parts) {
        const spool::StreamInfo& info = streams_.at(part.stream);
        if (info.kind != spool::StreamKind::dead) continue;
        for_each_record(part, [&](base::ByteSpan bytes) {
            note_letter(bytes, recorder_.history().number_of(info.id));
        });
    }
    const spool::CommitResult result = inner_->write(batch);
    if (result == spool::CommitResult::ok) {
        note_batch(batch);
    } else if (result == spool::CommitResult::no_space) {
        letters_.resize(letters);
    }
    return result;
}

spool::CommitResult SpoolTap::sync() {
    const spool::CommitResult result = inner_->sync();
    if (result != spool::CommitResult::ok) return result;
    for (const auto& [stream, end] : written_) synced_[stream] = std::max(synced_[stream], end);
    written_.clear();
    for (const Event& event : letters_) {
        if (event.kind == EventKind::dead) recorder_.count(FaultKind::dead_letter);
        recorder_.add(event);
    }
    letters_.clear();
    for (const Event& event : settled_) recorder_.add(event);
    settled_.clear();
    return result;
}

}  // namespace peermq::sim
