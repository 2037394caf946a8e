#pragma once

/// Carries events from wherever they happen to the user's callbacks, on a thread of its own, so
/// that no callback runs under a lock or stops the peer. Bounded: what does not fit is counted.

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

private:
    void post(std::function<void()> call);
    void run();
    void deliver(const Event& event) const;

    const EventCallback on_event_;
    const LogSink log_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> calls_;
    std::uint64_t overflowed_ = 0;
    bool busy_ = false;
    bool stopping_ = false;
    std::thread thread_;  ///< started with the first call
};

}  // namespace peermq::detail
