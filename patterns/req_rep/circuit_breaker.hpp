#pragma once

/// Keeps a requester from asking a service that fails: closed, open for a while, then half open
/// until a trial succeeds. Told the time; no lock: its client serialises.

#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "peermq/stats.hpp"

namespace peermq::detail {

class CircuitBreaker {
public:
    /// Opens when `failures` of the latest `window` requests have failed; 0: never. Tries again
    /// after `wait`.
    CircuitBreaker(std::uint32_t failures, std::uint32_t window, base::Duration wait);

    enum class Admission : std::uint8_t {
        refused,
        admitted,
        trial,  ///< of the half-open state: there is one at a time
    };
    /// May a request go out now? If so, its end must be told.
    [[nodiscard]] Admission admit(base::Time now);
    enum class Outcome : std::uint8_t {
        success,
        failure,
        nothing,  ///< tells nothing of the service: cancelled, or never sent
    };
    void ended(Admission admission, Outcome outcome, base::Time now);

    [[nodiscard]] BreakerState state(base::Time now) const;

private:
    void note(bool failure);
    void open(base::Time now);

    const std::uint32_t failures_max_;
    const base::Duration wait_;
    std::vector<bool> latest_;  ///< ring: did it fail?
    std::size_t next_ = 0;
    std::uint32_t failures_ = 0;  ///< in the ring
    bool open_ = false;
    bool trying_ = false;  ///< a trial is out
    base::Time open_until_{};
};

}  // namespace peermq::detail
