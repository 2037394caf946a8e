#include "peer/out_stream.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "peer/process.hpp"

namespace peermq::detail {
namespace {

/// Waiting threads look again this often: room may come from the disk, which nobody announces.
constexpr auto kRoomPollInterval = std::chrono::milliseconds(100);

/// A poster that is so far ahead of its consumers gives way once per chunk; with a pause of so
/// long, and the same again that the kernel takes, it still posts more than a gigabyte a second.
constexpr std::uint64_t kFarAheadBytes = 8 * base::limits::kMiB;
constexpr auto kFarAheadPause = std::chrono::microseconds(50);

}  // namespace

OutStream::OutStream(OutStreamConfig config, std::weak_ptr<StreamHost> host, base::Clock& clock)
    : config_(std::move(config)),
      stored_(config_.durability != Durability::memory),
      host_(std::move(host)),
      clock_(clock),
      seed_(record::Seed::of(config_.id, config_.epoch)),
      process_generation_(process_generation()) {}

void OutStream::check_process() const { detail::check_process(process_generation_); }

void OutStream::recover(base::Seq end, const base::RunSet& settled) {
    const Lock lock(mutex_);
    accepted_end_ = written_end_ = durable_end_ = end;
    settled_ = settled;
    set_handable();
}

std::optional<base::Seq> OutStream::append(record::Record& record, WhenFull when_full,
                                           base::Time deadline) {
    const std::size_t bytes = record::encoded_size(record);
    // What must not be refused was within the limit when its user posted it; see
    // kDeadLetterExtraBytes.
    if (when_full != WhenFull::never_full && bytes > config_.message_bytes_max) {
        throw Error(ErrorCode::too_large, "message of " + std::to_string(bytes) +
                                              " bytes (with its properties) for " + label() +
                                              " exceeds message_bytes_max of " +
                                              std::to_string(config_.message_bytes_max));
    }
    record.enqueued = clock_.wall_now_coarse();
    record.epoch = config_.epoch.counter;
    base::Seq seq = 0;
    bool far_ahead = false;
    {
        Lock lock(mutex_);
        throw_if_unusable();
        if (stored() && !await_writer(lock, when_full, deadline)) return std::nullopt;
        if (!take_quota(lock, bytes, when_full, deadline)) return std::nullopt;
        seq = record.seq = accepted_end_ + 1;
        far_ahead = when_full == WhenFull::as_configured && bytes_ > kFarAheadBytes &&
                    (!tail_ || !tail_->fits(bytes));
        chunk_for(bytes).append(record, bytes, seed_);
        accepted_end_ = seq;
        bytes_ += bytes;
        if (stored()) unwritten_bytes_ += bytes;
        ++posted_;
        if (!stored()) set_handable();
    }
    // The flag spares the host a call per message. It is cleared before pending records are looked
    // for under our lock, so whoever finds it set here has its record taken by that look.
    if (!listed.load(std::memory_order_relaxed) && !listed.exchange(true)) {
        host()->records_pending(shared_from_this());
    }
    if (far_ahead) give_way();
    return seq;
}

/// On a busy machine those who send and handle what lies here come first, while it is still in the
/// processor's cache, or in memory at all: what is read back from the log costs half as much again.
void OutStream::give_way() const {
    if (stored_) {
        std::this_thread::sleep_for(kFarAheadPause);
    } else {
        std::this_thread::yield();
    }
}

std::string OutStream::label() const {
    const bool topic = config_.kind == spool::StreamKind::topic;
    return (topic ? "publisher \"" : "queue \"") + config_.name + "\"";
}

bool OutStream::has_room(std::uint64_t bytes) const {
    // One message is always allowed, or a large one could never pass a small quota.
    return bytes_ == 0 || bytes_ + bytes <= config_.memory_bytes_max;
}

bool OutStream::await_room(Lock& lock, base::Time deadline) {
    base::Duration pause = kRoomPollInterval;
    if (deadline != base::kNever) {
        pause = std::min<base::Duration>(pause, deadline - clock_.now());
        if (pause <= base::Duration::zero()) return false;
    }
    ++waiters_;
    changed_.wait_for(lock, pause);
    --waiters_;
    throw_if_unusable();
    return true;
}

bool OutStream::await_writer(Lock& lock, WhenFull when_full, base::Time deadline) {
    while (unwritten_bytes_ >= base::limits::kUnwrittenBytesMax &&
           when_full != WhenFull::never_full) {
        if (when_full == WhenFull::return_nothing || !await_room(lock, deadline)) return false;
    }
    return true;
}

bool OutStream::reserve(std::uint64_t bytes) {
    if (bytes > allowance_) {
        const std::uint64_t missing = bytes - allowance_;
        const std::uint64_t block = std::max(missing, config_.quota_block_bytes);
        const auto peer = host();
        if (peer->reserve(*this, block)) {
            allowance_ += block;
        } else if (block > missing && peer->reserve(*this, missing)) {
            allowance_ += missing;
        } else {
            return false;
        }
    }
    allowance_ -= bytes;
    return true;
}

bool OutStream::take_quota(Lock& lock, std::uint64_t bytes, WhenFull when_full,
                           base::Time deadline) {
    const auto admitted = [&] { return !held_ && (stored() ? reserve(bytes) : has_room(bytes)); };
    if (when_full == WhenFull::never_full) return true;
    while (!admitted()) {
        if (when_full == WhenFull::return_nothing) return false;
        if (config_.overflow == Overflow::error) {
            throw Error(ErrorCode::quota,
                        label() + (held_ ? " waits for a subscription that may block it"
                                         : " is full (" + std::to_string(bytes) +
                                               " more bytes asked for); consume, purge, or raise "
                                               "the limit"));
        }
        bool again = false;
        if (!held_) {
            lock.unlock();
            again = host()->make_room(*this, bytes);
            lock.lock();
            throw_if_unusable();
        }
        if (!again && !await_room(lock, deadline)) return false;
    }
    return true;
}

Chunk& OutStream::chunk_for(std::size_t bytes) {
    if (!tail_ || !tail_->fits(bytes)) {
        tail_ = std::make_shared<Chunk>(accepted_end_ + 1, config_.epoch,
                                        std::max(bytes, config_.chunk_bytes));
        chunks_.emplace_hint(chunks_.end(), accepted_end_ + 1, tail_);
    }
    return *tail_;
}

void OutStream::throw_if_unusable() const {
    if (failure_) throw *failure_;
    if (closed_) refuse_closed();
}

void OutStream::refuse_closed() const {
    throw Error(ErrorCode::closed, label() + ": its peer is closed");
}

std::shared_ptr<StreamHost> OutStream::host() const {
    auto peer = host_.lock();
    if (!peer) refuse_closed();
    return peer;
}

void OutStream::set_handable() {
    switch (config_.durability) {
        case Durability::memory:
            handable_end_.store(accepted_end_, std::memory_order_release);
            break;
        case Durability::os: handable_end_.store(written_end_, std::memory_order_release); break;
        case Durability::disk: handable_end_.store(durable_end_, std::memory_order_release); break;
    }
}

bool OutStream::reached(Until until, base::Seq seq) const {
    if (until == Until::durable) return seq <= handable_end_.load(std::memory_order_relaxed);
    return settled_.contains(seq);
}

bool OutStream::done(Until until, base::Seq seq) {
    const Lock lock(mutex_);
    return reached(until, seq);
}

bool OutStream::lost(Until until, base::Seq seq) {
    const Lock lock(mutex_);
    return (failure_ || closed_) && !reached(until, seq);
}

base::Seq OutStream::accepted_end() {
    const Lock lock(mutex_);
    return accepted_end_;
}

bool OutStream::all_reached(Until until, base::Seq end) const {
    if (until == Until::durable) return reached(until, end);
    return end == 0 || settled_.count_in({1, end}) == end;
}

template <typename Condition>
bool OutStream::wait_for(Lock& lock, base::Seq stored_end, base::Time deadline,
                         Condition&& reached_now) {
    while (!reached_now()) {
        throw_if_unusable();
        if (stored() && stored_end > written_end_) {
            lock.unlock();
            const bool committed = host()->commit_now();
            lock.lock();
            if (committed || reached_now()) continue;
        }
        const base::Time now = clock_.now();
        if (now >= deadline) return false;
        ++waiters_;
        // Bounded, since somebody else's commit may end without having taken our record.
        changed_.wait_for(lock, std::min<base::Duration>(deadline - now, kRoomPollInterval));
        --waiters_;
    }
    return true;
}

void OutStream::tell_waiters() {
    if (waiters_ > 0) changed_.notify_all();
    if (notifier_) notifier_->notify();
}

void OutStream::set_notifier(std::shared_ptr<NotifierState> notifier) {
    const Lock lock(mutex_);
    notifier_ = std::move(notifier);
    notifier_->notify();  // what came before
}

void OutStream::throw_if_failed() {
    const Lock lock(mutex_);
    if (failure_) throw *failure_;
}

bool OutStream::wait(Until until, base::Seq seq, base::Time deadline) {
    check_process();
    Lock lock(mutex_);
    return wait_for(lock, seq, deadline, [&] { return reached(until, seq); });
}

bool OutStream::wait_all(Until until, base::Time deadline) {
    Lock lock(mutex_);
    if (failure_) throw *failure_;
    const base::Seq end = accepted_end_;
    return wait_for(lock, end, deadline, [&] { return all_reached(until, end); });
}

std::optional<spool::StreamPart> OutStream::collect(std::size_t bytes_max) {
    const Lock lock(mutex_);
    if (written_end_ == accepted_end_) return std::nullopt;
    spool::StreamPart part;
    part.stream = config_.index;
    part.run = {written_end_ + 1, written_end_};
    std::size_t bytes = 0;
    for (auto it = std::prev(chunks_.upper_bound(written_end_ + 1)); it != chunks_.end(); ++it) {
        const base::Run run{std::max(it->second->run().first, written_end_ + 1),
                            it->second->run().last};
        const base::ByteSpan span = it->second->bytes(run);
        if (bytes > 0 && bytes + span.size() > bytes_max) break;
        part.bytes.push_back(span);
        part.pins.push_back(it->second);
        part.run.last = run.last;
        bytes += span.size();
    }
    collected_bytes_ = bytes;
    return part;
}

bool OutStream::written(base::Run run) {
    const Lock lock(mutex_);
    PEERMQ_ASSERT(run.first == written_end_ + 1);
    written_end_ = run.last;
    unwritten_bytes_ -= std::exchange(collected_bytes_, 0);
    if (config_.durability == Durability::os) set_handable();
    tell_waiters();
    return written_end_ != accepted_end_;
}

void OutStream::durable(base::Seq end) {
    const Lock lock(mutex_);
    durable_end_ = std::max(durable_end_, end);
    set_handable();
    trim_cache();
    tell_waiters();
}

void OutStream::fail(ErrorCode code, const std::string& text) {
    const Lock lock(mutex_);
    if (!failure_) failure_.emplace(code, text);
    tell_waiters();
}

void OutStream::close() {
    const Lock lock(mutex_);
    if (!closed_ && allowance_ > 0) host()->unreserve(*this, std::exchange(allowance_, 0));
    closed_ = true;
    tell_waiters();
}

OutStream::Cached OutStream::chunk_of(base::Seq seq) {
    const Lock lock(mutex_);
    auto it = chunks_.upper_bound(seq);
    if (it == chunks_.begin()) return {};
    --it;
    const base::Run run = it->second->run();
    if (!run.contains(seq)) return {};
    return {it->second, run};
}

void OutStream::configure(Durability durability, Overflow overflow) {
    const Lock lock(mutex_);
    PEERMQ_ASSERT((durability == Durability::memory) == (config_.durability == Durability::memory));
    config_.durability = durability;
    config_.overflow = overflow;
    set_handable();
}

void OutStream::settle(base::Run run) {
    const Lock lock(mutex_);
    if (settled_.add(run) == 0) return;
    forget_chunks(run);
    tell_waiters();
}

void OutStream::settled_by_all(base::Run run) {
    const Lock lock(mutex_);
    settled_.add(run);
    tell_waiters();
}

void OutStream::forget(base::Run run) {
    const Lock lock(mutex_);
    forget_chunks(run);
    tell_waiters();
}

void OutStream::forget_chunks(base::Run run) {
    auto it = chunks_.upper_bound(run.first);
    if (it != chunks_.begin()) --it;
    while (it != chunks_.end() && it->second->run().first <= run.last) {
        Chunk& chunk = *it->second;
        const base::Run whole = chunk.run();
        const base::Run part{std::max(whole.first, run.first), std::min(whole.last, run.last)};
        chunk.settled += part.count();
        // The tail goes too once all that it holds is settled: an idle queue holds no memory.
        if (chunk.settled == whole.count()) {
            bytes_ -= chunk.used();
            if (tail_ == it->second) tail_.reset();
            it = chunks_.erase(it);
        } else {
            ++it;
        }
    }
}

void OutStream::hold(bool held) {
    const Lock lock(mutex_);
    held_ = held;
    tell_waiters();
}

void OutStream::set_subscribers(std::size_t count) {
    const Lock lock(mutex_);
    subscribers_ = count;
    tell_waiters();
}

std::size_t OutStream::subscribers() {
    const Lock lock(mutex_);
    return subscribers_;
}

bool OutStream::wait_subscribers(std::size_t count, base::Time deadline) {
    check_process();
    Lock lock(mutex_);
    return wait_for(lock, 0, deadline, [&] { return subscribers_ >= count; });
}

void OutStream::trim_cache() {
    if (!stored()) return;
    const base::Seq kept_from = std::min(durable_end_, handable_end_.load()) + 1;
    const auto drop = [&](auto it) {
        if (tail_ == it->second) tail_.reset();  // the next record opens a new chunk
        bytes_ -= it->second->used();
        chunks_.erase(it);
    };
    while (bytes_ > config_.cache_bytes && chunks_.size() > 1) {
        const auto oldest = chunks_.begin();
        if (oldest->second->run().last <= cursor_ && oldest->second->run().last < kept_from) {
            drop(oldest);
            continue;
        }
        // What is needed next stays; of the rest the newest goes, which is read back from the log
        // when its turn comes. The other way round a consumer that lags would find nothing in
        // memory, ever.
        auto newest = chunks_.lower_bound(kept_from);
        while (newest != chunks_.begin() && std::prev(newest)->second->run().last >= kept_from)
            --newest;
        if (newest == chunks_.begin() || std::prev(newest) == oldest) break;
        drop(std::prev(newest));
    }
}

void OutStream::set_cursor(base::Seq cursor) {
    const Lock lock(mutex_);
    cursor_ = std::max(cursor_, cursor);
}

Overflow OutStream::overflow() {
    const Lock lock(mutex_);
    return config_.overflow;
}

Durability OutStream::durability() {
    const Lock lock(mutex_);
    return config_.durability;
}

void OutStream::wake_blocked() {
    const Lock lock(mutex_);
    tell_waiters();
}

std::uint64_t OutStream::posted() {
    const Lock lock(mutex_);
    return posted_;
}

std::uint64_t OutStream::unwritten_bytes() {
    const Lock lock(mutex_);
    return unwritten_bytes_;
}

std::uint64_t OutStream::memory_bytes() {
    const Lock lock(mutex_);
    return bytes_;
}

}  // namespace peermq::detail
