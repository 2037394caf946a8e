#pragma once

/// Random frame bodies within the rules of the wire format, and their comparison. The payload of a
/// body points into memory that the generator owns.

#include <deque>
#include <random>
#include <string>
#include <vector>

#include "record/record.hpp"
#include "wire/frames.hpp"

namespace peermq::test {

/// Bodies with spans compare by what the spans show.
[[nodiscard]] inline bool same_bytes(base::ByteSpan a, base::ByteSpan b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

template <typename Fields>
[[nodiscard]] bool same_fields(const Fields& a, const Fields& b) {
    if constexpr (std::is_same_v<Fields, wire::Batch>) {
        return a.epoch == b.epoch && a.lease_epoch == b.lease_epoch && a.runs == b.runs &&
               same_bytes(a.records, b.records);
    } else if constexpr (std::is_same_v<Fields, wire::Fragment>) {
        return a.epoch == b.epoch && a.lease_epoch == b.lease_epoch && a.run == b.run &&
               a.total == b.total && a.offset == b.offset && same_bytes(a.bytes, b.bytes);
    } else if constexpr (std::is_same_v<Fields, wire::Reply>) {
        return a.epoch == b.epoch && a.request == b.request && a.answer == b.answer &&
               a.part == b.part && a.flags == b.flags && a.total == b.total &&
               a.offset == b.offset && same_bytes(a.bytes, b.bytes);
    } else {
        return a == b;
    }
}

[[nodiscard]] inline bool same_body(const wire::Body& a, const wire::Body& b) {
    if (a.index() != b.index()) return false;
    return std::visit(
        [&](const auto& fields) {
            return same_fields(fields, std::get<std::decay_t<decltype(fields)>>(b));
        },
        a);
}

class RandomFrames {
public:
    explicit RandomFrames(std::uint64_t seed) : engine_(seed) {}

    /// A body of the alternative `index` of wire::Body (1 and up: Skipped cannot be encoded).
    [[nodiscard]] wire::Body body(std::size_t index) {
        using namespace wire;
        switch (index) {
            case 1: return hello();
            case 2: return Reject{RejectCode(number<std::uint16_t>()), text(1024)};
            case 3: return Bye{text(1024)};
            case 4: return Ping{number(), number()};
            case 5: return Pong{number(), number()};
            case 6: return Credit{number()};
            case 7: return Want{small(), StreamKind(1 + below(3)), "q" + text(254)};
            case 8: return Unwant{small()};
            case 9:
                return Offer{small(), id<base::StreamId>(), Level(1 + below(3)), flag(), number()};
            case 10: return Unoffer{text(1024)};
            case 11: return State{flag(), number()};
            case 12: return Grant{small(), small(), number(), small()};
            case 13: return Granted{small()};
            case 14: return Held{small(), flag(), list<HeldRun>([&] { return held_run(); })};
            case 15: return Valid{small(), flag(), list<base::Run>([&] { return run(); })};
            case 16: return batch();
            case 17: return fragment();
            case 18: return settle();
            case 19: return confirm();
            case 20: return Renew{list<base::Run>([&] { return run(); })};
            case 21: return Recall{small()};
            case 22: return Gap{number(), number(), number(), GapReason(1 + below(5))};
            case 23: return subscribe();
            case 24: return Subscribed{small(), small(), small(), text(1024)};
            case 25: return reply();
            case 26: return ReplyCredit{1 + (number() >> 1), number()};
            default: return Cancel{list<base::Run>([&] { return run(); })};
        }
    }

    template <typename Number = std::uint64_t>
    [[nodiscard]] Number number() {
        return static_cast<Number>(engine_());
    }
    [[nodiscard]] std::uint32_t small() { return number<std::uint32_t>(); }
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
    [[nodiscard]] bool flag() { return (engine_() & 1) != 0; }

    [[nodiscard]] std::vector<std::byte> bytes(std::size_t count) {
        std::vector<std::byte> result(count);
        for (std::byte& byte : result) byte = static_cast<std::byte>(engine_());
        return result;
    }

    [[nodiscard]] std::string text(std::size_t bytes_max) {
        // Short ones mostly, and the limit itself now and then.
        const std::size_t size = below(10) == 0 ? bytes_max
                                                : below(std::min<std::size_t>(bytes_max, 40));
        std::string result(size, 'x');
        for (char& letter : result) letter = static_cast<char>('a' + below(26));
        return result;
    }

private:
    template <typename Id>
    [[nodiscard]] Id id() {
        Id value;
        for (std::byte& byte : value.bytes) byte = static_cast<std::byte>(engine_());
        return value;
    }

    [[nodiscard]] base::Epoch epoch() { return {small(), number()}; }
    [[nodiscard]] base::LeaseId lease() { return {small(), number()}; }

    /// Sums of counts stay far from overflow.
    [[nodiscard]] base::Run run() {
        const base::Seq first = 1 + (number() >> 1);
        return {first, first + below(1'000'000)};
    }

    template <typename Entry, typename Make>
    [[nodiscard]] std::vector<Entry> list(Make make) {
        std::vector<Entry> entries(below(8));
        for (Entry& entry : entries) entry = make();
        return entries;
    }

    [[nodiscard]] wire::Hello hello() {
        wire::Hello hello;
        hello.version_max = static_cast<std::uint16_t>(below(wire::kProtocolVersion + 1));
        hello.version_min = static_cast<std::uint16_t>(below(hello.version_max + 1u));
        hello.capabilities = number();
        hello.nonce = number();
        hello.echo = number();
        hello.peer = id<base::PeerId>();
        hello.session = id<base::SessionId>();
        hello.frame_bytes_max = small();
        hello.message_bytes_max = number();
        hello.window_bytes = number();
        hello.wall_time_ns = number<std::int64_t>();
        hello.host = {id<base::PeerId>().bytes, number(), small(), number()};
        hello.agent = text(255);
        return hello;
    }

    [[nodiscard]] wire::HeldRun held_run() { return {epoch(), run(), lease(), flag()}; }

    [[nodiscard]] wire::BatchRun batch_run(base::Run of) {
        return {of, number(), number<std::uint16_t>(), number<std::uint8_t>()};
    }

    [[nodiscard]] wire::Batch batch() {
        wire::Batch batch{epoch(), small(), {}, {}};
        std::size_t records = 0;
        for (std::uint64_t runs = below(6); runs > 0; --runs) {
            const std::uint64_t count = 1 + below(4);
            const base::Seq first = 1 + (number() >> 1);
            batch.runs.push_back(batch_run({first, first + count - 1}));
            records += count;
        }
        batch.records = kept_.emplace_back(bytes(records * (record::kHeaderBytes + 8 * below(5))));
        return batch;
    }

    [[nodiscard]] wire::Fragment fragment() {
        const base::Seq seq = 1 + (number() >> 1);
        wire::Fragment fragment{epoch(), small(), batch_run({seq, seq}), 0, 0, {}};
        fragment.bytes = kept_.emplace_back(bytes(1 + below(300)));
        fragment.offset = number<std::uint16_t>();
        fragment.total = fragment.offset + static_cast<std::uint32_t>(fragment.bytes.size()) +
                         number<std::uint16_t>();
        return fragment;
    }

    [[nodiscard]] wire::Reply reply() {
        wire::Reply reply;
        reply.epoch = epoch();
        reply.request = 1 + (number() >> 1);
        reply.answer = number();
        reply.part = small();
        reply.flags = number<std::uint8_t>();
        reply.bytes = kept_.emplace_back(bytes(1 + below(300)));
        reply.offset = number<std::uint16_t>();
        reply.total = reply.offset + static_cast<std::uint32_t>(reply.bytes.size()) +
                      number<std::uint16_t>();
        return reply;
    }

    [[nodiscard]] wire::Settle settle() {
        return {number(), number(), list<wire::SettleEntry>([&] {
                    return wire::SettleEntry{wire::SettleKind(1 + below(5)), run(), lease(),
                                             small(), text(1024)};
                })};
    }

    [[nodiscard]] wire::Subscribe subscribe() {
        wire::Subscribe all;
        all.handle = small();
        all.version = small();
        all.slow = wire::Slow(1 + below(4));
        all.from = wire::From(1 + below(5));
        all.any_header = flag();
        all.buffer = small();
        all.from_value = number();
        all.max_lag = number();
        all.expires_after = number<std::int64_t>();
        all.name = text(255);
        all.patterns = list<std::string>([&] { return text(1024); });
        all.patterns.push_back("orders.#");
        all.headers = list<wire::HeaderFilter>([&] {
            return wire::HeaderFilter{text(1024), text(1024)};
        });
        all.resume = list<wire::ResumePoint>([&] {
            return wire::ResumePoint{id<base::StreamId>(), number()};
        });
        return all;
    }

    [[nodiscard]] wire::Confirm confirm() {
        return {number(), list<wire::RefusedRun>([&] {
                    return wire::RefusedRun{run(), wire::RefuseReason(1 + below(3))};
                })};
    }

    std::mt19937_64 engine_;
    std::deque<std::vector<std::byte>> kept_;  ///< a deque: growing must not move what spans show
};

/// Every alternative of wire::Body that can be encoded.
inline constexpr std::size_t kBodyFirst = 1;
inline constexpr std::size_t kBodyLast = std::variant_size_v<wire::Body> - 1;

}  // namespace peermq::test
