#include "peermq/push.hpp"

#include "peer/compose.hpp"
#include "peer/handles.hpp"

namespace peermq {
namespace {

using detail::WhenFull;

[[noreturn]] void refuse(ErrorCode code, const std::string& text) { throw Error(code, text); }

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

bool Receipt::failed(Until until) const { return !stream_ || stream_->lost(until, seq_); }

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
    return {impl_->stream, *detail::append(*impl_->stream, message, {}, WhenFull::as_configured)};
}

std::optional<Receipt> Push::post_within(const Message& message, std::chrono::nanoseconds timeout) {
    impl_->runtime->check_process();
    const auto seq = detail::append(*impl_->stream, message, {}, WhenFull::as_configured,
                                    deadline_after(impl_->runtime->clock(), timeout));
    if (!seq) return std::nullopt;
    return Receipt(impl_->stream, *seq);
}

std::optional<Receipt> Push::try_post(const Message& message) {
    impl_->runtime->check_process();
    const auto seq = detail::append(*impl_->stream, message, {}, WhenFull::return_nothing);
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

void Push::notify(const Notifier& notifier) {
    impl_->runtime->check_process();
    impl_->stream->set_notifier(notifier.state_);
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
