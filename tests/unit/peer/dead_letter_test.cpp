/// The headers of a dead letter: all of them where they fit, and what is left out where not.

#include "peer/dead_letter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "record/headers.hpp"

namespace peermq::detail {
namespace {

namespace limits = base::limits;
using Headers = std::vector<record::HeaderView>;

struct Letter {
    std::string bytes;
    [[nodiscard]] std::string at(std::string_view name) const {
        return std::string(record::find_header(base::as_bytes(bytes), name).value_or("(none)"));
    }
    [[nodiscard]] std::size_t count() const {
        const auto headers = record::decode_headers(base::as_bytes(bytes));
        return headers ? headers->size() : 0;
    }
};

Letter letter_of(const Headers& headers, std::string_view error) {
    std::string original;
    record::encode_headers(headers, original);
    EXPECT_LE(original.size(), limits::kHeadersBytesMax);
    Letter letter{
        dead_letter_headers(base::as_bytes(original), {"jobs", "rejected", error, "2", "17"})};
    EXPECT_LE(letter.bytes.size(), limits::kHeadersBytesMax);
    EXPECT_EQ(letter.at("peermq-dead-queue"), "jobs");
    EXPECT_EQ(letter.at("peermq-dead-reason"), "rejected");
    EXPECT_EQ(letter.at("peermq-dead-attempts"), "2");
    EXPECT_EQ(letter.at("peermq-dead-sequence"), "17");
    return letter;
}

TEST(DeadLetterHeaders, AreAddedToThoseOfTheMessage) {
    const Letter letter = letter_of({{"tenant", "a"}}, "bad");
    EXPECT_EQ(letter.at("tenant"), "a");
    EXPECT_EQ(letter.at("peermq-dead-error"), "bad");
    EXPECT_EQ(letter.count(), 6U);
}

TEST(DeadLetterHeaders, CutTheErrorBeforeAnythingElse) {
    const std::string big(limits::kHeadersBytesMax - 600, 'v');
    const Letter letter = letter_of({{"big", big}}, std::string(1024, 'e'));
    EXPECT_EQ(letter.at("big"), big);
    EXPECT_EQ(letter.at("peermq-dead-cut"), "error");
    EXPECT_GE(letter.at("peermq-dead-error").size(), 128U);
    EXPECT_LT(letter.at("peermq-dead-error").size(), 600U);
}

TEST(DeadLetterHeaders, AreCutBetweenCharacters) {
    const std::string big(limits::kHeadersBytesMax - 600, 'v');
    std::string error;
    for (int i = 0; i < 341; ++i) error += "\xe2\x82\xac";  // the Euro sign
    for (const char* before : {"", "1", "12"}) {
        const std::string text = letter_of({{"big", big}}, before + error).at("peermq-dead-error");
        EXPECT_EQ((text.size() - std::string_view(before).size()) % 3, 0U) << text.size();
    }
}

TEST(DeadLetterHeaders, LeaveOutTheLargestAndKeepTheTextWhole) {
    const std::string big(limits::kHeadersBytesMax - 200, 'v');
    const std::string error(1024, 'e');
    const Letter letter = letter_of({{"a", "1"}, {"big", big}, {"b", "2"}}, error);
    EXPECT_EQ(letter.at("a"), "1");
    EXPECT_EQ(letter.at("b"), "2");
    EXPECT_EQ(letter.at("big"), "(none)");
    EXPECT_EQ(letter.at("peermq-dead-error"), error);
    EXPECT_EQ(letter.at("peermq-dead-cut"), "1 header(s)");
}

TEST(DeadLetterHeaders, LeaveOutPropertiesLast) {
    const std::string id(40'000, 'i');
    const std::string big(25'500, 'v');
    const Letter letter = letter_of({{"peermq-id", id}, {"big", big}}, "bad");
    EXPECT_EQ(letter.at("peermq-id"), id);
    EXPECT_EQ(letter.at("big"), "(none)");

    const std::string all(limits::kHeadersBytesMax - 20, 'i');
    const Letter without = letter_of({{"peermq-id", all}}, "bad");
    EXPECT_EQ(without.at("peermq-id"), "(none)");
    EXPECT_EQ(without.at("peermq-dead-error"), "bad");
    EXPECT_EQ(without.at("peermq-dead-cut"), "1 header(s)");
}

TEST(DeadLetterHeaders, FitWhateverTheMessageHad) {
    const std::string error(limits::kReasonBytesMax, 'e');
    for (const std::size_t bytes : {0U, 1U, 7U, 30U, 31U, 250U, 300U, 2'000U, 30'000U, 65'000U}) {
        const std::string value(bytes, 'v');
        for (std::size_t spare = 0; spare < 1'700; spare += 17) {
            Headers headers;
            std::size_t used = 3 + spare;
            for (; used + bytes + 4 <= limits::kHeadersBytesMax; used += bytes + 4)
                headers.emplace_back("", value);
            const Letter letter = letter_of(headers, error);
            EXPECT_GE(letter.at("peermq-dead-error").size(), 128U);
            EXPECT_GE(letter.count(), 5U);
        }
    }
}

TEST(DeadLetterOptions, HaveNoLimitOfFailures) {
    EXPECT_EQ(dead_letter_options().max_attempts, 0U);
    EXPECT_TRUE(holds_dead_letters("jobs.dead"));
    EXPECT_FALSE(holds_dead_letters("jobs"));
}

}  // namespace
}  // namespace peermq::detail
