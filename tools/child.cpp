#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "signals.hpp"

namespace peermq::tools {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::runtime_error(std::string("cannot start a command: ") + what + ": " +
                             std::strerror(errno));
}

class Fd {
public:
    Fd() = default;
    ~Fd() { close(); }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    [[nodiscard]] int get() const noexcept { return descriptor_; }
    void set(int descriptor) { descriptor_ = descriptor; }
    void close() {
        if (descriptor_ >= 0) ::close(descriptor_);
        descriptor_ = -1;
    }

private:
    int descriptor_ = -1;
};

struct Pipe {
    Fd read;
    Fd write;
    void open() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
        read.set(ends[0]);
        write.set(ends[1]);
    }
};

/// Everything that the child needs, made before the fork: behind it only system calls are safe.
struct Plan {
    std::vector<std::string> words;
    std::vector<char*> environment;
    std::array<char*, 4> arguments{};
};

Plan plan_of(const std::string& command, const Environment& extra) {
    Plan plan;
    for (char** each = environ; *each != nullptr; ++each) {
        const std::string_view entry(*each);
        const bool replaced = std::any_of(extra.begin(), extra.end(), [&](const auto& variable) {
            return entry.size() > variable.first.size() && entry.starts_with(variable.first) &&
                   entry[variable.first.size()] == '=';
        });
        if (!replaced) plan.words.emplace_back(entry);
    }
    for (const auto& [name, value] : extra) {
        // A variable ends at NUL; what cannot be shown is left out.
        if (value.find('\0') == std::string::npos) plan.words.push_back(name + "=" + value);
    }
    const std::size_t variables = plan.words.size();
    for (const char* word : {"sh", "-c", command.c_str()}) plan.words.emplace_back(word);
    for (std::size_t i = 0; i < variables; ++i) plan.environment.push_back(plan.words[i].data());
    plan.environment.push_back(nullptr);
    for (std::size_t i = 0; i < 3; ++i) plan.arguments[i] = plan.words[variables + i].data();
    return plan;
}

[[noreturn]] void become(const Plan& plan, int input, int output, pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(input, STDIN_FILENO);
    if (output >= 0) ::dup2(output, STDOUT_FILENO);
    ::execve("/bin/sh", plan.arguments.data(), plan.environment.data());
    ::_exit(127);
}

/// Writes what the child takes and reads what it prints, until both ends are closed. False when it
/// printed too much.
bool exchange(Fd& input, std::string_view bytes, Fd& output, std::string& printed,
              std::size_t bytes_max) {
    std::array<char, 65536> block;
    while (input.get() >= 0 || output.get() >= 0) {
        if (bytes.empty()) input.close();
        std::array<pollfd, 2> waits{{{input.get(), POLLOUT, 0}, {output.get(), POLLIN, 0}}};
        if (input.get() < 0 && output.get() < 0) break;
        if (::poll(waits.data(), waits.size(), -1) < 0) continue;
        if (waits[0].revents != 0) {
            const ssize_t written = ::write(input.get(), bytes.data(), bytes.size());
            if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
            // It does not read on (EPIPE): that is its own affair.
            if (written < 0 && errno != EAGAIN && errno != EINTR) input.close();
        }
        if (waits[1].revents != 0) {
            const ssize_t got = ::read(output.get(), block.data(), block.size());
            if (got == 0) output.close();
            if (got > 0) printed.append(block.data(), static_cast<std::size_t>(got));
            if (printed.size() > bytes_max) return false;
        }
    }
    return true;
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

std::string ChildResult::reason() const {
    if (status <= 128) return "exit code " + std::to_string(status);
    const int number = status - 128;
    const char* const name = ::sigdescr_np(number);
    return "killed by signal " + std::to_string(number) +
           (name == nullptr ? "" : " (" + std::string(name) + ")");
}

ChildResult run_child(const std::string& command, std::string_view input,
                      const Environment& environment, ChildOutput output,
                      std::size_t output_bytes_max) {
    const Plan plan = plan_of(command, environment);
    ::signal(SIGPIPE, SIG_IGN);  // a command need not read all of its input
    Pipe in;
    Pipe out;
    in.open();
    if (output == ChildOutput::capture) out.open();
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) fail("fork");
    if (child == 0) become(plan, in.read.get(), out.write.get(), parent);

    ::setpgid(child, child);
    Signals::instance().add_child(child);
    in.read.close();
    out.write.close();
    ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
    ChildResult result;
    const bool fits = exchange(in.write, input, out.read, result.output, output_bytes_max);
    if (!fits) ::kill(-child, SIGKILL);
    in.write.close();
    out.read.close();
    result.status = wait_for(child);
    Signals::instance().remove_child(child);
    return result;
}

}  // namespace peermq::tools
