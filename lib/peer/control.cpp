#include "peermq/control.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/limits.hpp"
#include "peer/control_server.hpp"
#include "peermq/error.hpp"

namespace peermq {
namespace {

using SteadyClock = std::chrono::steady_clock;

[[noreturn]] void cannot(ErrorCode code, const std::string& where, const std::string& why) {
    throw Error(code, "no running peer found at " + where + ": " + why);
}

[[noreturn]] void cannot_errno(const std::string& where) {
    const int error = errno;
    switch (error) {
        case ENOENT: cannot(ErrorCode::not_found, where, "there is no control socket");
        case ECONNREFUSED:
            cannot(ErrorCode::not_found, where, "the process that was there has ended");
        case EACCES:
        case EPERM: cannot(ErrorCode::denied, where, "it belongs to another user");
        default: cannot(ErrorCode::io_error, where, std::strerror(error));
    }
}

/// The directory of the socket: `where`, or what it lies in.
std::string directory_of(const std::string& where) {
    struct stat status {};
    if (::stat(where.c_str(), &status) != 0) {
        if (errno == ENOENT) cannot(ErrorCode::not_found, where, "no such directory");
        cannot_errno(where);
    }
    if (S_ISDIR(status.st_mode)) return where;
    if (!S_ISSOCK(status.st_mode)) {
        cannot(ErrorCode::not_found, where, "it is neither a spool directory nor a socket");
    }
    const std::size_t slash = where.rfind('/');
    return slash == std::string::npos ? "." : where.substr(0, slash + 1);
}

}  // namespace

class Control::Impl {
public:
    Impl(const std::string& directory, std::chrono::nanoseconds given)
        : where(directory), timeout(given) {
        const detail::ControlSocket opened(
            ::open(directory_of(where).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (opened.get() < 0) cannot_errno(where);
        socket = detail::ControlSocket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (socket.get() < 0) cannot_errno(where);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = detail::control_path(opened.get());
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
            0) {
            cannot_errno(where);
        }
        const detail::ControlValue greeting = receive(timeout);
        if (greeting.at("protocol").number() != detail::kControlProtocol) {
            throw Error(ErrorCode::version_mismatch,
                        "the peer at " + where + " speaks control protocol " +
                            std::to_string(greeting.at("protocol").number()) + ", not " +
                            std::to_string(detail::kControlProtocol));
        }
    }

    detail::ControlValue ask(detail::ControlObject request, std::chrono::nanoseconds extra = {}) {
        if (!socket.send(std::move(request), SteadyClock::now() + timeout)) lost();
        return receive(timeout + extra);
    }

    const std::string where;
    const std::chrono::nanoseconds timeout;

private:
    detail::ControlValue receive(std::chrono::nanoseconds time) {
        auto answer = socket.receive(base::limits::kControlAnswerBytesMax,
                                     SteadyClock::now() + time);
        if (!answer) lost();
        if (const std::uint64_t code = answer->at("error").number(); code != 0) {
            throw Error(static_cast<ErrorCode>(code), answer->at("text").text());
        }
        return std::move(*answer);
    }

    [[noreturn]] void lost() {
        throw Error(ErrorCode::io_error, "the peer at " + where + " has ended or did not answer");
    }

    detail::ControlSocket socket;
};

Control::Control(const std::string& directory, std::chrono::nanoseconds timeout)
    : impl_(std::make_unique<Impl>(directory, timeout)) {}
Control::Control(Control&&) noexcept = default;
Control& Control::operator=(Control&&) noexcept = default;
Control::~Control() = default;

PeerInfo Control::info() { return detail::info_of(impl_->ask({{"do", std::string("info")}})); }

PeerStats Control::stats() {
    return detail::stats_of(impl_->ask({{"do", std::string("stats")}}).at("stats"));
}

std::string Control::push(std::string_view queue, const Message& message) {
    detail::ControlObject request = detail::to_control(queue, message);
    request.emplace("do", std::string("push"));
    request.emplace("timeout", static_cast<std::uint64_t>(impl_->timeout.count()));
    return impl_->ask(std::move(request), std::chrono::seconds(1)).at("id").text();
}

}  // namespace peermq
