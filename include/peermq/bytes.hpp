#pragma once

/// A view of bytes that takes what people have at hand: literals, strings, vectors, spans.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace peermq {

/// Borrowed bytes: valid as long as what it was made from. Never copies.
class BytesView {
public:
    constexpr BytesView() noexcept = default;
    BytesView(const void* data, std::size_t size) noexcept
        : data_(static_cast<const std::byte*>(data)), size_(size) {}
    BytesView(const char* text) noexcept : BytesView(text, std::strlen(text)) {}
    BytesView(std::string_view text) noexcept : BytesView(text.data(), text.size()) {}
    BytesView(const std::string& text) noexcept : BytesView(text.data(), text.size()) {}
    BytesView(std::span<const std::byte> bytes) noexcept : BytesView(bytes.data(), bytes.size()) {}
    BytesView(const std::vector<std::byte>& bytes) noexcept
        : BytesView(bytes.data(), bytes.size()) {}
    BytesView(const std::vector<std::uint8_t>& bytes) noexcept
        : BytesView(bytes.data(), bytes.size()) {}

    [[nodiscard]] const std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::span<const std::byte> span() const noexcept { return {data_, size_}; }
    /// The same bytes as text; nothing is decoded.
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<const char*>(data_), size_};
    }

private:
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace peermq
