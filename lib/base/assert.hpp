#pragma once

/// PEERMQ_ASSERT guards our own invariants, in release builds too. Bytes from disk or network are
/// never asserted: they are decoded, bounded and refused with a code.

namespace peermq::base {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;
}  // namespace peermq::base

#define PEERMQ_ASSERT(expression)  \
    (static_cast<bool>(expression) \
         ? void(0)                 \
         : ::peermq::base::assertion_failed(#expression, __FILE__, __LINE__))
