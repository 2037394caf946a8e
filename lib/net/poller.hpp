#pragma once

/// Waiting for descriptors, and being woken from other threads.
///
/// epoll, level-triggered, since zmq_poll asks every socket each time: 2,000 of them cost more than
/// a millisecond a call, epoll costs the same for one and for ten thousand.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>

#include "base/clock.hpp"

struct epoll_event;

namespace peermq::net {

/// An owned descriptor.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor() { reset(); }
    Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }
    [[nodiscard]] int release() noexcept;
    void reset() noexcept;

private:
    int number_ = -1;
};

/// wake() costs one atomic exchange while nobody waits. Any thread; signal-safe.
class Wakeup {
public:
    Wakeup();
    void wake() noexcept;

    // For the waiting thread only.
    [[nodiscard]] int descriptor() const noexcept { return event_.get(); }
    /// Announces that wait is about to begin; false: there is no need, somebody has called wake().
    [[nodiscard]] bool prepare() noexcept;
    /// The wait is over; `signalled` when the descriptor was seen readable.
    void finish(bool signalled) noexcept;

private:
    Descriptor event_;
    std::atomic<bool> waiting_{false};
    std::atomic<bool> requested_{false};
};

class Poller {
public:
    using Key = std::uint64_t;
    using Handler = std::function<void()>;

    /// What ends a wait at a time: the wait itself, to the nanosecond, which needs Linux 5.11, or a
    /// timer beside it.
    enum class Timing { by_wait, by_timer };

    /// With by_wait it changes to a timer where the kernel, or the filter of a container, refuses.
    explicit Poller(std::shared_ptr<Wakeup> wakeup, Timing timing = Timing::by_wait);

    /// Calls `handler` from poll() whenever `descriptor` shows one of `events`
    /// (EPOLLIN...). Handlers may add and remove, themselves too. Throws Error io_error.
    [[nodiscard]] Key add(int descriptor, std::uint32_t events, Handler handler);
    /// `descriptor` must still be open. Key 0 is ignored.
    void remove(Key key, int descriptor) noexcept;

    /// Runs the handlers of what is ready now.
    void poll();
    /// Waits until something is ready, or `deadline`, or wake(). EINTR is waited out. Runs no
    /// handler: the next poll() does. The only call that another thread than the owner may make,
    /// one at a time.
    void idle(base::Clock& clock, base::Time deadline);

private:
    /// How many events there are, or -1 when interrupted. With a timer, its end is one.
    [[nodiscard]] int wait_kernel(std::span<epoll_event> events, base::Duration timeout);
    [[nodiscard]] int wait_by_timer(std::span<epoll_event> events, base::Duration timeout);
    void run(std::span<const epoll_event> events, int count);

    std::shared_ptr<Wakeup> wakeup_;
    Descriptor epoll_;
    Key last_key_ = 0;
    Key wakeup_key_ = 0;
    std::unordered_map<Key, std::shared_ptr<Handler>> handlers_;
    std::atomic<bool> by_timer_;
    Descriptor timer_;  ///< of whoever is in idle(); made when it is needed
};

}  // namespace peermq::net
