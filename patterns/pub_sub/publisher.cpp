#include "peermq/publisher.hpp"

#include "peer/compose.hpp"
#include "peer/handles.hpp"

namespace peermq {

Publisher Peer::publisher(std::string_view name, PublisherOptions options) {
    auto impl = std::make_unique<Publisher::Impl>();
    impl->runtime = impl_->runtime;
    impl->stream = impl_->runtime->open_publisher(name, options);
    return Publisher(std::move(impl));
}

Publisher::Publisher(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Publisher::Publisher(Publisher&&) noexcept = default;
Publisher& Publisher::operator=(Publisher&&) noexcept = default;
Publisher::~Publisher() = default;

Receipt Publisher::publish(std::string_view topic, const Message& message) {
    Receipt receipt = post(topic, message);
    (void)receipt.wait(Until::durable);
    return receipt;
}

Receipt Publisher::post(std::string_view topic, const Message& message) {
    impl_->runtime->check_process();
    detail::check_topic(topic, name());
    return {impl_->stream,
            *detail::append(*impl_->stream, message, topic, detail::WhenFull::as_configured)};
}

std::optional<Receipt> Publisher::post_within(std::string_view topic, const Message& message,
                                              std::chrono::nanoseconds timeout) {
    impl_->runtime->check_process();
    detail::check_topic(topic, name());
    const auto seq = detail::append(*impl_->stream, message, topic, detail::WhenFull::as_configured,
                                    base::after(impl_->runtime->clock().now(), timeout));
    if (!seq) return std::nullopt;
    return Receipt(impl_->stream, *seq);
}

std::optional<Receipt> Publisher::try_post(std::string_view topic, const Message& message) {
    impl_->runtime->check_process();
    detail::check_topic(topic, name());
    const auto seq = detail::append(*impl_->stream, message, topic,
                                    detail::WhenFull::return_nothing);
    if (!seq) return std::nullopt;
    return Receipt(impl_->stream, *seq);
}

bool Publisher::flush(Until until, std::chrono::nanoseconds timeout) {
    impl_->runtime->check_process();
    return impl_->stream->wait_all(until, base::after(impl_->runtime->clock().now(), timeout));
}

bool Publisher::wait_for_subscribers(std::size_t count, std::chrono::nanoseconds timeout) {
    return impl_->stream->wait_subscribers(count,
                                           base::after(impl_->runtime->clock().now(), timeout));
}

std::vector<SubscriptionStats> Publisher::subscriptions() const {
    return impl_->runtime->subscriptions(*impl_->stream);
}

void Publisher::pause(std::string_view subscription) {
    impl_->runtime->manage(*impl_->stream, [&](detail::Engine& engine) {
        engine.pause_subscription(*impl_->stream, subscription, true);
    });
}

void Publisher::resume(std::string_view subscription) {
    impl_->runtime->manage(*impl_->stream, [&](detail::Engine& engine) {
        engine.pause_subscription(*impl_->stream, subscription, false);
    });
}

void Publisher::seek(std::string_view subscription, From from) {
    impl_->runtime->manage(*impl_->stream, [&](detail::Engine& engine) {
        engine.seek_subscription(*impl_->stream, subscription, static_cast<wire::From>(from.kind()),
                                 from.value());
    });
}

void Publisher::erase(std::string_view subscription) {
    impl_->runtime->manage(*impl_->stream, [&](detail::Engine& engine) {
        engine.erase_subscription(*impl_->stream, subscription);
    });
}

void Publisher::notify(const Notifier& notifier) {
    impl_->runtime->check_process();
    impl_->stream->set_notifier(notifier.state_);
}

PublisherStats Publisher::stats() const { return impl_->runtime->publisher_stats(*impl_->stream); }
const std::string& Publisher::name() const noexcept { return impl_->stream->config().name; }

}  // namespace peermq
