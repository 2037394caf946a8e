#pragma once

/// The replies that one replier gives, until whoever asked has confirmed them.
///
/// A handler adds parts; the engine sends them in order as far as link and credit go, and sends
/// them again over a new link until the settlement of their request is confirmed. Then a whole
/// reply stays in a cache for a while, so that the same request, asked again, is not run again.
///
/// Bounded: parts that wait to be sent by kReplyWindowBytes per reply (whoever adds more waits),
/// all that is kept for requesters out of reach by kRepliesKeptBytesMax, the cache by its options.
///
/// Threads: any, by one lock. Lock order: the engine's role or none, this lock, the inbox's lock.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "delivery/inbox.hpp"
#include "record/record.hpp"

namespace peermq::detail {

/// A request in the hands of a handler.
struct RequestRef {
    delivery::SourceId source = 0;
    base::StreamId stream;
    base::Epoch epoch;
    base::Seq seq = 0;
};

struct ReplyOptions {
    std::size_t cache_bytes_max = 0;
    std::size_t cache_count_max = 0;
    std::size_t message_bytes_max = 0;
};

enum class PartKind : std::uint8_t {
    part,      ///< more follow
    progress,  ///< likewise, and it is no result
    last,
    failure,  ///< the last one, too
};

struct ReplyStats {
    std::uint64_t replies = 0;  ///< whole ones, failures included
    std::uint64_t failures = 0;
    std::uint64_t replayed = 0;   ///< answered from the cache
    std::uint64_t cancelled = 0;  ///< requests told to be unwanted while they were here
    std::uint64_t expired = 0;    ///< requests that were overdue when their turn came
    std::uint64_t dropped = 0;    ///< replies that found no room while their requester was away
    std::uint64_t kept = 0;       ///< not confirmed yet
};

class Replies {
public:
    Replies(ReplyOptions options, base::Clock& clock);

    // --- the application
    enum class Start : std::uint8_t {
        run,
        answered,  ///< asked before under this id: the same reply is on its way
        unwanted,  ///< cancelled before it began, or `overdue`
    };
    /// The application is about to get this request; `id` names it across repetitions, if it is not
    /// empty.
    Start begin(const RequestRef& request, std::string_view id, bool overdue);
    /// Adds a part; seq and epoch of `record` are set here. False when the request is not open: its
    /// requester is gone. Throws Error too_large.
    bool add(const RequestRef& request, record::Record& record, PartKind kind);
    /// True when more may be added without waiting.
    [[nodiscard]] bool has_room(const RequestRef& request);
    [[nodiscard]] bool cancelled(const RequestRef& request);
    [[nodiscard]] ReplyStats stats();

    // --- the engine
    /// What to send next for the requests of `stream`.
    struct Piece {
        RequestRef request;
        std::uint64_t answer = 0;
        std::uint32_t part = 0;
        std::uint8_t flags = 0;
        std::uint32_t total = 0;
        std::uint32_t offset = 0;
        base::ByteSpan bytes;
        std::shared_ptr<const void> pin;
        bool finished = false;  ///< the reply is sent with this: the request is to be settled
    };
    [[nodiscard]] std::optional<Piece> next(const base::StreamId& stream);
    /// Streams for whose requests something waits to be sent.
    [[nodiscard]] std::vector<base::StreamId> waiting();
    /// A new link: what is not confirmed goes once more.
    void link_up(const base::StreamId& stream);
    void link_down(const base::StreamId& stream);
    void credited(const base::StreamId& stream, base::Seq seq, std::uint64_t taken_bytes);
    void cancel(const base::StreamId& stream, base::Run run);
    /// Forgets replies whose settlement is `pending(source, seq)` no more.
    void confirm(const base::StreamId& stream,
                 const std::function<bool(delivery::SourceId, base::Seq)>& pending);
    /// The stream has ended with its process.
    void end(const base::StreamId& stream);

private:
    struct Part {
        std::shared_ptr<const std::vector<std::byte>> record;
        std::uint8_t flags = 0;
    };
    struct Answer {
        delivery::SourceId source = 0;
        base::Epoch epoch;
        std::uint64_t number = 0;
        std::string id;
        std::vector<Part> parts;
        std::size_t next_part = 0;  ///< to be sent
        std::size_t offset = 0;     ///< in it
        std::uint64_t sent_bytes = 0;
        std::uint64_t taken_bytes = 0;
        std::uint64_t unsent_bytes = 0;
        std::uint64_t bytes = 0;
        bool whole = false;
        bool queued = false;
        bool finished = false;  ///< whole and sent
        bool cancelled = false;
    };
    struct Stream {
        std::map<base::Seq, Answer> answers;
        std::deque<base::Seq> queue;      ///< have something to send
        std::deque<base::Seq> finished;   ///< in order; wait for their confirmation
        std::deque<base::Seq> not_begun;  ///< cancelled before the application got them
        bool up = true;
    };
    using Lock = std::lock_guard<std::mutex>;

    [[nodiscard]] Answer* find(const RequestRef& request);
    void enqueue(const base::StreamId& id, Stream& stream, base::Seq seq, Answer& answer);
    void erase(Stream& stream, base::Seq seq);
    void keep_in_cache(const base::StreamId& stream, Answer&& answer);
    void limit_kept();
    [[nodiscard]] static std::string cache_key(const base::StreamId& stream, std::string_view id);

    const ReplyOptions options_;
    base::Clock& clock_;
    std::mutex mutex_;
    std::map<base::StreamId, Stream> streams_;
    std::set<base::StreamId> waiting_;  ///< have something in their queue
    std::uint64_t next_answer_ = 1;
    std::uint64_t kept_bytes_ = 0;
    struct Cached {
        std::vector<Part> parts;
        std::uint64_t bytes = 0;
    };
    std::unordered_map<std::string, Cached> cache_;
    std::deque<std::string> cache_order_;  ///< oldest first
    std::uint64_t cache_bytes_ = 0;
    ReplyStats counters_;
};

}  // namespace peermq::detail
