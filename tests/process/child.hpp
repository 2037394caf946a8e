#pragma once

/// A program of these tests as a real process: started, listened to, killed and reaped.
///
/// Every line that a child writes to its standard output goes to a callback; what was in the pipe
/// when the child was killed is still read. Children die with the process that started them.
///
/// Threads: one.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace peermq::test {

using TestClock = std::chrono::steady_clock;

struct ChildOptions {
    std::uint64_t file_bytes_max = 0;  ///< RLIMIT_FSIZE; 0 = not set
    unsigned descriptors_max = 0;      ///< RLIMIT_NOFILE; 0 = not set
};

class Child {
public:
    using OnLine = std::function<void(std::string_view)>;

    /// Starts PEERMQ_BIN_DIR/`program`. Throws std::system_error.
    Child(const std::string& program, const std::vector<std::string>& arguments, OnLine on_line,
          ChildOptions options = {});
    /// Kills and reaps what still runs; lines that it had not taken yet go nowhere.
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal(int number) const;
    /// Writes one line to its standard input.
    void tell(std::string_view line) const;

    /// Takes what its pipes hold now. False once they have ended.
    bool take_output();
    [[nodiscard]] int output_fd() const noexcept { return output_; }
    [[nodiscard]] int error_fd() const noexcept { return error_; }
    [[nodiscard]] bool ended() const noexcept { return status_.has_value(); }

    /// Sends `signal`, reads its output to the end and reaps it: nothing of it is left on return.
    int kill_and_reap(int number);
    /// The wait status once it has ended by itself; nothing when `timeout` passes first.
    std::optional<int> wait(std::chrono::milliseconds timeout);
    /// What it wrote to standard error.
    [[nodiscard]] const std::string& errors() const noexcept { return errors_; }

private:
    bool take(int& fd, std::string& into);
    void hand_out_lines();
    void reap();

    OnLine on_line_;
    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
    int error_ = -1;
    std::string partial_;
    std::string errors_;
    std::optional<int> status_;
};

/// "exit 1" or "signal 9".
[[nodiscard]] std::string describe_status(int status);

/// Takes the output of all until `deadline`, or until `done` says so, which is asked after every
/// bit of output. True when `done` did.
bool pump(const std::vector<Child*>& children, TestClock::time_point deadline,
          const std::function<bool()>& done = {});

}  // namespace peermq::test
