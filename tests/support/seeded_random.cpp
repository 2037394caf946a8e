#include "support/seeded_random.hpp"

#include <algorithm>
#include <bit>

namespace peermq::test {

SeededRandom::SeededRandom(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
        seed += 0x9E3779B97F4A7C15;
        std::uint64_t mixed = seed;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        word = mixed ^ (mixed >> 31);
    }
}

std::uint64_t SeededRandom::next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

void SeededRandom::fill(std::span<std::byte> out) {
    while (!out.empty()) {
        const std::uint64_t word = next();
        const std::size_t count = std::min(out.size(), sizeof word);
        std::memcpy(out.data(), &word, count);
        out = out.subspan(count);
    }
}

std::uint64_t SeededRandom::below(std::uint64_t bound) noexcept {
    return bound ? next() % bound : 0;
}

std::uint64_t SeededRandom::between(std::uint64_t low, std::uint64_t high) noexcept {
    return low + below(high - low + 1);
}

bool SeededRandom::chance(std::uint32_t per_million) noexcept {
    return per_million != 0 && below(1'000'000) < per_million;
}

}  // namespace peermq::test
