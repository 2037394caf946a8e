#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "peermq/bytes.hpp"
#include "peermq/error.hpp"
#include "peermq/export.hpp"
#include "peermq/message.hpp"
#include "peermq/notifier.hpp"
#include "peermq/options.hpp"
#include "peermq/stats.hpp"

namespace peermq {

namespace detail {
class Calls;
struct Call;
struct ReplyPart;
}  // namespace detail

struct RequesterOptions {
    /// What a request survives. Default memory: it lives as long as this peer. disk and os need a
    /// spool: the request is stored before it is handed out, its reply before it is shown, and both
    /// are there after a restart; see Requester::receive().
    Durability durability = Durability::memory;
    /// How long a request waits for its reply unless it says otherwise. More than 0, default 30 s;
    /// nanoseconds::max(): for ever.
    std::chrono::nanoseconds timeout = std::chrono::seconds(30);
    /// Most requests without a reply; the next one throws Error quota. 1 to 1,000,000, default
    /// 1,024.
    std::uint32_t in_flight_max = 1024;
    /// Most bytes of unanswered requests in memory (Durability::memory). At least 1,024 bytes,
    /// default 64 MiB.
    std::uint64_t memory_bytes_max = std::uint64_t{64} << 20;
    /// How many of a hundred requests may be handed out again after their replier was lost, and how
    /// many at once: what exceeds it ends as outcome_unknown, so that a service that dies of its
    /// requests is not flooded with repetitions. Default 20 and 32; a burst of 0: no limit.
    std::uint32_t retry_percent = 20;
    std::uint32_t retry_burst = 32;
    /// The circuit breaker: when so many of the latest `breaker_window` requests ended as timeout
    /// or outcome_unknown, further ones throw Error circuit_open at once. Default 0: no breaker.
    std::uint32_t breaker_failures = 0;
    /// 1 to 1,000, default 20; not below breaker_failures.
    std::uint32_t breaker_window = 20;
    /// How long it stays open; then one request at a time is let through, until one succeeds. More
    /// than 0, default 5 s.
    std::chrono::nanoseconds breaker_wait = std::chrono::seconds(5);
};

struct RequestOptions {
    /// How long to wait for the reply, from now. More than 0; default: RequesterOptions::timeout;
    /// nanoseconds::max(): for ever. Travels with the request: repliers skip what is overdue.
    std::optional<std::chrono::nanoseconds> timeout{};
    /// The request may run more than once: when its replier is lost, another one gets it. Default
    /// false: then it ends as outcome_unknown.
    bool idempotent = false;
};

/// The handler's own failure: what Request::fail() said, or why it gave no reply.
class PEERMQ_EXPORT RemoteError : public Error {
public:
    RemoteError(std::string remote_code, std::string remote_message);
    /// As the replier gave it; "no_reply" and "handler_failed" are the library's.
    [[nodiscard]] const std::string& remote_code() const noexcept { return remote_code_; }
    [[nodiscard]] const std::string& remote_message() const noexcept { return remote_message_; }

private:
    std::string remote_code_;
    std::string remote_message_;
};

/// A reply, or one part of a longer one. Owns what it shows; cheap to move and to copy.
class PEERMQ_EXPORT Reply {
public:
    Reply() noexcept;

    [[nodiscard]] BytesView body() const noexcept { return body_; }
    [[nodiscard]] std::string_view text() const noexcept { return body_.text(); }
    [[nodiscard]] std::vector<HeaderView> headers() const;
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    [[nodiscard]] std::string_view content_type() const;
    /// The request's; empty when it was given none.
    [[nodiscard]] const std::string& correlation_id() const noexcept { return correlation_id_; }
    /// Counting from 0.
    [[nodiscard]] std::uint32_t part() const noexcept { return part_; }
    [[nodiscard]] bool is_last() const noexcept { return last_; }
    /// Tells how far the work is, and is no result.
    [[nodiscard]] bool is_progress() const noexcept { return progress_; }

private:
    friend class PendingReply;
    friend class Requester;
    Reply(const detail::ReplyPart& part, std::string correlation_id);

    BytesView body_;
    std::span<const std::byte> headers_;
    std::shared_ptr<const void> payload_;
    std::string correlation_id_;
    std::uint32_t part_ = 0;
    bool last_ = false;
    bool progress_ = false;
};

/// The reply to come. Destroyed before the reply is taken, it cancels the request; with a spool the
/// reply then comes out of Requester::receive() instead.
///
/// Threads: one at a time, but cancel() by any. May outlive Requester and Peer; then get() throws
/// Error closed unless the reply has come before.
class PEERMQ_EXPORT PendingReply {
public:
    PendingReply() noexcept;
    PendingReply(PendingReply&&) noexcept;
    PendingReply& operator=(PendingReply&&) noexcept;
    ~PendingReply();

    /// Waits for the last part and returns it; parts before it that next() has not taken are
    /// dropped. Once. Throws RemoteError; Error: timeout, outcome_unknown, cancelled, closed,
    /// invalid_state (taken already).
    [[nodiscard]] Reply get();
    /// Waits until the reply has come or the request has failed; false when `timeout` passes first.
    [[nodiscard]] bool wait(std::chrono::nanoseconds timeout);
    [[nodiscard]] bool done() const;
    /// The next part, waiting for it; nothing after the last one. Throws like get().
    [[nodiscard]] std::optional<Reply> next();
    /// The same; nothing also when `timeout` passes: done() tells.
    [[nodiscard]] std::optional<Reply> next(std::chrono::nanoseconds timeout);
    /// Tells the replier, if one has it, that nobody waits any more. False when it was answered or
    /// had failed before.
    bool cancel();
    /// The request's own; empty when it was given none.
    [[nodiscard]] const std::string& correlation_id() const noexcept;

private:
    friend class Requester;
    PendingReply(std::shared_ptr<detail::Calls> calls, std::shared_ptr<detail::Call> call) noexcept;
    void require_call() const;
    void let_go() noexcept;
    [[nodiscard]] std::optional<Reply> take(bool only_last);

    std::shared_ptr<detail::Calls> calls_;
    std::shared_ptr<detail::Call> call_;
    bool ended_ = false;  ///< the last part was taken
};

/// What the repliers of a service say to one request.
struct Gathered {
    std::size_t asked = 0;        ///< repliers that were connected
    std::vector<Reply> replies;   ///< in no order
    std::vector<Error> failures;  ///< of the others: remote_error, timeout, outcome_unknown
};

/// Asks a service: each request goes to one of the connected repliers, and its reply comes back.
///
/// Threads: any number of callers at once. A thread that waits for a reply does the peer's work
/// meanwhile, so that a round trip needs no other thread.
/// Lifetime: requests belong to the Peer; after Peer::close() every call throws Error closed. Two
/// Requester objects of one service share it. One that was moved from may only be destroyed or
/// assigned to.
class PEERMQ_EXPORT Requester {
public:
    Requester(Requester&&) noexcept;
    Requester& operator=(Requester&&) noexcept;
    ~Requester();

    /// Asks and waits: the reply, or its last part. Throws RemoteError; Error: timeout,
    /// outcome_unknown, circuit_open, quota (too many in flight, or no room), too_large,
    /// invalid_argument, closed, io_error.
    Reply call(const Message& request, RequestOptions options = {});
    Reply call(const Message& request, std::chrono::nanoseconds timeout);
    /// Asks without waiting for the reply. `request.correlation_id`, if given, must not be in
    /// flight. Throws like call(), but for what ends a request.
    PendingReply request(const Message& request, RequestOptions options = {});
    /// The same with a callback in the place of waiting: it is called once, with a PendingReply
    /// that is done, by a thread of this Requester's own, one call at a time, never under a lock.
    /// What it throws is counted (RequesterStats::callback_failures).
    void request(const Message& request, RequestOptions options,
                 std::function<void(PendingReply&)> done);

    /// Asks every replier that is connected now, and waits for all of them until the deadline.
    /// Each is asked once, and by itself: one that is slow or lost costs its own reply only, and
    /// stands among the failures. In memory, whatever RequesterOptions::durability; not subject to
    /// the breaker and in_flight_max. Throws Error: not_connected (nobody), too_large,
    /// invalid_argument, closed.
    Gathered scatter(const Message& request, RequestOptions options = {});
    Gathered scatter(const Message& request, std::chrono::nanoseconds timeout);

    /// With a spool: the next reply that no PendingReply waits for, above all to requests of an
    /// earlier process; nothing when `timeout` passes. get() throws if the request has failed.
    [[nodiscard]] std::optional<PendingReply> receive(std::chrono::nanoseconds timeout);
    /// With a spool: correlation ids (or, without one, ids) of requests that receive() will give or
    /// has ready.
    [[nodiscard]] std::vector<std::string> unanswered() const;

    /// Makes `notifier` readable whenever a reply, or a part of one, has come, or a request has
    /// failed: ask PendingReply::done() and next(). One per service: the latest.
    void notify(const Notifier& notifier);

    [[nodiscard]] RequesterStats stats() const;
    [[nodiscard]] const std::string& service() const noexcept;

private:
    friend class Peer;
    class Impl;
    explicit Requester(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
