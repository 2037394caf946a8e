#pragma once

/// What raw libzmq and peermq have in common in these measurements: messages that carry their
/// number, a way to send them, and a tally at the receiver that notices when one is missing, comes
/// twice or was changed.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace peermq::bench {

/// What carries the messages.
enum class System { raw, memory, os, disk };

[[nodiscard]] std::string to_string(System system);

/// The sending side; binds to a free loopback port.
class Outlet {
public:
    virtual ~Outlet() = default;
    /// What receivers connect to.
    [[nodiscard]] virtual std::string endpoint() const = 0;
    virtual void send(std::span<const std::byte> body) = 0;
    /// Returns when everything sent is acked; throws when that takes unreasonably long.
    virtual void settle() = 0;
};

/// One message to be sent again and again: its number in the first 8 bytes, perhaps a time in the
/// next 8, and filling.
class Body {
public:
    explicit Body(std::size_t size) : bytes_(size, std::byte{'x'}) {}

    void number(std::uint64_t value) { std::memcpy(bytes_.data(), &value, sizeof value); }
    void stamp(std::uint64_t value) { std::memcpy(bytes_.data() + 8, &value, sizeof value); }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

[[nodiscard]] inline std::uint64_t number_of(std::span<const std::byte> body) {
    std::uint64_t value = 0;
    if (body.size() >= sizeof value) std::memcpy(&value, body.data(), sizeof value);
    return value;
}

[[nodiscard]] inline std::uint64_t stamp_of(std::span<const std::byte> body) {
    return body.size() < 16 ? 0 : number_of(body.subspan(8));
}

/// What one receiving thread has seen; in shared memory, written by that thread alone.
struct alignas(64) Slot {
    std::atomic<std::uint64_t> handled{0};
    std::atomic<std::uint64_t> number_sum{0};
    std::atomic<std::uint64_t> wrong{0};
};

inline constexpr std::size_t kSlotsMax = 64;

struct Board {
    std::array<Slot, kSlotsMax> slots{};

    [[nodiscard]] std::uint64_t handled() const;
    [[nodiscard]] std::uint64_t number_sum() const;
    [[nodiscard]] std::uint64_t wrong() const;
};

/// The handler: counts and checks, and nothing else.
class Tally {
public:
    /// With `ordered`, numbers must arrive as 0, 1, 2 ...
    Tally(Slot& slot, std::size_t size, bool ordered)
        : slot_(slot), size_(size), ordered_(ordered) {}

    void operator()(std::span<const std::byte> body) {
        const std::uint64_t number = number_of(body);
        if (body.size() != size_ || (ordered_ && number != handled_)) {
            slot_.wrong.fetch_add(1, std::memory_order_relaxed);
        }
        sum_ += number;
        slot_.number_sum.store(sum_, std::memory_order_relaxed);
        slot_.handled.store(++handled_, std::memory_order_release);
    }

private:
    Slot& slot_;
    std::size_t size_;
    bool ordered_;
    std::uint64_t handled_ = 0;
    std::uint64_t sum_ = 0;
};

/// Throws unless the messages 0 to `sent` - 1 were handled once each.
void check_complete(const Board& board, std::uint64_t sent);

}  // namespace peermq::bench
