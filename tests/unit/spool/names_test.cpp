#include "spool/names.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace peermq::spool {
namespace {

template <typename Kind>
std::set<std::string> names(int first, int last) {
    std::set<std::string> found;
    for (int value = first; value <= last; ++value) {
        found.emplace(to_string(static_cast<Kind>(value)));
    }
    return found;
}

TEST(Names, EveryKindOfDamageHasItsOwn) {
    const auto found = names<Damage::Kind>(static_cast<int>(Damage::Kind::torn_tail),
                                           static_cast<int>(Damage::Kind::io_error));
    EXPECT_EQ(found.size(), 8U);
    EXPECT_FALSE(found.contains("unknown"));
}

TEST(Names, EveryKindOfStreamHasItsOwn) {
    const auto found = names<StreamKind>(1, 4);
    EXPECT_EQ(found, (std::set<std::string>{"queue", "topic", "service", "dead"}));
}

TEST(Names, EveryKindOfEntryHasItsOwn) {
    const auto found = names<LogEntry::Kind>(static_cast<int>(LogEntry::Kind::segment),
                                             static_cast<int>(LogEntry::Kind::damage));
    EXPECT_EQ(found,
              (std::set<std::string>{"segment", "batch", "record", "state", "footer", "damage"}));
}

TEST(Names, NumbersThatMeanNothingAreUnknown) {
    EXPECT_EQ(to_string(static_cast<StreamKind>(0)), "unknown");
    EXPECT_EQ(to_string(static_cast<StreamKind>(200)), "unknown");
    EXPECT_EQ(to_string(static_cast<Damage::Kind>(200)), "unknown");
    EXPECT_EQ(to_string(static_cast<LogEntry::Kind>(200)), "unknown");
}

}  // namespace
}  // namespace peermq::spool
