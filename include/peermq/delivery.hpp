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
}

enum class SettlementState {
    pending,   ///< on its way, or not yet stored by the producer
    accepted,  ///< stored by the producer as its queue's durability asks
    refused,   ///< stale: the message went to another consumer, or was settled, in the meantime
    unknown,   ///< the producer was killed just then and found the message settled, or cannot be
               ///< asked: it is gone, or this peer is closed
};

/// The fate of an ack or its kin. May be dropped; then only stats and on_refused tell.
///
/// Threads: any. Lifetime: may outlive its Delivery, Pull and Peer; an answer that was not known
/// when the peer closed is `unknown`.
class PEERMQ_EXPORT Settlement {
public:
    Settlement() noexcept;
    Settlement(const Settlement&) noexcept;
    Settlement(Settlement&&) noexcept;
    Settlement& operator=(const Settlement&) noexcept;
    Settlement& operator=(Settlement&&) noexcept;
    ~Settlement();

    [[nodiscard]] SettlementState state() const;
    /// Waits for an answer; pending when `timeout` passes first. With 0 or less it does not wait:
    /// it has what is settled sent at once and says what is known now.
    [[nodiscard]] SettlementState wait(std::chrono::nanoseconds timeout) const;

private:
    friend class Delivery;
    std::shared_ptr<detail::InStream> stream_;
    std::uint64_t source_ = 0;
    std::uint64_t seq_ = 0;
};

/// A message in the hands of this process, to be settled once.
///
/// One of a live subscription is settled by being received: ack() and its kin do nothing there.
///
/// All views point into the batch that the message came in and live as long as the Delivery; take()
/// copies the message out. Destroyed unsettled, it counts as nacked and is counted.
/// Threads: one at a time; may be moved between threads.
class PEERMQ_EXPORT Delivery {
public:
    Delivery(Delivery&&) noexcept;
    Delivery& operator=(Delivery&&) noexcept;
    ~Delivery();

    [[nodiscard]] BytesView body() const noexcept { return body_; }
    [[nodiscard]] std::string_view text() const noexcept { return body_.text(); }
    [[nodiscard]] std::string_view key() const noexcept { return key_; }
    /// What it was published under; empty for a message of a queue.
    [[nodiscard]] std::string_view topic() const noexcept { return topic_; }
    /// All headers, also those that say why a dead letter died, but not the properties below.
    [[nodiscard]] std::vector<HeaderView> headers() const;
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    /// The sender's id, or "<stream>-<epoch>-<sequence>" when it gave none.
    [[nodiscard]] std::string id() const;
    [[nodiscard]] std::string_view correlation_id() const;
    [[nodiscard]] std::string_view reply_to() const;
    [[nodiscard]] std::string_view content_type() const;
    /// When it was posted, by the producer's clock, to within a few milliseconds.
    [[nodiscard]] Timestamp timestamp() const noexcept;
    /// 1 + counted failures before.
    [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }
    /// True when it may have been handed out before; never false when it was.
    [[nodiscard]] bool redelivered() const noexcept { return redelivered_; }
    /// Position in the producer's stream of this queue; a crash may leave numbers out.
    [[nodiscard]] std::uint64_t sequence() const noexcept { return seq_; }
    [[nodiscard]] const std::string& queue() const noexcept;

    /// Done: never again. Returns at once; sent with the next frame.
    /// Throws Error invalid_state when already settled, closed after Peer::close().
    Settlement ack();
    /// Failed: counts as an attempt, comes again after `delay`, or after the queue's back-off.
    Settlement nack(std::optional<std::chrono::nanoseconds> delay = {},
                    std::string_view reason = {});
    /// Given back: does not count, comes again at once, perhaps elsewhere.
    Settlement release();
    /// Never to be handled: to the dead letters with this reason. Discards what is a dead letter.
    Settlement reject(std::string_view reason);
    [[nodiscard]] bool settled() const noexcept { return settled_; }

    /// Copies everything out.
    [[nodiscard]] OwnedMessage take() const;

private:
    friend class Pull;
    enum class SettleKind { ack, nack, release, reject };
    Delivery() noexcept;
    void drop() noexcept;
    Settlement settle(SettleKind kind, std::optional<std::chrono::nanoseconds> delay,
                      std::string_view reason);

    BytesView body_;
    std::string_view key_;
    std::string_view topic_;
    std::span<const std::byte> headers_;
    std::shared_ptr<detail::InStream> stream_;
    std::shared_ptr<const void> payload_;
    std::uint64_t source_ = 0;
    std::uint64_t seq_ = 0;
    std::int64_t timestamp_ns_ = 0;
    std::uint32_t epoch_ = 0;
    std::uint32_t attempt_ = 1;
    bool redelivered_ = false;
    bool settled_ = true;
};

}  // namespace peermq
