#include "peer/in_stream.hpp"

#include <algorithm>
#include <utility>

#include "peer/process.hpp"
#include "peermq/error.hpp"

namespace peermq::detail {
namespace {

/// A thread that comes back later than this is no better a driver than the peer's own thread: by
/// then that has taken the place over, and changing places twice per message costs more than being
/// woken by it.
constexpr auto kQuickReturn = std::chrono::milliseconds(1);
/// A thread that does not drive the peer itself looks again this often, should its driver have
/// left; having waited for so long it takes the place over.
constexpr auto kDriverCheckInterval = std::chrono::milliseconds(20);

}  // namespace

InStream::InStream(std::string queue, delivery::InboxOptions options, bool single_producer,
                   std::weak_ptr<InStreamHost> host, base::Clock& clock,
                   std::unique_ptr<Replies> replies)
    : queue_(std::move(queue)),
      single_producer_(single_producer),
      process_generation_(process_generation()),
      host_(std::move(host)),
      clock_(clock),
      replies_(std::move(replies)),
      inbox_(options) {}

InStream::~InStream() = default;

void InStream::wait_until(const std::function<bool()>& done, base::Time deadline) {
    while (!done() && clock_.now() < deadline) {
        if (drive(done, deadline, Place::only_if_vacant)) continue;
        std::unique_lock lock(mutex_);
        ++outcome_waiters_;
        (void)wait_for_change(lock, deadline);
        --outcome_waiters_;
    }
}

bool InStream::closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
}

void InStream::answer(const RequestRef& request, record::Record& record, PartKind kind) {
    check_process(process_generation_);
    if (closed()) throw Error(ErrorCode::closed, "service \"" + queue_ + "\": its peer is closed");
    if (replies_->add(request, record, kind)) flush();
}

bool InStream::has_ready() {
    const std::lock_guard lock(mutex_);
    return inbox_.has_ready(clock_.now());
}

bool InStream::waiters_have_news() {
    if (waiters_ == 0) return false;
    return outcome_waiters_ > 0 || inbox_.has_ready(clock_.now_coarse());
}

void InStream::tell_notifier() {
    if (notifier_ && !notifier_->notified() && inbox_.has_ready(clock_.now())) notifier_->notify();
}

void InStream::tell_end() {
    changed_.notify_all();
    if (notifier_) notifier_->notify();
}

void InStream::set_notifier(std::shared_ptr<NotifierState> notifier) {
    const std::lock_guard lock(mutex_);
    notifier_ = std::move(notifier);
    notifier_->notify();  // what came before
}

bool InStream::take(delivery::Item& item) {
    // Some milliseconds late at most, which the margin of the gate covers many times.
    return !stopped() && inbox_.take_into(clock_.now_coarse(), item);
}

void InStream::flush_settled(std::uint64_t unsent, std::uint64_t threshold) {
    const bool at_once = unsent == threshold;
    if (unsent == 1 || at_once) flush_wanted(at_once);
}

void InStream::flush_wanted(bool at_once) {
    if (const auto peer = host_.lock()) peer->flush_wanted(*this, at_once);
}

bool InStream::drive(const std::function<bool()>& done, base::Time deadline, Place place) {
    const auto peer = host_.lock();
    return peer && peer->drive(done, deadline, place);
}

bool InStream::receive(delivery::Item& item, base::Duration timeout) {
    check_process(process_generation_);
    base::Time deadline{};
    bool waited = false;
    bool waited_long = false;
    while (true) {
        base::Time handed_over{};
        bool taken = false;
        std::uint64_t unsent = 0;
        std::uint64_t threshold = 0;
        {
            const std::lock_guard lock(mutex_);
            taken = take(item);
            if (taken && waited) handed_over_ = clock_.now();
            if (taken && !live_) return true;
            if (!taken && (stopped() || closed_)) return false;
            handed_over = handed_over_;
            if (taken) {
                (void)inbox_.settle(item.source, item.seq, delivery::SettleKind::ack, {}, {});
                unsent = inbox_.unsent();
                threshold = inbox_.flush_threshold();
            }
        }
        if (taken) {
            flush_settled(unsent, threshold);
            return true;
        }
        // The clock is read only when there is nothing to hand over.
        const base::Time now = clock_.now();
        if (deadline == base::Time{}) deadline = base::after(now, timeout);
        if (now >= deadline) return false;
        const bool quick = now < base::after(handed_over, kQuickReturn);
        const Place place = quick || waited_long ? Place::taken_over : Place::only_if_vacant;
        if (drive([this] { return stopped() || has_ready(); }, deadline, place)) continue;
        std::unique_lock lock(mutex_);
        if (stopped() || closed_ || inbox_.has_ready(clock_.now())) continue;
        waited = true;
        waited_long = !wait_for_change(lock, deadline);
    }
}

bool InStream::wait_for_change(std::unique_lock<std::mutex>& lock, base::Time deadline) {
    ++waiters_;
    const std::cv_status status = changed_.wait_for(
        lock, std::min<base::Duration>(deadline - clock_.now(), kDriverCheckInterval));
    --waiters_;
    return status == std::cv_status::no_timeout;
}

bool InStream::settle(delivery::SourceId source, base::Seq seq, delivery::SettleKind kind,
                      std::optional<base::Duration> delay, std::string_view reason) {
    check_process(process_generation_);
    std::uint64_t unsent = 0;
    std::uint64_t threshold = 0;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) throw Error(ErrorCode::closed, "queue \"" + queue_ + "\": its peer is closed");
        if (!inbox_.settle(source, seq, kind, delay, reason)) return false;
        unsent = inbox_.unsent();
        threshold = inbox_.flush_threshold();
    }
    flush_settled(unsent, threshold);
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
    flush_wanted(true);
    while (!decided() && clock_.now() < deadline) {
        if (drive(decided, deadline, Place::taken_over)) continue;
        std::unique_lock lock(mutex_);
        if (closed_ || inbox_.outcome(source, seq) != delivery::Outcome::pending) break;
        ++outcome_waiters_;
        (void)wait_for_change(lock, deadline);
        --outcome_waiters_;
    }
    return outcome(source, seq);
}

SubscriptionState InStream::subscription() {
    const std::lock_guard lock(mutex_);
    return subscription_state_;
}

void InStream::set_subscription(SubscriptionState state) {
    const std::lock_guard lock(mutex_);
    subscription_state_ = std::move(state);
    changed_.notify_all();
}

bool InStream::wait_subscription(const std::function<bool(const SubscriptionState&)>& reached,
                                 base::Time deadline) {
    check_process(process_generation_);
    const auto decided = [&] { return stopped() || reached(subscription()); };
    while (!decided() && clock_.now() < deadline) {
        if (drive(decided, deadline, Place::taken_over)) continue;
        std::unique_lock lock(mutex_);
        if (stopped() || reached(subscription_state_)) break;
        ++outcome_waiters_;
        (void)wait_for_change(lock, deadline);
        --outcome_waiters_;
    }
    return !stopped() && reached(subscription());
}

void InStream::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (stopped_.exchange(true)) return;
        inbox_.stop();
        tell_end();
    }
    flush_wanted(true);
}

void InStream::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    stopped_ = true;
    tell_end();
}

void InStream::set_concurrency(std::uint32_t concurrency, std::uint32_t prefetch) {
    {
        const std::lock_guard lock(mutex_);
        if (prefetch != 0) inbox_.set_prefetch(prefetch, base::limits::kPrefetchBytesDefault);
        inbox_.set_concurrency(concurrency);
    }
    flush_wanted(true);
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
