#include "net/ipc_guard.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "net/probe.hpp"
#include "peermq/error.hpp"

namespace peermq::net {
namespace {

constexpr rlim_t kOpenFilesMin = 4096;
constexpr std::size_t kPathBytesMax = 107;

[[noreturn]] void refuse(ErrorCode code, const std::string& shown, const std::string& why) {
    throw Error(code, "cannot bind " + shown + ": " + why);
}

[[noreturn]] void refuse_errno(const std::string& shown, const std::string& what, int error) {
    ErrorCode code = ErrorCode::io_error;
    std::string hint;
    if (error == EACCES || error == EPERM || error == EROFS || error == ELOOP) {
        code = ErrorCode::denied;
        hint = "; choose a directory that this user may write to";
    } else if (error == ENOENT || error == ENOTDIR) {
        code = ErrorCode::invalid_argument;
        hint = "; create the directory first";
    }
    refuse(code, shown,
           what + ": " + std::strerror(error) + " (errno " + std::to_string(error) + ")" + hint);
}

std::string make_directory(const std::string& shown) {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base && *base ? base : "/tmp") + "/peermq-XXXXXX";
    std::vector<char> name(pattern.begin(), pattern.end());
    name.push_back('\0');
    if (::mkdtemp(name.data()) == nullptr) refuse_errno(shown, "cannot create " + pattern, errno);
    return name.data();
}

}  // namespace

void require_open_files(const std::string& shown) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    if (limit.rlim_cur >= kOpenFilesMin) return;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max >= kOpenFilesMin && ::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    refuse(ErrorCode::unsupported, shown,
           "only " + std::to_string(before) +
               " files may be open, and at that limit libzmq aborts "
               "the process on ipc; raise it to 4096 (ulimit -n) or use tcp://127.0.0.1:*");
}

IpcGuard::IpcGuard(const std::string& path, const std::string& shown) : path_(path) {
    require_open_files(shown);
    if (path == "*") {
        own_directory_ = make_directory(shown);
        path_ = own_directory_ + "/socket";
    }
    try {
        if (path_.size() > kPathBytesMax) {
            refuse(ErrorCode::invalid_argument, shown,
                   "the path " + path_ + " is longer than 107 bytes");
        }
        if (path_.front() == '@') {
            if (Probe::ipc(path_).result().kind == ProbeResult::Kind::passed) {
                refuse(ErrorCode::address_in_use, shown, "another socket listens there");
            }
            return;
        }
        take_lock(shown);
        clear_path(shown);
    } catch (...) {
        if (lock_) ::unlink((path_ + ".lock").c_str());
        if (!own_directory_.empty()) ::rmdir(own_directory_.c_str());
        throw;
    }
}

IpcGuard::~IpcGuard() {
    if (!lock_) return;
    // The lock is still held, so whatever socket is there is ours; libzmq has mostly removed it.
    struct stat status {};
    if (::lstat(path_.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path_.c_str());
    ::unlink((path_ + ".lock").c_str());
    lock_.reset();
    if (!own_directory_.empty()) ::rmdir(own_directory_.c_str());
}

void IpcGuard::take_lock(const std::string& shown) {
    const std::string name = path_ + ".lock";
    for (;;) {
        Descriptor file(
            ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
        if (!file) refuse_errno(shown, "cannot open " + name, errno);
        if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            const int error = errno;
            if (error == EINTR) continue;
            if (error != EWOULDBLOCK) refuse_errno(shown, "cannot lock " + name, error);
            refuse(ErrorCode::address_in_use, shown,
                   "a running process holds " + name + "; choose another path or end it");
        }
        // Whoever held it before may have removed the file between our open and our lock.
        struct stat opened {};
        struct stat named {};
        if (::fstat(file.get(), &opened) == 0 && ::lstat(name.c_str(), &named) == 0 &&
            opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
            lock_ = std::move(file);
            return;
        }
    }
}

void IpcGuard::clear_path(const std::string& shown) const {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0) {
        if (errno == ENOENT) return;
        refuse_errno(shown, "cannot look at " + path_, errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        refuse(ErrorCode::invalid_argument, shown,
               "the path exists and is not a socket; choose another or remove it");
    }
    Probe probe = Probe::ipc(path_);
    const ProbeResult& found = probe.result();
    if (found.kind == ProbeResult::Kind::passed || found.kind == ProbeResult::Kind::pending) {
        refuse(ErrorCode::address_in_use, shown,
               "another process listens there; choose another path or end it");
    }
    if (found.reason != LossReason::refused) {
        refuse(ErrorCode::denied, shown, "cannot tell whether the socket is in use: " + found.text);
    }
    if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
        refuse_errno(shown, "cannot remove the socket file of a dead process", errno);
    }
}

}  // namespace peermq::net
