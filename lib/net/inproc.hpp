#pragma once

/// Channels inside one process, without libzmq: there they would need a context that all peers
/// share, have no monitor, and could not tell that the other end is gone.
///
/// A hub knows the bound names of the process. A pipe joins two Networks: frames are queued at the
/// reader under the pipe's lock, and its mailbox wakes it. Records are not copied: the reader holds
/// the sender's memory through the pin.
///
/// Threads: any; each Network uses its own mailbox and its own side of a pipe.

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "net/poller.hpp"
#include "net/transport.hpp"
#include "net/zmq_handles.hpp"

namespace peermq::net {

class InprocPipe;

/// Where a Network hears from others in the process.
class InprocMailbox {
public:
    struct News {
        enum class Kind { connected, activity, bound } kind = Kind::activity;
        std::shared_ptr<InprocPipe> pipe;  ///< connected (our side is 1), activity
        std::string name;                  ///< connected, bound
    };

    explicit InprocMailbox(std::shared_ptr<Wakeup> wakeup) : wakeup_(std::move(wakeup)) {}
    void post(News news);
    [[nodiscard]] std::vector<News> take();
    [[nodiscard]] bool has_news() const noexcept { return has_news_.load(); }
    /// Nobody reads any more: later news are dropped.
    void close();

private:
    std::shared_ptr<Wakeup> wakeup_;
    std::mutex mutex_;
    std::vector<News> news_;
    bool closed_ = false;
    std::atomic<bool> has_news_{false};
};

class InprocPipe : public std::enable_shared_from_this<InprocPipe> {
public:
    /// Side 0 has connected, side 1 was bound.
    InprocPipe(std::shared_ptr<InprocMailbox> connector, std::shared_ptr<InprocMailbox> binder);

    [[nodiscard]] SendResult send(int side, const Outgoing& frame);
    /// Moves out at most `frames_max` frames. `ended`: there will never be more.
    [[nodiscard]] std::vector<Received> receive(int side, std::size_t frames_max, bool& ended);
    [[nodiscard]] bool readable(int side);
    /// The other side still gets what was sent, then learns of the end.
    void close(int side);

private:
    struct Side {
        std::shared_ptr<InprocMailbox> mailbox;
        std::deque<Received> frames;  ///< to be read by this side
        bool closed = false;
        bool announced = false;   ///< its mailbox has news that it did not read yet
        bool wants_room = false;  ///< a send of it was refused as full
    };
    void announce(Side& side);

    std::mutex mutex_;
    std::array<Side, 2> sides_;
};

/// The names of the process.
class InprocHub {
public:
    static InprocHub& instance();
    /// False: the name is taken.
    [[nodiscard]] bool bind(const std::string& name, const std::shared_ptr<InprocMailbox>& mailbox);
    void unbind(const std::string& name);
    /// Nothing when nobody has bound `name`; then the mailbox hears once somebody does.
    [[nodiscard]] std::shared_ptr<InprocPipe> connect(
        const std::string& name, const std::shared_ptr<InprocMailbox>& mailbox);

private:
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<InprocMailbox>> bound_;
    std::multimap<std::string, std::weak_ptr<InprocMailbox>> waiting_;
};

}  // namespace peermq::net
