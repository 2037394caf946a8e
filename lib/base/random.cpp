#include "base/random.hpp"

#include <sys/random.h>

#include <cerrno>

#include "peermq/error.hpp"

namespace peermq::base {

void SystemRandom::fill(std::span<std::byte> out) {
    while (!out.empty()) {
        const ssize_t got = getrandom(out.data(), out.size(), 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            throw Error(ErrorCode::io_error, "getrandom failed, errno " + std::to_string(errno));
        }
        out = out.subspan(static_cast<std::size_t>(got));
    }
}

}  // namespace peermq::base
