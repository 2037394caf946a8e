#include "peermq/request.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.hpp"
#include "peer/compose.hpp"
#include "peer/handles.hpp"
#include "peer/in_batch.hpp"
#include "peer/properties.hpp"
#include "peermq/error.hpp"
#include "record/headers.hpp"

namespace peermq {
namespace {

/// A message of a failure is cut here.
constexpr std::size_t kFailureBytesMax = 64 * base::limits::kKiB;

}  // namespace

Request::Request() noexcept = default;

Request::Request(Request&& other) noexcept { *this = std::move(other); }

Request& Request::operator=(Request&& other) noexcept {
    if (this == &other) return *this;
    drop();
    body_ = other.body_;
    headers_ = other.headers_;
    stream_ = std::move(other.stream_);
    payload_ = std::move(other.payload_);
    source_ = other.source_;
    seq_ = other.seq_;
    timestamp_ns_ = other.timestamp_ns_;
    expiry_ns_ = other.expiry_ns_;
    epoch_nonce_ = other.epoch_nonce_;
    epoch_ = other.epoch_;
    redelivered_ = other.redelivered_;
    idempotent_ = other.idempotent_;
    answered_ = std::exchange(other.answered_, true);
    return *this;
}

Request::~Request() { drop(); }

void Request::drop() noexcept {
    if (answered_ || !stream_) return;
    try {
        fail("no_reply", "the request was dropped without a reply");
    } catch (...) {
        answered_ = true;  // no memory for saying so: the requester's deadline ends it
    }
}

std::vector<HeaderView> Request::headers() const {
    std::vector<HeaderView> all = record::decode_headers(headers_).value_or(
        std::vector<HeaderView>{});
    std::erase_if(all, [](const HeaderView& header) {
        return header.first.starts_with(detail::kReservedPrefix);
    });
    return all;
}

std::optional<std::string_view> Request::header(std::string_view name) const {
    if (name.starts_with(detail::kReservedPrefix)) return std::nullopt;
    return record::find_header(headers_, name);
}

std::string Request::id() const {
    if (const auto own = record::find_header(headers_, detail::kIdHeader)) return std::string(*own);
    if (!payload_) return {};
    const auto& batch = *static_cast<const detail::InBatch*>(payload_.get());
    return batch.stream.hex() + "-" + std::to_string(epoch_) + "-" + std::to_string(seq_);
}

std::string Request::correlation_id() const {
    if (const auto own = record::find_header(headers_, detail::kCorrelationIdHeader))
        return std::string(*own);
    return id();
}

std::string_view Request::content_type() const {
    return record::find_header(headers_, detail::kContentTypeHeader).value_or(std::string_view{});
}

const std::string& Request::service() const noexcept { return stream_->queue(); }

Timestamp Request::timestamp() const noexcept { return Timestamp(nanoseconds(timestamp_ns_)); }

std::optional<Timestamp> Request::deadline() const noexcept {
    if (expiry_ns_ == 0) return std::nullopt;
    return Timestamp(nanoseconds(expiry_ns_));
}

std::optional<std::chrono::nanoseconds> Request::remaining() const {
    if (expiry_ns_ == 0) return std::nullopt;
    const nanoseconds now = stream_->wall_now().time_since_epoch();
    return std::max(nanoseconds(0), nanoseconds(expiry_ns_) - now);
}

bool Request::cancelled() const {
    if (!stream_) return true;
    if (remaining() == nanoseconds(0)) return true;
    return stream_->replies()->cancelled(ref());
}

void Request::require_open(std::string_view what) const {
    if (!answered_) return;
    throw Error(ErrorCode::invalid_state,
                stream_ ? std::string(what) + ": request " + id() + " of service \"" + service() +
                              "\" is answered already: answer once"
                        : std::string(what) + ": this Request was moved from, or never received");
}

detail::RequestRef Request::ref() const {
    const auto& batch = *static_cast<const detail::InBatch*>(payload_.get());
    return {source_, batch.stream, {epoch_, epoch_nonce_}, seq_};
}

void Request::send(const Message& message, detail::PartKind kind) {
    if (!message.key.empty() || !message.id.empty() || !message.correlation_id.empty() ||
        !message.reply_to.empty()) {
        throw Error(ErrorCode::invalid_argument,
                    "a reply has body, headers and content_type only: it belongs to its request");
    }
    const std::string properties = detail::encode_properties(message);
    record::Record record;
    record.headers = base::as_bytes(properties);
    record.body = message.body.span();
    stream_->answer(ref(), record, kind);
}

void Request::reply(const Message& reply) {
    require_open("reply");
    send(reply, detail::PartKind::last);
    answered_ = true;
}

bool Request::reply_part(const Message& part) {
    require_open("reply_part");
    const detail::RequestRef request = ref();
    detail::Replies& replies = *stream_->replies();
    const base::Time until = base::after(stream_->now(),
                                         remaining().value_or(base::Duration::max()));
    stream_->wait_until([&] { return replies.has_room(request) || stream_->closed(); }, until);
    if (cancelled()) return false;
    send(part, detail::PartKind::part);
    return true;
}

bool Request::progress(BytesView body) {
    require_open("progress");
    if (cancelled()) return false;
    send(Message{.body = body}, detail::PartKind::progress);
    return true;
}

void Request::fail(std::string_view code, std::string_view message) {
    require_open("fail");
    if (code.empty() || code.size() > base::limits::kFailureCodeBytesMax) {
        throw Error(ErrorCode::invalid_argument, "fail: a code of " + std::to_string(code.size()) +
                                                     " bytes; 1 to 255 are possible");
    }
    std::string properties;
    const std::array<record::HeaderView, 1> headers{{{detail::kFailureHeader, code}}};
    record::encode_headers(headers, properties);
    record::Record record;
    record.headers = base::as_bytes(properties);
    record.body = base::as_bytes(message.substr(0, kFailureBytesMax));
    stream_->answer(ref(), record, detail::PartKind::failure);
    answered_ = true;
}

}  // namespace peermq
