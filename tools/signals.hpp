#pragma once

/// Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once.
///
/// Made by the first instance(), which must come before any other thread: the signals are blocked
/// everywhere and taken by a thread of its own. Commands that never ask for it end at once.
/// Threads: any.

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace peermq::tools {

class Signals {
public:
    [[nodiscard]] static Signals& instance();

    /// Readable, and so seen by poll(), once the end was asked for.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    /// SIGINT or SIGTERM once one came, or what stop() was given; 0 before.
    [[nodiscard]] int stopped() const noexcept { return signal_.load(); }
    /// Asks for the end as a signal does.
    void stop(int signal);
    /// 130 or 143: how a command ends that was not done; 0 when no signal came.
    [[nodiscard]] int exit_code() const noexcept;

    /// Calls `stop` once the end is asked for (at once if it was already), until destroyed. It runs
    /// in another thread and must not wait.
    class OnStop {
    public:
        explicit OnStop(std::function<void()> stop);
        ~OnStop();
        OnStop(const OnStop&) = delete;
        OnStop& operator=(const OnStop&) = delete;

    private:
        std::list<std::function<void()>>::iterator place_;
    };

    /// Process groups to kill when the second signal ends this process.
    void add_child(pid_t group);
    void remove_child(pid_t group);

private:
    Signals();
    [[noreturn]] void watch();

    int descriptor_ = -1;
    std::atomic<int> signal_{0};
    std::mutex mutex_;
    std::list<std::function<void()>> stops_;
    std::list<pid_t> children_;
    std::thread watcher_;
};

/// True once Ctrl-C or SIGTERM came.
[[nodiscard]] inline bool stop_requested() { return Signals::instance().stopped() != 0; }

}  // namespace peermq::tools
