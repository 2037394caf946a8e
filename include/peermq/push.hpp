#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "peermq/export.hpp"
#include "peermq/message.hpp"
#include "peermq/options.hpp"
#include "peermq/receipt.hpp"
#include "peermq/stats.hpp"

namespace peermq {

/// Shares messages out among the connected consumers of a queue, each message to one of them.
///
/// Order, key exclusivity and quota hold per queue and producing peer.
/// Threads: any number of callers at once.
/// Lifetime: the messages belong to the Peer, not to this object; after Peer::close() every call
/// throws Error closed. Two Push objects of one queue share it.
class PEERMQ_EXPORT Push {
public:
    Push(Push&&) noexcept;
    Push& operator=(Push&&) noexcept;
    ~Push();

    /// Appends a copy of `message` and returns once it is durable (group commit: callers share a
    /// sync).
    ///
    /// Blocks for the disk; under Overflow::block also while the quota is reached.
    /// Throws Error: too_large, invalid_argument (fix the call); quota (Overflow::error); closed,
    /// io_error (final).
    Receipt send(const Message& message);

    /// Appends a copy of `message` and returns its receipt without waiting for the disk.
    ///
    /// The message is accepted on return; durable when the receipt says so. Waits only while the
    /// quota is reached under Overflow::block. Throws like send().
    Receipt post(const Message& message);

    /// Like post(), but returns nothing instead of waiting or throwing when the quota is reached.
    [[nodiscard]] std::optional<Receipt> try_post(const Message& message);

    /// Appends all and returns once all are durable: one sync for many. Throws like send(); then
    /// those before the failing one are accepted, and `messages` after it are not.
    Receipt send_many(std::span<const Message> messages);

    /// Waits until every message accepted so far has come that far; false when `timeout` passes
    /// first. Throws the first failure that no receipt was asked about.
    [[nodiscard]] bool flush(Until until = Until::durable,
                             std::chrono::nanoseconds timeout = std::chrono::hours(24 * 365));

    /// Removes every message that no consumer holds, durably; returns how many.
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
