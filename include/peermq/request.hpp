#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "peermq/bytes.hpp"
#include "peermq/export.hpp"
#include "peermq/message.hpp"

namespace peermq {

namespace detail {
class InStream;
struct RequestRef;
enum class PartKind : std::uint8_t;
}  // namespace detail

/// A request in the hands of this process, to be answered once.
///
/// The answer is one reply, or several parts of which the last comes by reply() or fail(). It is
/// sent at once, by the calling thread if it can, and kept until the requester has confirmed it.
/// Destroyed unanswered, the requester gets a failure with the code "no_reply".
/// All views point into what the request came in and live as long as this object.
/// Threads: one at a time; may be moved between threads.
class PEERMQ_EXPORT Request {
public:
    Request(Request&&) noexcept;
    Request& operator=(Request&&) noexcept;
    ~Request();

    [[nodiscard]] BytesView body() const noexcept { return body_; }
    [[nodiscard]] std::string_view text() const noexcept { return body_.text(); }
    /// All headers, but not the properties below.
    [[nodiscard]] std::vector<HeaderView> headers() const;
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    /// The requester's id, or "<stream>-<epoch>-<sequence>" when it gave none.
    [[nodiscard]] std::string id() const;
    /// As the requester gave it, else the same as id().
    [[nodiscard]] std::string correlation_id() const;
    [[nodiscard]] std::string_view content_type() const;
    [[nodiscard]] const std::string& service() const noexcept;
    /// When it was asked, by the requester's clock, to within a few milliseconds.
    [[nodiscard]] Timestamp timestamp() const noexcept;
    /// May have been handed to a replier before; never false when it was. Only requests marked
    /// idempotent come twice.
    [[nodiscard]] bool redelivered() const noexcept { return redelivered_; }
    /// The requester allows that it runs more than once.
    [[nodiscard]] bool idempotent() const noexcept { return idempotent_; }

    /// When the requester stops waiting; nothing: never.
    [[nodiscard]] std::optional<Timestamp> deadline() const noexcept;
    /// How long it still waits, 0 when the deadline is over; nothing: for ever.
    [[nodiscard]] std::optional<std::chrono::nanoseconds> remaining() const;
    /// Nobody waits any more: it was cancelled, answered by somebody else, its deadline is over, or
    /// its requester is gone. Look at it during long work.
    [[nodiscard]] bool cancelled() const;
    [[nodiscard]] bool answered() const noexcept { return answered_; }

    /// Answers with body, headers and content type of `reply`; its other fields must be empty.
    /// Returns at once. A reply to a request that nobody waits for any more is dropped.
    /// Throws Error: invalid_state (answered already), too_large, invalid_argument, closed.
    void reply(const Message& reply);
    void reply(BytesView body) { this->reply(Message{.body = body}); }
    /// A part before the last one. Waits while 1 MiB of parts has not been taken by the requester;
    /// false when nobody waits for the reply any more. Throws like reply().
    bool reply_part(const Message& part);
    bool reply_part(BytesView body) { return reply_part(Message{.body = body}); }
    /// The same for a part that only tells how far the work is: Reply::is_progress().
    bool progress(BytesView body);
    /// Answers that it failed: RemoteError at the requester, with this code (1 to 255 bytes) and
    /// message (at most 64 KiB; what is longer is cut). Throws Error: invalid_state,
    /// invalid_argument, closed.
    void fail(std::string_view code, std::string_view message = {});

private:
    friend class Replier;
    Request() noexcept;
    void drop() noexcept;
    void require_open(std::string_view what) const;
    [[nodiscard]] detail::RequestRef ref() const;
    void send(const Message& message, detail::PartKind kind);

    BytesView body_;
    std::span<const std::byte> headers_;
    std::shared_ptr<detail::InStream> stream_;
    std::shared_ptr<const void> payload_;
    std::uint64_t source_ = 0;
    std::uint64_t seq_ = 0;
    std::int64_t timestamp_ns_ = 0;
    std::int64_t expiry_ns_ = 0;  ///< by this host's clock; 0 = none
    std::uint64_t epoch_nonce_ = 0;
    std::uint32_t epoch_ = 0;
    bool redelivered_ = false;
    bool idempotent_ = false;
    bool answered_ = true;
};

}  // namespace peermq
