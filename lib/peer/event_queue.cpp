#include "peer/event_queue.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>

#include "base/limits.hpp"
#include "peer/thread.hpp"

namespace peermq {

std::string_view to_string(EventKind kind) noexcept {
    switch (kind) {
        case EventKind::peer_up: return "peer_up";
        case EventKind::peer_down: return "peer_down";
        case EventKind::peer_rejected: return "peer_rejected";
        case EventKind::link_suspect: return "link_suspect";
        case EventKind::connect_failed: return "connect_failed";
        case EventKind::ack_refused: return "ack_refused";
        case EventKind::damage: return "damage";
        case EventKind::io_error: return "io_error";
        case EventKind::quota: return "quota";
        case EventKind::dead_letter: return "dead_letter";
        case EventKind::gap: return "gap";
        case EventKind::dropped: return "dropped";
    }
    return "unknown";
}

namespace detail {
namespace {

LogLevel level_of(EventKind kind) {
    switch (kind) {
        case EventKind::peer_up:
        case EventKind::peer_down: return LogLevel::info;
        case EventKind::connect_failed: return LogLevel::debug;
        case EventKind::damage:
        case EventKind::io_error: return LogLevel::error;
        default: return LogLevel::warning;
    }
}

}  // namespace

struct EventQueue::Shared {
    Shared(EventCallback event_callback, LogSink log_sink)
        : on_event(std::move(event_callback)), log(std::move(log_sink)) {}

    void run() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return stopping || !calls.empty(); });
            if (calls.empty()) return;
            const std::function<void()> call = std::move(calls.front());
            calls.pop_front();
            busy = true;
            lock.unlock();
            guarded(call);
            lock.lock();
            busy = false;
            changed.notify_all();
        }
    }

    /// Calls what is the user's: its exceptions are counted and go no further.
    template <typename Call>
    void guarded(Call&& call) {
        try {
            call();
        } catch (...) {
            // A callback must not end the thread that serves all others.
            ++failures;
        }
    }

    void deliver(const Event& event) {
        if (on_event) guarded([&] { on_event(event); });
        if (!log) return;
        std::string line(to_string(event.kind));
        if (!event.queue.empty()) line += " queue=" + event.queue;
        if (!event.peer.empty()) line += " peer=" + event.peer.substr(0, 8);
        guarded([&] { log(level_of(event.kind), line + ": " + event.text); });
    }

    const EventCallback on_event;
    const LogSink log;
    std::atomic<std::uint64_t> dropped{0};
    std::atomic<std::uint64_t> failures{0};
    std::mutex mutex;  ///< guards what follows
    std::condition_variable changed;
    std::deque<std::function<void()>> calls;
    bool busy = false;
    bool stopping = false;
};

EventQueue::EventQueue(EventCallback on_event, LogSink log)
    : shared_(std::make_shared<Shared>(std::move(on_event), std::move(log))) {}

EventQueue::~EventQueue() { end(std::chrono::seconds(1)); }

void EventQueue::emit(Event event) {
    if (!shared_->on_event && !shared_->log) return;
    post([shared = shared_.get(), event = std::move(event)] { shared->deliver(event); });
}

void EventQueue::refused(const std::shared_ptr<InStream>& stream, std::string id) {
    const auto callback = stream->on_refused();
    if (!callback) return;
    post([callback, id = std::move(id)] { callback(id); });
}

void EventQueue::post(std::function<void()> call) {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->stopping) return;
    if (shared_->calls.size() >= base::limits::kEventsWaitingMax) {
        ++shared_->dropped;
        return;
    }
    shared_->calls.push_back(std::move(call));
    if (!thread_.joinable()) {
        try {
            std::promise<void> ended;
            std::future<void> told = ended.get_future();
            thread_ = start_thread("pmq-events",
                                   [shared = shared_, ended = std::move(ended)]() mutable {
                                       shared->run();
                                       ended.set_value();
                                   });
            ended_ = std::move(told);
        } catch (const std::system_error&) {
            return;  // out of threads: the next event tries again, and this one is told then
        }
    }
    shared_->changed.notify_all();
}

void EventQueue::flush(base::Duration timeout) {
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait_for(lock, std::min(timeout, kLongestWait),
                              [this] { return shared_->calls.empty() && !shared_->busy; });
}

void EventQueue::end(base::Duration timeout) {
    flush(timeout);
    bool stuck = false;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
        shared_->calls.clear();
        shared_->changed.notify_all();
        stuck = shared_->busy;
    }
    if (!thread_.joinable()) return;
    // One that is not in a callback ends at once, however busy the machine is.
    if (stuck) {
        (void)join_or_leave(thread_, ended_, base::Duration::zero());
    } else {
        thread_.join();
    }
}

std::uint64_t EventQueue::dropped() const noexcept { return shared_->dropped.load(); }

std::uint64_t EventQueue::failures() const noexcept { return shared_->failures.load(); }

}  // namespace detail
}  // namespace peermq
