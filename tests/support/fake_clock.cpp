#include "support/fake_clock.hpp"

namespace peermq::test {

base::Time FakeClock::now() { return base::Time(base::Duration(now_ns_.load())); }

base::WallTime FakeClock::wall_now() { return base::WallTime(base::Duration(wall_ns_.load())); }

void FakeClock::advance(base::Duration by) {
    now_ns_ += by.count();
    wall_ns_ += by.count();
}

void FakeClock::advance_to(base::Time to) {
    const base::Duration left = to - now();
    if (left > base::Duration::zero()) advance(left);
}

void FakeClock::jump_wall(base::Duration by) { wall_ns_ += by.count(); }

}  // namespace peermq::test
