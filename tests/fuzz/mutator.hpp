#pragma once

/// Inputs made from others by a few random edits each. The same seed and corpus give the same
/// inputs. One thread.

#include <cstddef>
#include <vector>

#include "support/seeded_random.hpp"

namespace peermq::test {

class Mutator {
public:
    using Input = std::vector<std::byte>;

    Mutator(std::vector<Input> corpus, std::uint64_t seed);
    [[nodiscard]] Input next();

private:
    void edit(Input& input);
    void change_byte(Input& input);
    void change_number(Input& input);
    void insert(Input& input);
    void erase(Input& input);
    void copy_within(Input& input);
    void splice(Input& input);
    [[nodiscard]] const Input& any() { return corpus_[random_.below(corpus_.size())]; }

    std::vector<Input> corpus_;  ///< never empty
    SeededRandom random_;
};

}  // namespace peermq::test
