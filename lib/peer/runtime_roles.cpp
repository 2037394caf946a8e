/// Who lets the engine work, and who waits for the sockets.

#include <algorithm>

#include "peer/runtime.hpp"

namespace peermq::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFramesPerRound = 64;
constexpr int kRoundsPerStep = 8;
/// How long the background thread leaves a vacant driver's place to the application.
constexpr auto kVacancy = 1ms;
/// After so many looks at a driver that never left, the background thread sleeps until told.
constexpr int kLooksBeforeParking = 20;
constexpr auto kKeeperInterval = 250ms;
/// After a turn that handed out so many messages more of them are coming: the background thread
/// then sleeps for a moment instead of being woken for each.
constexpr std::uint64_t kBusyTurn = 32;
constexpr auto kNap = 50us;
/// Settlements wait at most so long for others. For some time after a turn that took in so many
/// messages, the background thread looks for them this often by itself, and need not be woken.
constexpr auto kFlushDelay = 1ms;
constexpr std::uint64_t kSettlingTurn = 8;
constexpr auto kSettlingTime = 5ms;

}  // namespace

bool Runtime::step() {
    work_pending_.store(false);
    flush_pending_.store(false);
    if (network_ended_) return false;
    bool more = true;
    for (int round = 0; more && round < kRoundsPerStep; ++round) {
        const base::Time now = clock_.now();
        engine_->set_now(now, clock_.wall_now());
        if (now >= network_->next_deadline()) network_->tick();
        (void)network_->receive(*engine_, kFramesPerRound);
        engine_->step();
        more = network_->anything_ready();
    }
    handed_out_.store(engine_->handed_out());
    taken_in_.store(engine_->taken_in());
    const base::Time deadline = std::min(engine_->next_deadline(), network_->next_deadline());
    next_deadline_.store(deadline);
    // Somebody waits for a later time than what this turn has brought up.
    if (driver_waiting_.load() && deadline < waiting_until_.load()) network_->wake();
    return more;
}

void Runtime::nudge() noexcept {
    work_pending_.store(true);
    while (work_pending_.load()) {
        bool more = false;
        {
            // Whoever has the role looks at work_pending_ once more after giving it back.
            const std::unique_lock role(role_, std::try_to_lock);
            if (!role) return;
            try {
                more = step();
            } catch (const std::exception& error) {
                report_failed_turn(error);
                return;  // tried again with the next turn
            }
        }
        if (more) {
            // This thread has other things to do: the driver goes on.
            kick();
            return;
        }
    }
}

void Runtime::report_failed_turn(const std::exception& error) noexcept {
    try {
        events_.emit({EventKind::io_error, "", "", 1,
                      std::string("a turn of the peer failed: ") + error.what()});
    } catch (...) {
        // No memory for telling so: the next turn fails likewise, or does not.
    }
}

void Runtime::kick() {
    work_pending_.store(true);
    if (napping_.load()) return;
    network_->wake();
    if (background_looking_.load()) {
        const std::lock_guard lock(driver_mutex_);
        driver_changed_.notify_all();
    }
}

void Runtime::wait_for_sockets(base::Time deadline) {
    base::Time until = std::min(deadline, next_deadline_.load());
    waiting_until_.store(until);
    driver_waiting_.store(true);
    // What came between the last turn and this point did not see us waiting.
    if (flush_pending_.load()) until = std::min(until, base::after(clock_.now(), kFlushDelay));
    if (!work_pending_.load() && next_deadline_.load() >= until) network_->wait_unowned(until);
    driver_waiting_.store(false);
}

void Runtime::nap(base::Time until) {
    napping_.store(true);
    network_->wait_unowned(until);
    napping_.store(false);
}

bool Runtime::become_driver() {
    std::unique_lock lock(driver_mutex_);
    if (driver_ == Driver::application) return false;
    if (driver_ == Driver::background) {
        if (application_wants_) return false;  // another thread is about to
        application_wants_ = true;
        network_->wake();
        driver_changed_.wait(lock, [this] { return driver_ != Driver::background || stopping_; });
        application_wants_ = false;
        if (driver_ != Driver::nobody) return false;
    }
    driver_ = Driver::application;
    ++drives_;
    return true;
}

void Runtime::leave_driving() {
    const std::lock_guard lock(driver_mutex_);
    driver_ = Driver::nobody;
    ++drives_;
    if (background_parked_ || stopping_) driver_changed_.notify_all();
}

bool Runtime::background_drives() {
    const std::lock_guard lock(driver_mutex_);
    return driver_ == Driver::background;
}

bool Runtime::drive(const std::function<bool()>& done, base::Time deadline, Place place) {
    check_process();
    if (background_drives()) {
        // What this thread has just settled leaves before two threads change places.
        if (flush_pending_.load() || work_pending_.load()) nudge();
        if (place == Place::only_if_vacant) return false;
    }
    if (!become_driver()) return false;
    struct Leave {
        Runtime& runtime;
        ~Leave() { runtime.leave_driving(); }
    };
    const Leave leave{*this};
    while (true) {
        bool more = false;
        {
            const std::lock_guard role(role_);
            if (!stopping_) more = step();  // else the sockets may be gone
        }
        if (stopping_ || done() || clock_.now() >= deadline) break;
        if (!more) wait_for_sockets(deadline);
    }
    return true;
}

bool Runtime::guarded_step() {
    try {
        const std::lock_guard role(role_);
        return step();
    } catch (const std::exception& error) {
        // Nothing may leave a thread of ours. What failed is tried again with the next turn.
        report_failed_turn(error);
        std::this_thread::sleep_for(kVacancy);
        return false;
    }
}

void Runtime::run_background() {
    std::uint64_t seen = 0;
    int looks = 0;
    std::unique_lock lock(driver_mutex_);
    while (!stopping_) {
        if (driver_ != Driver::nobody || application_wants_ || drives_ != seen) {
            // Somebody in receive() drives, or did so a moment ago and will likely be back.
            looks = drives_ == seen ? looks + 1 : 0;
            seen = drives_;
            background_looking_.store(true);
            if (work_pending_.load()) {
                // Left before it could be seen that we look.
            } else if (looks > kLooksBeforeParking) {
                background_parked_ = true;
                driver_changed_.wait_for(lock, kKeeperInterval);
                background_parked_ = false;
            } else {
                driver_changed_.wait_for(lock, kVacancy);
            }
            background_looking_.store(false);
            if ((work_pending_.load() || flush_pending_.load()) && !stopping_) {
                lock.unlock();
                const bool more = guarded_step();
                // Who found the role taken by this turn left its work, and the driver may sleep.
                if (more || work_pending_.load()) kick();
                lock.lock();
            }
            continue;
        }
        drive_in_background(lock);
    }
}

void Runtime::drive_in_background(std::unique_lock<std::mutex>& lock) {
    base::Time busy_until{};
    base::Time settling_until{};
    driver_ = Driver::background;
    while (!stopping_ && !application_wants_) {
        lock.unlock();
        const std::uint64_t handed_out = handed_out_.load();
        const std::uint64_t taken_in = taken_in_.load();
        const bool more = guarded_step();
        const base::Time now = clock_.now();
        if (handed_out_.load() - handed_out >= kBusyTurn) busy_until = base::after(now, kNap);
        if (taken_in_.load() - taken_in >= kSettlingTurn)
            settling_until = base::after(now, kSettlingTime);
        if (!more && now < busy_until) {
            nap(busy_until);  // one that the network cut short goes on after its turn
        } else if (!more) {
            wait_for_sockets(now < settling_until ? base::after(now, kFlushDelay) : base::kNever);
        }
        lock.lock();
    }
    driver_ = Driver::nobody;
    // Without the lock, or who is woken runs into it.
    lock.unlock();
    driver_changed_.notify_all();
    lock.lock();
}

void Runtime::run_keeper() {
    std::unique_lock lock(keeper_mutex_);
    while (!stopping_) {
        lock.unlock();
        try {
            while (spool_->maintain() && !stopping_) {
            }
        } catch (const std::exception& error) {
            events_.emit({EventKind::io_error, "", "", 1,
                          std::string("upkeep of the spool failed: ") + error.what()});
        }
        lock.lock();
        if (stopping_ || spool_->maintenance_due()) continue;
        keeper_wanted_.wait_for(lock, kKeeperInterval);
    }
}

// --- what streams and the committer ask for

void Runtime::records_pending(const std::shared_ptr<OutStream>& stream) {
    if (stream->stored()) {
        commits_->add_stream(stream);
    } else {
        engine_->notifications().stream_advanced(stream);
        kick();
    }
}

bool Runtime::reserve(const OutStream& stream, std::uint64_t bytes) {
    return spool_->reserve(stream.config().index, bytes);
}

void Runtime::unreserve(const OutStream& stream, std::uint64_t bytes) {
    spool_->unreserve(stream.config().index, bytes);
}

bool Runtime::make_room(OutStream& stream, std::uint64_t bytes) {
    const bool drop_oldest = stream.overflow() == Overflow::drop_oldest;
    if (stream.config().kind == spool::StreamKind::topic) {
        const bool relieved = with_engine(
            [&](Engine& engine) { return engine.relieve(stream, drop_oldest); });
        // The spool counts what is forgotten once that is stored.
        return relieved && (!stream.stored() || commits_->try_commit());
    }
    if (!drop_oldest) return false;
    const std::uint64_t dropped = with_engine(
        [&](Engine& engine) { return engine.drop_oldest(stream, bytes); });
    if (dropped == 0) return false;  // all that is left is in consumers' hands
    events_.emit(
        {EventKind::dropped, "", stream.config().name, dropped,
         "quota reached: the oldest " + std::to_string(dropped) + " message(s) are dropped"});
    // The spool counts what is settled once that is stored.
    if (stream.stored()) (void)commits_->try_commit();
    return true;
}

bool Runtime::commit_now() { return commits_->try_commit(); }

void Runtime::flush_wanted(InStream& stream, bool at_once) {
    if (!stream.listed.exchange(true))
        engine_->notifications().pull_wants_flush(stream.shared_from_this());
    if (at_once) {
        nudge();
        return;
    }
    // Within a moment: by the thread that waits for the sockets, or by the background thread's next
    // look.
    flush_pending_.store(true);
    if (driver_waiting_.load() && waiting_until_.load() > base::after(clock_.now(), kFlushDelay)) {
        network_->wake();
    }
}

void Runtime::check_process() const { detail::check_process(process_generation_); }

void Runtime::committed(const std::vector<std::shared_ptr<OutStream>>& streams,
                        std::uint64_t ticket) {
    engine_->notifications().committed(streams, ticket);
    nudge();
    if (spool_->maintenance_due()) {
        const std::lock_guard lock(keeper_mutex_);
        keeper_wanted_.notify_one();
    }
}

void Runtime::commit_failed(ErrorCode code, const std::string& text) {
    events_.emit({EventKind::io_error, "", "", 1,
                  "the spool accepts nothing more until it is reopened: " + text});
    std::vector<std::shared_ptr<OutStream>> stored;
    {
        const std::lock_guard lock(streams_mutex_);
        for (auto& stream : out_streams()) {
            if (stream->stored()) stored.push_back(std::move(stream));
        }
    }
    for (const auto& stream : stored) stream->fail(code, text);
}

void Runtime::space_changed(bool full, const std::string& text) {
    events_.emit({EventKind::quota, "", "", 1, text});
    if (full) return;
    const std::lock_guard lock(streams_mutex_);
    for (const auto& stream : out_streams()) stream->wake_blocked();
}

}  // namespace peermq::detail
