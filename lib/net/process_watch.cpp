#include "net/process_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>

#include "peermq/error.hpp"

namespace peermq::net {
namespace {

constexpr int kStartTimeField = 22;

bool has_ended(int process) noexcept {
    pollfd state{process, POLLIN, 0};
    return ::poll(&state, 1, 0) > 0;
}

}  // namespace

std::optional<std::uint64_t> process_start_time(std::uint32_t pid) {
    const Descriptor file(
        ::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    char buffer[1024];
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got <= 0) return std::nullopt;
    std::string_view text(buffer, static_cast<std::size_t>(got));
    // The second field is the command in brackets, and may itself hold brackets and spaces.
    std::size_t at = text.rfind(')');
    for (int field = 2; field < kStartTimeField; ++field) {
        if (at == std::string_view::npos) return std::nullopt;
        at = text.find(' ', at + 1);
    }
    if (at == std::string_view::npos) return std::nullopt;
    std::uint64_t ticks = 0;
    const auto [end, error] = std::from_chars(text.data() + at + 1, text.data() + text.size(),
                                              ticks);
    if (error != std::errc{}) return std::nullopt;
    return ticks;
}

ProcessWatch::~ProcessWatch() {
    for (auto& [watch, entry] : entries_) poller_.remove(entry.key, entry.process.get());
}

bool ProcessWatch::watch(std::uint64_t watch, std::uint32_t pid, std::uint64_t start_time) {
    unwatch(watch);
    if (pid == 0 || pid > 0x7fffffffu) return false;
    Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
    if (!process) {
        if (errno != ESRCH) return false;
        ended_(watch);
        return true;
    }
    // In this order: the pidfd holds one process, and the time says whether it is the right one.
    const auto found = process_start_time(pid);
    const bool gone = has_ended(process.get());
    if (gone || (found && *found != start_time)) {
        ended_(watch);
        return true;
    }
    if (!found) return false;
    Entry entry{std::move(process), 0};
    try {
        entry.key = poller_.add(entry.process.get(), EPOLLIN, [this, watch] {
            unwatch(watch);
            ended_(watch);
        });
    } catch (const Error&) {
        return false;
    }
    entries_.insert_or_assign(watch, std::move(entry));
    return true;
}

void ProcessWatch::unwatch(std::uint64_t watch) noexcept {
    const auto found = entries_.find(watch);
    if (found == entries_.end()) return;
    poller_.remove(found->second.key, found->second.process.get());
    entries_.erase(found);
}

}  // namespace peermq::net
