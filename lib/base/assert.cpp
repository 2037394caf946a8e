#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace peermq::base {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
    std::fprintf(stderr, "peermq: broken invariant: %s (%s:%d)\n", expression, file, line);
    std::abort();
}

}  // namespace peermq::base
