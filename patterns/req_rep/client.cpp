#include "req_rep/client.hpp"

#include <system_error>
#include <utility>

#include "peer/thread.hpp"

namespace peermq::detail {

Callbacks::~Callbacks() {
    {
        const std::lock_guard lock(queue_->mutex);
        queue_->stopping = true;
        queue_->wanted.notify_all();
    }
    if (!thread_.joinable()) return;
    if (thread_.get_id() == std::this_thread::get_id()) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

void Callbacks::start() {
    const std::lock_guard lock(mutex_);
    if (thread_.joinable()) return;
    try {
        thread_ = start_thread("pmq-replies", [queue = queue_] { run(queue); });
    } catch (const std::system_error& error) {
        throw Error(
            ErrorCode::io_error,
            std::string("cannot start a thread for callbacks (see ulimit -u): ") + error.what());
    }
}

void Callbacks::post(std::function<void()> work) {
    const std::lock_guard lock(queue_->mutex);
    queue_->work.push_back(std::move(work));
    queue_->wanted.notify_one();
}

std::uint64_t Callbacks::failures() const {
    const std::lock_guard lock(queue_->mutex);
    return queue_->failures;
}

void Callbacks::run(const std::shared_ptr<Queue>& queue) {
    std::unique_lock lock(queue->mutex);
    while (true) {
        queue->wanted.wait(lock, [&] { return queue->stopping || !queue->work.empty(); });
        if (queue->work.empty()) return;
        std::function<void()> work = std::move(queue->work.front());
        queue->work.pop_front();
        lock.unlock();
        bool failed = false;
        try {
            work();
        } catch (...) {
            failed = true;
        }
        work = nullptr;  // may be the last to hold a peer: never under the lock
        lock.lock();
        if (failed) ++queue->failures;
    }
}

Client::Client(const RequesterOptions& options, base::Clock& clock)
    : clock_(clock),
      breaker_(options.breaker_failures, options.breaker_window, options.breaker_wait) {}

Client::Admission Client::admit(const std::string& service) {
    const std::lock_guard lock(mutex_);
    const Admission admission = breaker_.admit(clock_.now());
    if (admission != Admission::refused) return admission;
    ++rejected_;
    throw Error(ErrorCode::circuit_open,
                "service \"" + service +
                    "\" has failed too often of late: it is asked again once "
                    "RequesterOptions::breaker_wait is over and a trial has succeeded");
}

void Client::ended(Admission admission, const Call* call) {
    using Outcome = CircuitBreaker::Outcome;
    Outcome outcome = Outcome::nothing;
    if (call != nullptr && !call->failed) outcome = Outcome::success;
    if (call != nullptr && call->failed &&
        (call->error == ErrorCode::timeout || call->error == ErrorCode::outcome_unknown))
        outcome = Outcome::failure;
    const std::lock_guard lock(mutex_);
    breaker_.ended(admission, outcome, clock_.now());
}

Client::Stats Client::stats() {
    const std::lock_guard lock(mutex_);
    return {rejected_, breaker_.state(clock_.now())};
}

}  // namespace peermq::detail
