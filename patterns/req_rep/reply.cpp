#include <utility>

#include "peer/calls.hpp"
#include "peer/properties.hpp"
#include "peermq/requester.hpp"
#include "record/headers.hpp"
#include "record/record.hpp"

namespace peermq {

// --- RemoteError

RemoteError::RemoteError(std::string remote_code, std::string remote_message)
    : Error(ErrorCode::remote_error,
            remote_code + (remote_message.empty() ? "" : ": ") + remote_message),
      remote_code_(std::move(remote_code)),
      remote_message_(std::move(remote_message)) {}

// --- Reply

Reply::Reply() noexcept = default;

Reply::Reply(const detail::ReplyPart& part, std::string correlation_id)
    : payload_(part.pin),
      correlation_id_(std::move(correlation_id)),
      part_(part.number),
      last_(part.last),
      progress_(part.progress) {
    const record::Record record = record::parts(part.record);  // checked when it came in
    body_ = record.body;
    headers_ = record.headers;
}

std::vector<HeaderView> Reply::headers() const {
    std::vector<HeaderView> all = record::decode_headers(headers_).value_or(
        std::vector<HeaderView>{});
    std::erase_if(all, [](const HeaderView& header) {
        return header.first.starts_with(detail::kReservedPrefix);
    });
    return all;
}

std::optional<std::string_view> Reply::header(std::string_view name) const {
    if (name.starts_with(detail::kReservedPrefix)) return std::nullopt;
    return record::find_header(headers_, name);
}

std::string_view Reply::content_type() const {
    return record::find_header(headers_, detail::kContentTypeHeader).value_or(std::string_view{});
}

// --- PendingReply

PendingReply::PendingReply() noexcept = default;
PendingReply::PendingReply(std::shared_ptr<detail::Calls> calls,
                           std::shared_ptr<detail::Call> call) noexcept
    : calls_(std::move(calls)), call_(std::move(call)) {}
PendingReply::PendingReply(PendingReply&&) noexcept = default;

PendingReply& PendingReply::operator=(PendingReply&& other) noexcept {
    if (this == &other) return *this;
    let_go();
    calls_ = std::move(other.calls_);
    call_ = std::move(other.call_);
    ended_ = other.ended_;
    return *this;
}

PendingReply::~PendingReply() { let_go(); }

void PendingReply::let_go() noexcept {
    if (!call_ || ended_) return;
    try {
        calls_->let_go(*call_);
    } catch (...) {
        // No memory for telling the replier: its work is in vain.
    }
}

void PendingReply::require_call() const {
    if (!call_) {
        throw Error(ErrorCode::invalid_state,
                    "empty PendingReply: it was moved from, or not returned by a Requester");
    }
}

std::optional<Reply> PendingReply::take(bool only_last) {
    using Wanted = detail::Calls::Wanted;
    std::optional<detail::ReplyPart> part = calls_->take(*call_,
                                                         only_last ? Wanted::last : Wanted::next);
    if (!part) {
        calls_->throw_failure(*call_);
        return std::nullopt;
    }
    if (part->last) ended_ = true;
    if (part->failure) {
        const record::Record record = record::parts(part->record);
        throw RemoteError(std::string(record::find_header(record.headers, detail::kFailureHeader)
                                          .value_or(std::string_view{})),
                          std::string(base::as_text(record.body)));
    }
    return Reply(*part, call_->correlation_id);
}

Reply PendingReply::get() {
    require_call();
    if (ended_)
        throw Error(ErrorCode::invalid_state, "PendingReply::get: the reply was taken already");
    while (true) {
        (void)calls_->wait(*call_, base::kNever);
        if (std::optional<Reply> reply = take(true)) return std::move(*reply);
    }
}

bool PendingReply::wait(std::chrono::nanoseconds timeout) {
    require_call();
    return ended_ || calls_->wait_done(*call_, base::after(calls_->now(), timeout));
}

bool PendingReply::done() const {
    require_call();
    return ended_ || calls_->done(*call_);
}

std::optional<Reply> PendingReply::next() { return next(base::Duration::max()); }

std::optional<Reply> PendingReply::next(std::chrono::nanoseconds timeout) {
    require_call();
    if (ended_) return std::nullopt;
    if (!calls_->wait(*call_, base::after(calls_->now(), timeout))) return std::nullopt;
    return take(false);
}

bool PendingReply::cancel() {
    require_call();
    return calls_->cancel(*call_);
}

const std::string& PendingReply::correlation_id() const noexcept {
    static const std::string kNone;
    return call_ ? call_->correlation_id : kNone;
}

}  // namespace peermq
