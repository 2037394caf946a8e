#pragma once

/// What a public Notifier holds: an eventfd, and whether it is readable already.

#include <atomic>

#include "peermq/notifier.hpp"

namespace peermq::detail {

class NotifierState {
public:
    NotifierState();
    ~NotifierState();
    NotifierState(const NotifierState&) = delete;
    NotifierState& operator=(const NotifierState&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }
    /// Nobody needs to be told again: spares looking whether there is something to tell.
    [[nodiscard]] bool notified() const noexcept { return notified_.load(); }
    void notify() noexcept;
    void reset() noexcept;

private:
    const int fd_;
    std::atomic<bool> notified_{false};
};

}  // namespace peermq::detail
