#pragma once

/// Writing and bounded reading of numbers one after another. Reading past the end gives zeros and
/// sets failed(): callers check once at the end.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace peermq::spool {

class ByteWriter {
public:
    explicit ByteWriter(std::vector<std::byte>& out) : out_(out) {}

    template <typename Number>
    void number(Number value) {
        const std::size_t at = out_.size();
        out_.resize(at + sizeof value);
        base::store(out_.data() + at, value);
    }
    void bytes(base::ByteSpan span) { out_.insert(out_.end(), span.begin(), span.end()); }
    void pad() { out_.resize(base::padded(out_.size())); }
    [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }

private:
    std::vector<std::byte>& out_;
};

class ByteReader {
public:
    explicit ByteReader(base::ByteSpan bytes) : bytes_(bytes) {}

    template <typename Number>
    [[nodiscard]] Number number() {
        const base::ByteSpan span = bytes(sizeof(Number));
        return span.size() == sizeof(Number) ? base::load<Number>(span.data()) : Number{};
    }
    template <typename Id>
    [[nodiscard]] Id id() {
        Id id;
        const base::ByteSpan span = bytes(id.bytes.size());
        if (span.size() == id.bytes.size()) std::memcpy(id.bytes.data(), span.data(), span.size());
        return id;
    }
    [[nodiscard]] base::ByteSpan bytes(std::size_t count) {
        if (count > bytes_.size()) {
            failed_ = true;
            bytes_ = {};
            return {};
        }
        const base::ByteSpan span = bytes_.first(count);
        bytes_ = bytes_.subspan(count);
        return span;
    }
    [[nodiscard]] std::size_t left() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    base::ByteSpan bytes_;
    bool failed_ = false;
};

}  // namespace peermq::spool
