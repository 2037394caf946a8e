#pragma once

#include <pthread.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "base/clock.hpp"
#include "base/signal_mask.hpp"

namespace peermq::detail {

/// Starts a thread that shows `name` (15 characters) in ps and debuggers and takes no signals: they
/// are the application's.
template <typename Work>
std::thread start_thread(const char* name, Work&& work) {
    const base::AllSignalsBlocked blocked;
    std::thread thread(std::forward<Work>(work));
    pthread_setname_np(thread.native_handle(), name);
    return thread;
}

/// No wait is longer, so that no time overflows.
inline constexpr base::Duration kLongestWait = std::chrono::hours(24 * 365);

/// Waits for a thread that says through `ended` that its work is over, for up to `timeout`. One
/// that is stuck is left to itself and must own all that it uses; then false.
template <typename Result>
bool join_or_leave(std::thread& thread, const std::future<Result>& ended, base::Duration timeout) {
    if (ended.wait_for(std::min(timeout, kLongestWait)) == std::future_status::ready) {
        thread.join();
        return true;
    }
    thread.detach();
    return false;
}

}  // namespace peermq::detail
