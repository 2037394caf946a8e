#include "delivery/topic_pattern.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace peermq::delivery {
namespace {

TEST(TopicPattern, WithoutWildcardsOnlyTheSameTopicMatches) {
    EXPECT_TRUE(matches("orders.eu", "orders.eu"));
    EXPECT_FALSE(matches("orders.eu", "orders"));
    EXPECT_FALSE(matches("orders.eu", "orders.eu.paid"));
    EXPECT_FALSE(matches("orders.eu", "orders.eux"));
}

TEST(TopicPattern, AStarIsExactlyOneToken) {
    EXPECT_TRUE(matches("orders.*.paid", "orders.eu.paid"));
    EXPECT_FALSE(matches("orders.*.paid", "orders.paid"));
    EXPECT_FALSE(matches("orders.*.paid", "orders.eu.fr.paid"));
    EXPECT_TRUE(matches("*", "orders"));
    EXPECT_FALSE(matches("*", "orders.eu"));
    EXPECT_TRUE(matches("*.*", "orders.eu"));
}

TEST(TopicPattern, AHashIsTheRestAlsoNone) {
    EXPECT_TRUE(matches("#", "orders"));
    EXPECT_TRUE(matches("orders.#", "orders"));
    EXPECT_TRUE(matches("orders.#", "orders.eu.paid"));
    EXPECT_FALSE(matches("orders.#", "ordersx"));
    EXPECT_TRUE(matches("orders.*.#", "orders.eu"));
    EXPECT_FALSE(matches("orders.*.#", "orders"));
}

TEST(TopicPattern, ProblemsAreNamed) {
    EXPECT_FALSE(pattern_problem("a.*.b.#").has_value());
    EXPECT_FALSE(topic_problem("a.b-c_d:1").has_value());
    for (const char* bad : {"", ".", "a.", ".a", "a..b", "a.#.b", "#.a", "a*", "a.b#", "**", "a b",
                            "a\tb", "\xc3\xa4"}) {
        EXPECT_TRUE(pattern_problem(bad).has_value()) << bad;
    }
    EXPECT_TRUE(topic_problem("a.*").has_value());
    EXPECT_TRUE(topic_problem("a.#").has_value());
    EXPECT_TRUE(topic_problem(std::string(1025, 'a')).has_value());
}

TEST(TopicPattern, APublishersNameBeginsItsTopics) {
    EXPECT_TRUE(belongs_to("orders", "orders"));
    EXPECT_TRUE(belongs_to("orders.eu", "orders"));
    EXPECT_FALSE(belongs_to("ordersx", "orders"));
    EXPECT_FALSE(belongs_to("order", "orders"));
}

/// What is said of a whole publisher agrees with what is said of each of its topics.
TEST(TopicPattern, CanMatchAndMatchesAllAgreeWithMatching) {
    std::mt19937 random(7);
    const std::vector<std::string> tokens{"a", "b", "*"};
    const auto text = [&](bool wildcards) {
        std::string all;
        const std::size_t count = 1 + random() % 3;
        for (std::size_t i = 0; i < count; ++i)
            all += (i > 0 ? "." : "") + tokens[random() % (wildcards ? 3 : 2)];
        if (wildcards && random() % 3 == 0) all += ".#";
        return wildcards && random() % 10 == 0 ? std::string("#") : all;
    };
    for (int round = 0; round < 2000; ++round) {
        const std::string pattern = text(true);
        const std::string publisher = text(false);
        ASSERT_FALSE(pattern_problem(pattern).has_value()) << pattern;
        std::vector<std::string> topics{publisher};
        for (std::size_t i = 0; topics.size() < 40; ++i) {
            topics.push_back(topics[i] + ".a");
            topics.push_back(topics[i] + ".b");
        }
        std::size_t matched = 0;
        for (const std::string& topic : topics) matched += matches(pattern, topic) ? 1 : 0;
        EXPECT_EQ(matched > 0, can_match_of(pattern, publisher)) << pattern << ' ' << publisher;
        EXPECT_EQ(matched == topics.size(), matches_all_of(pattern, publisher))
            << pattern << ' ' << publisher;
    }
}

}  // namespace
}  // namespace peermq::delivery
