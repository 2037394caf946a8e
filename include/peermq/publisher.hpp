#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peermq/export.hpp"
#include "peermq/message.hpp"
#include "peermq/notifier.hpp"
#include "peermq/options.hpp"
#include "peermq/receipt.hpp"
#include "peermq/stats.hpp"

namespace peermq {

/// Publishes messages under topics: each goes to every subscription whose filter takes it.
///
/// Order holds per publisher. Until::acked means: settled by every subscription that there is.
/// Threads: any number of callers at once.
/// Lifetime: the messages belong to the Peer, not to this object; after Peer::close() every call
/// throws Error closed. Two Publisher objects of one name share it. One that was moved from may
/// only be destroyed or assigned to.
class PEERMQ_EXPORT Publisher {
public:
    Publisher(Publisher&&) noexcept;
    Publisher& operator=(Publisher&&) noexcept;
    ~Publisher();

    /// Appends a copy of `message` under `topic` and returns once it is as durable as asked; see
    /// Push::send(). Throws Error likewise, and invalid_argument for a topic that is malformed or
    /// does not begin with name().
    Receipt publish(std::string_view topic, const Message& message);
    /// The same without waiting for the disk; see Push::post(). Waits while a subscription with
    /// SlowPolicy::block is behind.
    Receipt post(std::string_view topic, const Message& message);
    /// Like post(), but waits for room no longer than `timeout`; then returns nothing.
    [[nodiscard]] std::optional<Receipt> post_within(std::string_view topic, const Message& message,
                                                     std::chrono::nanoseconds timeout);
    /// Like post(), but returns nothing where that would wait.
    [[nodiscard]] std::optional<Receipt> try_post(std::string_view topic, const Message& message);

    /// Waits until every message accepted so far has come that far; see Push::flush().
    [[nodiscard]] bool flush(Until until = Until::durable,
                             std::chrono::nanoseconds timeout = std::chrono::hours(24 * 365));

    /// As Push::notify().
    void notify(const Notifier& notifier);

    /// Waits until at least `count` subscriptions are in place with a subscriber connected: what is
    /// published from then on goes to them. False when `timeout` passes first.
    [[nodiscard]] bool wait_for_subscribers(std::size_t count, std::chrono::nanoseconds timeout);

    /// All subscriptions, live ones included.
    [[nodiscard]] std::vector<SubscriptionStats> subscriptions() const;
    /// Stops and goes on handing out to a durable subscription; kept over restarts. Durable on
    /// return, as the following are. Throws Error not_found.
    void pause(std::string_view subscription);
    void resume(std::string_view subscription);
    /// Lets a durable subscription go on from elsewhere, within what is retained or not yet settled
    /// by all. What its members hold is taken from them: their settlements are refused.
    /// Throws Error: not_found, invalid_argument (a sequence number out of range).
    void seek(std::string_view subscription, From from);
    /// Ends a durable subscription: its members get nothing more, and nothing is kept for it.
    /// Throws Error not_found.
    void erase(std::string_view subscription);

    [[nodiscard]] PublisherStats stats() const;
    [[nodiscard]] const std::string& name() const noexcept;

private:
    friend class Peer;
    class Impl;
    explicit Publisher(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
