#include "net/inproc.hpp"

#include <algorithm>
#include <cstring>

namespace peermq::net {
namespace {

/// As in a pipe of libzmq here: bounds memory, the caller's byte windows are far below.
constexpr std::size_t kFramesMax = 2048;

/// What keeps a frame alive: a copy, and the sender's records when they were not copied.
struct Kept {
    std::unique_ptr<std::byte[]> copy;
    std::shared_ptr<const void> records;
};

Received make_frame(const Outgoing& outgoing) {
    const bool separate = outgoing.pin != nullptr &&
                          outgoing.records.size() >= kSeparateRecordsBytesMin;
    const std::size_t copied = outgoing.head.size() + (separate ? 0 : outgoing.records.size());
    auto kept = std::make_shared<Kept>();
    kept->copy = std::make_unique_for_overwrite<std::byte[]>(copied);
    const auto end = std::copy(outgoing.head.begin(), outgoing.head.end(), kept->copy.get());
    Received frame;
    frame.head = {kept->copy.get(), copied};
    if (separate) {
        kept->records = *outgoing.pin;
        frame.records = outgoing.records;
        frame.two_parts = true;
    } else {
        std::copy(outgoing.records.begin(), outgoing.records.end(), end);
    }
    frame.pin = std::move(kept);
    return frame;
}

}  // namespace

void InprocMailbox::post(News news) {
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        news_.push_back(std::move(news));
        has_news_.store(true);
    }
    wakeup_->wake();
}

std::vector<InprocMailbox::News> InprocMailbox::take() {
    if (!has_news()) return {};
    const std::lock_guard lock(mutex_);
    has_news_.store(false);
    return std::exchange(news_, {});
}

void InprocMailbox::close() {
    std::vector<News> dropped;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        has_news_.store(false);
        dropped.swap(news_);
    }
    // Somebody connected and was not noticed: without this they would never learn of the end.
    for (const News& news : dropped) {
        if (news.kind == News::Kind::connected) news.pipe->close(1);
    }
}

InprocPipe::InprocPipe(std::shared_ptr<InprocMailbox> connector,
                       std::shared_ptr<InprocMailbox> binder) {
    sides_[0].mailbox = std::move(connector);
    sides_[1].mailbox = std::move(binder);
}

void InprocPipe::announce(Side& side) {
    if (side.closed || std::exchange(side.announced, true)) return;
    side.mailbox->post({InprocMailbox::News::Kind::activity, shared_from_this(), {}});
}

SendResult InprocPipe::send(int side, const Outgoing& frame) {
    Received made = make_frame(frame);
    const std::lock_guard lock(mutex_);
    Side& from = sides_[static_cast<std::size_t>(side)];
    Side& to = sides_[static_cast<std::size_t>(1 - side)];
    if (from.closed || to.closed) return SendResult::gone;
    if (to.frames.size() >= kFramesMax) {
        from.wants_room = true;
        return SendResult::full;
    }
    to.frames.push_back(std::move(made));
    announce(to);
    return SendResult::sent;
}

std::vector<Received> InprocPipe::receive(int side, std::size_t frames_max, bool& ended) {
    const std::lock_guard lock(mutex_);
    Side& own = sides_[static_cast<std::size_t>(side)];
    Side& other = sides_[static_cast<std::size_t>(1 - side)];
    own.announced = false;
    const std::size_t count = std::min(frames_max, own.frames.size());
    const auto end = own.frames.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<Received> frames(std::make_move_iterator(own.frames.begin()),
                                 std::make_move_iterator(end));
    own.frames.erase(own.frames.begin(), end);
    if (other.wants_room && own.frames.size() <= kFramesMax / 2) {
        other.wants_room = false;
        announce(other);
    }
    ended = other.closed && own.frames.empty();
    return frames;
}

bool InprocPipe::readable(int side) {
    const std::lock_guard lock(mutex_);
    const auto index = static_cast<std::size_t>(side);
    return !sides_[index].frames.empty() || sides_[1 - index].closed;
}

void InprocPipe::close(int side) {
    std::deque<Received> dropped;
    const std::lock_guard lock(mutex_);
    Side& own = sides_[static_cast<std::size_t>(side)];
    if (std::exchange(own.closed, true)) return;
    dropped.swap(own.frames);
    announce(sides_[static_cast<std::size_t>(1 - side)]);
}

InprocHub& InprocHub::instance() {
    static InprocHub& hub = *new InprocHub;  // never destroyed: peers may outlive static objects
    return hub;
}

bool InprocHub::bind(const std::string& name, const std::shared_ptr<InprocMailbox>& mailbox) {
    std::vector<std::shared_ptr<InprocMailbox>> waiting;
    {
        const std::lock_guard lock(mutex_);
        if (!bound_.emplace(name, mailbox).second) return false;
        const auto [first, last] = waiting_.equal_range(name);
        for (auto at = first; at != last; ++at) {
            if (auto waiter = at->second.lock()) waiting.push_back(std::move(waiter));
        }
        waiting_.erase(first, last);
    }
    for (const auto& waiter : waiting) {
        waiter->post({InprocMailbox::News::Kind::bound, nullptr, name});
    }
    return true;
}

void InprocHub::unbind(const std::string& name) {
    const std::lock_guard lock(mutex_);
    bound_.erase(name);
}

std::shared_ptr<InprocPipe> InprocHub::connect(const std::string& name,
                                               const std::shared_ptr<InprocMailbox>& mailbox) {
    const std::lock_guard lock(mutex_);
    const auto found = bound_.find(name);
    if (found == bound_.end()) {
        const auto [first, last] = waiting_.equal_range(name);
        const bool known = std::any_of(
            first, last, [&](const auto& entry) { return entry.second.lock() == mailbox; });
        if (!known) waiting_.emplace(name, mailbox);
        return nullptr;
    }
    auto pipe = std::make_shared<InprocPipe>(mailbox, found->second);
    found->second->post({InprocMailbox::News::Kind::connected, pipe, name});
    return pipe;
}

}  // namespace peermq::net
