#include "output.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>

#include "signals.hpp"

namespace peermq::tools {

Output::Output() { ::signal(SIGPIPE, SIG_IGN); }

bool Output::write(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    while (!bytes.empty()) {
        std::array<pollfd, 2> waits{
            {{STDOUT_FILENO, POLLOUT, 0}, {Signals::instance().descriptor(), POLLIN, 0}}};
        if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
            throw OutputFailed(std::string("standard output: ") + std::strerror(errno));
        }
        if (waits[0].revents == 0 && waits[1].revents != 0) return false;
        if (waits[0].revents == 0) continue;
        // A pipe that is writable takes so much without waiting.
        const std::size_t size = std::min<std::size_t>(bytes.size(), PIPE_BUF);
        const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), size);
        if (written >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EPIPE) {
            throw ReaderGone();
        } else if (errno != EINTR && errno != EAGAIN) {
            throw OutputFailed(std::string("standard output cannot be written: ") +
                               std::strerror(errno));
        }
    }
    return true;
}

void end_by_sigpipe() {
    ::signal(SIGPIPE, SIG_DFL);
    ::raise(SIGPIPE);
    std::_Exit(128 + SIGPIPE);
}

}  // namespace peermq::tools
