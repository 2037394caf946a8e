#pragma once

/// Randomness that a seed repeats: xoshiro256**, seeded through splitmix64. One thread at a time.

#include <array>
#include <cstdint>

#include "base/random.hpp"

namespace peermq::test {

class SeededRandom final : public base::Random {
public:
    explicit SeededRandom(std::uint64_t seed);

    void fill(std::span<std::byte> out) override;

    /// Like Random::next(), without the detour over bytes.
    [[nodiscard]] std::uint64_t next() noexcept;
    /// A number in [0, bound); 0 for bound 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
    /// A number in [low, high], both included.
    [[nodiscard]] std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept;
    /// True `per_million` times in a million; draws nothing for 0, so that a fault which is
    /// switched off leaves the rest of the run as it was.
    [[nodiscard]] bool chance(std::uint32_t per_million) noexcept;
    /// A generator of its own for one part of a test, so that parts do not shift each other.
    [[nodiscard]] SeededRandom fork() noexcept { return SeededRandom(next()); }

private:
    std::array<std::uint64_t, 4> state_{};
};

}  // namespace peermq::test
