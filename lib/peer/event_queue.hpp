#pragma once

/// Carries events from wherever they happen to the user's callbacks, on a thread of its own, so
/// that no callback runs under a lock or stops the peer. Bounded: what does not fit is counted, and
/// so is every exception out of a callback; both stand in PeerStats.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "peer/engine.hpp"
#include "peermq/events.hpp"

namespace peermq::detail {

class EventQueue final : public EventSink {
public:
    /// Starts a thread if there is anyone to call.
    EventQueue(EventCallback on_event, LogSink log);
    /// Delivers what waits, then ends the thread.
    ~EventQueue() override;

    void emit(Event event) override;
    void refused(const std::shared_ptr<InStream>& stream, std::string id) override;
    /// Waits until everything emitted so far has been delivered, or the time is over.
    void flush(base::Duration timeout);
    /// Calls that found no room. Any thread.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(); }
    /// Callbacks that threw. Any thread.
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_.load(); }

private:
    void post(std::function<void()> call);
    void run();
    void deliver(const Event& event);
    /// Calls what is the user's: its exceptions are counted and go no further.
    template <typename Call>
    void guarded(Call&& call);

    const EventCallback on_event_;
    const LogSink log_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> calls_;
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> failures_{0};
    bool busy_ = false;
    bool stopping_ = false;
    std::thread thread_;  ///< started with the first call
};

}  // namespace peermq::detail
