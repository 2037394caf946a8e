#pragma once

/// The right to listen at an ipc path: libzmq itself steals a path that is in use.
///
/// A lock file beside the socket (path + ".lock", flock) keeps binders apart; a connect probe tells
/// a listener that does not use the lock from a file that a dead process left. Abstract names need
/// neither. "*" gets a fresh directory that only this user can enter.

#include <string>

#include "net/poller.hpp"

namespace peermq::net {

class IpcGuard {
public:
    /// Takes the right and removes a dead socket file. Throws Error: address_in_use, denied,
    /// invalid_argument (no such directory, not a socket, too long), unsupported (open files),
    /// io_error. `shown` names the endpoint in texts.
    IpcGuard(const std::string& path, const std::string& shown);
    /// Removes the socket file, the lock file and a directory of its own.
    ~IpcGuard();
    IpcGuard(const IpcGuard&) = delete;
    IpcGuard& operator=(const IpcGuard&) = delete;

    /// The real path.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    void take_lock(const std::string& shown);
    void clear_path(const std::string& shown) const;

    std::string path_;
    std::string own_directory_;
    Descriptor lock_;
};

/// Raises the limit on open files when it is low; throws Error unsupported when libzmq would abort.
void require_open_files(const std::string& shown);

}  // namespace peermq::net
