#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peermq/delivery.hpp"
#include "peermq/export.hpp"
#include "peermq/options.hpp"
#include "peermq/pull.hpp"
#include "peermq/stats.hpp"

namespace peermq {

/// What linked peers have said to a change of a subscription.
struct Confirmation {
    bool complete = false;       ///< all that were linked have confirmed in time
    std::size_t publishers = 0;  ///< whose topics the patterns can match; 0 is possible
    std::vector<std::string> refusals;
};

/// Receives what is published under topics that match its patterns, by all publishers of all
/// connected peers.
///
/// A live subscription begins when a publisher has confirmed it and ends with this object; what is
/// received is settled. A durable one (SubscriberOptions::name) is kept by each publisher, with its
/// place and what it has settled, until it is erased there or expires; its messages are settled
/// with ack() and its kin, as those of a queue, and its members, which are subscribers of the same
/// name, compete for them. What a subscription has missed is never silent: EventKind::gap tells how
/// many, missed() sums them up.
///
/// Threads: any number of callers at once; each message goes to one of them.
/// Lifetime: as Pull. One that was moved from may only be destroyed or assigned to.
class PEERMQ_EXPORT Subscriber {
public:
    Subscriber(Subscriber&&) noexcept;
    Subscriber& operator=(Subscriber&&) noexcept;
    ~Subscriber();

    /// As in Pull.
    [[nodiscard]] std::optional<Delivery> receive(std::chrono::nanoseconds timeout) {
        return pull_.receive(timeout);
    }
    [[nodiscard]] std::optional<Delivery> receive() { return pull_.receive(); }
    [[nodiscard]] bool receive_into(std::optional<Delivery>& delivery,
                                    std::chrono::nanoseconds timeout) {
        return pull_.receive_into(delivery, timeout);
    }
    void run(const std::function<void(Delivery&)>& handler, RunOptions options = {}) {
        pull_.run(handler, options);
    }
    Pull::Iterator begin() { return pull_.begin(); }
    Pull::Iterator end() { return {}; }
    void stop() { pull_.stop(); }
    [[nodiscard]] bool stopped() const { return pull_.stopped(); }
    void notify(const Notifier& notifier) { pull_.notify(notifier); }
    void set_concurrency(std::uint32_t concurrency) { pull_.set_concurrency(concurrency); }
    void on_refused(std::function<void(const std::string& message_id)> callback) {
        pull_.on_refused(std::move(callback));
    }

    /// Adds or removes a pattern, and waits until every peer that is linked now has confirmed, or
    /// SubscriberOptions::confirm_timeout is over. What is published from then on goes by it; what
    /// waits for this subscription already still comes. Of a durable subscription the change is for
    /// all members. Adding one that is there asks all peers again, which renews what a publisher
    /// has ended by SlowPolicy::disconnect.
    /// Throws Error: invalid_argument (malformed, too many, the last one removed), not_found (not
    /// there), closed.
    Confirmation subscribe(std::string_view pattern);
    Confirmation unsubscribe(std::string_view pattern);
    [[nodiscard]] std::vector<std::string> patterns() const;

    /// How many publishers of linked peers have confirmed and have topics that can match.
    [[nodiscard]] std::size_t publishers() const;
    /// Waits for at least so many; false when `timeout` passes first.
    [[nodiscard]] bool wait_for_publishers(std::size_t count,
                                           std::chrono::nanoseconds timeout) const;
    /// Messages that this subscription has missed since this object was made.
    [[nodiscard]] std::uint64_t missed() const;

    [[nodiscard]] SubscriberStats stats() const;
    /// Of a durable subscription; empty for a live one.
    [[nodiscard]] const std::string& name() const noexcept;

private:
    friend class Peer;
    class Impl;
    Subscriber(Pull pull, std::unique_ptr<Impl> impl) noexcept;
    Confirmation confirmed(std::uint32_t version) const;

    Pull pull_;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
