#include "peermq/delivery.hpp"

#include "base/limits.hpp"
#include "peer/handles.hpp"
#include "peer/in_batch.hpp"
#include "peer/properties.hpp"
#include "peermq/error.hpp"
#include "record/headers.hpp"

namespace peermq {
namespace {

SettlementState to_state(delivery::Outcome outcome) {
    switch (outcome) {
        case delivery::Outcome::pending: return SettlementState::pending;
        case delivery::Outcome::accepted: return SettlementState::accepted;
        case delivery::Outcome::refused: return SettlementState::refused;
        case delivery::Outcome::unknown: return SettlementState::unknown;
    }
    return SettlementState::unknown;
}

}  // namespace

// --- Settlement

Settlement::Settlement() noexcept = default;
Settlement::Settlement(const Settlement&) noexcept = default;
Settlement::Settlement(Settlement&&) noexcept = default;
Settlement& Settlement::operator=(const Settlement&) noexcept = default;
Settlement& Settlement::operator=(Settlement&&) noexcept = default;
Settlement::~Settlement() = default;

SettlementState Settlement::state() const {
    return stream_ ? to_state(stream_->outcome(source_, seq_)) : SettlementState::unknown;
}

SettlementState Settlement::wait(std::chrono::nanoseconds timeout) const {
    if (!stream_) return SettlementState::unknown;
    return to_state(stream_->wait_outcome(source_, seq_, base::after(stream_->now(), timeout)));
}

// --- Delivery

Delivery::Delivery() noexcept = default;

Delivery::Delivery(Delivery&& other) noexcept { *this = std::move(other); }

Delivery& Delivery::operator=(Delivery&& other) noexcept {
    if (this == &other) return *this;
    drop();
    body_ = other.body_;
    key_ = other.key_;
    topic_ = other.topic_;
    headers_ = other.headers_;
    stream_ = std::move(other.stream_);
    payload_ = std::move(other.payload_);
    source_ = other.source_;
    seq_ = other.seq_;
    timestamp_ns_ = other.timestamp_ns_;
    epoch_ = other.epoch_;
    attempt_ = other.attempt_;
    redelivered_ = other.redelivered_;
    settled_ = std::exchange(other.settled_, true);
    return *this;
}

Delivery::~Delivery() { drop(); }

void Delivery::drop() noexcept {
    if (settled_ || !stream_) return;
    settled_ = true;
    try {
        stream_->count_unsettled_drop();
        (void)stream_->settle(source_, seq_, delivery::SettleKind::nack, std::nullopt,
                              "destroyed unsettled");
    } catch (...) {
        // The peer is closed: the lease ends by itself and the message comes again.
    }
}

std::vector<HeaderView> Delivery::headers() const {
    std::vector<HeaderView> all = record::decode_headers(headers_).value_or(
        std::vector<HeaderView>{});
    std::erase_if(all, [](const HeaderView& header) {
        return header.first.starts_with(detail::kReservedPrefix) &&
               !header.first.starts_with(detail::kDeadPrefix);
    });
    return all;
}

std::optional<std::string_view> Delivery::header(std::string_view name) const {
    return record::find_header(headers_, name);
}

std::string Delivery::id() const {
    if (const auto given = record::find_header(headers_, detail::kIdHeader))
        return std::string(*given);
    const auto& batch = *static_cast<const detail::InBatch*>(payload_.get());
    return batch.stream.hex() + "-" + std::to_string(epoch_) + "-" + std::to_string(seq_);
}

std::string_view Delivery::correlation_id() const {
    return record::find_header(headers_, detail::kCorrelationIdHeader).value_or(std::string_view{});
}

std::string_view Delivery::reply_to() const {
    return record::find_header(headers_, detail::kReplyToHeader).value_or(std::string_view{});
}

std::string_view Delivery::content_type() const {
    return record::find_header(headers_, detail::kContentTypeHeader).value_or(std::string_view{});
}

Timestamp Delivery::timestamp() const noexcept { return Timestamp(nanoseconds(timestamp_ns_)); }

const std::string& Delivery::queue() const noexcept { return stream_->queue(); }

Settlement Delivery::settle(SettleKind kind, std::optional<std::chrono::nanoseconds> delay,
                            std::string_view reason) {
    if (stream_ && stream_->live()) return {};
    if (settled_) {
        throw Error(ErrorCode::invalid_state, stream_
                                                  ? "message " + id() + " of \"" + queue() +
                                                        "\" is settled already: settle once"
                                                  : std::string("this Delivery was moved from"));
    }
    settled_ = true;
    delivery::SettleKind translated = delivery::SettleKind::ack;
    switch (kind) {
        case SettleKind::ack: break;
        case SettleKind::nack: translated = delivery::SettleKind::nack; break;
        case SettleKind::release: translated = delivery::SettleKind::release; break;
        case SettleKind::reject: translated = delivery::SettleKind::reject; break;
    }
    Settlement settlement;
    settlement.source_ = source_;
    settlement.seq_ = seq_;
    if (stream_->settle(source_, seq_, translated, delay,
                        reason.substr(0, base::limits::kReasonBytesMax))) {
        settlement.stream_ = stream_;
    }
    return settlement;
}

Settlement Delivery::ack() { return settle(SettleKind::ack, std::nullopt, {}); }

Settlement Delivery::nack(std::optional<std::chrono::nanoseconds> delay, std::string_view reason) {
    if (delay && delay->count() < 0)
        throw Error(ErrorCode::invalid_argument, "nack: the delay must not be negative");
    return settle(SettleKind::nack, delay, reason);
}

Settlement Delivery::release() { return settle(SettleKind::release, std::nullopt, {}); }

Settlement Delivery::reject(std::string_view reason) {
    return settle(SettleKind::reject, std::nullopt, reason);
}

OwnedMessage Delivery::take() const {
    OwnedMessage message;
    message.body = body_.text();
    message.key = key_;
    for (const auto& [name, value] : headers()) message.headers.emplace_back(name, value);
    message.id = id();
    message.correlation_id = correlation_id();
    message.reply_to = reply_to();
    message.content_type = content_type();
    message.timestamp = timestamp();
    message.attempt = attempt_;
    message.redelivered = redelivered_;
    return message;
}

}  // namespace peermq
