#include "net/poller.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "peermq/error.hpp"

namespace peermq::net {
namespace {

constexpr int kEventsMax = 256;
constexpr base::Duration kWaitMax = std::chrono::hours(1);
/// Nobody handles it; keys of handlers begin with 1.
constexpr Poller::Key kTimerKey = 0;

timespec to_timespec(base::Duration time) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {whole.count(), (time - whole).count()};
}

[[noreturn]] void throw_errno(const char* what) {
    throw Error(ErrorCode::io_error, std::string(what) + ": " + std::strerror(errno) + " (errno " +
                                         std::to_string(errno) + "; see ulimit -n)");
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        reset();
        number_ = other.release();
    }
    return *this;
}

int Descriptor::release() noexcept { return std::exchange(number_, -1); }

void Descriptor::reset() noexcept {
    if (number_ >= 0) ::close(release());
}

Wakeup::Wakeup() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!event_) throw_errno("cannot create an eventfd");
}

// Sequentially consistent on both sides: either wake() sees the waiter, or the waiter sees the
// request.
void Wakeup::wake() noexcept {
    if (requested_.exchange(true)) return;
    if (!waiting_.load()) return;
    const int saved = errno;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
    errno = saved;
}

bool Wakeup::prepare() noexcept {
    waiting_.store(true);
    if (!requested_.load()) return true;
    finish(false);
    return false;
}

void Wakeup::finish(bool signalled) noexcept {
    waiting_.store(false);
    // An exchange, not a store: what wake()'s caller wrote before is then visible after wait().
    requested_.exchange(false);
    // What the kernel showed decides, not a note of wake(): its thread may stand between its write
    // and the note, off the processor that this thread would spend on waiting for nothing. A write
    // that comes after this ends the next wait early, once.
    if (!signalled) return;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
}

Poller::Poller(std::shared_ptr<Wakeup> wakeup, Timing timing)
    : wakeup_(std::move(wakeup)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      by_timer_(timing == Timing::by_timer) {
    if (!epoll_) throw_errno("cannot create an epoll descriptor");
    wakeup_key_ = add(wakeup_->descriptor(), EPOLLIN, [] {});
}

Poller::Key Poller::add(int descriptor, std::uint32_t events, Handler handler) {
    const Key key = ++last_key_;
    epoll_event event{};
    event.events = events;
    event.data.u64 = key;
    handlers_.emplace(key, std::make_shared<Handler>(std::move(handler)));
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
        handlers_.erase(key);
        throw_errno("cannot watch a descriptor");
    }
    return key;
}

void Poller::remove(Key key, int descriptor) noexcept {
    if (handlers_.erase(key) == 0) return;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
}

void Poller::poll() {
    epoll_event events[kEventsMax];
    run(events, wait_kernel(events, base::Duration::zero()));
}

void Poller::idle(base::Clock& clock, base::Time deadline) {
    if (!wakeup_->prepare()) return;
    epoll_event any[1];
    int count;
    do {
        const base::Duration left = deadline - clock.now();
        count = wait_kernel(any, std::clamp(left, base::Duration::zero(), kWaitMax));
    } while (count < 0 && clock.now() < deadline);
    wakeup_->finish(count > 0 && any[0].data.u64 == wakeup_key_);
}

int Poller::wait_kernel(std::span<epoll_event> events, base::Duration timeout) {
    const int capacity = static_cast<int>(events.size());
    if (timeout == base::Duration::zero())
        return epoll_wait(epoll_.get(), events.data(), capacity, 0);
    if (by_timer_) return wait_by_timer(events, timeout);
    const timespec spec = to_timespec(timeout);
    const int count = epoll_pwait2(epoll_.get(), events.data(), capacity, &spec, nullptr);
    if (count >= 0 || errno == EINTR) return count;
    by_timer_ = true;
    return wait_by_timer(events, timeout);
}

int Poller::wait_by_timer(std::span<epoll_event> events, base::Duration timeout) {
    const int capacity = static_cast<int>(events.size());
    if (!timer_) {
        Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = kTimerKey;
        if (timer && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer.get(), &event) == 0)
            timer_ = std::move(timer);
    }
    const itimerspec due{{}, to_timespec(timeout)};
    if (!timer_ || timerfd_settime(timer_.get(), 0, &due, nullptr) != 0) {
        // Out of descriptors: in whole milliseconds, then.
        const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
        return epoll_wait(epoll_.get(), events.data(), capacity, static_cast<int>(wait_ms));
    }
    const int count = epoll_wait(epoll_.get(), events.data(), capacity, -1);
    const int saved = errno;
    const itimerspec never{};
    timerfd_settime(timer_.get(), 0, &never, nullptr);  // it would end the next wait, too
    errno = saved;
    return count;
}

void Poller::run(std::span<const epoll_event> events, int count) {
    for (int index = 0; index < count; ++index) {
        const auto found = handlers_.find(events[static_cast<std::size_t>(index)].data.u64);
        if (found == handlers_.end()) continue;
        // Kept alive: the handler may remove itself.
        const std::shared_ptr<Handler> handler = found->second;
        (*handler)();
    }
}

}  // namespace peermq::net
