#include "peermq/peer.hpp"

#include "base/limits.hpp"
#include "peer/control_port.hpp"
#include "peer/handles.hpp"
#include "peer/runtime.hpp"

namespace peermq {

// The public header spells its defaults out; those of PeerOptions are compared by a test.
static_assert(PushOptions{}.max_attempts == base::limits::kMaxAttemptsDefault);
static_assert(PushOptions{}.retry_wait_min == base::limits::kRetryWaitMin);
static_assert(PushOptions{}.retry_wait_max == base::limits::kRetryWaitMax);
static_assert(PushOptions{}.lease == base::limits::kLeaseDuration);
static_assert(PullOptions{}.prefetch == base::limits::kPrefetchDefault);
static_assert(PullOptions{}.prefetch_bytes == base::limits::kPrefetchBytesDefault);
static_assert(PullOptions{}.max_processing == base::limits::kMaxProcessingDefault);

Peer::Peer(PeerOptions options) : impl_(std::make_unique<Impl>()) {
    const bool control = options.control && !options.spool.empty();
    const std::string spool = options.spool;
    impl_->runtime = detail::Runtime::start(std::move(options));
    if (control) impl_->control = detail::ControlPort::open(impl_->runtime, spool);
}

Peer::Peer(Peer&&) noexcept = default;

Peer& Peer::operator=(Peer&& other) noexcept {
    if (this != &other) {
        Peer ended(std::move(*this));
        impl_ = std::move(other.impl_);
    }
    return *this;
}

Peer::~Peer() {
    // Pushes and Pulls may still hold the runtime; it must end now all the same.
    if (!impl_) return;
    if (impl_->control) impl_->control->close();
    impl_->runtime->close_by_destructor();
}

std::string Peer::bind(std::string_view endpoint) {
    std::string bound = impl_->runtime->bind(endpoint);
    if (impl_->control) impl_->control->bound(bound);
    return bound;
}

void Peer::connect(std::string_view endpoint) { impl_->runtime->connect(endpoint); }

bool Peer::close(std::chrono::nanoseconds deadline) {
    impl_->runtime->check_process();
    // Who asks there shall not see a peer that is half gone.
    if (impl_->control) impl_->control->close();
    return impl_->runtime->close(deadline);
}

std::string Peer::id() const { return impl_->runtime->id().hex(); }

PeerStats Peer::stats() const {
    impl_->runtime->check_process();
    return impl_->runtime->stats();
}

}  // namespace peermq
