#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace peermq::detail {

/// Starts a thread that shows `name` (15 characters) in ps and debuggers and takes no signals: they
/// are the application's.
template <typename Work>
std::thread start_thread(const char* name, Work&& work) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::forward<Work>(work));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread.native_handle(), name);
    return thread;
}

}  // namespace peermq::detail
