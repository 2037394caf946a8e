// Today's records equal the stored bytes, and the stored bytes can be read. A change of these bytes
// is a change of the format: see lib/record/FORMAT.md before touching them.

#include <gtest/gtest.h>

#include "golden/golden_data.hpp"
#include "record/headers.hpp"
#include "record/record.hpp"

namespace peermq::record {
namespace {

base::StreamId stream_id() {
    base::StreamId id;
    for (std::size_t at = 0; at < id.bytes.size(); ++at) id.bytes[at] = static_cast<std::byte>(at);
    return id;
}

const base::Epoch kEpoch{3, 0x1122334455667788};
const Seed kSeed = Seed::of(stream_id(), kEpoch);

base::WallTime wall(std::int64_t nanoseconds) {
    return base::WallTime(base::Duration(nanoseconds));
}

/// The worked example of FORMAT.md.
Record plain() {
    Record record;
    record.seq = 1;
    record.epoch = kEpoch.counter;
    record.enqueued = wall(1'700'000'000'000'000'000);
    record.body = base::as_bytes("hello");
    return record;
}

Record full(const std::string& headers) {
    Record record = plain();
    record.flags = kSkippable;
    record.priority = 9;
    record.seq = 0x0102030405060708;
    record.due = wall(1'700'000'060'000'000'000);
    record.expiry = wall(1'700'003'600'000'000'000);
    record.key = "customer-7";
    record.topic = "orders.eu.paid";
    record.headers = base::as_bytes(headers);
    record.body = base::as_bytes("\x01\x02 a body of 22 bytes\xff");
    return record;
}

Record state() {
    Record record;
    record.type = Type::state;
    record.epoch = kEpoch.counter;
    return record;
}

std::string headers_bytes() {
    const HeaderView headers[] = {{"tenant", "a"}, {"traceparent", "00-4bf92f3577b34da6-01"}};
    std::string bytes;
    encode_headers(headers, bytes);
    return bytes;
}

std::string encoded_hex(const Record& record) {
    std::vector<std::byte> out(encoded_size(record));
    encode(record, kSeed, out);
    return test::to_hex(out);
}

TEST(RecordGolden, SeedOfAStreamAndEpochIsAsStored) {
    const auto data = test::golden_data("record.hex");
    EXPECT_EQ(test::to_hex(std::as_bytes(std::span(&kSeed.value, 1))),
              test::to_hex(data.at("seed")));
}

TEST(RecordGolden, RecordsAreEncodedAsStored) {
    const auto data = test::golden_data("record.hex");
    const std::string headers = headers_bytes();
    EXPECT_EQ(encoded_hex(plain()), test::to_hex(data.at("plain")));
    EXPECT_EQ(encoded_hex(full(headers)), test::to_hex(data.at("full")));
    EXPECT_EQ(encoded_hex(state()), test::to_hex(data.at("state")));
}

TEST(RecordGolden, StoredRecordsCanBeRead) {
    const auto data = test::golden_data("record.hex");
    const Decoded decoded = decode(data.at("full"), kSeed, 1 << 20);
    ASSERT_TRUE(decoded.ok()) << to_string(decoded.error);
    const Record& record = decoded.record;
    EXPECT_EQ(record.type, Type::message);
    EXPECT_EQ(record.flags, kHasTimes | kHasKey | kSkippable);
    EXPECT_EQ(record.priority, 9);
    EXPECT_EQ(record.seq, 0x0102030405060708u);
    EXPECT_EQ(record.epoch, 3u);
    EXPECT_EQ(record.enqueued, wall(1'700'000'000'000'000'000));
    EXPECT_EQ(record.due, wall(1'700'000'060'000'000'000));
    EXPECT_EQ(record.expiry, wall(1'700'003'600'000'000'000));
    EXPECT_EQ(record.key, "customer-7");
    EXPECT_EQ(record.topic, "orders.eu.paid");
    EXPECT_EQ(find_header(record.headers, "traceparent"), "00-4bf92f3577b34da6-01");
    EXPECT_EQ(record.body.size(), 22u);
    EXPECT_EQ(decode(data.at("state"), kSeed, 1 << 20).record.type, Type::state);
}

TEST(RecordGolden, WorkedExampleOfTheDocumentIsTrue) {
    const auto bytes = test::worked_example("lib/record/FORMAT.md");
    EXPECT_EQ(test::to_hex(bytes), encoded_hex(plain()));
    const Decoded decoded = decode(bytes, kSeed, 1 << 20);
    ASSERT_TRUE(decoded.ok()) << to_string(decoded.error);
    EXPECT_EQ(base::as_text(decoded.record.body), "hello");
}

}  // namespace
}  // namespace peermq::record
