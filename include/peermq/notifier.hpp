#pragma once

#include <memory>

#include "peermq/export.hpp"

namespace peermq {

namespace detail {
class NotifierState;
}

/// Wakes an event loop: a descriptor that becomes readable when something has changed.
///
/// Given to Pull::notify() or Push::notify(), as often as wanted; one may serve many objects. The
/// loop waits for fd() to be readable (poll, epoll, select; level-triggered or not), then calls
/// reset(), then looks, for example with Pull::receive() and no time-out until it returns nothing.
/// What changes after reset() makes it readable again, so nothing is missed; it may be readable in
/// vain. Until the next reset() further changes cost one look at a flag.
///
/// Threads: any. Copies share the descriptor; it is closed with the last of them, those inside
/// objects that it was given to included. Unusable in a forked child.
class PEERMQ_EXPORT Notifier {
public:
    /// Throws Error io_error (out of descriptors).
    Notifier();

    /// To be waited for, not to be read, written or closed.
    [[nodiscard]] int fd() const noexcept;
    /// Makes fd() unreadable. Call it before looking, not after.
    void reset() const noexcept;
    /// Makes fd() readable: whoever else wants the loop to look. Safe in signal handlers.
    void notify() const noexcept;

private:
    friend class Publisher;
    friend class Pull;
    friend class Push;
    friend class Replier;
    friend class Requester;
    std::shared_ptr<detail::NotifierState> state_;
};

}  // namespace peermq
