#include "peermq/requester.hpp"

#include <array>
#include <utility>

#include "base/limits.hpp"
#include "peer/compose.hpp"
#include "peer/handles.hpp"
#include "peer/properties.hpp"
#include "record/record.hpp"
#include "req_rep/client.hpp"

namespace peermq {
namespace {

detail::Client& client_of(const detail::Calls& calls) {
    return *static_cast<detail::Client*>(calls.client.get());
}

std::chrono::nanoseconds timeout_of(const RequesterOptions& defaults,
                                    const RequestOptions& options) {
    const std::chrono::nanoseconds timeout = options.timeout.value_or(defaults.timeout);
    if (timeout.count() <= 0)
        throw Error(ErrorCode::invalid_argument, "RequestOptions::timeout: must be positive");
    return timeout;
}

/// Makes the PendingReply of a request that has ended; holds its table, which may be all that is
/// left of the peer.
using Wrap = std::function<PendingReply(std::shared_ptr<detail::Calls>,
                                        std::shared_ptr<detail::Call>)>;

/// Appends the request; `done`, if any, is passed to the client's thread at its end.
std::shared_ptr<detail::Call> post(detail::Calls& calls, const RequesterOptions& defaults,
                                   const Message& message, const RequestOptions& options,
                                   bool caller_waits,
                                   std::function<void(PendingReply&)> done = nullptr,
                                   const Wrap& wrap = nullptr) {
    const std::chrono::nanoseconds timeout = timeout_of(defaults, options);
    if (message.key.size() > base::limits::kKeyBytesMax) {
        throw Error(ErrorCode::too_large, "key of " + std::to_string(message.key.size()) +
                                              " bytes, at most 1,024 are possible");
    }
    static constexpr std::array<HeaderView, 1> kIdempotent{{{detail::kIdempotentHeader, ""}}};
    const std::string properties = detail::encode_properties(
        message, options.idempotent ? std::span<const HeaderView>(kIdempotent)
                                    : std::span<const HeaderView>());
    record::Record record;
    record.key = message.key;
    record.headers = base::as_bytes(properties);
    record.body = message.body.span();
    detail::Calls::Options call;
    call.deadline = base::after(calls.now(), timeout);
    if (call.deadline != base::kNever) record.expiry = calls.wall_now() + timeout;
    call.idempotent = options.idempotent;
    call.correlation_id = message.correlation_id;
    call.caller_drives = caller_waits;
    detail::Client& client = client_of(calls);
    const detail::Client::Admission admission = client.admit(calls.stream()->config().name);
    call.on_done = [&client, &calls, admission, done = std::move(done),
                    wrap](const std::shared_ptr<detail::Call>& ended) {
        client.ended(admission, ended.get());
        if (!done) return;
        client.callbacks.post([done, wrap, table = calls.shared_from_this(), ended] {
            PendingReply reply = wrap(table, ended);
            done(reply);
        });
    };
    try {
        return calls.post(record, call);
    } catch (...) {
        client.ended(admission, nullptr);
        throw;
    }
}

std::function<std::shared_ptr<void>(base::Clock&)> make_client(const RequesterOptions& options) {
    return
        [&options](base::Clock& clock) { return std::make_shared<detail::Client>(options, clock); };
}

}  // namespace

Requester Peer::requester(std::string_view service, RequesterOptions options) {
    auto impl = std::make_unique<Requester::Impl>();
    impl->runtime = impl_->runtime;
    impl->calls = impl_->runtime->open_requester(service, options, make_client(options));
    impl->options = options;
    return Requester(std::move(impl));
}

Requester::Requester(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Requester::Requester(Requester&&) noexcept = default;
Requester& Requester::operator=(Requester&&) noexcept = default;
Requester::~Requester() = default;

Reply Requester::call(const Message& request, RequestOptions options) {
    PendingReply pending(impl_->calls, post(*impl_->calls, impl_->options, request, options, true));
    return pending.get();
}

Reply Requester::call(const Message& request, std::chrono::nanoseconds timeout) {
    return call(request, RequestOptions{.timeout = timeout});
}

PendingReply Requester::request(const Message& request, RequestOptions options) {
    return {impl_->calls, post(*impl_->calls, impl_->options, request, options, false)};
}

void Requester::request(const Message& request, RequestOptions options,
                        std::function<void(PendingReply&)> done) {
    if (!done) throw Error(ErrorCode::invalid_argument, "Requester::request: an empty callback");
    client_of(*impl_->calls).callbacks.start();
    const auto wrap = [](std::shared_ptr<detail::Calls> calls, std::shared_ptr<detail::Call> call) {
        return PendingReply(std::move(calls), std::move(call));
    };
    (void)post(*impl_->calls, impl_->options, request, options, false, std::move(done), wrap);
}

Gathered Requester::scatter(const Message& request, RequestOptions options) {
    if (options.idempotent) {
        throw Error(
            ErrorCode::invalid_argument,
            "scatter: each replier is asked once; RequestOptions::idempotent has no meaning");
    }
    const RequesterOptions plain;
    const auto asked = impl_->runtime->each_replier(service(), make_client(plain));
    if (asked.empty()) {
        throw Error(ErrorCode::not_connected,
                    "scatter: no replier of service \"" + service() + "\" is connected");
    }
    options.timeout = timeout_of(impl_->options, options);
    std::vector<PendingReply> pending;
    pending.reserve(asked.size());
    for (const auto& calls : asked)
        pending.push_back({calls, post(*calls, plain, request, options, false)});
    Gathered gathered;
    gathered.asked = pending.size();
    for (PendingReply& one : pending) {
        try {
            gathered.replies.push_back(one.get());
        } catch (const Error& error) {
            if (error_class(error.code()) != ErrorClass::request) throw;
            gathered.failures.push_back(error);
        }
    }
    return gathered;
}

Gathered Requester::scatter(const Message& request, std::chrono::nanoseconds timeout) {
    return scatter(request, RequestOptions{.timeout = timeout});
}

std::optional<PendingReply> Requester::receive(std::chrono::nanoseconds timeout) {
    detail::Calls& calls = *impl_->calls;
    std::shared_ptr<detail::Call> call = calls.receive(base::after(calls.now(), timeout));
    if (!call) return std::nullopt;
    return PendingReply(impl_->calls, std::move(call));
}

std::vector<std::string> Requester::unanswered() const {
    std::vector<std::string> ids;
    for (const auto& call : impl_->calls->unclaimed()) ids.push_back(call->name);
    return ids;
}

void Requester::notify(const Notifier& notifier) { impl_->calls->set_notifier(notifier.state_); }

RequesterStats Requester::stats() const {
    RequesterStats stats = impl_->runtime->requester_stats(*impl_->calls);
    detail::Client& client = client_of(*impl_->calls);
    const detail::Client::Stats more = client.stats();
    stats.rejected = more.rejected;
    stats.breaker = more.breaker;
    stats.callback_failures = client.callbacks.failures();
    return stats;
}

const std::string& Requester::service() const noexcept {
    return impl_->calls->stream()->config().name;
}

}  // namespace peermq
