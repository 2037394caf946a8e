/// The retained log of a topic: how long messages are kept that all subscriptions have had, which
/// are superseded, and where in it a subscription begins.

#include <algorithm>
#include <utility>

#include "peer/engine_hand_out.hpp"

namespace peermq::detail {
namespace {

/// Records that are looked at in one turn for what they supersede.
constexpr std::uint64_t kValuesPerTurn = 32768;
/// Records that are looked at in one piece, backwards.
constexpr base::Seq kLookBack = 1024;
/// How often the limits of age and bytes are looked at.
constexpr auto kRetainInterval = std::chrono::milliseconds(100);

}  // namespace

/// Looks for what new records supersede; true when there are more to look at.
bool Engine::note_values(Topic& topic) {
    if (topic.options.supersede == Supersede::nothing) return false;
    const base::Seq end = topic.stream->handable_end();
    StreamReader reader(*topic.stream, spool_, topic.read_back);
    std::uint64_t looks = kValuesPerTurn;
    while (topic.valued < end && looks > 0) {
        base::Seq at = topic.valued + 1;
        if (const auto gone = topic.finished.run_at(at)) {
            topic.valued = std::min(gone->last, end);
            continue;
        }
        const OutStream::Cached found = reader.find(at);
        if (!found.chunk) {
            if (reader.lost().empty()) return false;  // cannot be read now
            topic.valued = at;                        // damaged: it has no value
            continue;
        }
        const base::Seq last = std::min(found.run.last, end);
        for (; at <= last && looks > 0; ++at, --looks) {
            if (topic.finished.contains(at)) continue;
            const record::Record record = record::parts(found.chunk->bytes({at, at}));
            const bool by_key = topic.options.supersede == Supersede::same_key;
            const std::string_view name = by_key ? record.key : record.topic;
            if (name.empty()) continue;
            const auto known = topic.latest.find(std::string(name));
            if (known != topic.latest.end()) {
                topic.superseded.add(std::exchange(known->second, at));
            } else if (topic.latest.size() < base::limits::kLastValuesMax) {
                topic.latest.emplace(name, at);
            }
        }
        topic.valued = at - 1;
    }
    return topic.valued < end;
}

std::uint64_t Engine::kept_bytes(const Topic& topic) const {
    OutStream& stream = *topic.stream;
    if (spool_ == nullptr || !stream.stored()) return stream.memory_bytes();
    return spool_->stream_bytes(stream.config().index) + stream.unwritten_bytes();
}

/// Moves the beginning of what is kept as the limits ask.
void Engine::retain(Topic& topic) {
    const TopicOptions& options = topic.options;
    const base::Seq end = topic.stream->handable_end();
    if (options.count > 0 && end >= options.count)
        topic.kept_from = std::max(topic.kept_from, end - options.count + 1);
    if (now_ < topic.retain_after) return;
    topic.retain_after = base::after(now_, kRetainInterval);
    if (options.age.count() > 0) {
        const auto oldest = (wall_now_ - options.age).time_since_epoch().count();
        if (oldest > 0) {
            topic.kept_from = std::max(topic.kept_from,
                                       seq_at(topic, static_cast<std::uint64_t>(oldest)));
        }
    }
    const std::uint64_t bytes = kept_bytes(topic);
    if (options.bytes == 0 || bytes <= options.bytes || topic.retain_storing) return;
    // Sizes of single messages are not known without reading them: their mean serves.
    const std::uint64_t count = std::max<std::uint64_t>(1, end - topic.finished.count_in({1, end}));
    const std::uint64_t mean = std::max<std::uint64_t>(1, bytes / count);
    const base::Seq first = std::max(kept(*topic.stream).first, topic.kept_from);
    topic.kept_from = std::min(end + 1, first + (bytes - options.bytes) / mean + 1);
}

/// The quota asks for room: an eighth of what is kept only for later subscriptions.
void Engine::let_go(Topic& topic) {
    if (!topic.options.retain) return;
    const base::Seq first = std::max(kept(*topic.stream).first, topic.kept_from);
    if (first > topic.settled) return;
    topic.kept_from = first + (topic.settled - first) / 8 + 1;
}

void Engine::forget_superseded(Topic& topic) {
    if (topic.superseded.empty()) return;
    const std::vector<base::Run> settled = topic.superseded.intersection({1, topic.settled});
    std::vector<base::Run> unforgotten;
    for (const base::Run run : settled) {
        topic.superseded.remove(run);
        const auto parts = topic.finished.gaps(run);
        unforgotten.insert(unforgotten.end(), parts.begin(), parts.end());
    }
    forget(topic, unforgotten);
}

/// Lets the next step look at the topic again, soon.
void Engine::wake_topic(Topic& topic) {
    notifications_.stream_advanced(topic.stream);
    tick_at_ = tick_after_;
}

base::Run Engine::kept(const OutStream& stream) const {
    const Topic& topic = *find_topic(stream);
    const bool from_one = !topic.finished.empty() && topic.finished.front().first == 1;
    return {from_one ? topic.finished.front().last + 1 : 1, topic.stream->accepted_end()};
}

base::Seq Engine::seq_at(Topic& topic, std::uint64_t time) {
    const base::WallTime wanted{base::Duration(static_cast<base::Duration::rep>(time))};
    StreamReader reader(*topic.stream, spool_, topic.read_back);
    base::Seq low = 1;
    base::Seq high = topic.stream->handable_end() + 1;  // the answer is within low and high
    while (low < high) {
        base::Seq middle = low + (high - low) / 2;
        if (const auto gone = topic.finished.run_at(middle)) middle = gone->last + 1;
        if (middle >= high) {
            // All from the middle on is forgotten: the answer is before that, or right behind.
            high = low + (high - low) / 2;
            continue;
        }
        const OutStream::Cached found = reader.find(middle);
        const bool later = found.chunk &&
                           record::parts(found.chunk->bytes({middle, middle})).enqueued >= wanted;
        if (later) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (const auto gone = topic.finished.run_at(low)) low = gone->last + 1;
    return low;
}

base::Seq Engine::seq_of_last(Topic& topic, const wire::Subscribe& wanted, std::uint64_t count) {
    TopicFilter filter(wanted, topic.stream->config().name);
    StreamReader reader(*topic.stream, spool_, topic.read_back);
    const base::Seq end = topic.stream->handable_end();
    base::Seq begin = end + 1;
    for (base::Seq after = end + 1; after > 1 && count > 0;) {
        const base::Seq first = after > kLookBack ? after - kLookBack : 1;
        std::vector<base::Seq> taken;
        for (const base::Run run : topic.finished.gaps({first, after - 1})) {
            for (base::Seq at = run.first; at <= run.last; ++at) {
                const OutStream::Cached found = reader.find(at);
                if (!found.chunk) continue;
                const record::Record record = record::parts(found.chunk->bytes({at, at}));
                if (filter.takes(record.topic, record.headers)) taken.push_back(at);
            }
        }
        const std::uint64_t of_these = std::min<std::uint64_t>(count, taken.size());
        if (of_these > 0) begin = taken[taken.size() - of_these];
        count -= of_these;
        after = first;
        // Nothing older is left.
        if (!topic.finished.empty() && topic.finished.front().first == 1 &&
            topic.finished.front().last + 1 >= after) {
            break;
        }
    }
    return begin;
}

}  // namespace peermq::detail
