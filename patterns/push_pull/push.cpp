#include "peermq/push.hpp"

#include "base/limits.hpp"
#include "peer/handles.hpp"
#include "push_pull/properties.hpp"
#include "record/headers.hpp"
#include "record/record.hpp"

namespace peermq {
namespace {

using detail::WhenFull;

[[noreturn]] void refuse(ErrorCode code, const std::string& text) { throw Error(code, text); }

/// Headers and properties as they lie in a record; empty when there are none, which is the fast
/// path.
std::string encode_properties(const Message& message) {
    std::string encoded;
    if (message.headers.empty() && message.id.empty() && message.correlation_id.empty() &&
        message.reply_to.empty() && message.content_type.empty()) {
        return encoded;
    }
    std::vector<record::HeaderView> all;
    const auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) all.emplace_back(name, value);
    };
    add(detail::kIdHeader, message.id);
    add(detail::kCorrelationIdHeader, message.correlation_id);
    add(detail::kReplyToHeader, message.reply_to);
    add(detail::kContentTypeHeader, message.content_type);
    for (const HeaderView& header : message.headers) {
        // Why it lay among the dead letters is no part of a message that is sent again.
        if (header.first.starts_with(detail::kDeadPrefix)) continue;
        if (header.first.starts_with(detail::kReservedPrefix)) {
            refuse(ErrorCode::invalid_argument,
                   "header name \"" + std::string(header.first.substr(0, 64)) +
                       "\": names beginning with peermq- are reserved");
        }
        all.push_back(header);
    }
    record::encode_headers(all, encoded);
    if (encoded.size() > base::limits::kHeadersBytesMax) {
        refuse(ErrorCode::too_large, "headers and properties take " +
                                         std::to_string(encoded.size()) +
                                         " bytes, at most 65,536 are possible");
    }
    return encoded;
}

std::optional<base::Seq> append(detail::OutStream& stream, const Message& message,
                                WhenFull when_full) {
    if (message.key.size() > base::limits::kKeyBytesMax) {
        refuse(ErrorCode::too_large, "key of " + std::to_string(message.key.size()) +
                                         " bytes, at most 1,024 are possible");
    }
    const std::string properties = encode_properties(message);
    record::Record record;
    record.key = message.key;
    record.headers = base::as_bytes(properties);
    record.body = message.body.span();
    return stream.append(record, when_full);
}

base::Time deadline_after(base::Clock& clock, std::chrono::nanoseconds timeout) {
    return base::after(clock.now(), timeout);
}

}  // namespace

// --- Receipt

Receipt::Receipt() noexcept = default;
Receipt::Receipt(const Receipt&) noexcept = default;
Receipt::Receipt(Receipt&&) noexcept = default;
Receipt& Receipt::operator=(const Receipt&) noexcept = default;
Receipt& Receipt::operator=(Receipt&&) noexcept = default;
Receipt::~Receipt() = default;

Receipt::Receipt(std::shared_ptr<detail::OutStream> stream, std::uint64_t seq) noexcept
    : stream_(std::move(stream)), seq_(seq) {}

bool Receipt::wait(Until until, std::chrono::nanoseconds timeout) const {
    if (!stream_) refuse(ErrorCode::invalid_state, "empty Receipt: it was not returned by a Push");
    return stream_->wait(until, seq_, base::after(stream_->now(), timeout));
}

bool Receipt::done(Until until) const { return stream_ && stream_->done(until, seq_); }

std::string Receipt::id() const {
    if (!stream_) return {};
    return stream_->config().id.hex() + "-" + std::to_string(stream_->config().epoch.counter) +
           "-" + std::to_string(seq_);
}

// --- Push

Push Peer::push(std::string_view queue, PushOptions options) {
    auto impl = std::make_unique<Push::Impl>();
    impl->runtime = impl_->runtime;
    impl->stream = impl_->runtime->open_push(queue, options);
    return Push(std::move(impl));
}

Push::Push(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Push::Push(Push&&) noexcept = default;
Push& Push::operator=(Push&&) noexcept = default;
Push::~Push() = default;

Receipt Push::send(const Message& message) {
    Receipt receipt = post(message);
    (void)receipt.wait(Until::durable);
    return receipt;
}

Receipt Push::post(const Message& message) {
    impl_->runtime->check_process();
    return {impl_->stream, *append(*impl_->stream, message, WhenFull::as_configured)};
}

std::optional<Receipt> Push::try_post(const Message& message) {
    impl_->runtime->check_process();
    const auto seq = append(*impl_->stream, message, WhenFull::return_nothing);
    if (!seq) return std::nullopt;
    return Receipt(impl_->stream, *seq);
}

Receipt Push::send_many(std::span<const Message> messages) {
    Receipt last;
    for (const Message& message : messages) last = post(message);
    if (!messages.empty()) (void)last.wait(Until::durable);
    return last;
}

bool Push::flush(Until until, std::chrono::nanoseconds timeout) {
    impl_->runtime->check_process();
    return impl_->stream->wait_all(until, deadline_after(impl_->runtime->clock(), timeout));
}

std::uint64_t Push::purge() {
    impl_->runtime->check_process();
    return impl_->runtime->purge(*impl_->stream);
}

void Push::pause() { impl_->runtime->pause(*impl_->stream, true); }
void Push::resume() { impl_->runtime->pause(*impl_->stream, false); }

PushStats Push::stats() const { return impl_->runtime->push_stats(*impl_->stream); }
const std::string& Push::queue() const noexcept { return impl_->stream->config().name; }

}  // namespace peermq
