#include "peer/event_queue.hpp"

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

EventQueue::EventQueue(EventCallback on_event, LogSink log)
    : on_event_(std::move(on_event)), log_(std::move(log)) {}

EventQueue::~EventQueue() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void EventQueue::emit(Event event) {
    if (!on_event_ && !log_) return;
    post([this, event = std::move(event)] { deliver(event); });
}

void EventQueue::refused(const std::shared_ptr<InStream>& stream, std::string id) {
    const auto callback = stream->on_refused();
    if (!callback) return;
    post([callback, id = std::move(id)] { callback(id); });
}

void EventQueue::post(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (calls_.size() >= base::limits::kEventsWaitingMax) {
        ++dropped_;
        return;
    }
    calls_.push_back(std::move(call));
    if (!thread_.joinable()) {
        try {
            thread_ = start_thread("pmq-events", [this] { run(); });
        } catch (const std::system_error&) {
            return;  // out of threads: the next event tries again, and this one is told then
        }
    }
    changed_.notify_all();
}

void EventQueue::flush(base::Duration timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [this] { return calls_.empty() && !busy_; });
}

template <typename Call>
void EventQueue::guarded(Call&& call) {
    try {
        call();
    } catch (...) {
        // A callback must not end the thread that serves all others.
        ++failures_;
    }
}

void EventQueue::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || !calls_.empty(); });
        if (calls_.empty()) return;
        const std::function<void()> call = std::move(calls_.front());
        calls_.pop_front();
        busy_ = true;
        lock.unlock();
        guarded(call);
        lock.lock();
        busy_ = false;
        changed_.notify_all();
    }
}

void EventQueue::deliver(const Event& event) {
    if (on_event_) guarded([&] { on_event_(event); });
    if (!log_) return;
    std::string line(to_string(event.kind));
    if (!event.queue.empty()) line += " queue=" + event.queue;
    if (!event.peer.empty()) line += " peer=" + event.peer.substr(0, 8);
    guarded([&] { log_(level_of(event.kind), line + ": " + event.text); });
}

}  // namespace detail
}  // namespace peermq
