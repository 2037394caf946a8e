#include "peermq/error.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string_view>

namespace peermq {
namespace {

// Numbers and names reach JSON, exit codes and other languages: a change here breaks users.
const std::map<int, std::string_view> kPromised = {
    {10, "not_connected"},  {11, "quota"},        {20, "invalid_argument"}, {21, "invalid_state"},
    {22, "too_large"},      {23, "not_found"},    {24, "unsupported"},      {25, "denied"},
    {26, "address_in_use"}, {30, "closed"},       {31, "locked"},           {32, "no_space"},
    {33, "io_error"},       {34, "corrupt"},      {35, "version_mismatch"}, {12, "circuit_open"},
    {40, "timeout"},        {41, "remote_error"}, {42, "outcome_unknown"},  {43, "cancelled"},
};

TEST(Error, NumbersAndNamesAreAsPromised) {
    for (int number = 0; number < 256; ++number) {
        const auto promised = kPromised.find(number);
        EXPECT_EQ(to_string(static_cast<ErrorCode>(number)),
                  promised == kPromised.end() ? "unknown" : promised->second)
            << number;
    }
}

TEST(Error, ClassFollowsTheTensOfTheNumber) {
    for (const auto& [number, name] : kPromised) {
        const ErrorClass expected = number < 20   ? ErrorClass::retry
                                    : number < 30 ? ErrorClass::fix_the_call
                                    : number < 40 ? ErrorClass::final
                                                  : ErrorClass::request;
        EXPECT_EQ(error_class(static_cast<ErrorCode>(number)), expected) << name;
    }
}

TEST(Error, UnknownNumberCountsAsFinal) {
    EXPECT_EQ(error_class(static_cast<ErrorCode>(99)), ErrorClass::final);
}

TEST(Error, TextStartsWithTheNameOfTheCode) {
    const Error error(ErrorCode::too_large, "body of 5 bytes, at most 4");
    EXPECT_STREQ(error.what(), "too_large: body of 5 bytes, at most 4");
    EXPECT_EQ(error.code(), ErrorCode::too_large);
}

TEST(Error, IsCaughtAsAStandardException) {
    EXPECT_THROW(throw Error(ErrorCode::closed, "gone"), std::runtime_error);
}

}  // namespace
}  // namespace peermq
