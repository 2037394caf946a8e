#pragma once

/// SIGINT and SIGTERM as an ordinary function call, so that it may use the whole library.

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>
#include <utility>

#include <pthread.h>

/// Calls `on_stop` on a thread of its own at the first signal; a second one ends the process at
/// once.
///
/// Make it on the main thread before threads of your own, which inherit the blocked signals, and
/// after everything that `on_stop` uses.
class StopSignal {
public:
    explicit StopSignal(std::function<void()> on_stop) {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        thread_ = std::thread([this, on_stop = std::move(on_stop)] {
            int signal = 0;
            sigwait(&signals_, &signal);
            if (leaving_) return;
            on_stop();
            sigwait(&signals_, &signal);
            if (!leaving_) std::_Exit(128 + signal);
        });
    }
    StopSignal(const StopSignal&) = delete;
    StopSignal& operator=(const StopSignal&) = delete;
    ~StopSignal() {
        leaving_ = true;
        pthread_kill(thread_.native_handle(), SIGTERM);
        thread_.join();
    }

private:
    sigset_t signals_{};
    std::atomic<bool> leaving_ = false;
    std::thread thread_;
};
