#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "peermq/export.hpp"
#include "peermq/notifier.hpp"
#include "peermq/options.hpp"
#include "peermq/request.hpp"
#include "peermq/stats.hpp"

namespace peermq {

struct ReplierOptions {
    /// Most requests held here and not answered, over all requesters. 1 to 1,000,000, default 0: as
    /// many as handlers work at the same time, so that none waits behind a slow one. More for tiny
    /// requests at full speed.
    std::uint32_t prefetch = 0;
    /// Handlers that work at the same time when you call receive() from threads of your own; run()
    /// sets it. 1 to 1,024, default 1.
    std::uint32_t concurrency = 1;
    /// How long one request may be worked on; afterwards its requester may take it for lost. More
    /// than 0, default 30 min.
    std::chrono::nanoseconds max_processing = std::chrono::minutes(30);
    /// Whole replies remembered under the id of their request: one that is asked again with the
    /// same Message::id, by the same requester, is answered without running it. Default 4,096, 0:
    /// none.
    std::uint32_t cache_count_max = 4096;
    /// Most bytes of them; a reply above a quarter of it is not remembered. Default 16 MiB.
    std::uint64_t cache_bytes_max = std::uint64_t{16} << 20;
};

/// Answers the requests of a service, from all connected requesters, competing with other repliers.
///
/// Requests past their deadline, and cancelled ones, are skipped and counted.
/// Threads: any number of callers at once; each request goes to one of them.
/// Lifetime: destroying it stops it; Requests that are still alive may be answered until the Peer
/// closes. One that was moved from may only be destroyed or assigned to.
class PEERMQ_EXPORT Replier {
public:
    Replier(Replier&&) noexcept;
    Replier& operator=(Replier&&) noexcept;
    ~Replier();

    /// The next request; nothing when `timeout` passes, or at once after stop() or Peer::close().
    /// With 0 or less, what has arrived already.
    [[nodiscard]] std::optional<Request> receive(std::chrono::nanoseconds timeout);
    /// The next request, waiting for it; nothing only after stop() or Peer::close().
    [[nodiscard]] std::optional<Request> receive();

    /// Calls `handler` for every request until stop() or Peer::close(). When it throws an Error,
    /// the requester gets a failure with the name of its code, for any other exception
    /// "handler_failed"; when it returns without an answer, "no_reply". Blocks; with a concurrency
    /// of n, the caller and n - 1 threads of its own call the handler. Returns when all handlers
    /// have returned. Throws Error: invalid_argument (concurrency); io_error (a thread cannot be
    /// started; then no handler was called).
    void run(const std::function<void(Request&)>& handler, RunOptions options = {});

    /// Takes no more requests, gives back what nobody has received yet, ends receive(), iteration
    /// and run(). Requests in hand may still be answered.
    void stop();
    [[nodiscard]] bool stopped() const;

    /// As Pull::notify().
    void notify(const Notifier& notifier);
    /// Changes ReplierOptions::concurrency, and with it what is held here when prefetch is 0, for
    /// callers that start threads or tasks of their own.
    /// Throws Error: invalid_argument (not 1 to 1,024).
    void set_concurrency(std::uint32_t concurrency);

    [[nodiscard]] ReplierStats stats() const;
    [[nodiscard]] const std::string& service() const noexcept;

    /// Single-pass: `for (auto& request : replier)` until stopped.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Request;
        using difference_type = std::ptrdiff_t;
        using pointer = Request*;
        using reference = Request&;

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
        friend class Replier;
        explicit Iterator(Replier* replier) : replier_(replier) { advance(); }
        void advance();
        Replier* replier_ = nullptr;
        std::optional<Request> current_;
    };
    Iterator begin() { return Iterator(this); }
    Iterator end() { return {}; }

private:
    friend class Peer;
    class Impl;
    bool fill(Request& request, std::chrono::nanoseconds timeout);
    explicit Replier(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
