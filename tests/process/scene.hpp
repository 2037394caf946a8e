#pragma once

/// One spool, one endpoint, a producer and some workers, and the ledger over all that they say.
///
/// Numbers of processes count up over all that a scene starts and are never used again. Whoever
/// ends in another way than the scene asked for fails the test, with what it wrote to standard
/// error.
///
/// Threads: one.

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "child.hpp"
#include "ledger.hpp"
#include "support/temporary_directory.hpp"

namespace peermq::test {

struct SceneOptions {
    bool ipc = false;
    std::uint64_t seed = 1;
    std::string spool;                  ///< empty: inside the directory of the scene
    std::vector<std::string> producer;  ///< arguments beyond the usual ones
    std::vector<std::string> worker;
    ChildOptions producer_limits;
};

/// A program in a role, and what it said about itself.
struct Actor {
    int process = 0;
    std::unique_ptr<Child> child;
    bool opened = false;  ///< producer: spool recovered
    bool ready = false;
    bool idle = false;
    bool begun = false;
    std::string endpoint;
    std::string stats;
    std::string closed;
    std::string error;
    std::uint64_t depth = UINT64_MAX;
    std::uint64_t lost = 0;
    std::uint64_t stats_count = 0;
    std::uint64_t durable = 0;
    std::uint64_t failed = 0;
    std::uint64_t deliveries = 0;
    std::uint64_t reported = 0;
    std::vector<std::string> events;  ///< the last ones
};

class Scene {
public:
    explicit Scene(SceneOptions options);

    void start_producer(const std::vector<std::string>& more = {});
    std::size_t add_worker(const std::vector<std::string>& more = {});
    void restart_worker(std::size_t index);

    [[nodiscard]] Actor& producer() { return *producer_; }
    [[nodiscard]] Actor& worker(std::size_t index) { return *workers_[index]; }
    [[nodiscard]] std::size_t workers() const { return workers_.size(); }
    [[nodiscard]] const std::string& spool() const { return options_.spool; }
    [[nodiscard]] std::string path(std::string_view name) const { return directory_ / name; }
    [[nodiscard]] Ledger& ledger() { return ledger_; }

    /// Kills it as `signal` does, without a chance to say good-bye.
    void kill(Actor& actor, int signal = 9);

    /// Listens to all for so long.
    void listen(std::chrono::nanoseconds time);
    /// Listens until `done`; false, with the state of all in the test's output, when `limit`
    /// passes.
    [[nodiscard]] bool until(const char* what, std::chrono::nanoseconds limit,
                             const std::function<bool()>& done);
    [[nodiscard]] bool until_ready(Actor& actor);

    /// No more posts; waits until both queues are empty and all workers idle.
    [[nodiscard]] bool drain(std::chrono::nanoseconds limit);
    /// Ends the workers, then the producer, each with `quit`, and looks at how they end.
    void end();
    /// Tells one to end, by a line or a signal, and wants exit 0 within close()'s limit.
    void end_one(Actor& actor, int signal = 0);

    /// Drains within `limit`, ends all, and judges the ledger; the test fails with the findings,
    /// the state and `replay`.
    void finish(std::chrono::nanoseconds limit, const std::string& replay);
    [[nodiscard]] std::string state() const;

private:
    std::unique_ptr<Actor> start(const std::string& program, std::vector<std::string> arguments,
                                 const ChildOptions& limits);
    void read_line(Actor& actor, std::string_view line);
    [[nodiscard]] std::vector<Child*> living() const;
    void expect_alive();

    TemporaryDirectory directory_;
    SceneOptions options_;
    std::string bind_;
    int processes_ = 0;
    std::unique_ptr<Actor> producer_;
    std::vector<std::unique_ptr<Actor>> workers_;
    Ledger ledger_;
    std::vector<std::string> alarms_;  ///< damage and I/O errors that any process reported
    std::ofstream log_;                ///< every line, if PEERMQ_PROCESS_LOG names a file
};

/// A port of 127.0.0.1 that is free now, outside the range that systems give to connecting sockets,
/// so that it stays free while its owner restarts.
[[nodiscard]] unsigned free_port(std::uint64_t seed);

}  // namespace peermq::test
