#include "peermq/pull.hpp"

#include <exception>
#include <functional>

#include "peer/crew.hpp"
#include "peer/handles.hpp"
#include "peer/in_batch.hpp"
#include "peermq/error.hpp"
#include "record/record.hpp"

namespace peermq {

Pull Peer::pull(std::string_view queue, PullOptions options) {
    auto impl = std::make_unique<Pull::Impl>();
    impl->runtime = impl_->runtime;
    impl->stream = impl_->runtime->open_pull(queue, options);
    return Pull(std::move(impl));
}

Pull::Pull(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Pull::Pull(Pull&&) noexcept = default;

Pull& Pull::operator=(Pull&& other) noexcept {
    if (this != &other) {
        Pull ended(std::move(*this));
        impl_ = std::move(other.impl_);
    }
    return *this;
}

Pull::~Pull() {
    if (impl_) impl_->runtime->close_pull(impl_->stream);
}

bool Pull::fill(Delivery& delivery, std::chrono::nanoseconds timeout) {
    detail::InStream& stream = *impl_->stream;
    delivery::Item item;
    // Its next message mostly lies in the same batch.
    item.payload = std::move(delivery.payload_);
    if (!stream.receive(item, timeout)) return false;
    const auto& batch = *static_cast<const detail::InBatch*>(item.payload.get());
    // Checked when it came in.
    const record::Record record = record::parts(batch.record(item.payload_index));
    delivery.body_ = record.body;
    delivery.key_ = record.key;
    delivery.topic_ = record.topic;
    delivery.headers_ = record.headers;
    if (delivery.stream_ != impl_->stream) delivery.stream_ = impl_->stream;
    delivery.payload_ = std::move(item.payload);
    delivery.source_ = item.source;
    delivery.seq_ = item.seq;
    delivery.timestamp_ns_ = record.enqueued.time_since_epoch().count();
    delivery.epoch_ = record.epoch;
    delivery.attempt_ = item.attempt;
    delivery.redelivered_ = item.redelivered;
    delivery.settled_ = stream.live();
    return true;
}

bool Pull::receive_into(std::optional<Delivery>& delivery, std::chrono::nanoseconds timeout) {
    if (!delivery) delivery = Delivery();
    delivery->drop();
    if (fill(*delivery, timeout)) return true;
    delivery.reset();
    return false;
}

std::optional<Delivery> Pull::receive(std::chrono::nanoseconds timeout) {
    std::optional<Delivery> delivery(Delivery{});
    if (!fill(*delivery, timeout)) delivery.reset();
    return delivery;
}

std::optional<Delivery> Pull::receive() { return receive(base::Duration::max()); }

void Pull::run(const std::function<void(Delivery&)>& handler, RunOptions options) {
    detail::check_concurrency(options.concurrency);
    const auto work = [&] {
        while (std::optional<Delivery> delivery = receive()) {
            try {
                handler(*delivery);
                if (!delivery->settled()) delivery->ack();
            } catch (const std::exception& exception) {
                if (!delivery->settled()) delivery->nack({}, exception.what());
            } catch (...) {
                if (!delivery->settled()) delivery->nack({}, "the handler threw something unknown");
            }
        }
    };
    detail::work_together(
        "Pull::run", options.concurrency,
        [&] { impl_->stream->set_concurrency(options.concurrency); }, work);
}

void Pull::notify(const Notifier& notifier) {
    impl_->runtime->check_process();
    impl_->stream->set_notifier(notifier.state_);
}

void Pull::set_concurrency(std::uint32_t concurrency) {
    detail::check_concurrency(concurrency);
    impl_->runtime->check_process();
    impl_->stream->set_concurrency(concurrency);
}

void Pull::stop() {
    impl_->runtime->check_process();
    impl_->stream->stop();
}
bool Pull::stopped() const { return impl_->stream->stopped(); }
PullStats Pull::stats() const { return impl_->runtime->pull_stats(*impl_->stream); }
const std::string& Pull::queue() const noexcept { return impl_->stream->queue(); }

void Pull::on_refused(std::function<void(const std::string&)> callback) {
    impl_->stream->set_on_refused(std::move(callback));
}

}  // namespace peermq
