#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "peermq/export.hpp"
#include "peermq/options.hpp"

namespace peermq {

namespace detail {
class OutStream;
}

/// Tells how far one posted message has come. Cheap to copy and to drop.
///
/// Threads: any. Lifetime: may outlive its Push and Peer; then waiting throws Error closed unless
/// the answer is known already.
class PEERMQ_EXPORT Receipt {
public:
    Receipt() noexcept;
    Receipt(const Receipt&) noexcept;
    Receipt(Receipt&&) noexcept;
    Receipt& operator=(const Receipt&) noexcept;
    Receipt& operator=(Receipt&&) noexcept;
    ~Receipt();

    /// Waits until the message has come that far; false when `timeout` passes first, or later where
    /// this thread is the one that stores for all and the disk holds it.
    /// Throws Error: io_error (it could not be stored), closed, invalid_state (empty Receipt). A
    /// full disk is no failure: it is stored when there is room again.
    [[nodiscard]] bool wait(Until until = Until::durable,
                            std::chrono::nanoseconds timeout = std::chrono::hours(24 * 365)) const;
    /// The same without waiting.
    [[nodiscard]] bool done(Until until = Until::durable) const;
    /// True when wait() would throw: the message has not come that far and never will. For event
    /// loops, which ask without waiting.
    [[nodiscard]] bool failed(Until until = Until::durable) const;
    /// The id under which consumers see the message unless it was sent with one of its own.
    [[nodiscard]] std::string id() const;
    /// Position in the queue's stream, counting from 1; a crash may leave numbers out.
    [[nodiscard]] std::uint64_t sequence() const noexcept { return seq_; }

private:
    friend class Publisher;
    friend class Push;
    Receipt(std::shared_ptr<detail::OutStream> stream, std::uint64_t seq) noexcept;

    std::shared_ptr<detail::OutStream> stream_;
    std::uint64_t seq_ = 0;
};

}  // namespace peermq
