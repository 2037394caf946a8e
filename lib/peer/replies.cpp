#include "peer/replies.hpp"

#include <algorithm>
#include <utility>

#include "base/limits.hpp"
#include "peermq/error.hpp"
#include "wire/frames.hpp"

namespace peermq::detail {

namespace limits = base::limits;

namespace {

std::uint8_t flags_of(PartKind kind) {
    switch (kind) {
        case PartKind::part: return 0;
        case PartKind::progress: return wire::kProgress;
        case PartKind::last: return wire::kLastPart;
        case PartKind::failure: return wire::kLastPart | wire::kFailure;
    }
    return 0;
}

}  // namespace

Replies::Replies(ReplyOptions options, base::Clock& clock) : options_(options), clock_(clock) {
    // Numbers of an earlier process of this replier must not be taken for this one's.
    next_answer_ = static_cast<std::uint64_t>(clock_.wall_now().time_since_epoch().count()) | 1;
}

std::string Replies::cache_key(const base::StreamId& stream, std::string_view id) {
    std::string key(base::as_text(stream.bytes));
    key += id;
    return key;
}

Replies::Answer* Replies::find(const RequestRef& request) {
    const auto stream = streams_.find(request.stream);
    if (stream == streams_.end()) return nullptr;
    const auto it = stream->second.answers.find(request.seq);
    if (it == stream->second.answers.end() || it->second.epoch != request.epoch) return nullptr;
    return &it->second;
}

Replies::Start Replies::begin(const RequestRef& request, std::string_view id, bool overdue) {
    const Lock lock(mutex_);
    Stream& stream = streams_[request.stream];
    const auto known = stream.answers.find(request.seq);
    const bool cancelled = known != stream.answers.end() && known->second.cancelled &&
                           known->second.number == 0;
    erase(stream, request.seq);
    if (cancelled || overdue) {
        if (!cancelled) ++counters_.expired;
        return Start::unwanted;
    }
    Answer& answer = stream.answers[request.seq];
    answer.source = request.source;
    answer.epoch = request.epoch;
    answer.number = next_answer_++;
    answer.id = id;
    const auto cached = id.empty() ? cache_.end() : cache_.find(cache_key(request.stream, id));
    if (cached == cache_.end()) return Start::run;
    // The record of the first request's reply names that request, so it is made anew.
    for (const Part& old : cached->second.parts) {
        record::Record record = record::parts(*old.record);
        record.seq = request.seq;
        record.epoch = request.epoch.counter;
        auto bytes = std::make_shared<std::vector<std::byte>>(record::encoded_size(record));
        record::encode(record, record::Seed::of(request.stream, request.epoch), *bytes);
        answer.bytes += bytes->size();
        answer.parts.push_back({std::move(bytes), old.flags});
    }
    answer.unsent_bytes = answer.bytes;
    kept_bytes_ += answer.bytes;
    answer.whole = true;
    enqueue(request.stream, stream, request.seq, answer);
    ++counters_.replayed;
    return Start::answered;
}

bool Replies::add(const RequestRef& request, record::Record& record, PartKind kind) {
    record.seq = request.seq;
    record.epoch = request.epoch.counter;
    record.enqueued = clock_.wall_now_coarse();
    const std::size_t size = record::encoded_size(record);
    if (size > options_.message_bytes_max) {
        throw Error(ErrorCode::too_large, "reply of " + std::to_string(size) +
                                              " bytes (with its properties) exceeds "
                                              "message_bytes_max of " +
                                              std::to_string(options_.message_bytes_max) +
                                              ": give it in parts");
    }
    auto bytes = std::make_shared<std::vector<std::byte>>(size);
    record::encode(record, record::Seed::of(request.stream, request.epoch), *bytes);
    const Lock lock(mutex_);
    Answer* answer = find(request);
    if (answer == nullptr || answer->whole) return false;
    answer->whole = kind == PartKind::last || kind == PartKind::failure;
    answer->bytes += size;
    answer->unsent_bytes += size;
    kept_bytes_ += size;
    answer->parts.push_back({std::move(bytes), flags_of(kind)});
    enqueue(request.stream, streams_[request.stream], request.seq, *answer);
    if (answer->whole) ++counters_.replies;
    if (kind == PartKind::failure) ++counters_.failures;
    limit_kept();
    return true;
}

bool Replies::has_room(const RequestRef& request) {
    const Lock lock(mutex_);
    const Answer* answer = find(request);
    return answer == nullptr || answer->cancelled ||
           answer->unsent_bytes < limits::kReplyWindowBytes;
}

bool Replies::cancelled(const RequestRef& request) {
    const Lock lock(mutex_);
    const Answer* answer = find(request);
    return answer == nullptr || answer->cancelled;
}

ReplyStats Replies::stats() {
    const Lock lock(mutex_);
    ReplyStats stats = counters_;
    for (const auto& [id, stream] : streams_) {
        for (const auto& [seq, answer] : stream.answers) stats.kept += answer.whole ? 1 : 0;
    }
    return stats;
}

void Replies::enqueue(const base::StreamId& id, Stream& stream, base::Seq seq, Answer& answer) {
    if (std::exchange(answer.queued, true)) return;
    stream.queue.push_back(seq);
    waiting_.insert(id);
}

std::vector<base::StreamId> Replies::waiting() {
    const Lock lock(mutex_);
    return {waiting_.begin(), waiting_.end()};
}

void Replies::erase(Stream& stream, base::Seq seq) {
    const auto it = stream.answers.find(seq);
    if (it == stream.answers.end()) return;
    kept_bytes_ -= it->second.bytes;
    stream.answers.erase(it);
}

// --- the engine

std::optional<Replies::Piece> Replies::next(const base::StreamId& id) {
    const Lock lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end() || !found->second.up) return std::nullopt;
    Stream& stream = found->second;
    while (!stream.queue.empty()) {
        const base::Seq seq = stream.queue.front();
        const auto it = stream.answers.find(seq);
        const auto done = [&] {
            stream.queue.pop_front();
            if (it != stream.answers.end()) it->second.queued = false;
        };
        if (it == stream.answers.end() || it->second.next_part == it->second.parts.size()) {
            done();
            continue;
        }
        Answer& answer = it->second;
        const Part& part = answer.parts[answer.next_part];
        const std::size_t total = part.record->size();
        // One part is always allowed, and so is the last: it waits for nobody.
        const std::uint64_t under_way = answer.sent_bytes -
                                        std::min(answer.sent_bytes, answer.taken_bytes);
        const bool last = (part.flags & wire::kLastPart) != 0;
        if (answer.offset == 0 && !last && under_way > 0 &&
            under_way + total > limits::kReplyWindowBytes) {
            done();  // queued again when some of it has been taken
            continue;
        }
        Piece piece;
        piece.request = {answer.source, id, answer.epoch, seq};
        piece.answer = answer.number;
        piece.part = static_cast<std::uint32_t>(answer.next_part);
        piece.flags = part.flags;
        piece.total = static_cast<std::uint32_t>(total);
        piece.offset = static_cast<std::uint32_t>(answer.offset);
        piece.bytes = base::ByteSpan(*part.record)
                          .subspan(answer.offset,
                                   std::min(limits::kBatchBytesMax, total - answer.offset));
        piece.pin = part.record;
        answer.offset += piece.bytes.size();
        answer.sent_bytes += piece.bytes.size();
        answer.unsent_bytes -= std::min<std::uint64_t>(answer.unsent_bytes, piece.bytes.size());
        if (answer.offset == total) {
            ++answer.next_part;
            answer.offset = 0;
            piece.finished = last;
            if (last && !std::exchange(answer.finished, true)) stream.finished.push_back(seq);
            // Others have their turn between the parts, not within one.
            done();
            if (answer.next_part < answer.parts.size()) enqueue(id, stream, seq, answer);
        }
        return piece;
    }
    waiting_.erase(id);
    return std::nullopt;
}

void Replies::link_up(const base::StreamId& id) {
    const Lock lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    Stream& stream = found->second;
    stream.up = true;
    stream.queue.clear();
    for (auto& [seq, answer] : stream.answers) {
        answer.next_part = answer.offset = 0;
        answer.sent_bytes = 0;
        answer.unsent_bytes = answer.bytes;
        answer.queued = false;
        if (!answer.parts.empty()) enqueue(id, stream, seq, answer);
    }
}

void Replies::link_down(const base::StreamId& id) {
    const Lock lock(mutex_);
    if (const auto found = streams_.find(id); found != streams_.end()) found->second.up = false;
}

void Replies::credited(const base::StreamId& id, base::Seq seq, std::uint64_t taken_bytes) {
    const Lock lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    const auto it = found->second.answers.find(seq);
    if (it == found->second.answers.end()) return;
    it->second.taken_bytes = std::max(it->second.taken_bytes, taken_bytes);
    if (it->second.next_part < it->second.parts.size()) enqueue(id, found->second, seq, it->second);
}

void Replies::cancel(const base::StreamId& id, base::Run run) {
    const Lock lock(mutex_);
    // From another peer: no more at a time than could be here.
    if (run.count() > limits::kPrefetchMax) return;
    Stream& stream = streams_[id];
    for (base::Seq seq = run.first; seq <= run.last; ++seq) {
        // Of one that nobody has begun yet, this is all that is known.
        const auto [it, is_new] = stream.answers.try_emplace(seq);
        if (is_new) stream.not_begun.push_back(seq);
        if (it->second.whole || std::exchange(it->second.cancelled, true)) continue;
        ++counters_.cancelled;
    }
    // Those that were given back, or had their turn before, are never looked at again.
    while (stream.not_begun.size() > limits::kCancelledKeptMax) {
        const auto oldest = stream.answers.find(stream.not_begun.front());
        if (oldest != stream.answers.end() && oldest->second.number == 0)
            stream.answers.erase(oldest);
        stream.not_begun.pop_front();
    }
}

void Replies::confirm(const base::StreamId& id,
                      const std::function<bool(delivery::SourceId, base::Seq)>& pending) {
    const Lock lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    Stream& stream = found->second;
    while (!stream.finished.empty()) {
        const base::Seq seq = stream.finished.front();
        const auto it = stream.answers.find(seq);
        if (it != stream.answers.end() && it->second.finished) {
            if (pending(it->second.source, seq)) return;
            kept_bytes_ -= it->second.bytes;
            keep_in_cache(id, std::move(it->second));
            stream.answers.erase(it);
        }
        stream.finished.pop_front();
    }
}

void Replies::keep_in_cache(const base::StreamId& stream, Answer&& answer) {
    if (answer.id.empty() || answer.bytes > options_.cache_bytes_max / 4) return;
    std::string key = cache_key(stream, answer.id);
    const auto [it, is_new] = cache_.try_emplace(key);
    if (!is_new) return;
    it->second = {std::move(answer.parts), answer.bytes};
    cache_bytes_ += answer.bytes;
    cache_order_.push_back(std::move(key));
    while (cache_bytes_ > options_.cache_bytes_max || cache_.size() > options_.cache_count_max) {
        const auto oldest = cache_.find(cache_order_.front());
        cache_bytes_ -= oldest->second.bytes;
        cache_.erase(oldest);
        cache_order_.pop_front();
    }
}

/// Replies for requesters that are away are dropped, oldest first, when there are too many.
void Replies::limit_kept() {
    for (auto& [id, stream] : streams_) {
        if (kept_bytes_ <= limits::kRepliesKeptBytesMax) return;
        if (stream.up) continue;
        while (kept_bytes_ > limits::kRepliesKeptBytesMax) {
            const auto whole = std::find_if(stream.answers.begin(), stream.answers.end(),
                                            [](const auto& one) { return one.second.whole; });
            if (whole == stream.answers.end()) break;
            kept_bytes_ -= whole->second.bytes;
            stream.answers.erase(whole);
            ++counters_.dropped;
        }
    }
}

void Replies::end(const base::StreamId& id) {
    const Lock lock(mutex_);
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    for (const auto& [seq, answer] : found->second.answers) kept_bytes_ -= answer.bytes;
    streams_.erase(found);
    waiting_.erase(id);
}

}  // namespace peermq::detail
