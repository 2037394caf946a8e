#include "peer/in_stream.hpp"

#include <algorithm>

#include "peer/process.hpp"
#include "peermq/error.hpp"

namespace peermq::detail {
namespace {

/// A thread that cannot drive the peer itself looks again this often, should its driver have left.
constexpr auto kDriverCheckInterval = std::chrono::milliseconds(20);

}  // namespace

InStream::InStream(std::string queue, delivery::InboxOptions options, bool single_producer,
                   InStreamHost& host, base::Clock& clock)
    : queue_(std::move(queue)),
      single_producer_(single_producer),
      process_generation_(process_generation()),
      host_(host),
      clock_(clock),
      inbox_(options) {}

bool InStream::has_ready() {
    const std::lock_guard lock(mutex_);
    return inbox_.has_ready(clock_.now());
}

bool InStream::receive(delivery::Item& item, base::Duration timeout) {
    check_process(process_generation_);
    base::Time deadline{};
    while (true) {
        {
            const std::lock_guard lock(mutex_);
            if (!stopped()) {
                // Some milliseconds late at most, which the margin of the gate covers many times.
                if (inbox_.take_into(clock_.now_coarse(), item)) return true;
            }
            if (stopped() || closed_) return false;
        }
        // The clock is read only when there is nothing to hand over.
        const base::Time now = clock_.now();
        if (deadline == base::Time{}) deadline = base::after(now, timeout);
        if (now >= deadline) return false;
        if (host_.drive([this] { return stopped() || has_ready(); }, deadline)) continue;
        std::unique_lock lock(mutex_);
        if (stopped() || closed_ || inbox_.has_ready(clock_.now())) continue;
        ++waiters_;
        changed_.wait_for(lock,
                          std::min<base::Duration>(deadline - clock_.now(), kDriverCheckInterval));
        --waiters_;
    }
}

bool InStream::settle(delivery::SourceId source, base::Seq seq, delivery::SettleKind kind,
                      std::optional<base::Duration> delay, std::string_view reason) {
    check_process(process_generation_);
    bool at_once = false;
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) throw Error(ErrorCode::closed, "queue \"" + queue_ + "\": its peer is closed");
        if (!inbox_.settle(source, seq, kind, delay, reason)) return false;
        const std::uint64_t unsent = inbox_.unsent();
        first = unsent == 1;
        at_once = unsent == inbox_.flush_threshold();
    }
    if (first || at_once) host_.flush_wanted(*this, at_once);
    return true;
}

delivery::Outcome InStream::outcome(delivery::SourceId source, base::Seq seq) {
    const std::lock_guard lock(mutex_);
    const delivery::Outcome now = inbox_.outcome(source, seq);
    // Whoever could still ask is gone.
    return closed_ && now == delivery::Outcome::pending ? delivery::Outcome::unknown : now;
}

delivery::Outcome InStream::wait_outcome(delivery::SourceId source, base::Seq seq,
                                         base::Time deadline) {
    check_process(process_generation_);
    const auto decided = [&] { return outcome(source, seq) != delivery::Outcome::pending; };
    if (decided()) return outcome(source, seq);
    host_.flush_wanted(*this, true);
    while (!decided() && clock_.now() < deadline) {
        if (host_.drive(decided, deadline)) continue;
        std::unique_lock lock(mutex_);
        if (closed_ || inbox_.outcome(source, seq) != delivery::Outcome::pending) break;
        ++waiters_;
        changed_.wait_for(lock,
                          std::min<base::Duration>(deadline - clock_.now(), kDriverCheckInterval));
        --waiters_;
    }
    return outcome(source, seq);
}

void InStream::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (stopped_.exchange(true)) return;
        inbox_.stop();
        changed_.notify_all();
    }
    host_.flush_wanted(*this, true);
}

void InStream::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    stopped_ = true;
    changed_.notify_all();
}

void InStream::set_concurrency(std::uint32_t concurrency) {
    {
        const std::lock_guard lock(mutex_);
        inbox_.set_concurrency(concurrency);
    }
    host_.flush_wanted(*this, true);
}

void InStream::set_on_refused(std::function<void(const std::string&)> callback) {
    const std::lock_guard lock(mutex_);
    on_refused_ = std::move(callback);
}

std::function<void(const std::string&)> InStream::on_refused() {
    const std::lock_guard lock(mutex_);
    return on_refused_;
}

delivery::InboxStats InStream::stats() {
    const std::lock_guard lock(mutex_);
    return inbox_.stats();
}

}  // namespace peermq::detail
