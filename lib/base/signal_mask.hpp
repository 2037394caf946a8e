#pragma once

/// Threads of ours, and of libraries below us, take no signals: those are the application's. A new
/// thread inherits the mask of the one that starts it, so it is blocked there from its first
/// instruction on; a thread that blocks signals itself leaves a moment in which one may strike.

#include <pthread.h>
#include <signal.h>

namespace peermq::base {

/// Blocks all signals for the calling thread as long as it lives.
class AllSignalsBlocked {
public:
    AllSignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

private:
    sigset_t before_;
};

}  // namespace peermq::base
