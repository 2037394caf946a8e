#include "peermq/subscriber.hpp"

#include <algorithm>

#include "peer/handles.hpp"
#include "peermq/error.hpp"

namespace peermq {

Subscriber Peer::subscriber(std::string_view pattern, SubscriberOptions options) {
    auto impl = std::make_unique<Subscriber::Impl>();
    impl->runtime = impl_->runtime;
    impl->stream = impl_->runtime->open_subscriber(pattern, options);
    impl->name = options.name;
    impl->confirm_timeout = options.confirm_timeout;
    auto pull = std::make_unique<Pull::Impl>();
    pull->runtime = impl->runtime;
    pull->stream = impl->stream;
    Subscriber subscriber(Pull(std::move(pull)), std::move(impl));
    (void)subscriber.confirmed(1);
    return subscriber;
}

Subscriber::Subscriber(Pull pull, std::unique_ptr<Impl> impl) noexcept
    : pull_(std::move(pull)), impl_(std::move(impl)) {}
Subscriber::Subscriber(Subscriber&&) noexcept = default;
Subscriber& Subscriber::operator=(Subscriber&&) noexcept = default;
Subscriber::~Subscriber() = default;

Confirmation Subscriber::confirmed(std::uint32_t version) const {
    const base::Time deadline = base::after(impl_->stream->now(), impl_->confirm_timeout);
    Confirmation confirmation;
    confirmation.complete = impl_->stream->wait_subscription(
        [&](const detail::SubscriptionState& state) { return state.version >= version; }, deadline);
    const detail::SubscriptionState state = impl_->stream->subscription();
    confirmation.publishers = state.publishers;
    confirmation.refusals = state.refusals;
    return confirmation;
}

Confirmation Subscriber::subscribe(std::string_view pattern) {
    return confirmed(impl_->runtime->change_subscription(
        *impl_->stream, [&](std::vector<std::string>& patterns) {
            if (std::find(patterns.begin(), patterns.end(), pattern) == patterns.end())
                patterns.emplace_back(pattern);
        }));
}

Confirmation Subscriber::unsubscribe(std::string_view pattern) {
    return confirmed(impl_->runtime->change_subscription(
        *impl_->stream, [&](std::vector<std::string>& patterns) {
            if (std::erase(patterns, pattern) > 0) return;
            throw Error(ErrorCode::not_found, "pattern \"" + std::string(pattern.substr(0, 64)) +
                                                  "\" is not subscribed: see patterns()");
        }));
}

std::vector<std::string> Subscriber::patterns() const {
    return impl_->runtime->patterns(*impl_->stream);
}

std::size_t Subscriber::publishers() const { return impl_->stream->subscription().publishers; }

bool Subscriber::wait_for_publishers(std::size_t count, std::chrono::nanoseconds timeout) const {
    return impl_->stream->wait_subscription(
        [&](const detail::SubscriptionState& state) { return state.publishers >= count; },
        base::after(impl_->stream->now(), timeout));
}

std::uint64_t Subscriber::missed() const { return impl_->stream->missed(); }
SubscriberStats Subscriber::stats() const {
    return impl_->runtime->subscriber_stats(*impl_->stream);
}
const std::string& Subscriber::name() const noexcept { return impl_->name; }

}  // namespace peermq
