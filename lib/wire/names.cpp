#include "wire/frames.hpp"

namespace peermq::wire {

std::string_view to_string(FrameType type) noexcept {
    switch (type) {
        case FrameType::hello: return "hello";
        case FrameType::reject: return "reject";
        case FrameType::bye: return "bye";
        case FrameType::ping: return "ping";
        case FrameType::pong: return "pong";
        case FrameType::credit: return "credit";
        case FrameType::want: return "want";
        case FrameType::unwant: return "unwant";
        case FrameType::offer: return "offer";
        case FrameType::unoffer: return "unoffer";
        case FrameType::state: return "state";
        case FrameType::grant: return "grant";
        case FrameType::granted: return "granted";
        case FrameType::held: return "held";
        case FrameType::valid: return "valid";
        case FrameType::batch: return "batch";
        case FrameType::fragment: return "fragment";
        case FrameType::settle: return "settle";
        case FrameType::confirm: return "confirm";
        case FrameType::renew: return "renew";
        case FrameType::recall: return "recall";
        case FrameType::reply: return "reply";
        case FrameType::reply_credit: return "reply_credit";
        case FrameType::cancel: return "cancel";
        case FrameType::gap: return "gap";
        case FrameType::transaction_ask: return "transaction_ask";
        case FrameType::transaction_answer: return "transaction_answer";
        case FrameType::subscribe: return "subscribe";
        case FrameType::subscribed: return "subscribed";
    }
    return "unknown";
}

std::string_view to_string(RejectCode code) noexcept {
    switch (code) {
        case RejectCode::version: return "version";
        case RejectCode::protocol: return "protocol";
        case RejectCode::self: return "self";
        case RejectCode::duplicate: return "duplicate";
        case RejectCode::limit: return "limit";
        case RejectCode::denied: return "denied";
        case RejectCode::closing: return "closing";
        case RejectCode::hello_timeout: return "hello_timeout";
    }
    return "unknown";
}

std::string_view to_string(DecodeError error) noexcept {
    switch (error) {
        case DecodeError::none: return "none";
        case DecodeError::truncated: return "truncated";
        case DecodeError::bad_length: return "bad_length";
        case DecodeError::bad_value: return "bad_value";
        case DecodeError::trailing_bytes: return "trailing_bytes";
        case DecodeError::unknown_type: return "unknown_type";
        case DecodeError::bad_magic: return "bad_magic";
        case DecodeError::too_many: return "too_many";
    }
    return "unknown";
}

}  // namespace peermq::wire
