#include <algorithm>

#include "base/limits.hpp"
#include "record/record.hpp"
#include "wire/frames.hpp"
#include "wire/layout.hpp"
#include "wire/reader.hpp"

namespace peermq::wire {
namespace {

using base::load;
namespace limits = base::limits;

/// Reads `count` entries with `read_one`, unless an error ends it before.
template <typename Entry, typename ReadOne>
[[nodiscard]] std::vector<Entry> read_list(Reader& reader, std::size_t count, ReadOne read_one) {
    std::vector<Entry> entries;
    entries.reserve(count);
    for (std::size_t index = 0; index < count && reader.ok(); ++index) {
        entries.push_back(read_one());
    }
    return entries;
}

[[nodiscard]] BatchRun read_batch_run(Reader& reader) {
    BatchRun run;
    run.run = reader.run();
    run.lease = reader.number<std::uint64_t>();
    run.attempt = reader.number<std::uint16_t>();
    run.flags = reader.number<std::uint8_t>();
    reader.reserved(5);
    return run;
}

// One function per body: the fields in the order of FORMAT.md.

void read(Reader& reader, Hello& hello) {
    if (reader.number<std::uint32_t>() != kMagic) reader.fail(DecodeError::bad_magic);
    hello.version_min = reader.number<std::uint16_t>();
    hello.version_max = reader.number<std::uint16_t>();
    if (hello.version_min > hello.version_max) reader.fail(DecodeError::bad_value);
    hello.capabilities = reader.number<std::uint64_t>();
    hello.nonce = reader.number<std::uint64_t>();
    hello.echo = reader.number<std::uint64_t>();
    hello.peer.bytes = reader.bytes16();
    hello.session.bytes = reader.bytes16();
    hello.frame_bytes_max = reader.number<std::uint32_t>();
    reader.reserved(4);
    hello.message_bytes_max = reader.number<std::uint64_t>();
    hello.window_bytes = reader.number<std::uint64_t>();
    hello.wall_time_ns = reader.number<std::int64_t>();
    hello.host.boot_id = reader.bytes16();
    hello.host.pid_namespace = reader.number<std::uint64_t>();
    hello.host.start_time = reader.number<std::uint64_t>();
    hello.host.pid = reader.number<std::uint32_t>();
    hello.agent = reader.text(limits::kAgentBytesMax);
    // A later version may say more; it must still be understood well enough to be refused by
    // version or spoken to in a version that both have.
    if (hello.version_max > kProtocolVersion) reader.reserved(reader.rest_bytes());
}

void read(Reader& reader, Reject& reject) {
    reject.code = reader.number<RejectCode>();
    reject.text = reader.text(limits::kReasonBytesMax);
}

void read(Reader& reader, Bye& bye) { bye.text = reader.text(limits::kReasonBytesMax); }

void read(Reader& reader, Ping& ping) {
    ping.token = reader.number<std::uint64_t>();
    ping.received_bytes = reader.number<std::uint64_t>();
}

void read(Reader& reader, Pong& pong) {
    pong.token = reader.number<std::uint64_t>();
    pong.received_bytes = reader.number<std::uint64_t>();
}

void read(Reader& reader, Credit& credit) {
    credit.received_bytes = reader.number<std::uint64_t>();
}

void read(Reader& reader, Want& want) {
    want.handle = reader.number<std::uint32_t>();
    want.kind = reader.enumerator(StreamKind::service);
    reader.reserved(1);
    want.name = reader.text(limits::kStreamNameBytesMax);
    if (want.name.empty()) reader.fail(DecodeError::bad_value);
}

void read(Reader& reader, Unwant& unwant) { unwant.handle = reader.number<std::uint32_t>(); }

void read(Reader& reader, Offer& offer) {
    offer.want = reader.number<std::uint32_t>();
    offer.level = reader.enumerator(Level::disk);
    offer.ready = reader.flag();
    reader.reserved(2);
    offer.stream.bytes = reader.bytes16();
    offer.depth = reader.number<std::uint64_t>();
}

void read(Reader& reader, Unoffer& unoffer) {
    unoffer.reason = reader.text(limits::kReasonBytesMax);
}

void read(Reader& reader, State& state) {
    state.ready = reader.flag();
    reader.reserved(7);
    state.depth = reader.number<std::uint64_t>();
}

void read(Reader& reader, Grant& grant) {
    grant.number = reader.number<std::uint32_t>();
    grant.messages = reader.number<std::uint32_t>();
    grant.bytes = reader.number<std::uint64_t>();
    grant.concurrency = reader.number<std::uint32_t>();
    reader.reserved(4);
}

void read(Reader& reader, Granted& granted) { granted.number = reader.number<std::uint32_t>(); }

void read(Reader& reader, Held& held) {
    held.number = reader.number<std::uint32_t>();
    held.done = reader.flag();
    reader.reserved(3);
    held.runs = read_list<HeldRun>(reader, reader.count(kHeldRunBytes), [&] {
        HeldRun run;
        run.epoch = reader.epoch();
        run.run = reader.run();
        run.lease = reader.lease();
        run.started = reader.flag();
        reader.reserved(3);
        return run;
    });
}

void read(Reader& reader, Valid& valid) {
    valid.number = reader.number<std::uint32_t>();
    valid.done = reader.flag();
    reader.reserved(3);
    valid.revoked = read_list<base::Run>(reader, reader.count(kRunBytes),
                                         [&] { return reader.run(); });
}

void read(Reader& reader, Settle& settle) {
    settle.number = reader.number<std::uint64_t>();
    settle.confirmed = reader.number<std::uint64_t>();
    settle.entries = read_list<SettleEntry>(reader, reader.count(kSettleEntryBytes), [&] {
        SettleEntry entry;
        entry.kind = reader.enumerator(SettleKind::recalled);
        reader.reserved(3);
        entry.delay_ms = reader.number<std::uint32_t>();
        entry.run = reader.run();
        entry.lease = reader.lease();
        entry.reason = reader.text(limits::kReasonBytesMax);
        return entry;
    });
}

void read(Reader& reader, Confirm& confirm) {
    confirm.number = reader.number<std::uint64_t>();
    confirm.refused = read_list<RefusedRun>(reader, reader.count(kRefusedRunBytes), [&] {
        RefusedRun refused;
        refused.run = reader.run();
        refused.reason = reader.enumerator(RefuseReason::settled_before_start);
        reader.reserved(7);
        return refused;
    });
}

void read(Reader& reader, Renew& renew) {
    renew.runs = read_list<base::Run>(reader, reader.count(kRunBytes),
                                      [&] { return reader.run(); });
}

void read(Reader& reader, Gap& gap) {
    gap.consumer = reader.number<std::uint64_t>();
    gap.missed = reader.number<std::uint64_t>();
    gap.before = reader.number<base::Seq>();
    gap.reason = reader.enumerator(GapReason::gone);
    reader.reserved(7);
}

void read(Reader& reader, Subscribe& subscribe) {
    subscribe.handle = reader.number<std::uint32_t>();
    subscribe.version = reader.number<std::uint32_t>();
    subscribe.slow = reader.enumerator(Slow::disconnect);
    subscribe.from = reader.enumerator(From::last);
    subscribe.any_header = reader.flag();
    reader.reserved(1);
    subscribe.buffer = reader.number<std::uint32_t>();
    subscribe.from_value = reader.number<std::uint64_t>();
    subscribe.max_lag = reader.number<std::uint64_t>();
    subscribe.expires_after = reader.number<std::int64_t>();
    subscribe.name = reader.text(limits::kStreamNameBytesMax);
    subscribe.patterns = read_list<std::string>(
        reader, reader.count(kTextBytesMin), [&] { return reader.text(limits::kTopicBytesMax); });
    subscribe.headers = read_list<HeaderFilter>(reader, reader.count(2 * kTextBytesMin), [&] {
        HeaderFilter header;
        header.name = reader.text(limits::kFilterTextBytesMax);
        header.value = reader.text(limits::kFilterTextBytesMax);
        return header;
    });
    subscribe.resume = read_list<ResumePoint>(reader, reader.count(kResumePointBytes), [&] {
        ResumePoint point;
        point.stream.bytes = reader.bytes16();
        point.seq = reader.number<base::Seq>();
        return point;
    });
    if (subscribe.patterns.empty()) reader.fail(DecodeError::bad_value);
}

void read(Reader& reader, Subscribed& subscribed) {
    subscribed.handle = reader.number<std::uint32_t>();
    subscribed.version = reader.number<std::uint32_t>();
    subscribed.publishers = reader.number<std::uint32_t>();
    subscribed.refusal = reader.text(limits::kReasonBytesMax);
}

void read(Reader& reader, Recall& recall) { recall.messages = reader.number<std::uint32_t>(); }

void read_with_payload(Reader& reader, base::ByteSpan payload, Batch& batch) {
    batch.epoch = reader.epoch();
    batch.lease_epoch = reader.number<std::uint32_t>();
    const std::size_t count = reader.number<std::uint32_t>();
    reader.reserved(4);
    if (!reader.has_entries(count, kBatchRunBytes)) return;
    batch.runs = read_list<BatchRun>(reader, count, [&] { return read_batch_run(reader); });
    batch.records = payload;
    // Whoever walks the runs may then trust that the work is bounded by the bytes received.
    if (reader.seq_count() > payload.size() / record::kHeaderBytes) {
        reader.fail(DecodeError::bad_value);
    }
}

void read_with_payload(Reader& reader, base::ByteSpan payload, Fragment& fragment) {
    fragment.epoch = reader.epoch();
    fragment.lease_epoch = reader.number<std::uint32_t>();
    fragment.run = read_batch_run(reader);
    fragment.total = reader.number<std::uint32_t>();
    fragment.offset = reader.number<std::uint32_t>();
    fragment.bytes = payload;
    const bool fits = fragment.offset <= fragment.total &&
                      payload.size() <= fragment.total - fragment.offset;
    if (fragment.run.run.count() != 1 || payload.empty() || !fits) {
        reader.fail(DecodeError::bad_value);
    }
}

void read_with_payload(Reader& reader, base::ByteSpan payload, Reply& reply) {
    reply.epoch = reader.epoch();
    reply.request = reader.number<base::Seq>();
    reply.answer = reader.number<std::uint64_t>();
    reply.part = reader.number<std::uint32_t>();
    reply.flags = reader.number<std::uint8_t>();
    reader.reserved(3);
    reply.total = reader.number<std::uint32_t>();
    reply.offset = reader.number<std::uint32_t>();
    reader.reserved(4);
    reply.bytes = payload;
    const bool fits = reply.offset <= reply.total && payload.size() <= reply.total - reply.offset;
    if (reply.request == 0 || payload.empty() || !fits) reader.fail(DecodeError::bad_value);
}

void read(Reader& reader, ReplyCredit& credit) {
    credit.request = reader.number<base::Seq>();
    credit.taken_bytes = reader.number<std::uint64_t>();
    if (credit.request == 0) reader.fail(DecodeError::bad_value);
}

void read(Reader& reader, Cancel& cancel) {
    cancel.requests = read_list<base::Run>(reader, reader.count(kRunBytes),
                                           [&] { return reader.run(); });
}

template <typename Fields>
void read_body(Reader& reader, base::ByteSpan payload, Body& body) {
    if constexpr (kHasPayload<Fields>) {
        read_with_payload(reader, payload, body.emplace<Fields>());
    } else {
        read(reader, body.emplace<Fields>());
        if (!payload.empty()) reader.fail(DecodeError::trailing_bytes);
    }
    if (reader.rest_bytes() != 0) reader.fail(DecodeError::trailing_bytes);
}

using ReadBody = void (*)(Reader&, base::ByteSpan, Body&);

/// The reader of a type's fields; null for types of other versions.
[[nodiscard]] ReadBody reader_of(FrameType type) noexcept {
    switch (type) {
        case FrameType::hello: return read_body<Hello>;
        case FrameType::reject: return read_body<Reject>;
        case FrameType::bye: return read_body<Bye>;
        case FrameType::ping: return read_body<Ping>;
        case FrameType::pong: return read_body<Pong>;
        case FrameType::credit: return read_body<Credit>;
        case FrameType::want: return read_body<Want>;
        case FrameType::unwant: return read_body<Unwant>;
        case FrameType::offer: return read_body<Offer>;
        case FrameType::unoffer: return read_body<Unoffer>;
        case FrameType::state: return read_body<State>;
        case FrameType::grant: return read_body<Grant>;
        case FrameType::granted: return read_body<Granted>;
        case FrameType::held: return read_body<Held>;
        case FrameType::valid: return read_body<Valid>;
        case FrameType::batch: return read_body<Batch>;
        case FrameType::fragment: return read_body<Fragment>;
        case FrameType::settle: return read_body<Settle>;
        case FrameType::confirm: return read_body<Confirm>;
        case FrameType::renew: return read_body<Renew>;
        case FrameType::recall: return read_body<Recall>;
        case FrameType::gap: return read_body<Gap>;
        case FrameType::subscribe: return read_body<Subscribe>;
        case FrameType::subscribed: return read_body<Subscribed>;
        case FrameType::reply: return read_body<Reply>;
        case FrameType::reply_credit: return read_body<ReplyCredit>;
        case FrameType::cancel: return read_body<Cancel>;
        default: return nullptr;
    }
}

/// The error of a body, if any. `head` is exactly as long as its header tells.
[[nodiscard]] DecodeError decode_body(base::ByteSpan head, base::ByteSpan payload, Frame& frame) {
    const ReadBody read_fields = reader_of(frame.header.type);
    if (read_fields == nullptr) {
        const bool skippable = (frame.header.flags & kSkippable) != 0;
        return skippable ? DecodeError::none : DecodeError::unknown_type;
    }
    Reader reader(head.subspan(kFrameHeaderBytes));
    read_fields(reader, payload, frame.body);
    if (!reader.ok()) frame.body = Skipped{};
    return reader.error();
}

[[nodiscard]] std::size_t told_head_bytes(base::ByteSpan bytes) noexcept {
    return kFrameHeaderBytes + load<std::uint32_t>(bytes.data() + 16);
}

}  // namespace

DecodedFrame decode(base::ByteSpan bytes) {
    std::size_t head_bytes = bytes.size();
    if (bytes.size() >= kFrameHeaderBytes) {
        head_bytes = std::min(head_bytes, told_head_bytes(bytes));
    }
    return decode_parts(bytes.first(head_bytes), bytes.subspan(head_bytes));
}

DecodedFrame decode_parts(base::ByteSpan head, base::ByteSpan payload) {
    DecodedFrame result;
    if (head.size() < kFrameHeaderBytes) {
        result.error = DecodeError::truncated;
        return result;
    }
    FrameHeader& header = result.frame.header;
    header.type = load<FrameType>(head.data());
    header.flags = load<std::uint8_t>(head.data() + 1);
    header.stream = load<std::uint32_t>(head.data() + 4);
    header.nonce = load<std::uint64_t>(head.data() + 8);
    const std::size_t told = told_head_bytes(head);
    if (head.size() > limits::kFrameBytesMax ||
        payload.size() > limits::kFrameBytesMax - head.size()) {
        result.error = DecodeError::bad_length;
    } else if (told != head.size()) {
        result.error = told > head.size() ? DecodeError::truncated : DecodeError::trailing_bytes;
    } else {
        result.error = decode_body(head, payload, result.frame);
    }
    return result;
}

}  // namespace peermq::wire
