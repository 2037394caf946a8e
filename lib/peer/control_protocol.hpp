#pragma once

/// What goes over a peer's control socket: frames of named values, both ways.
///
/// A frame is a length (u32, little-endian, of what follows) and one value. A value is a kind (u8)
/// and: 1 number: u64; 2 text: u32 length, bytes; 3 list: u32 count, values; 4 object: u32 count,
/// then for each field a name (u8 length, bytes) and a value. Objects nest at most 8 deep. Unknown
/// fields are passed over and missing ones keep their default, so that peers and tools of different
/// versions understand each other. Requests are objects with "do"; answers have "error" (a code)
/// and "text", or what was asked for. The peer begins, with its PeerInfo and "protocol".
///
/// What is read is bounded and never trusted. Pure; any thread.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "peermq/control.hpp"

namespace peermq::detail {

inline constexpr std::uint64_t kControlProtocol = 1;
inline constexpr std::string_view kControlName = "control";

class ControlValue;
using ControlList = std::vector<ControlValue>;
using ControlObject = std::map<std::string, ControlValue, std::less<>>;

class ControlValue {
public:
    ControlValue() = default;
    ControlValue(std::uint64_t number) : value_(number) {}
    ControlValue(std::string text) : value_(std::move(text)) {}
    ControlValue(std::string_view text) : value_(std::string(text)) {}
    ControlValue(ControlList list) : value_(std::move(list)) {}
    ControlValue(ControlObject object) : value_(std::move(object)) {}

    [[nodiscard]] std::uint64_t number() const noexcept;     ///< 0 when it is none
    [[nodiscard]] const std::string& text() const noexcept;  ///< empty when it is none
    [[nodiscard]] const ControlList& list() const noexcept;  ///< likewise
    [[nodiscard]] const ControlObject& object() const noexcept;
    /// The field of an object; an empty value when there is none.
    [[nodiscard]] const ControlValue& at(std::string_view name) const noexcept;

    void encode(std::string& out) const;
    /// The value that is all of `bytes`; nothing when they are anything else.
    [[nodiscard]] static std::optional<ControlValue> decode(std::string_view bytes);

private:
    [[nodiscard]] static bool take(std::string_view& bytes, ControlValue& value, int depth);

    std::variant<std::uint64_t, std::string, ControlList, ControlObject> value_{std::uint64_t{0}};
};

[[nodiscard]] ControlValue to_control(const PeerStats& stats);
[[nodiscard]] PeerStats stats_of(const ControlValue& value);
[[nodiscard]] ControlObject to_control(const PeerInfo& info);
[[nodiscard]] PeerInfo info_of(const ControlValue& value);
[[nodiscard]] ControlObject to_control(std::string_view queue, const Message& message);
/// Borrows from `value`.
[[nodiscard]] Message message_of(const ControlValue& value);

// --- sockets

/// A descriptor that closes itself.
class ControlSocket {
public:
    explicit ControlSocket(int descriptor = -1) noexcept : descriptor_(descriptor) {}
    ControlSocket(ControlSocket&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)) {}
    ControlSocket& operator=(ControlSocket&& other) noexcept;
    ~ControlSocket();
    [[nodiscard]] int get() const noexcept { return descriptor_; }

    /// Sends one value; false when `deadline` passes, the other end is gone, or `cancel` (a
    /// descriptor, -1 for none) is readable.
    [[nodiscard]] bool send(const ControlValue& value,
                            std::chrono::steady_clock::time_point deadline, int cancel = -1) const;
    /// Receives one of at most `bytes_max` bytes; nothing likewise, or when it is malformed.
    [[nodiscard]] std::optional<ControlValue> receive(
        std::size_t bytes_max, std::chrono::steady_clock::time_point deadline,
        int cancel = -1) const;

private:
    [[nodiscard]] bool wait(short events, std::chrono::steady_clock::time_point deadline,
                            int cancel) const;
    [[nodiscard]] bool receive_all(char* data, std::size_t size,
                                   std::chrono::steady_clock::time_point deadline,
                                   int cancel) const;

    int descriptor_;
};

}  // namespace peermq::detail
