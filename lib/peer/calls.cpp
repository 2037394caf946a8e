#include "peer/calls.hpp"

#include <algorithm>
#include <utility>

#include "base/limits.hpp"

namespace peermq::detail {
namespace {

/// As in InStream: who asks again so soon drives the peer himself; who waits looks after the driver
/// this often, and takes its place then.
constexpr auto kQuickReturn = std::chrono::milliseconds(1);
constexpr auto kDriverCheckInterval = std::chrono::milliseconds(20);

}  // namespace

Calls::Calls(std::shared_ptr<OutStream> stream, std::shared_ptr<OutStream> replies,
             std::uint32_t in_flight_max, std::weak_ptr<CallHost> host, base::Clock& clock)
    : stream_(std::move(stream)),
      replies_(std::move(replies)),
      host_(std::move(host)),
      clock_(clock),
      in_flight_max_(in_flight_max) {}

void Calls::set_in_flight_max(std::uint32_t in_flight_max) {
    const Lock lock(mutex_);
    in_flight_max_ = in_flight_max;
}

std::shared_ptr<Call> Calls::find(base::Seq seq) const {
    const auto it = calls_.find(seq);
    return it == calls_.end() ? nullptr : it->second;
}

void Calls::add(const std::shared_ptr<Call>& call) {
    calls_.emplace(call->seq, call);
    if (call->deadline != base::kNever) deadlines_.emplace(call->deadline, call->seq);
    if (call->idempotent) work_.idempotent.add(call->seq);
    if (!call->correlation_id.empty()) correlation_ids_.insert(call->correlation_id);
}

std::shared_ptr<Call> Calls::post(record::Record& record, const Options& options) {
    stream_->check_process();
    auto call = std::make_shared<Call>();
    call->deadline = options.deadline;
    call->idempotent = options.idempotent;
    call->correlation_id = options.correlation_id;
    call->on_done = options.on_done;
    call->epoch = stream_->config().epoch;
    // In memory the engine is told below, in the cheapest way; a spool's committer is told by the
    // stream.
    const bool first = !stream_->stored() && !stream_->listed.exchange(true);
    try {
        // Under the lock: the reply must find the call, however fast it comes.
        const Lock lock(mutex_);
        if (calls_.size() >= in_flight_max_) {
            throw Error(ErrorCode::quota, "service \"" + stream_->config().name +
                                              "\": " + std::to_string(calls_.size()) +
                                              " requests are in flight, the limit "
                                              "(RequesterOptions::in_flight_max)");
        }
        if (!call->correlation_id.empty() && correlation_ids_.contains(call->correlation_id)) {
            throw Error(ErrorCode::invalid_argument,
                        "correlation id \"" + call->correlation_id.substr(0, 64) +
                            "\" is in flight already: wait for its reply, or use another");
        }
        const auto seq = stream_->append(record, WhenFull::return_nothing);
        if (!seq) {
            throw Error(ErrorCode::quota, "service \"" + stream_->config().name +
                                              "\": no room for another request; wait for replies");
        }
        call->seq = *seq;
        if (stream_->stored()) {
            call->name = call->correlation_id.empty()
                             ? stream_->config().id.hex() + "-" +
                                   std::to_string(call->epoch.counter) + "-" + std::to_string(*seq)
                             : call->correlation_id;
        }
        add(call);
        ++counters_.requests;
    } catch (...) {
        if (first) stream_->listed.store(false);
        throw;
    }
    if (first) {
        // Whoever waits sends the request himself, in the very turn that waits for the reply.
        tell(!options.caller_drives);
    }
    return call;
}

void Calls::tell(bool at_once) {
    if (const auto peer = host_.lock()) peer->calls_changed(shared_from_this(), at_once);
}

bool Calls::drive(const std::function<bool()>& done, base::Time deadline, bool quick) {
    const auto peer = host_.lock();
    return peer && peer->drive_for_reply(done, deadline, quick);
}

void Calls::told() {
    if (!listed.exchange(true)) tell(true);
}

bool Calls::wait(Call& call, base::Time deadline) {
    // With a spool a reply is shown when it is whole and stored.
    return wait_for(call, deadline,
                    [&] { return call.done || (!stream_->stored() && !call.parts.empty()); });
}

bool Calls::wait_done(Call& call, base::Time deadline) {
    return wait_for(call, deadline, [&] { return call.done; });
}

template <typename Ready>
bool Calls::wait_for(Call& call, base::Time deadline, Ready&& ready) {
    stream_->check_process();
    bool told_others = false;
    bool waited = false;
    bool waited_long = false;
    const auto ready_now = [&] {
        const Lock lock(mutex_);
        return ready();
    };
    while (true) {
        base::Time answered_at{};
        base::Time until = deadline;
        const base::Time now = clock_.now();
        bool overdue = false;
        {
            const Lock lock(mutex_);
            if (ready()) {
                if (waited) answered_at_ = now;
                return true;
            }
            answered_at = answered_at_;
            // One that is answered, and only waits to be stored, is in time.
            if (!call.whole) until = std::min(deadline, call.deadline);
            overdue = !call.whole && now >= call.deadline;
            if (overdue) time_out(call);
        }
        if (overdue) {
            told();
            continue;
        }
        if (now >= deadline) return false;
        const bool quick = now < base::after(answered_at, kQuickReturn) || waited_long;
        waited = true;
        if (drive(ready_now, until, quick)) continue;
        // Somebody else drives, and may be waiting for long: the request must not wait for him.
        if (!std::exchange(told_others, true)) told();
        Lock lock(mutex_);
        if (ready()) continue;
        const std::cv_status status = call.changed.wait_for(
            lock, std::min<base::Duration>(until - now, kDriverCheckInterval));
        waited_long = status == std::cv_status::timeout;
    }
}

void Calls::note_taken(Call& call, const ReplyPart& part) {
    call.taken_bytes += part.record.size();
    ++call.parts_taken;
    if (call.done) return;
    if (call.taken_bytes - call.told_bytes < base::limits::kReplyWindowBytes / 2) return;
    call.told_bytes = call.taken_bytes;
    work_.credits.push_back({call.seq, call.taken_bytes});
}

std::optional<ReplyPart> Calls::take(Call& call, Wanted wanted) {
    std::optional<ReplyPart> part;
    bool tell = false;
    {
        const Lock lock(mutex_);
        if (stream_->stored() && !call.done) return part;
        while (!call.parts.empty() && !part) {
            ReplyPart next = std::move(call.parts.front());
            call.parts.pop_front();
            note_taken(call, next);
            if (next.last && !call.stored.empty())
                work_.taken.push_back(std::exchange(call.stored, {}));
            if (next.last || wanted == Wanted::next) part = std::move(next);
        }
        tell = !work_.empty();
    }
    if (tell) told();
    return part;
}

bool Calls::done(const Call& call) {
    const Lock lock(mutex_);
    return call.done;
}

void Calls::throw_failure(const Call& call) {
    const Lock lock(mutex_);
    if (call.failed) throw Error(call.error, call.text);
}

/// It is answered or has failed: nothing more comes.
void Calls::finish(Call& call) {
    if (std::exchange(call.done, true)) return;
    if (call.deadline != base::kNever) deadlines_.erase({call.deadline, call.seq});
    if (!call.correlation_id.empty()) correlation_ids_.erase(call.correlation_id);
    const std::shared_ptr<Call> kept = find(call.seq);
    calls_.erase(call.seq);
    if (!call.claimed && kept) {
        unclaimed_.push_back(kept);
        unclaimed_changed_.notify_one();
    }
    call.changed.notify_all();
    if (notifier_) notifier_->notify();
    if (const auto on_done = std::exchange(call.on_done, nullptr)) on_done(kept);
}

void Calls::fail(Call& call, ErrorCode error, std::string text) {
    call.failed = true;
    call.error = error;
    call.text = std::move(text);
    finish(call);
}

void Calls::time_out(Call& call) {
    ++counters_.timeouts;
    work_.over.add(call.seq);
    fail(call, ErrorCode::timeout,
         "service \"" + stream_->config().name + "\": no reply by the deadline of the request");
}

bool Calls::cancel(Call& call) {
    {
        const Lock lock(mutex_);
        if (call.done || call.whole) return false;
        ++counters_.cancelled;
        work_.over.add(call.seq);
        fail(call, ErrorCode::cancelled, "the request was cancelled");
    }
    told();
    return true;
}

void Calls::let_go(Call& call) {
    if (!stream_->stored()) {
        (void)cancel(call);
        return;
    }
    const Lock lock(mutex_);
    if (!call.done) {
        call.claimed = false;
    } else if (!call.failed && !call.stored.empty()) {
        // Answered, and nobody has taken it.
        call.claimed = false;
        auto again = std::make_shared<Call>();
        again->seq = call.seq;
        again->epoch = call.epoch;
        again->correlation_id = call.correlation_id;
        again->name = call.name;
        again->parts = std::move(call.parts);
        again->stored = std::exchange(call.stored, {});
        again->claimed = false;
        again->whole = again->done = true;
        unclaimed_.push_back(std::move(again));
        unclaimed_changed_.notify_one();
    }
}

std::shared_ptr<Call> Calls::receive(base::Time deadline) {
    stream_->check_process();
    const auto any = [&] {
        const Lock lock(mutex_);
        return !unclaimed_.empty() || closed_;
    };
    while (true) {
        {
            const Lock lock(mutex_);
            if (!unclaimed_.empty()) {
                std::shared_ptr<Call> call = std::move(unclaimed_.front());
                unclaimed_.pop_front();
                return call;
            }
            if (closed_) return nullptr;
        }
        const base::Time now = clock_.now();
        if (now >= deadline) return nullptr;
        if (drive(any, deadline, false)) continue;
        Lock lock(mutex_);
        if (!unclaimed_.empty() || closed_) continue;
        unclaimed_changed_.wait_for(lock,
                                    std::min<base::Duration>(deadline - now, kDriverCheckInterval));
    }
}

std::vector<std::shared_ptr<Call>> Calls::unclaimed() {
    const Lock lock(mutex_);
    std::vector<std::shared_ptr<Call>> all(unclaimed_.begin(), unclaimed_.end());
    for (const auto& [seq, call] : calls_) {
        if (!call->claimed) all.push_back(call);
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->seq < b->seq; });
    return all;
}

void Calls::set_notifier(std::shared_ptr<NotifierState> notifier) {
    const Lock lock(mutex_);
    notifier_ = std::move(notifier);
    notifier_->notify();  // what came before
}

CallStats Calls::stats() {
    const Lock lock(mutex_);
    CallStats stats = counters_;
    stats.in_flight = calls_.size();
    return stats;
}

// --- the engine

void Calls::recover(const std::shared_ptr<Call>& call) {
    call->claimed = false;
    const Lock lock(mutex_);
    add(call);
}

void Calls::recover_answered(const std::shared_ptr<Call>& call) {
    call->claimed = false;
    call->whole = call->done = true;
    const Lock lock(mutex_);
    unclaimed_.push_back(call);
}

Calls::Arrival Calls::arrived(base::Seq seq, const base::Epoch& epoch, std::uint64_t answer,
                              ReplyPart part) {
    const Lock lock(mutex_);
    const std::shared_ptr<Call> call = find(seq);
    if (!call || call->epoch != epoch) {
        ++counters_.late;
        return Arrival::late;
    }
    if (call->whole && answer != call->answer) {
        ++counters_.late;
        return Arrival::late;
    }
    if (answer != call->answer) {
        // Another replier has begun, for the first one was lost. What nobody has seen of the first
        // answer is forgotten; one that was begun to be read cannot be replaced.
        if (call->parts_taken > 0 && call->answer != 0) {
            ++counters_.outcome_unknown;
            work_.over.add(seq);
            fail(*call, ErrorCode::outcome_unknown,
                 "service \"" + stream_->config().name + "\": whoever answered was lost after " +
                     std::to_string(call->parts_taken) + " parts of the reply had been taken");
            return Arrival::late;
        }
        call->answer = answer;
        call->parts.clear();
        call->parts_come = 0;
        call->taken_bytes = call->told_bytes = 0;
    }
    if (part.number < call->parts_come) return Arrival::duplicate;
    if (part.number > call->parts_come) return Arrival::invalid;
    ++call->parts_come;
    const bool last = part.last;
    if (last && part.failure) ++counters_.remote_failures;
    call->parts.push_back(std::move(part));
    if (!last) {
        // With a spool the reply is shown when it is whole and stored.
        if (!stream_->stored()) {
            call->changed.notify_all();
            if (notifier_) notifier_->notify();
        }
        return Arrival::taken;
    }
    ++counters_.replies;
    call->whole = true;
    if (!stream_->stored()) finish(*call);
    return Arrival::whole;
}

Calls::WholeReply Calls::whole_reply(base::Seq seq) {
    const Lock lock(mutex_);
    const std::shared_ptr<Call> call = find(seq);
    if (!call || !call->whole) return {};
    return {{call->parts.begin(), call->parts.end()}, call->correlation_id, call->name};
}

void Calls::stored(base::Seq seq, base::Run records) {
    const Lock lock(mutex_);
    const std::shared_ptr<Call> call = find(seq);
    if (!call) return;
    call->stored = records;
    finish(*call);
}

void Calls::fail(base::Seq seq, ErrorCode error, const std::string& text) {
    const Lock lock(mutex_);
    const std::shared_ptr<Call> call = find(seq);
    if (!call || call->whole) return;
    if (error == ErrorCode::outcome_unknown) ++counters_.outcome_unknown;
    fail(*call, error, text);
}

void Calls::expire(base::Time now) {
    const Lock lock(mutex_);
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const std::shared_ptr<Call> call = find(deadlines_.begin()->second);
        if (call && !call->whole) {
            time_out(*call);
        } else {
            deadlines_.erase(deadlines_.begin());  // it is being stored
        }
    }
}

base::Time Calls::next_deadline() {
    const Lock lock(mutex_);
    return deadlines_.empty() ? base::kNever : deadlines_.begin()->first;
}

CallWork Calls::take_work() {
    const Lock lock(mutex_);
    return std::exchange(work_, {});
}

void Calls::fail_all(ErrorCode error, const std::string& text) {
    const Lock lock(mutex_);
    while (!calls_.empty()) {
        const std::shared_ptr<Call> call = calls_.begin()->second;
        if (error == ErrorCode::outcome_unknown) ++counters_.outcome_unknown;
        // What is stored is not lost: the next process gets its reply.
        call->claimed = true;
        fail(*call, error, text);
    }
}

void Calls::close() {
    fail_all(ErrorCode::closed, "service \"" + stream_->config().name + "\": its peer is closed");
    const Lock lock(mutex_);
    closed_ = true;
    unclaimed_changed_.notify_all();
}

}  // namespace peermq::detail
