#pragma once

/// The threads of run(): all of them, or none. Any thread; callers: Pull and Replier.

#include <cstdint>
#include <functional>
#include <string_view>

namespace peermq::detail {

/// Throws Error invalid_argument unless it is 1 to 1,024.
void check_concurrency(std::uint32_t concurrency);

/// Does `work` in the calling thread and in `concurrency` - 1 further ones, once `on_begin` has
/// returned; returns when all have. Throws Error io_error when one of them cannot be started: then
/// none has begun. Else throws the first exception out of them, but for Error closed, by which a
/// peer that ends meets those at work.
void work_together(std::string_view who, std::uint32_t concurrency,
                   const std::function<void()>& on_begin, const std::function<void()>& work);

}  // namespace peermq::detail
