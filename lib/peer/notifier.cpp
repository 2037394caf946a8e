#include "peer/notifier.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "peermq/error.hpp"

namespace peermq {
namespace detail {

NotifierState::NotifierState() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) {
        throw Error(ErrorCode::io_error,
                    std::string("cannot create an eventfd: ") + std::strerror(errno));
    }
}

NotifierState::~NotifierState() { (void)close(fd_); }

void NotifierState::notify() noexcept {
    if (notified_.load() || notified_.exchange(true)) return;
    const std::uint64_t one = 1;
    const int saved_errno = errno;
    // It cannot be full: between two resets it is written once.
    [[maybe_unused]] const auto written = write(fd_, &one, sizeof one);
    errno = saved_errno;
}

void NotifierState::reset() noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = read(fd_, &count, sizeof count);
    // After the read: who finds the flag set in between has changed something that the caller, who
    // looks after this, will see. The other way round a write could be taken with the flag left
    // set, and nobody would be told ever again.
    notified_.store(false);
}

}  // namespace detail

Notifier::Notifier() : state_(std::make_shared<detail::NotifierState>()) {}
int Notifier::fd() const noexcept { return state_->fd(); }
void Notifier::reset() const noexcept { state_->reset(); }
void Notifier::notify() const noexcept { state_->notify(); }

}  // namespace peermq
