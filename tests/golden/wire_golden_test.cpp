// Today's frames equal the stored bytes, and the stored bytes can be read. A change of these bytes
// is a change of the protocol: see lib/wire/FORMAT.md before touching them.

#include <gtest/gtest.h>

#include "golden/golden_data.hpp"
#include "support/random_frames.hpp"
#include "wire/frames.hpp"

namespace peermq::wire {
namespace {

constexpr std::uint32_t kStream = 0x0a0b0c0d;
constexpr std::uint64_t kNonce = 0x1122334455667788;

template <std::size_t Size>
std::array<std::byte, Size> counting_from(int first) {
    std::array<std::byte, Size> bytes;
    for (std::size_t at = 0; at < Size; ++at) {
        bytes[at] = static_cast<std::byte>(static_cast<std::size_t>(first) + at);
    }
    return bytes;
}

Hello hello() {
    Hello hello;
    hello.capabilities = 0x0102030405060708;
    hello.nonce = 0x1112131415161718;
    hello.echo = 0x2122232425262728;
    hello.peer.bytes = counting_from<16>(0x30);
    hello.session.bytes = counting_from<16>(0x40);
    hello.frame_bytes_max = 262144;
    hello.message_bytes_max = 16777216;
    hello.window_bytes = 524288;
    hello.wall_time_ns = 1'700'000'000'000'000'000;
    hello.host = {counting_from<16>(0x50), 4026531836, 4711, 123456};
    hello.agent = "peermq 0.1.0";
    return hello;
}

/// The worked example of FORMAT.md.
Body settle_example() {
    return Settle{2, 1, {SettleEntry{SettleKind::nack, {5, 9}, {3, 12}, 1000, "no"}}};
}

Subscribe subscribe() {
    Subscribe subscribe;
    subscribe.handle = 7;
    subscribe.version = 3;
    subscribe.slow = Slow::block;
    subscribe.from = From::last;
    subscribe.any_header = true;
    subscribe.buffer = 65536;
    subscribe.from_value = 10;
    subscribe.max_lag = 1'000'000;
    subscribe.expires_after = 3'600'000'000'000;
    subscribe.name = "billing";
    subscribe.patterns = {"orders.#", "orders.*.created"};
    subscribe.headers = {{"region", "kr"}};
    subscribe.resume = {{{counting_from<16>(0x80)}, 4711}};
    return subscribe;
}

/// Every body, under the name of its frame type.
std::map<std::string, Body> bodies() {
    // Static, since the bodies show them.
    static const auto records = counting_from<112>(0);
    static const auto part = counting_from<5>(0x61);
    const base::Epoch epoch{3, 0x8877665544332211};
    std::map<std::string, Body> all;
    all["hello"] = hello();
    all["reject"] = Reject{RejectCode::denied, "key not known"};
    all["bye"] = Bye{"closing"};
    all["ping"] = Ping{1, 2};
    all["pong"] = Pong{1, 0xfffffffffffffffe};
    all["credit"] = Credit{1 << 20};
    all["want"] = Want{6, StreamKind::queue, "orders"};
    all["unwant"] = Unwant{6};
    all["offer"] = Offer{6, {counting_from<16>(0x70)}, Level::disk, true, 99};
    all["unoffer"] = Unoffer{"removed"};
    all["state"] = State{true, 100};
    all["grant"] = Grant{1, 64, 64 << 20, 4};
    all["granted"] = Granted{1};
    all["held"] = Held{2, false, {HeldRun{epoch, {1, 3}, {3, 7}, true}}};
    all["valid"] = Valid{2, true, {{1, 1}, {3, 3}}};
    all["batch"] = Batch{
        epoch, 4, {BatchRun{{7, 7}, 12, 1, 0}, BatchRun{{8, 8}, 12, 2, kRedelivered}}, records};
    all["fragment"] = Fragment{epoch, 4, BatchRun{{9, 9}, 13, 1, kAlone}, 200000, 131072, part};
    all["settle"] = settle_example();
    all["confirm"] = Confirm{2, {RefusedRun{{5, 6}, RefuseReason::newer_lease}}};
    all["renew"] = Renew{{{5, 9}, {11, 11}}};
    all["recall"] = Recall{17};
    all["gap"] = Gap{44, 1200, 5000, GapReason::slow};
    all["subscribe"] = subscribe();
    all["subscribed"] = Subscribed{7, 3, 2, "name taken"};
    all["reply"] = Reply{epoch, 7, 0x0807060504030201, 2, kLastPart, 5, 0, part};
    all["reply_credit"] = ReplyCredit{7, 65536};
    all["cancel"] = Cancel{{{7, 7}, {9, 12}}};
    return all;
}

std::string encoded_hex(const Body& body) {
    std::vector<std::byte> out;
    encode(kStream, kNonce, body, out);
    return test::to_hex(out);
}

TEST(WireGolden, EveryFrameIsEncodedAsStored) {
    const auto data = test::golden_data("wire.hex");
    const auto all = bodies();
    EXPECT_EQ(all.size(), test::kBodyLast);
    EXPECT_EQ(data.size(), all.size());
    for (const auto& [name, body] : all) {
        ASSERT_TRUE(data.contains(name)) << name << " = " << encoded_hex(body);
        EXPECT_EQ(encoded_hex(body), test::to_hex(data.at(name))) << name;
    }
}

TEST(WireGolden, StoredFramesCanBeRead) {
    const auto data = test::golden_data("wire.hex");
    for (const auto& [name, body] : bodies()) {
        ASSERT_TRUE(data.contains(name)) << name;
        const DecodedFrame decoded = decode(data.at(name));
        ASSERT_TRUE(decoded.ok()) << name << ": " << to_string(decoded.error);
        EXPECT_EQ(to_string(decoded.frame.header.type), name);
        EXPECT_EQ(decoded.frame.header.stream, kStream);
        EXPECT_EQ(decoded.frame.header.nonce, kNonce);
        EXPECT_TRUE(test::same_body(decoded.frame.body, body)) << name;
    }
}

TEST(WireGolden, WorkedExampleOfTheDocumentIsTrue) {
    const auto bytes = test::worked_example("lib/wire/FORMAT.md");
    EXPECT_EQ(test::to_hex(bytes), encoded_hex(settle_example()));
    const DecodedFrame decoded = decode(bytes);
    ASSERT_TRUE(decoded.ok()) << to_string(decoded.error);
    EXPECT_TRUE(test::same_body(decoded.frame.body, settle_example()));
}

}  // namespace
}  // namespace peermq::wire
