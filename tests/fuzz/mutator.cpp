#include "fuzz/mutator.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace peermq::test {
namespace {

constexpr std::size_t kInputBytesMax = 64 * 1024;
constexpr std::size_t kPieceBytesMax = 64;
constexpr std::uint64_t kEditsMax = 6;

}  // namespace

Mutator::Mutator(std::vector<Input> corpus, std::uint64_t seed)
    : corpus_(std::move(corpus)), random_(seed) {
    if (corpus_.empty()) corpus_.emplace_back();
}

Mutator::Input Mutator::next() {
    Input input = any();
    const std::uint64_t edits = random_.between(1, kEditsMax);
    for (std::uint64_t i = 0; i < edits; ++i) edit(input);
    if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
    return input;
}

void Mutator::edit(Input& input) {
    if (input.empty()) return insert(input);
    switch (random_.below(8)) {
        case 0:
        case 1: return change_byte(input);
        case 2:
        case 3: return change_number(input);
        case 4: return insert(input);
        case 5: return erase(input);
        case 6: return copy_within(input);
        default: return splice(input);
    }
}

void Mutator::change_byte(Input& input) {
    std::byte& byte = input[random_.below(input.size())];
    if (random_.below(2) == 0) {
        byte ^= static_cast<std::byte>(1u << random_.below(8));
    } else {
        byte = static_cast<std::byte>(random_.below(256));
    }
}

/// Where decoders go wrong: at zero, at the ends of a type, one beside what is right.
void Mutator::change_number(Input& input) {
    constexpr std::array<std::size_t, 4> kWidths{1, 2, 4, 8};
    const std::size_t width = kWidths[random_.below(kWidths.size())];
    if (input.size() < width) return;
    std::byte* const at = input.data() + random_.below(input.size() - width + 1);
    std::uint64_t number = 0;
    std::memcpy(&number, at, width);
    const std::uint64_t ends = ~std::uint64_t{0} >> (64 - 8 * width);
    switch (random_.below(6)) {
        case 0: number = 0; break;
        case 1: number = ends; break;
        case 2: number = ends / 2 + random_.below(2); break;
        case 3: number = input.size(); break;
        case 4: number += random_.between(1, 16); break;
        default: number -= random_.between(1, 16); break;
    }
    std::memcpy(at, &number, width);
}

void Mutator::insert(Input& input) {
    Input piece(random_.between(1, kPieceBytesMax));
    random_.fill(piece);
    const auto at = static_cast<std::ptrdiff_t>(random_.below(input.size() + 1));
    input.insert(input.begin() + at, piece.begin(), piece.end());
}

void Mutator::erase(Input& input) {
    const std::size_t from = random_.below(input.size());
    // A short piece, or all of the rest.
    const std::size_t rest = input.size() - from;
    const std::size_t bytes = random_.below(4) == 0
                                  ? rest
                                  : std::min(rest, random_.between(1, kPieceBytesMax));
    const auto at = input.begin() + static_cast<std::ptrdiff_t>(from);
    input.erase(at, at + static_cast<std::ptrdiff_t>(bytes));
}

void Mutator::copy_within(Input& input) {
    const std::size_t from = random_.below(input.size());
    const std::size_t to = random_.below(input.size());
    const std::size_t bytes = random_.between(1, input.size() - std::max(from, to));
    std::memmove(input.data() + to, input.data() + from, bytes);
}

void Mutator::splice(Input& input) {
    const Input& other = any();
    const auto keep = static_cast<std::ptrdiff_t>(random_.below(input.size() + 1));
    const auto from = static_cast<std::ptrdiff_t>(random_.below(other.size() + 1));
    input.erase(input.begin() + keep, input.end());
    input.insert(input.end(), other.begin() + from, other.end());
}

}  // namespace peermq::test
