#pragma once

/// Randomness as a dependency: real from the kernel, seeded in tests.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ids.hpp"

namespace peermq::base {

class Random {
public:
    virtual ~Random() = default;
    virtual void fill(std::span<std::byte> out) = 0;

    [[nodiscard]] std::uint64_t next() {
        std::uint64_t value = 0;
        fill(std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }

    /// A number in [0, bound); 0 for bound 0. The bias of the modulo is below 2^-32 for our bounds.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return bound ? next() % bound : 0; }

    template <typename Id>
    [[nodiscard]] Id id() {
        Id id;
        fill(id.bytes);
        return id;
    }
};

/// getrandom(2). Any thread.
class SystemRandom final : public Random {
public:
    void fill(std::span<std::byte> out) override;
};

}  // namespace peermq::base
