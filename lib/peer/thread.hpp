#pragma once

#include <pthread.h>

#include <thread>
#include <utility>

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

}  // namespace peermq::detail
