#include "peermq/replier.hpp"

#include <exception>

#include "peer/crew.hpp"
#include "peer/handles.hpp"
#include "peer/in_batch.hpp"
#include "peer/properties.hpp"
#include "record/headers.hpp"

namespace peermq {

Replier Peer::replier(std::string_view service, ReplierOptions options) {
    auto impl = std::make_unique<Replier::Impl>();
    impl->runtime = impl_->runtime;
    impl->stream = impl_->runtime->open_replier(service, options);
    impl->options = options;
    return Replier(std::move(impl));
}

Replier::Replier(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Replier::Replier(Replier&&) noexcept = default;

Replier& Replier::operator=(Replier&& other) noexcept {
    if (this != &other) {
        Replier ended(std::move(*this));
        impl_ = std::move(other.impl_);
    }
    return *this;
}

Replier::~Replier() {
    if (impl_) impl_->runtime->close_replier(impl_->stream);
}

bool Replier::fill(Request& request, std::chrono::nanoseconds timeout) {
    detail::InStream& stream = *impl_->stream;
    const base::Time until = base::after(stream.now(), timeout);
    delivery::Item item;
    while (true) {
        if (!stream.receive(item,
                            until == base::kNever ? base::Duration::max() : until - stream.now()))
            return false;
        const auto& batch = *static_cast<const detail::InBatch*>(item.payload.get());
        // Checked when it came in.
        const record::Record record = record::parts(batch.record(item.payload_index));
        request.body_ = record.body;
        request.headers_ = record.headers;
        request.stream_ = impl_->stream;
        request.payload_ = item.payload;
        request.source_ = item.source;
        request.seq_ = item.seq;
        request.timestamp_ns_ = record.enqueued.time_since_epoch().count();
        request.expiry_ns_ = 0;
        if (record.expiry != base::WallTime{})
            request.expiry_ns_ = (record.expiry - batch.clock_skew).time_since_epoch().count();
        request.epoch_nonce_ = item.epoch.nonce;
        request.epoch_ = item.epoch.counter;
        request.redelivered_ = item.redelivered;
        request.idempotent_ = record::find_header(record.headers, detail::kIdempotentHeader)
                                  .has_value();
        const detail::RequestRef ref{item.source, batch.stream, item.epoch, item.seq};
        const bool overdue = request.remaining() == std::chrono::nanoseconds(0);
        const auto own_id = record::find_header(record.headers, detail::kIdHeader);
        switch (stream.replies()->begin(ref, own_id.value_or(std::string_view{}), overdue)) {
            case detail::Replies::Start::run: request.answered_ = false; return true;
            case detail::Replies::Start::answered: stream.flush(); break;
            case detail::Replies::Start::unwanted:
                (void)stream.settle(item.source, item.seq, delivery::SettleKind::ack, std::nullopt,
                                    {});
                break;
        }
    }
}

std::optional<Request> Replier::receive(std::chrono::nanoseconds timeout) {
    std::optional<Request> request(Request{});
    if (!fill(*request, timeout)) request.reset();
    return request;
}

std::optional<Request> Replier::receive() { return receive(base::Duration::max()); }

void Replier::Iterator::advance() {
    current_.reset();  // answered, or a failure, before the next one is waited for
    current_ = replier_->receive();
}

void Replier::run(const std::function<void(Request&)>& handler, RunOptions options) {
    detail::check_concurrency(options.concurrency);
    const auto work = [&] {
        while (std::optional<Request> request = receive()) {
            try {
                handler(*request);
                if (!request->answered())
                    request->fail("no_reply", "the handler returned without a reply");
            } catch (const Error& error) {
                if (!request->answered()) request->fail(to_string(error.code()), error.what());
            } catch (const std::exception& exception) {
                if (!request->answered()) request->fail("handler_failed", exception.what());
            } catch (...) {
                if (!request->answered())
                    request->fail("handler_failed", "the handler threw something unknown");
            }
        }
    };
    detail::work_together(
        "Replier::run", options.concurrency, [&] { set_concurrency(options.concurrency); }, work);
}

void Replier::notify(const Notifier& notifier) {
    impl_->runtime->check_process();
    impl_->stream->set_notifier(notifier.state_);
}

void Replier::set_concurrency(std::uint32_t concurrency) {
    detail::check_concurrency(concurrency);
    impl_->runtime->check_process();
    impl_->stream->set_concurrency(concurrency, impl_->options.prefetch == 0 ? concurrency : 0);
}

void Replier::stop() {
    impl_->runtime->check_process();
    impl_->stream->stop();
}
bool Replier::stopped() const { return impl_->stream->stopped(); }
const std::string& Replier::service() const noexcept { return impl_->stream->queue(); }
ReplierStats Replier::stats() const { return impl_->runtime->replier_stats(*impl_->stream); }

}  // namespace peermq
