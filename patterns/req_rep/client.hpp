#pragma once

/// What all Requester objects of one service share beside their table of calls: the circuit breaker
/// and the thread that calls back. Kept in Calls::client.
///
/// Threads: any, by locks of its own, which are taken under that of Calls, never the reverse.

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "peer/calls.hpp"
#include "peermq/requester.hpp"
#include "req_rep/circuit_breaker.hpp"

namespace peermq::detail {

/// Calls one thing after the other on a thread of its own, which outlives it if it must.
class Callbacks {
public:
    Callbacks() = default;
    /// Calls what waits to be called, then ends the thread; without waiting for it, if called by
    /// it.
    ~Callbacks();
    Callbacks(const Callbacks&) = delete;
    Callbacks& operator=(const Callbacks&) = delete;

    /// Throws Error io_error when there can be no thread.
    void start();
    /// After start().
    void post(std::function<void()> work);
    [[nodiscard]] std::uint64_t failures() const;

private:
    struct Queue {
        std::mutex mutex;
        std::condition_variable wanted;
        std::deque<std::function<void()>> work;
        std::uint64_t failures = 0;
        bool stopping = false;
    };
    static void run(const std::shared_ptr<Queue>& queue);

    std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
    std::mutex mutex_;
    std::thread thread_;
};

class Client {
public:
    Client(const RequesterOptions& options, base::Clock& clock);

    using Admission = CircuitBreaker::Admission;
    /// Throws Error circuit_open.
    [[nodiscard]] Admission admit(const std::string& service);
    /// What admit() let through has ended as `call` says, or was never sent (null).
    void ended(Admission admission, const Call* call);

    struct Stats {
        std::uint64_t rejected = 0;
        BreakerState breaker = BreakerState::closed;
    };
    [[nodiscard]] Stats stats();

    Callbacks callbacks;

private:
    base::Clock& clock_;
    std::mutex mutex_;
    CircuitBreaker breaker_;
    std::uint64_t rejected_ = 0;
};

}  // namespace peermq::detail
