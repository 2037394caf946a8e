#include "record/headers.hpp"

#include "base/limits.hpp"

namespace peermq::record {
namespace {

// The msgpack markers that a flat map of str to str can hold.
constexpr unsigned kFixMap = 0x80;  // 0x80..0x8f: up to 15 pairs
constexpr unsigned kMap16 = 0xde;
constexpr unsigned kMap32 = 0xdf;
constexpr unsigned kFixStr = 0xa0;  // 0xa0..0xbf: up to 31 bytes
constexpr unsigned kStr8 = 0xd9;
constexpr unsigned kStr16 = 0xda;
constexpr unsigned kStr32 = 0xdb;

/// Two empty strings: the least that a pair takes.
constexpr std::size_t kPairBytesMin = 2;

/// msgpack numbers are big-endian.
void append_big_endian(std::string& out, std::size_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>((value >> shift) & 0xff));
    }
}

void append_map(std::string& out, std::size_t count) {
    if (count <= 15) {
        out.push_back(static_cast<char>(kFixMap | count));
    } else if (count <= 0xffff) {
        out.push_back(static_cast<char>(kMap16));
        append_big_endian(out, count, 2);
    } else {
        out.push_back(static_cast<char>(kMap32));
        append_big_endian(out, count, 4);
    }
}

void append_string(std::string& out, std::string_view text) {
    if (text.size() <= 31) {
        out.push_back(static_cast<char>(kFixStr | text.size()));
    } else if (text.size() <= 0xff) {
        out.push_back(static_cast<char>(kStr8));
        append_big_endian(out, text.size(), 1);
    } else if (text.size() <= 0xffff) {
        out.push_back(static_cast<char>(kStr16));
        append_big_endian(out, text.size(), 2);
    } else {
        out.push_back(static_cast<char>(kStr32));
        append_big_endian(out, text.size(), 4);
    }
    out.append(text);
}

/// Reads what append_map and append_string write, in any of msgpack's widths; nullopt for all else.
class Reader {
public:
    explicit Reader(base::ByteSpan bytes) : rest_(bytes) {}

    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

    [[nodiscard]] std::optional<std::size_t> map_size() noexcept {
        const auto marker = big_endian(1);
        if (!marker) return std::nullopt;
        std::optional<std::size_t> count;
        if ((*marker & 0xf0) == kFixMap) count = *marker & 0x0f;
        if (*marker == kMap16) count = big_endian(2);
        if (*marker == kMap32) count = big_endian(4);
        if (count && *count > rest_.size() / kPairBytesMin) return std::nullopt;
        return count;
    }

    [[nodiscard]] std::optional<std::string_view> string() noexcept {
        const auto marker = big_endian(1);
        if (!marker) return std::nullopt;
        std::optional<std::size_t> size;
        if ((*marker & 0xe0) == kFixStr) size = *marker & 0x1f;
        if (*marker == kStr8) size = big_endian(1);
        if (*marker == kStr16) size = big_endian(2);
        if (*marker == kStr32) size = big_endian(4);
        if (!size || *size > rest_.size()) return std::nullopt;
        const auto text = base::as_text(rest_.first(*size));
        rest_ = rest_.subspan(*size);
        return text;
    }

    [[nodiscard]] std::optional<HeaderView> pair() noexcept {
        const auto name = string();
        if (!name) return std::nullopt;
        const auto value = string();
        if (!value) return std::nullopt;
        return HeaderView{*name, *value};
    }

private:
    [[nodiscard]] std::optional<std::size_t> big_endian(std::size_t bytes) noexcept {
        if (rest_.size() < bytes) return std::nullopt;
        std::size_t value = 0;
        for (std::byte byte : rest_.first(bytes)) {
            value = (value << 8) | std::to_integer<std::size_t>(byte);
        }
        rest_ = rest_.subspan(bytes);
        return value;
    }

    base::ByteSpan rest_;
};

}  // namespace

void encode_headers(std::span<const HeaderView> headers, std::string& out) {
    if (headers.empty()) return;
    append_map(out, headers.size());
    for (const auto& [name, value] : headers) {
        append_string(out, name);
        append_string(out, value);
    }
}

std::optional<std::vector<HeaderView>> decode_headers(base::ByteSpan bytes) {
    std::vector<HeaderView> headers;
    if (bytes.empty()) return headers;
    if (bytes.size() > base::limits::kHeadersBytesMax) return std::nullopt;
    Reader reader(bytes);
    const auto count = reader.map_size();
    if (!count) return std::nullopt;
    headers.reserve(*count);
    for (std::size_t index = 0; index < *count; ++index) {
        const auto pair = reader.pair();
        if (!pair) return std::nullopt;
        headers.push_back(*pair);
    }
    if (!reader.at_end()) return std::nullopt;
    return headers;
}

std::optional<std::string_view> find_header(base::ByteSpan bytes, std::string_view name) {
    if (bytes.empty() || bytes.size() > base::limits::kHeadersBytesMax) return std::nullopt;
    Reader reader(bytes);
    const auto count = reader.map_size();
    for (std::size_t index = 0; count && index < *count; ++index) {
        const auto pair = reader.pair();
        if (!pair) return std::nullopt;
        if (pair->first == name) return pair->second;
    }
    return std::nullopt;
}

}  // namespace peermq::record
