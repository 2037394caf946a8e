#pragma once

/// A child process of the demo, with its standard output in a pipe and its standard error in a
/// file.

#include <cerrno>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// Killed with its whole process group when destroyed, and by the kernel when the demo itself dies.
/// Threads: one; the process must have no others when it starts one.
class Child {
public:
    Child() = default;
    Child(const std::vector<std::string>& command, const std::string& stderr_path) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
        pid_ = ::fork();
        if (pid_ < 0) throw_errno("fork");
        if (pid_ == 0) become(command, ends[1], stderr_path);
        ::close(ends[1]);
        ::setpgid(pid_, pid_);
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
        output_ = ends[0];
    }
    Child(Child&& other) noexcept { *this = std::move(other); }
    Child& operator=(Child&& other) noexcept {
        std::swap(pid_, other.pid_);
        std::swap(output_, other.output_);
        std::swap(buffer_, other.buffer_);
        return *this;
    }
    ~Child() {
        if (pid_ > 0) {
            signal(SIGKILL);
            static_cast<void>(wait());
        }
        if (output_ >= 0) ::close(output_);
    }

    [[nodiscard]] bool running() const { return pid_ > 0; }
    /// To poll for output; -1 once that has ended.
    [[nodiscard]] int output() const { return output_; }

    void signal(int number) const {
        if (pid_ > 0) ::kill(-pid_, number);
    }

    /// Waits for its end: the exit code, or 128 + signal.
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    /// Reads what is there; false at the end of the output.
    bool read() {
        char bytes[65536];
        for (;;) {
            const ssize_t got = ::read(output_, bytes, sizeof bytes);
            if (got > 0) {
                buffer_.append(bytes, static_cast<std::size_t>(got));
                continue;
            }
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && errno == EAGAIN) return true;
            ::close(std::exchange(output_, -1));
            return false;
        }
    }

    /// The next whole line that was read.
    std::optional<std::string> line() {
        const std::size_t end = buffer_.find('\n');
        if (end == std::string::npos) return std::nullopt;
        std::string text = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return text;
    }

    /// All that was read and not taken as lines.
    [[nodiscard]] const std::string& text() const { return buffer_; }

private:
    [[noreturn]] static void throw_errno(const char* what) {
        throw std::system_error(errno, std::generic_category(), what);
    }

    [[noreturn]] static void become(const std::vector<std::string>& command, int output,
                                    const std::string& stderr_path) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::setpgid(0, 0);
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::signal(SIGPIPE, SIG_DFL);
        const int input = ::open("/dev/null", O_RDONLY);
        const int errors = ::open(stderr_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        ::dup2(input, 0);
        ::dup2(output, 1);
        ::dup2(errors, 2);
        std::vector<char*> words;
        for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        ::execvp(words[0], words.data());
        ::_exit(127);
    }

    pid_t pid_ = -1;
    int output_ = -1;
    std::string buffer_;
};
