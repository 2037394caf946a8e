#pragma once

/// One Pull or Subscriber inside: its Inbox behind a lock, taken by application threads (receive,
/// settle) and by the engine (arrivals, windows, frames to send).
///
/// Threads: any. The lock is held for no longer than one step of the Inbox.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "delivery/inbox.hpp"
#include "peer/notifier.hpp"
#include "peer/replies.hpp"
#include "peermq/delivery.hpp"

namespace peermq::detail {

class InStream;

/// What a Pull asks of its peer, which each call keeps alive; see StreamHost.
class InStreamHost {
public:
    virtual ~InStreamHost() = default;
    /// Something waits to be sent for this pull: at once, or within about a millisecond.
    virtual void flush_wanted(InStream& stream, bool at_once) = 0;
    /// Whether to take the place of the peer's own thread where that runs the peer.
    enum class Place { taken_over, only_if_vacant };
    /// Runs the peer in the calling thread until `done` says so, `deadline` passes, or another
    /// thread does so already (then false at once).
    virtual bool drive(const std::function<bool()>& done, base::Time deadline, Place place) = 0;
    /// Throws Error invalid_state in a forked child.
    virtual void check_process() const = 0;
};

/// How far the publishers know a subscription.
struct SubscriptionState {
    std::uint32_t version = 0;   ///< that every linked peer has confirmed
    std::size_t peers = 0;       ///< linked now
    std::size_t publishers = 0;  ///< whose topics the patterns can match
    std::vector<std::string> refusals;
};

class InStream : public std::enable_shared_from_this<InStream> {
public:
    /// `replies` makes it the receiving side of a service.
    InStream(std::string queue, delivery::InboxOptions options, bool single_producer,
             std::weak_ptr<InStreamHost> host, base::Clock& clock,
             std::unique_ptr<Replies> replies = nullptr);
    ~InStream();

    // --- the application
    /// Into `item`, see Inbox::take_into(); false at the deadline and after the end.
    [[nodiscard]] bool receive(delivery::Item& item, base::Duration timeout);
    /// Throws Error closed after the peer's end. False when the message is no longer held here.
    bool settle(delivery::SourceId source, base::Seq seq, delivery::SettleKind kind,
                std::optional<base::Duration> delay, std::string_view reason);
    [[nodiscard]] delivery::Outcome outcome(delivery::SourceId source, base::Seq seq);
    [[nodiscard]] delivery::Outcome wait_outcome(delivery::SourceId source, base::Seq seq,
                                                 base::Time deadline);
    void stop();
    [[nodiscard]] bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
    /// `prefetch` 0: as it is.
    void set_concurrency(std::uint32_t concurrency, std::uint32_t prefetch = 0);
    void count_unsettled_drop() noexcept {
        unsettled_drops_.fetch_add(1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t unsettled_drops() const noexcept { return unsettled_drops_.load(); }
    void set_notifier(std::shared_ptr<NotifierState> notifier);
    void set_on_refused(std::function<void(const std::string&)> callback);
    [[nodiscard]] std::function<void(const std::string&)> on_refused();

    /// For a subscription: makes it one. Messages of a `live` one are settled by being received.
    /// Before anybody else knows the stream.
    void become_subscription(bool live) noexcept {
        subscription_ = true;
        live_ = live;
    }
    [[nodiscard]] bool is_subscription() const noexcept { return subscription_; }
    [[nodiscard]] bool live() const noexcept { return live_; }
    [[nodiscard]] SubscriptionState subscription();
    /// Waits until `reached(subscription())`; false at the deadline or after the end.
    bool wait_subscription(const std::function<bool(const SubscriptionState&)>& reached,
                           base::Time deadline);
    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_.load(); }

    // --- the engine
    void set_subscription(SubscriptionState state);
    void count_missed(std::uint64_t messages) noexcept { missed_.fetch_add(messages); }
    /// Calls `use(inbox)` under the lock, then wakes whoever waits for what may have changed.
    template <typename Use>
    auto with_inbox(Use&& use) {
        struct Waker {
            InStream& stream;
            std::unique_lock<std::mutex> lock{stream.mutex_};
            ~Waker() {
                const bool news = stream.waiters_have_news();
                stream.tell_notifier();
                // Without the lock, or who is woken runs into it.
                lock.unlock();
                if (news) stream.changed_.notify_all();
            }
        };
        const Waker waker{*this};
        return use(inbox_);
    }
    /// The peer is closed: nothing can be settled any more.
    void close();
    [[nodiscard]] delivery::InboxStats stats();

    [[nodiscard]] const std::string& queue() const noexcept { return queue_; }
    [[nodiscard]] base::Time now() { return clock_.now(); }
    [[nodiscard]] base::WallTime wall_now() { return clock_.wall_now(); }
    [[nodiscard]] bool single_producer() const noexcept { return single_producer_; }
    /// Of a service, else null.
    [[nodiscard]] Replies* replies() const noexcept { return replies_.get(); }
    /// Of a service: adds a part of a reply, and sends it from this thread if it can. Throws Error:
    /// closed, too_large.
    void answer(const RequestRef& request, record::Record& record, PartKind kind);
    /// Sends what waits, from this thread if it can.
    void flush() { flush_wanted(true); }
    [[nodiscard]] bool closed();
    /// Runs the peer, or waits, until `done` says so or `deadline` has passed.
    void wait_until(const std::function<bool()>& done, base::Time deadline);
    /// Set while the stream stands in the engine's list of pulls to flush.
    std::atomic<bool> listed{false};

private:
    using Place = InStreamHost::Place;

    [[nodiscard]] bool has_ready();
    [[nodiscard]] bool take(delivery::Item& item);
    /// Sends what is settled, now or soon, when that has not been asked for yet.
    void flush_settled(std::uint64_t unsent, std::uint64_t threshold);
    /// Whether those who wait now should look again. Called with the lock.
    [[nodiscard]] bool waiters_have_news();
    /// False when nothing changed for the time after which one looks again.
    bool wait_for_change(std::unique_lock<std::mutex>& lock, base::Time deadline);
    /// Something may have arrived. Called with the lock.
    void tell_notifier();
    /// The end has come. Called with the lock.
    void tell_end();
    /// See InStreamHost; nothing when the peer is gone.
    void flush_wanted(bool at_once);
    bool drive(const std::function<bool()>& done, base::Time deadline, Place place);

    const std::string queue_;
    const bool single_producer_;
    const unsigned process_generation_;
    const std::weak_ptr<InStreamHost> host_;
    base::Clock& clock_;
    const std::unique_ptr<Replies> replies_;

    std::mutex mutex_;
    std::condition_variable changed_;
    int waiters_ = 0;
    int outcome_waiters_ = 0;  ///< of them, those that wait for more than messages
    /// When another thread last woke one in receive() with a message.
    base::Time handed_over_{};
    delivery::Inbox inbox_;
    bool closed_ = false;
    SubscriptionState subscription_state_;
    std::shared_ptr<NotifierState> notifier_;
    std::function<void(const std::string&)> on_refused_;
    std::atomic<bool> stopped_{false};
    std::atomic<std::uint64_t> unsettled_drops_{0};
    std::atomic<std::uint64_t> missed_{0};
    bool subscription_ = false;
    bool live_ = false;
};

}  // namespace peermq::detail
