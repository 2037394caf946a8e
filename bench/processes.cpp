#include "processes.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

#include "clock.hpp"

namespace peermq::bench {

namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) { interrupted = 1; }

void set_handler(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

[[noreturn]] void run_role(const std::string& name, int fd,
                           const std::function<void(Channel&)>& role) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name.c_str());
    set_handler(SIG_DFL);
    sleep_precisely();
    int status = 0;
    {
        Channel channel(fd);
        try {
            role(channel);
        } catch (const std::exception& error) {
            status = 1;
            try {
                channel.send({{"error", name + ": " + error.what()}});
            } catch (const std::exception&) {
                // The coordinator is gone: nobody is left to be told.
            }
        }
    }
    // Not exit(): what the coordinator had registered or buffered is its own to run.
    _exit(status);
}

}  // namespace

void catch_interrupts() { set_handler(on_interrupt); }

void check_interrupted() {
    if (interrupted != 0) throw Interrupted();
}

void sleep_precisely() { prctl(PR_SET_TIMERSLACK, 1UL); }

Channel::~Channel() { ::close(fd_); }

void Channel::send(const nlohmann::json& message) {
    const std::string line = message.dump() + "\n";
    std::size_t sent = 0;
    while (sent < line.size()) {
        const ssize_t count = ::send(fd_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw std::system_error(errno, std::generic_category(), "control channel");
        sent += static_cast<std::size_t>(count);
    }
}

nlohmann::json Channel::receive(std::chrono::seconds timeout) {
    const std::uint64_t deadline = now_ns() + static_cast<std::uint64_t>(timeout.count()) * kSecond;
    for (;;) {
        const std::size_t end = received_.find('\n');
        if (end != std::string::npos) {
            nlohmann::json message = nlohmann::json::parse(received_.substr(0, end));
            received_.erase(0, end + 1);
            return message;
        }
        check_interrupted();
        const std::uint64_t now = now_ns();
        const std::uint64_t left_ms = now < deadline ? (deadline - now) / kMillisecond + 1 : 0;
        pollfd waiting{fd_, POLLIN, 0};
        if (poll(&waiting, 1, static_cast<int>(std::min<std::uint64_t>(left_ms, 1000))) <= 0) {
            if (left_ms == 0) throw NoAnswer();
            continue;
        }
        char buffer[4096];
        const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) throw Ended();
        received_.append(buffer, static_cast<std::size_t>(count));
    }
}

void Channel::end_receiving() { shutdown(fd_, SHUT_RD); }

Child::Child(std::string name, const std::function<void(Channel&)>& role) : name_(std::move(name)) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    pid_ = fork();
    if (pid_ < 0) {
        ::close(ends[0]);
        ::close(ends[1]);
        throw std::system_error(errno, std::generic_category(), "fork");
    }
    if (pid_ == 0) {
        ::close(ends[0]);
        run_role(name_, ends[1], role);
    }
    ::close(ends[1]);
    channel_ = std::make_unique<Channel>(ends[0]);
}

Child::~Child() { kill(); }

nlohmann::json Child::receive(std::chrono::seconds timeout) {
    nlohmann::json message;
    try {
        message = channel_->receive(timeout);
    } catch (const NoAnswer&) {
        throw;
    } catch (const Ended&) {
        throw std::runtime_error(describe_end());
    }
    if (message.contains("error")) throw std::runtime_error(message.at("error").get<std::string>());
    return message;
}

std::string Child::failure() {
    try {
        receive(std::chrono::seconds(0));
    } catch (const NoAnswer&) {
        return {};
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

std::string Child::describe_end() {
    int status = 0;
    if (pid_ < 0 || waitpid(pid_, &status, 0) != pid_) return name_ + " has ended";
    pid_ = -1;
    if (WIFSIGNALED(status)) return name_ + " was killed by " + strsignal(WTERMSIG(status));
    return name_ + " ended with status " + std::to_string(WEXITSTATUS(status));
}

void Child::kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

void Child::stop(std::chrono::seconds timeout) {
    if (pid_ < 0) return;
    try {
        send({{"stop", true}});
    } catch (const std::exception&) {
        kill();
        return;
    }
    const std::uint64_t deadline = now_ns() + static_cast<std::uint64_t>(timeout.count()) * kSecond;
    while (now_ns() < deadline) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            return;
        }
        sleep_for_ns(kMillisecond);
    }
    kill();
}

nlohmann::json receive_while_well(Child& child, const std::vector<std::unique_ptr<Child>>& others,
                                  std::chrono::seconds timeout) {
    const std::uint64_t deadline = now_ns() + static_cast<std::uint64_t>(timeout.count()) * kSecond;
    for (;;) {
        try {
            return child.receive(std::chrono::seconds(1));
        } catch (const NoAnswer&) {
            if (now_ns() > deadline) throw;
        }
        for (const auto& other : others) {
            const std::string failure = other->failure();
            if (!failure.empty()) throw std::runtime_error(failure);
        }
    }
}

StopListener::StopListener(Channel& channel, std::function<void()> on_stop)
    : channel_(channel), thread_([&channel, on_stop = std::move(on_stop)] {
          wait_for_stop(channel);
          on_stop();
      }) {}

StopListener::~StopListener() {
    channel_.end_receiving();
    thread_.join();
}

void wait_for_stop(Channel& channel) {
    for (;;) {
        try {
            if (channel.receive(std::chrono::hours(24)).contains("stop")) return;
        } catch (const std::exception&) {
            return;
        }
    }
}

}  // namespace peermq::bench
