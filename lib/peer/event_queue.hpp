#pragma once

/// Carries events from wherever they happen to the user's callbacks, on a thread of its own, so
/// that no callback runs under a lock or stops the peer. Bounded: what does not fit is counted, and
/// so is every exception out of a callback; both stand in PeerStats.

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "peer/engine.hpp"
#include "peermq/events.hpp"

namespace peermq::detail {

class EventQueue final : public EventSink {
public:
    /// Starts a thread with the first event if there is anyone to call.
    EventQueue(EventCallback on_event, LogSink log);
    /// Like end(), with a second.
    ~EventQueue() override;

    void emit(Event event) override;
    void refused(const std::shared_ptr<InStream>& stream, std::string id) override;
    /// Waits until everything emitted so far has been delivered, or the time is over.
    void flush(base::Duration timeout);
    /// The same, and no callback begins any more afterwards. One that has not returned by then is
    /// left to itself with its thread.
    void end(base::Duration timeout);
    /// Calls that found no room. Any thread.
    [[nodiscard]] std::uint64_t dropped() const noexcept;
    /// Callbacks that threw. Any thread.
    [[nodiscard]] std::uint64_t failures() const noexcept;

private:
    /// What the thread works on, which it keeps alive.
    struct Shared;

    void post(std::function<void()> call);

    const std::shared_ptr<Shared> shared_;
    std::thread thread_;  ///< started with the first call; guarded by the mutex in shared_
    std::future<void> ended_;
};

}  // namespace peermq::detail
