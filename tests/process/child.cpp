#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace peermq::test {
namespace {

using std::chrono::milliseconds;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

void limit(int resource, std::uint64_t most) {
    const rlimit bounds{most, most};
    if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &bounds) != 0) ::_exit(126);
}

std::array<int, 2> open_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe2");
    return ends;
}

/// Between fork and exec: only what is safe there.
[[noreturn]] void become(const std::string& path, std::vector<char*>& arguments,
                         const std::array<int, 3>& standard, const ChildOptions& options) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int fd = 0; fd < 3; ++fd) ::dup2(standard[static_cast<std::size_t>(fd)], fd);
    if (options.file_bytes_max != 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        limit(RLIMIT_FSIZE, options.file_bytes_max);
    }
    if (options.descriptors_max != 0) limit(RLIMIT_NOFILE, options.descriptors_max);
    ::execv(path.c_str(), arguments.data());
    ::_exit(127);
}

}  // namespace

Child::Child(const std::string& program, const std::vector<std::string>& arguments, OnLine on_line,
             ChildOptions options)
    : on_line_(std::move(on_line)) {
    const std::string path = PEERMQ_BIN_DIR "/" + program;
    std::vector<std::string> texts{path};
    texts.insert(texts.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);

    const std::array<int, 2> input = open_pipe();
    const std::array<int, 2> output = open_pipe();
    const std::array<int, 2> error = open_pipe();
    pid_ = ::fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) become(path, pointers, {input[0], output[1], error[1]}, options);
    ::close(input[0]);
    ::close(output[1]);
    ::close(error[1]);
    input_ = input[1];
    output_ = output[0];
    error_ = error[0];
    // The programs write a lot in a burst; a full pipe would slow them down to the reader's pace.
    ::fcntl(output_, F_SETPIPE_SZ, 1 << 20);
    for (const int fd : {output_, error_}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
}

Child::~Child() {
    // Who listened may be half destroyed itself.
    on_line_ = [](std::string_view) {};
    if (!ended()) kill_and_reap(SIGKILL);
    for (const int fd : {input_, output_, error_}) {
        if (fd >= 0) ::close(fd);
    }
}

void Child::signal(int number) const {
    if (!ended()) ::kill(pid_, number);
}

void Child::tell(std::string_view line) const {
    const std::string text = std::string(line) + "\n";
    // A child that is gone is noticed by its wait status.
    static_cast<void>(!::write(input_, text.data(), text.size()));
}

bool Child::take(int& fd, std::string& into) {
    std::array<char, 65536> buffer;
    while (fd >= 0) {
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count > 0) {
            into.append(buffer.data(), static_cast<std::size_t>(count));
        } else if (count < 0 && errno == EINTR) {
            continue;
        } else if (count < 0 && errno == EAGAIN) {
            return true;
        } else {
            ::close(fd);
            fd = -1;
        }
    }
    return false;
}

void Child::hand_out_lines() {
    std::size_t begin = 0;
    for (std::size_t end = partial_.find('\n'); end != std::string::npos;
         end = partial_.find('\n', begin)) {
        on_line_(std::string_view(partial_).substr(begin, end - begin));
        begin = end + 1;
    }
    partial_.erase(0, begin);
}

bool Child::take_output() {
    const bool output = take(output_, partial_);
    hand_out_lines();
    const bool error = take(error_, errors_);
    return output || error;
}

void Child::reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
        if (errno != EINTR) fail("waitpid");
    }
    status_ = status;
}

int Child::kill_and_reap(int number) {
    signal(number);
    while (take_output()) {
        pump({this}, TestClock::now() + milliseconds(100));
    }
    if (!ended()) reap();
    return *status_;
}

std::optional<int> Child::wait(milliseconds timeout) {
    if (!ended()) {
        pump({this}, TestClock::now() + timeout, [this] { return output_ < 0 && error_ < 0; });
        if (output_ >= 0 || error_ >= 0) return {};
        reap();
    }
    return status_;
}

std::string describe_status(int status) {
    if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
    return "exit " + std::to_string(WEXITSTATUS(status));
}

bool pump(const std::vector<Child*>& children, TestClock::time_point deadline,
          const std::function<bool()>& done) {
    while (true) {
        std::vector<pollfd> watched;
        for (Child* child : children) {
            child->take_output();
            for (const int fd : {child->output_fd(), child->error_fd()}) {
                if (fd >= 0) watched.push_back({fd, POLLIN, 0});
            }
        }
        if (done && done()) return true;
        const auto left = deadline - TestClock::now();
        if (left <= TestClock::duration::zero()) return false;
        const auto wait = std::chrono::ceil<milliseconds>(left);
        // At least every 50 ms: `done` may look at things that write no lines.
        const int poll_ms = static_cast<int>(std::min(wait, milliseconds(50)).count());
        if (watched.empty() && !done) return false;
        ::poll(watched.data(), watched.size(), poll_ms);
    }
}

}  // namespace peermq::test
