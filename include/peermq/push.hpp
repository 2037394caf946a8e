#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "peermq/export.hpp"
#include "peermq/message.hpp"
#include "peermq/notifier.hpp"
#include "peermq/options.hpp"
#include "peermq/receipt.hpp"
#include "peermq/stats.hpp"

namespace peermq {

/// Shares messages out among the connected consumers of a queue, each message to one of them.
///
/// Order, key exclusivity and quota hold per queue and producing peer.
/// Threads: any number of callers at once.
/// Lifetime: the messages belong to the Peer, not to this object; after Peer::close() every call
/// throws Error closed. Two Push objects of one queue share it. One that was moved from may only be
/// destroyed or assigned to.
class PEERMQ_EXPORT Push {
public:
    Push(Push&&) noexcept;
    Push& operator=(Push&&) noexcept;
    ~Push();

    /// Appends a copy of `message` and returns once it is durable (group commit: callers share a
    /// sync).
    ///
    /// Blocks for the disk, and where post() waits. A message that was accepted when the disk
    /// became full is stored once there is room again: send() waits for that under any Overflow.
    /// Throws Error: too_large, invalid_argument, invalid_state (fix the call); quota
    /// (Overflow::error); closed, io_error (final).
    Receipt send(const Message& message);

    /// Appends a copy of `message` and returns its receipt without waiting for the disk.
    ///
    /// The message is accepted on return; durable when the receipt says so. Waits while the quota
    /// is reached, to which a disk without room counts, under Overflow::block, and under
    /// drop_oldest when consumers hold all there is; under any Overflow while 8 MiB of the queue
    /// wait to be written. While more than 8 MiB of it lie unsettled in memory, it gives way to
    /// consumers once per 132 KiB, in a queue with a spool for some tens of microseconds. Throws
    /// like send().
    Receipt post(const Message& message);

    /// Like post(), but waits for room no longer than `timeout`; then returns nothing.
    [[nodiscard]] std::optional<Receipt> post_within(const Message& message,
                                                     std::chrono::nanoseconds timeout);

    /// Like post(), but returns nothing, under any Overflow, when the quota is reached or 8 MiB
    /// wait to be written; drops nothing. Gives way like post().
    [[nodiscard]] std::optional<Receipt> try_post(const Message& message);

    /// Appends all and returns the last one's receipt once all are durable: one sync for many.
    /// Throws like send(); then those before the failing one are accepted but were not waited for
    /// (flush() does), and `messages` after it are not. An empty list gives an empty Receipt.
    Receipt send_many(std::span<const Message> messages);

    /// Waits until every message accepted so far has come that far; false when `timeout` passes
    /// first; see Receipt::wait(). Throws the first failure that no receipt was asked about.
    [[nodiscard]] bool flush(Until until = Until::durable,
                             std::chrono::nanoseconds timeout = std::chrono::hours(24 * 365));

    /// Makes `notifier` readable whenever messages of this queue have become durable or were
    /// settled, storing has failed, or the peer is closed: ask the receipts. One per queue: the
    /// latest.
    void notify(const Notifier& notifier);

    /// Removes every message that no consumer holds, durably; returns how many. Throws Error:
    /// closed, io_error.
    std::uint64_t purge();
    /// Stops handing out; what consumers hold they may finish. Not kept over restarts.
    void pause();
    void resume();

    [[nodiscard]] PushStats stats() const;
    [[nodiscard]] const std::string& queue() const noexcept;

private:
    friend class Peer;
    class Impl;
    explicit Push(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
