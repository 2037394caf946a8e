#include "peer/control_server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/limits.hpp"
#include "peer/thread.hpp"
#include "peermq/error.hpp"

namespace peermq::detail {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what, const std::string& directory) {
    const int error = errno;
    throw Error(error == EACCES || error == EPERM ? ErrorCode::denied : ErrorCode::io_error,
                "control socket in " + directory + ": " + what + ": " + std::strerror(error));
}

/// Of this user, or the superuser.
bool may_ask(int descriptor) {
    ucred who{};
    socklen_t size = sizeof who;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
           (who.uid == ::geteuid() || who.uid == 0);
}

ControlObject failure(ErrorCode code, std::string_view text) {
    return {{"error", static_cast<std::uint64_t>(code)}, {"text", text}};
}

}  // namespace

std::string control_path(int directory) {
    return "/proc/self/fd/" + std::to_string(directory) + "/" + std::string(kControlName);
}

ControlServer::ControlServer(ControlHost& host, const std::string& directory,
                             std::size_t message_bytes_max)
    : host_(host),
      request_bytes_max_(message_bytes_max + base::limits::kControlExtraBytes),
      directory_(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
    if (directory_.get() < 0) fail("open", directory);
    if (listener_.get() < 0 || stop_.get() < 0) fail("socket", directory);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = control_path(directory_.get());
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    struct stat status {};
    if (::fstatat(directory_.get(), kControlName.data(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISSOCK(status.st_mode)) {
        (void)::unlinkat(directory_.get(), kControlName.data(), 0);
    }
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        fail("bind", directory);
    // Nobody could connect before listen().
    if (::fchmodat(directory_.get(), kControlName.data(), 0600, 0) != 0) fail("chmod", directory);
    if (::listen(listener_.get(), base::limits::kControlSessionsMax) != 0)
        fail("listen", directory);
    acceptor_ = start_thread("pmq-control", [this] { accept_all(); });
}

ControlServer::~ControlServer() {
    const std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
    acceptor_.join();
    for (Session& session : sessions_) session.thread.join();
    (void)::unlinkat(directory_.get(), kControlName.data(), 0);
}

void ControlServer::accept_all() {
    while (true) {
        std::array<pollfd, 2> waits{{{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        if (::poll(waits.data(), waits.size(), -1) < 0) continue;
        if (waits[1].revents != 0) return;
        ControlSocket socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        forget_done();
        if (socket.get() < 0) {
            // Out of descriptors, say: the next turn may have one.
            if (errno != EAGAIN && errno != EINTR) std::this_thread::sleep_for(10ms);
            continue;
        }
        if (!may_ask(socket.get())) continue;
        if (sessions_.size() >= base::limits::kControlSessionsMax) {
            (void)socket.send(failure(ErrorCode::quota, "too many ask at once: try again"),
                              SteadyClock::now() + 100ms, stop_.get());
            continue;
        }
        try {
            Session& session = sessions_.emplace_back();
            session.socket = std::move(socket);
            session.thread = start_thread("pmq-control", [this, &session] { serve(session); });
        } catch (const std::exception&) {
            // No thread: whoever asked sees that he is not answered.
            sessions_.pop_back();
        }
    }
}

void ControlServer::forget_done() {
    for (auto it = sessions_.begin(); it != sessions_.end();) {
        if (!it->done.load()) {
            ++it;
            continue;
        }
        it->thread.join();
        it = sessions_.erase(it);
    }
}

void ControlServer::serve(Session& session) {
    const auto soon = [] { return SteadyClock::now() + base::limits::kControlAnswerTimeout; };
    try {
        ControlObject greeting = to_control(host_.control_info());
        greeting.emplace("protocol", kControlProtocol);
        bool open = session.socket.send(greeting, soon(), stop_.get());
        while (open) {
            const auto request = session.socket.receive(
                request_bytes_max_, SteadyClock::now() + base::limits::kControlIdleMax,
                stop_.get());
            open = request && session.socket.send(answer(*request), soon(), stop_.get());
        }
    } catch (const std::exception&) {
        // Out of memory: this connection ends.
    }
    session.socket = ControlSocket();
    session.done.store(true);
}

ControlObject ControlServer::answer(const ControlValue& request) {
    const std::string& what = request.at("do").text();
    try {
        if (what == "info") return to_control(host_.control_info());
        if (what == "stats") return {{"stats", to_control(host_.control_stats())}};
        if (what == "push") {
            const auto timeout = std::chrono::nanoseconds(static_cast<std::int64_t>(
                std::min<std::uint64_t>(request.at("timeout").number(), INT64_MAX / 2)));
            const auto stopping = [this] {
                pollfd wait{stop_.get(), POLLIN, 0};
                return ::poll(&wait, 1, 0) > 0;
            };
            return {{"id", host_.control_push(request.at("queue").text(), message_of(request),
                                              timeout, stopping)}};
        }
    } catch (const Error& error) {
        return failure(error.code(), error.what());
    } catch (const std::exception& error) {
        return failure(ErrorCode::io_error, error.what());
    }
    return failure(ErrorCode::unsupported,
                   "this peer does not know \"" + what.substr(0, 64) + "\": it is older than you");
}

}  // namespace peermq::detail
