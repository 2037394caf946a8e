#include "base/clock.hpp"

#include <ctime>

namespace peermq::base {
namespace {

Duration read_clock(clockid_t id) {
    timespec spec{};
    clock_gettime(id, &spec);
    return std::chrono::seconds(spec.tv_sec) + Duration(spec.tv_nsec);
}

}  // namespace

Time SystemClock::now() { return Time(read_clock(CLOCK_MONOTONIC)); }

WallTime SystemClock::wall_now() { return WallTime(read_clock(CLOCK_REALTIME)); }

Time SystemClock::now_coarse() { return Time(read_clock(CLOCK_MONOTONIC_COARSE)); }

WallTime SystemClock::wall_now_coarse() { return WallTime(read_clock(CLOCK_REALTIME_COARSE)); }

}  // namespace peermq::base
