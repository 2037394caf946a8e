#pragma once

/// The interpreter's lock: given back around waits and large copies, taken again safely even while
/// the interpreter ends.
///
/// A thread that asks for the lock after the end has begun is ended by CPython in the middle of C++
/// frames, which aborts the program. Here it is parked for good instead, as CPython itself does
/// from 3.14 on; leave_interpreter() closes the gap between asking and getting.
///
/// Threads: any.

#include <Python.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace peermq::python {

using Duration = std::chrono::nanoseconds;
/// No value: without end.
using Timeout = std::optional<Duration>;

/// How long a wait may leave Ctrl-C unseen.
inline constexpr auto kSlice = std::chrono::milliseconds(50);

/// Gives the lock back for as long as it lives. The thread must hold it.
class Unlocked {
public:
    Unlocked() noexcept;
    ~Unlocked();
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

private:
    PyThreadState* state_;
};

/// Holds the lock in a thread that is not Python's own (callbacks). Empty when the interpreter
/// ends: then nothing of Python may be touched.
class Locked {
public:
    Locked() noexcept;
    ~Locked();
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    [[nodiscard]] explicit operator bool() const noexcept { return held_; }

private:
    bool held_ = false;
    PyGILState_STATE state_{};
};

/// From an atexit handler, before peers are closed: what then finds its peer closed is told nothing
/// any more.
void begin_leaving() noexcept;
/// For threads that met a closed peer: parks the calling one if that is due to begin_leaving(). The
/// thread must hold the lock.
void park_if_leaving() noexcept;
/// Later in that handler, after which only the calling thread runs Python code: others are parked
/// when they come back for the lock.
void leave_interpreter();
/// In the child of a fork only the forking thread is left.
void after_fork_in_child() noexcept;

/// Throws what Ctrl-C or a signal handler raised, as an exception that ends in Python.
void check_signals();

/// Calls `step(time)` without the lock, again and again, until it returns true or `timeout` has
/// passed (then false). In between it looks for signals.
template <typename Step>
bool wait(Timeout timeout, Step&& step) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    while (true) {
        const Duration left = timeout ? *timeout - (Clock::now() - start) : Duration(kSlice);
        bool done = false;
        {
            const Unlocked unlocked;
            done = step(std::clamp<Duration>(left, Duration::zero(), kSlice));
        }
        if (done) return true;
        if (left <= Duration::zero()) return false;
        check_signals();
    }
}

}  // namespace peermq::python
