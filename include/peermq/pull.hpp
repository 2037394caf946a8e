#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>

#include "peermq/delivery.hpp"
#include "peermq/export.hpp"
#include "peermq/notifier.hpp"
#include "peermq/options.hpp"
#include "peermq/stats.hpp"

namespace peermq {

namespace detail {
class InStream;
}

/// Receives messages of a queue from all connected producers, competing with other consumers.
///
/// Threads: any number of callers at once; each message goes to one of them.
/// Lifetime: destroying it stops it; Deliveries that are still alive may be settled until the Peer
/// closes. One that was moved from may only be destroyed or assigned to.
class PEERMQ_EXPORT Pull {
public:
    Pull(Pull&&) noexcept;
    Pull& operator=(Pull&&) noexcept;
    ~Pull();

    /// The next message; nothing when `timeout` passes, or at once after stop() or Peer::close().
    /// With 0 or less, what has arrived already.
    [[nodiscard]] std::optional<Delivery> receive(std::chrono::nanoseconds timeout);
    /// The next message, waiting for it; nothing only after stop() or Peer::close().
    [[nodiscard]] std::optional<Delivery> receive();
    /// The same into `delivery`, in place: moving a Delivery costs about as much as receiving it.
    /// What is left in it unsettled counts as nacked. False, and `delivery` is empty, when there is
    /// nothing.
    [[nodiscard]] bool receive_into(std::optional<Delivery>& delivery,
                                    std::chrono::nanoseconds timeout);

    /// Calls `handler` for every message until stop() or Peer::close(): acks when it returns unless
    /// it settled itself, nacks with the exception's text when it throws. Blocks; with a
    /// concurrency of n, the caller and n - 1 threads of its own call the handler. Returns when all
    /// handlers have returned.
    /// Throws Error: invalid_argument (concurrency); io_error (a thread cannot be started; then no
    /// handler was called).
    void run(const std::function<void(Delivery&)>& handler, RunOptions options = {});

    /// Takes no more messages, gives back what nobody has received yet, ends receive(), iteration
    /// and run(). Deliveries in hand may still be settled.
    void stop();
    [[nodiscard]] bool stopped() const;

    /// Makes `notifier` readable whenever there may be something to receive, and at the end. One
    /// per Pull: the latest.
    void notify(const Notifier& notifier);
    /// Changes PullOptions::concurrency, for callers that start threads of their own.
    /// Throws Error: invalid_argument (not 1 to 1,024).
    void set_concurrency(std::uint32_t concurrency);

    [[nodiscard]] PullStats stats() const;
    [[nodiscard]] const std::string& queue() const noexcept;

    /// Called for every settlement of this Pull that the producer refused as stale, by the thread
    /// that calls the event callback; with the id that Receipt::id() gives the producer, also when
    /// the message was sent with one of its own.
    void on_refused(std::function<void(const std::string& message_id)> callback);

    /// Single-pass: `for (auto& delivery : pull)` until stopped. A Delivery left unsettled at the
    /// end of its round counts as nacked.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Delivery;
        using difference_type = std::ptrdiff_t;
        using pointer = Delivery*;
        using reference = Delivery&;

        Iterator() = default;
        reference operator*() { return *current_; }
        pointer operator->() { return &*current_; }
        Iterator& operator++() {
            advance();
            return *this;
        }
        void operator++(int) { advance(); }
        friend bool operator==(const Iterator& a, const Iterator& b) {
            return a.current_.has_value() == b.current_.has_value();
        }

    private:
        friend class Pull;
        explicit Iterator(Pull* pull) : pull_(pull) { advance(); }
        void advance() { (void)pull_->receive_into(current_, std::chrono::nanoseconds::max()); }
        Pull* pull_ = nullptr;
        std::optional<Delivery> current_;
    };
    Iterator begin() { return Iterator(this); }
    Iterator end() { return {}; }

private:
    friend class Peer;
    class Impl;
    bool fill(Delivery& delivery, std::chrono::nanoseconds timeout);
    explicit Pull(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
