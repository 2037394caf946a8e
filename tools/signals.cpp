#include "signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace peermq::tools {
namespace {

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

}  // namespace

Signals::Signals() {
    const sigset_t set = stop_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    descriptor_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
    watcher_ = std::thread([this] { watch(); });
    watcher_.detach();
}

Signals& Signals::instance() {
    // Never destroyed: its thread watches to the very end.
    static Signals& signals = *new Signals;
    return signals;
}

void Signals::watch() {
    pthread_setname_np(pthread_self(), "peermq-signals");
    const sigset_t set = stop_signals();
    while (true) {
        int signal = 0;
        if (sigwait(&set, &signal) != 0) continue;
        if (signal_.load() == 0) {
            stop(signal);
            continue;
        }
        const std::lock_guard lock(mutex_);
        for (const pid_t group : children_) ::kill(-group, SIGKILL);
        ::_exit(128 + signal);
    }
}

void Signals::stop(int signal) {
    const std::lock_guard lock(mutex_);
    int none = 0;
    if (!signal_.compare_exchange_strong(none, signal)) return;
    const std::uint64_t one = 1;
    (void)!::write(descriptor_, &one, sizeof one);
    for (const auto& each : stops_) each();
}

int Signals::exit_code() const noexcept {
    const int signal = stopped();
    return signal == 0 ? 0 : 128 + signal;
}

void Signals::add_child(pid_t group) {
    const std::lock_guard lock(mutex_);
    children_.push_back(group);
}

void Signals::remove_child(pid_t group) {
    const std::lock_guard lock(mutex_);
    children_.remove(group);
}

Signals::OnStop::OnStop(std::function<void()> stop) {
    Signals& signals = instance();
    const std::lock_guard lock(signals.mutex_);
    if (signals.signal_.load() != 0) stop();
    place_ = signals.stops_.insert(signals.stops_.end(), std::move(stop));
}

Signals::OnStop::~OnStop() {
    Signals& signals = instance();
    const std::lock_guard lock(signals.mutex_);
    signals.stops_.erase(place_);
}

}  // namespace peermq::tools
