#include "traffic.hpp"

#include <stdexcept>

namespace peermq::bench {

namespace {

std::uint64_t total(const Board& board, std::atomic<std::uint64_t> Slot::*counter) {
    std::uint64_t sum = 0;
    for (const Slot& slot : board.slots) sum += (slot.*counter).load(std::memory_order_acquire);
    return sum;
}

}  // namespace

std::string to_string(System system) {
    switch (system) {
        case System::raw: return "raw";
        case System::memory: return "memory";
        case System::os: return "os";
        case System::disk: return "disk";
    }
    return "unknown";
}

std::uint64_t Board::handled() const { return total(*this, &Slot::handled); }
std::uint64_t Board::number_sum() const { return total(*this, &Slot::number_sum); }
std::uint64_t Board::wrong() const { return total(*this, &Slot::wrong); }

void check_complete(const Board& board, std::uint64_t sent) {
    const std::uint64_t handled = board.handled();
    const std::uint64_t wrong = board.wrong();
    // The sum wraps as the expected one does, so their comparison holds for any count.
    const std::uint64_t even = sent % 2 == 0 ? sent : sent - 1;
    const std::uint64_t odd = sent % 2 == 0 ? sent - 1 : sent;
    const std::uint64_t expected_sum = sent == 0 ? 0 : even / 2 * odd;
    if (handled == sent && wrong == 0 && board.number_sum() == expected_sum) return;
    throw std::runtime_error(
        "of " + std::to_string(sent) + " messages, " + std::to_string(handled) + " were handled, " +
        std::to_string(wrong) + " of them damaged or out of order; sum of numbers " +
        std::to_string(board.number_sum()) + ", expected " + std::to_string(expected_sum));
}

}  // namespace peermq::bench
