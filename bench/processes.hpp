#pragma once

/// Child processes and the channel to each of them.
///
/// The coordinator forks every role of a measurement. It never starts a thread, a Peer or a libzmq
/// context itself, so each child begins with nothing inherited but shared memory and its channel.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace peermq::bench {

/// The user pressed Ctrl-C; unwinds to main(), which removes the spool.
struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error("interrupted") {}
};

/// Lets SIGINT and SIGTERM end waits of the coordinator with Interrupted. Called once, by main().
void catch_interrupts();
/// Throws Interrupted when one of them came.
void check_interrupted();

/// Nothing came in time; the other end may be well.
struct NoAnswer : std::runtime_error {
    NoAnswer() : std::runtime_error("no answer in time") {}
};

/// The process at the other end is gone.
struct Ended : std::runtime_error {
    Ended() : std::runtime_error("has ended") {}
};

/// Lines of JSON over one end of a socket pair. Threads: one that sends, one that receives.
class Channel {
public:
    explicit Channel(int fd) : fd_(fd) {}
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    void send(const nlohmann::json& message);
    /// Throws NoAnswer when `timeout` passes first, Ended when the other end is gone.
    nlohmann::json receive(std::chrono::seconds timeout);
    /// Ends receive() in whatever thread it waits. Sending goes on.
    void end_receiving();

private:
    int fd_;
    std::string received_;
};

/// A forked process; killed and reaped when this object goes.
class Child {
public:
    /// Runs `role` in a new process named `name` (at most 15 characters are shown by the system).
    /// What it throws reaches the coordinator as the exception of its next receive().
    Child(std::string name, const std::function<void(Channel&)>& role);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void send(const nlohmann::json& message) { channel_->send(message); }
    /// The child's next line. Throws with the child's own words when it failed.
    nlohmann::json receive(std::chrono::seconds timeout = std::chrono::seconds(60));
    /// What went wrong in the child, or nothing while it runs; for children that nothing is
    /// expected to be heard from.
    std::string failure();
    /// SIGKILL, and waits for the end. Harmless when it has ended.
    void kill();
    /// Tells the role to stop and waits until it has ended; kills it when `timeout` passes first.
    void stop(std::chrono::seconds timeout = std::chrono::seconds(10));

private:
    /// How it ended, for people. Reaps it.
    std::string describe_end();

    std::string name_;
    pid_t pid_ = -1;
    std::unique_ptr<Channel> channel_;
};

/// The answer of `child`. When one of `others` fails meanwhile, throws that one's words: it knows
/// more about the cause than the one that waits for it in vain.
nlohmann::json receive_while_well(Child& child, const std::vector<std::unique_ptr<Child>>& others,
                                  std::chrono::seconds timeout);

/// For roles: blocks until Child::stop(), or until the coordinator is gone.
void wait_for_stop(Channel& channel);

/// For roles that are busy: a thread that waits for Child::stop() and then calls `on_stop`.
class StopListener {
public:
    StopListener(Channel& channel, std::function<void()> on_stop);
    ~StopListener();
    StopListener(const StopListener&) = delete;
    StopListener& operator=(const StopListener&) = delete;

private:
    Channel& channel_;
    std::thread thread_;
};

/// Sleeps end when they should, not up to 50 us later. Per thread.
void sleep_precisely();

}  // namespace peermq::bench
