#include <algorithm>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "wire/frames.hpp"
#include "wire/layout.hpp"

namespace peermq::wire {
namespace {

using base::store;
namespace limits = base::limits;

/// `text` cut to at most `bytes_max`, not in the middle of a UTF-8 character.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t bytes_max) noexcept {
    if (text.size() <= bytes_max) return text;
    const auto continues = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
    };
    std::size_t end = bytes_max;
    while (end > 0 && bytes_max - end < 3 && continues(end)) --end;
    // What continues for longer is not UTF-8; then any place is as good.
    return text.substr(0, continues(end) ? bytes_max : end);
}

/// Appends fields in the order of FORMAT.md.
class Writer {
public:
    explicit Writer(std::vector<std::byte>& out) : out_(out) {}

    template <typename Number>
    void number(Number value) {
        static_assert(std::is_integral_v<Number> || std::is_enum_v<Number>);
        store(grow(sizeof value), value);
    }

    void flag(bool value) { number<std::uint8_t>(value ? 1 : 0); }

    void reserved(std::size_t bytes) { grow(bytes); }

    void bytes16(const std::array<std::byte, 16>& bytes) {
        std::memcpy(grow(bytes.size()), bytes.data(), bytes.size());
    }

    void text(std::string_view value) {
        number(static_cast<std::uint16_t>(value.size()));
        std::byte* const to = grow(value.size());
        if (!value.empty()) std::memcpy(to, value.data(), value.size());
    }

    void run(base::Run value) {
        PEERMQ_ASSERT(value.first != 0 && !value.empty());
        number(value.first);
        number(value.last);
    }

    void epoch(const base::Epoch& value) {
        number(value.counter);
        number(value.nonce);
    }

    void lease(const base::LeaseId& value) {
        number(value.epoch);
        number(value.counter);
    }

    void count(std::size_t value) {
        PEERMQ_ASSERT(value <= limits::kRunsPerFrameMax);
        number(static_cast<std::uint32_t>(value));
    }

    std::vector<std::byte>& out() noexcept { return out_; }

private:
    /// `bytes` zero bytes more; returns where they start.
    std::byte* grow(std::size_t bytes) {
        const std::size_t start = out_.size();
        out_.resize(start + bytes);
        return out_.data() + start;
    }

    std::vector<std::byte>& out_;
};

/// Fills the frame header that starts at `to`.
void write_header(std::byte* to, FrameType type, std::uint32_t stream, std::uint64_t nonce,
                  std::size_t fields_bytes) noexcept {
    store(to, type);
    store<std::uint8_t>(to + 1, 0);
    store<std::uint16_t>(to + 2, 0);
    store(to + 4, stream);
    store(to + 8, nonce);
    store(to + 16, static_cast<std::uint32_t>(fields_bytes));
    store<std::uint32_t>(to + 20, 0);
}

std::byte* write_batch_run(std::byte* to, const BatchRun& run) noexcept {
    PEERMQ_ASSERT(run.run.first != 0 && !run.run.empty());
    store(to, run.run.first);
    store(to + 8, run.run.last);
    store(to + 16, run.lease);
    store(to + 24, run.attempt);
    store(to + 26, run.flags);
    store<std::uint8_t>(to + 27, 0);
    store<std::uint32_t>(to + 28, 0);
    return to + kBatchRunBytes;
}

// One function per body: appends the fields and tells the type.

FrameType write(Writer&, const Skipped&) {
    PEERMQ_ASSERT(false && "a skipped frame cannot be encoded");
    return {};
}

FrameType write(Writer& writer, const Hello& hello) {
    writer.number(kMagic);
    writer.number(hello.version_min);
    writer.number(hello.version_max);
    writer.number(hello.capabilities);
    writer.number(hello.nonce);
    writer.number(hello.echo);
    writer.bytes16(hello.peer.bytes);
    writer.bytes16(hello.session.bytes);
    writer.number(hello.frame_bytes_max);
    writer.reserved(4);
    writer.number(hello.message_bytes_max);
    writer.number(hello.window_bytes);
    writer.number(hello.wall_time_ns);
    writer.bytes16(hello.host.boot_id);
    writer.number(hello.host.pid_namespace);
    writer.number(hello.host.start_time);
    writer.number(hello.host.pid);
    writer.text(cut(hello.agent, limits::kAgentBytesMax));
    return FrameType::hello;
}

FrameType write(Writer& writer, const Reject& reject) {
    writer.number(reject.code);
    writer.text(cut(reject.text, limits::kReasonBytesMax));
    return FrameType::reject;
}

FrameType write(Writer& writer, const Bye& bye) {
    writer.text(cut(bye.text, limits::kReasonBytesMax));
    return FrameType::bye;
}

FrameType write(Writer& writer, const Ping& ping) {
    writer.number(ping.token);
    writer.number(ping.received_bytes);
    return FrameType::ping;
}

FrameType write(Writer& writer, const Pong& pong) {
    writer.number(pong.token);
    writer.number(pong.received_bytes);
    return FrameType::pong;
}

FrameType write(Writer& writer, const Credit& credit) {
    writer.number(credit.received_bytes);
    return FrameType::credit;
}

FrameType write(Writer& writer, const Want& want) {
    PEERMQ_ASSERT(!want.name.empty() && want.name.size() <= limits::kStreamNameBytesMax);
    writer.number(want.handle);
    writer.number(want.kind);
    writer.reserved(1);
    writer.text(want.name);
    return FrameType::want;
}

FrameType write(Writer& writer, const Unwant& unwant) {
    writer.number(unwant.handle);
    return FrameType::unwant;
}

FrameType write(Writer& writer, const Offer& offer) {
    writer.number(offer.want);
    writer.number(offer.level);
    writer.flag(offer.ready);
    writer.reserved(2);
    writer.bytes16(offer.stream.bytes);
    writer.number(offer.depth);
    return FrameType::offer;
}

FrameType write(Writer& writer, const Unoffer& unoffer) {
    writer.text(cut(unoffer.reason, limits::kReasonBytesMax));
    return FrameType::unoffer;
}

FrameType write(Writer& writer, const State& state) {
    writer.flag(state.ready);
    writer.reserved(7);
    writer.number(state.depth);
    return FrameType::state;
}

FrameType write(Writer& writer, const Grant& grant) {
    writer.number(grant.number);
    writer.number(grant.messages);
    writer.number(grant.bytes);
    writer.number(grant.concurrency);
    writer.reserved(4);
    return FrameType::grant;
}

FrameType write(Writer& writer, const Granted& granted) {
    writer.number(granted.number);
    return FrameType::granted;
}

FrameType write(Writer& writer, const Held& held) {
    writer.number(held.number);
    writer.flag(held.done);
    writer.reserved(3);
    writer.count(held.runs.size());
    for (const HeldRun& run : held.runs) {
        writer.epoch(run.epoch);
        writer.run(run.run);
        writer.lease(run.lease);
        writer.flag(run.started);
        writer.reserved(3);
    }
    return FrameType::held;
}

FrameType write(Writer& writer, const Valid& valid) {
    writer.number(valid.number);
    writer.flag(valid.done);
    writer.reserved(3);
    writer.count(valid.revoked.size());
    for (const base::Run run : valid.revoked) writer.run(run);
    return FrameType::valid;
}

FrameType write(Writer& writer, const Settle& settle) {
    const std::size_t count = settle.entries.size();
    writer.number(settle.number);
    writer.number(settle.confirmed);
    writer.count(count);
    const std::size_t fixed_bytes = kFrameHeaderBytes + kSettleFieldsBytes +
                                    count * kSettleEntryBytes;
    const std::size_t reason_bytes_max = std::min(
        limits::kReasonBytesMax,
        (limits::kFrameBytesMax - fixed_bytes) / std::max<std::size_t>(count, 1));
    for (const SettleEntry& entry : settle.entries) {
        writer.number(entry.kind);
        writer.reserved(3);
        writer.number(entry.delay_ms);
        writer.run(entry.run);
        writer.lease(entry.lease);
        writer.text(cut(entry.reason, reason_bytes_max));
    }
    return FrameType::settle;
}

FrameType write(Writer& writer, const Confirm& confirm) {
    writer.number(confirm.number);
    writer.count(confirm.refused.size());
    for (const RefusedRun& refused : confirm.refused) {
        writer.run(refused.run);
        writer.number(refused.reason);
        writer.reserved(7);
    }
    return FrameType::confirm;
}

FrameType write(Writer& writer, const Renew& renew) {
    writer.count(renew.runs.size());
    for (const base::Run run : renew.runs) writer.run(run);
    return FrameType::renew;
}

FrameType write(Writer& writer, const Recall& recall) {
    writer.number(recall.messages);
    return FrameType::recall;
}

FrameType write(Writer& writer, const Gap& gap) {
    writer.number(gap.consumer);
    writer.number(gap.missed);
    writer.number(gap.before);
    writer.number(gap.reason);
    writer.reserved(7);
    return FrameType::gap;
}

FrameType write(Writer& writer, const Subscribe& subscribe) {
    writer.number(subscribe.handle);
    writer.number(subscribe.version);
    writer.number(subscribe.slow);
    writer.number(subscribe.from);
    writer.flag(subscribe.any_header);
    writer.reserved(1);
    writer.number(subscribe.buffer);
    writer.number(subscribe.from_value);
    writer.number(subscribe.max_lag);
    writer.number(subscribe.expires_after);
    writer.text(subscribe.name);
    writer.count(subscribe.patterns.size());
    for (const std::string& pattern : subscribe.patterns) writer.text(pattern);
    writer.count(subscribe.headers.size());
    for (const HeaderFilter& header : subscribe.headers) {
        writer.text(header.name);
        writer.text(header.value);
    }
    writer.count(subscribe.resume.size());
    for (const ResumePoint& point : subscribe.resume) {
        writer.bytes16(point.stream.bytes);
        writer.number(point.seq);
    }
    return FrameType::subscribe;
}

FrameType write(Writer& writer, const Subscribed& subscribed) {
    writer.number(subscribed.handle);
    writer.number(subscribed.version);
    writer.number(subscribed.publishers);
    writer.text(cut(subscribed.refusal, limits::kReasonBytesMax));
    return FrameType::subscribed;
}

FrameType write(Writer& writer, const ReplyCredit& credit) {
    writer.number(credit.request);
    writer.number(credit.taken_bytes);
    return FrameType::reply_credit;
}

FrameType write(Writer& writer, const Cancel& cancel) {
    writer.count(cancel.requests.size());
    for (const base::Run run : cancel.requests) writer.run(run);
    return FrameType::cancel;
}

/// Room for `head_bytes` after what `out` holds, then a copy of `payload`; returns the room.
std::span<std::byte> append_with_payload(std::vector<std::byte>& out, std::size_t head_bytes,
                                         base::ByteSpan payload) {
    const std::size_t start = out.size();
    out.reserve(start + head_bytes + payload.size());
    out.resize(start + head_bytes);
    out.insert(out.end(), payload.begin(), payload.end());
    return std::span(out).subspan(start, head_bytes);
}

}  // namespace

void encode(std::uint32_t stream, std::uint64_t nonce, const Body& body,
            std::vector<std::byte>& out) {
    const std::size_t start = out.size();
    if (const auto* batch = std::get_if<Batch>(&body)) {
        encode_batch_head(
            stream, nonce, *batch,
            append_with_payload(out, batch_head_bytes(batch->runs.size()), batch->records));
    } else if (const auto* fragment = std::get_if<Fragment>(&body)) {
        encode_fragment_head(stream, nonce, *fragment,
                             append_with_payload(out, kFragmentHeadBytes, fragment->bytes));
    } else if (const auto* reply = std::get_if<Reply>(&body)) {
        encode_reply_head(stream, nonce, *reply,
                          append_with_payload(out, kReplyHeadBytes, reply->bytes));
    } else {
        out.resize(start + kFrameHeaderBytes);
        Writer writer(out);
        const FrameType type = std::visit(
            [&](const auto& fields) {
                using Fields = std::decay_t<decltype(fields)>;
                if constexpr (kHasPayload<Fields>) {
                    return FrameType{};  // handled above
                } else {
                    return write(writer, fields);
                }
            },
            body);
        write_header(out.data() + start, type, stream, nonce,
                     out.size() - start - kFrameHeaderBytes);
    }
    PEERMQ_ASSERT(out.size() - start <= limits::kFrameBytesMax);
}

std::size_t batch_head_bytes(std::size_t runs) noexcept {
    return kFrameHeaderBytes + kBatchFieldsBytes + runs * kBatchRunBytes;
}

void encode_batch_head(std::uint32_t stream, std::uint64_t nonce, const Batch& batch,
                       std::span<std::byte> out) noexcept {
    PEERMQ_ASSERT(batch.runs.size() <= limits::kRunsPerFrameMax);
    PEERMQ_ASSERT(out.size() == batch_head_bytes(batch.runs.size()));
    write_header(out.data(), FrameType::batch, stream, nonce, out.size() - kFrameHeaderBytes);
    std::byte* at = out.data() + kFrameHeaderBytes;
    store(at, batch.epoch.counter);
    store(at + 4, batch.epoch.nonce);
    store(at + 12, batch.lease_epoch);
    store(at + 16, static_cast<std::uint32_t>(batch.runs.size()));
    store<std::uint32_t>(at + 20, 0);
    at += kBatchFieldsBytes;
    for (const BatchRun& run : batch.runs) at = write_batch_run(at, run);
}

void encode_fragment_head(std::uint32_t stream, std::uint64_t nonce, const Fragment& fragment,
                          std::span<std::byte> out) noexcept {
    PEERMQ_ASSERT(out.size() == kFragmentHeadBytes);
    write_header(out.data(), FrameType::fragment, stream, nonce, out.size() - kFrameHeaderBytes);
    std::byte* at = out.data() + kFrameHeaderBytes;
    store(at, fragment.epoch.counter);
    store(at + 4, fragment.epoch.nonce);
    store(at + 12, fragment.lease_epoch);
    at = write_batch_run(at + 16, fragment.run);
    store(at, fragment.total);
    store(at + 4, fragment.offset);
}

void encode_reply_head(std::uint32_t stream, std::uint64_t nonce, const Reply& reply,
                       std::span<std::byte> out) noexcept {
    PEERMQ_ASSERT(out.size() == kReplyHeadBytes && reply.request != 0);
    write_header(out.data(), FrameType::reply, stream, nonce, out.size() - kFrameHeaderBytes);
    std::byte* at = out.data() + kFrameHeaderBytes;
    store(at, reply.epoch.counter);
    store(at + 4, reply.epoch.nonce);
    store(at + 12, reply.request);
    store(at + 20, reply.answer);
    store(at + 28, reply.part);
    store<std::uint32_t>(at + 32, reply.flags);
    store(at + 36, reply.total);
    store(at + 40, reply.offset);
    store<std::uint32_t>(at + 44, 0);
}

}  // namespace peermq::wire
