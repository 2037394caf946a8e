#include "net/poller.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
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

// Sequentially consistent on both sides: either wake() sees the waiter, or the waiter sees the request.
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
    finish();
    return false;
}

void Wakeup::finish() noexcept {
    waiting_.store(false);
    // An exchange, not a store: what wake()'s caller wrote before is then visible after wait().
    requested_.exchange(false);
}

void Wakeup::drain() noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
}

Poller::Poller(std::shared_ptr<Wakeup> wakeup)
    : wakeup_(std::move(wakeup)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_) throw_errno("cannot create an epoll descriptor");
    static_cast<void>(add(wakeup_->descriptor(), EPOLLIN, [this] { wakeup_->drain(); }));
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

void Poller::poll() { run(wait_kernel(base::Duration::zero())); }

void Poller::wait(base::Clock& clock, base::Time deadline) {
    if (!wakeup_->prepare()) {
        poll();
        return;
    }
    int count;
    do {
        const base::Duration left = deadline - clock.now();
        count = wait_kernel(std::clamp(left, base::Duration::zero(), kWaitMax));
    } while (count < 0 && clock.now() < deadline);
    wakeup_->finish();
    run(count);
}

/// How many keys fired (now in fired_), or -1 when interrupted.
int Poller::wait_kernel(base::Duration timeout) {
    epoll_event events[kEventsMax];
    int count = -1;
    bool coarse = !has_fine_wait_ || timeout == base::Duration::zero();
    if (!coarse) {
        timespec spec{};
        const auto whole = std::chrono::duration_cast<std::chrono::seconds>(timeout);
        spec.tv_sec = whole.count();
        spec.tv_nsec = (timeout - whole).count();
        count = epoll_pwait2(epoll_.get(), events, kEventsMax, &spec, nullptr);
        // Missing, or refused by a container's filter: whole milliseconds from now on.
        if (count < 0 && errno != EINTR) has_fine_wait_ = !(coarse = true);
    }
    if (coarse) {
        const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
        count = epoll_wait(epoll_.get(), events, kEventsMax, static_cast<int>(wait_ms));
    }
    fired_.clear();
    for (int index = 0; index < count; ++index) fired_.push_back(events[index].data.u64);
    return count;
}

void Poller::run(int count) {
    if (count <= 0) return;
    const std::vector<Key> fired = std::exchange(fired_, {});
    for (const Key key : fired) {
        const auto found = handlers_.find(key);
        if (found == handlers_.end()) continue;
        // Kept alive: the handler may remove itself.
        const std::shared_ptr<Handler> handler = found->second;
        (*handler)();
    }
    fired_ = {};
}

}  // namespace peermq::net
