#include "child.hpp"

#include <gtest/gtest.h>
#include <poll.h>

namespace peermq::test {
namespace {

TEST(ChildProcess, TellsNobodyAnythingWhileItIsDestroyed) {
    int lines = 0;
    {
        const Child child("process_worker", {"connect=tcp://127.0.0.1:1", "process=1"},
                          [&](std::string_view) { ++lines; });
        pollfd output{child.output_fd(), POLLIN, 0};
        ASSERT_EQ(1, ::poll(&output, 1, 20'000)) << "it says nothing";
    }
    EXPECT_EQ(0, lines);
}

TEST(ChildProcess, HandsOutWhatWasInThePipeWhenItIsKilled) {
    int lines = 0;
    Child child("process_worker", {"connect=tcp://127.0.0.1:1", "process=1"},
                [&](std::string_view) { ++lines; });
    pollfd output{child.output_fd(), POLLIN, 0};
    ASSERT_EQ(1, ::poll(&output, 1, 20'000)) << "it says nothing";
    child.kill_and_reap(9);
    EXPECT_LT(0, lines);
}

}  // namespace
}  // namespace peermq::test
