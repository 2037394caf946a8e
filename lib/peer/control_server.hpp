#pragma once

/// The control socket of a peer (see peermq/control.hpp): a thread that accepts, one for each
/// connection. Nothing of it runs while nobody is connected but a thread in poll().
///
/// Made once the peer is whole, ended before anything of it closes. What an asker does (silence,
/// nonsense, leaving) ends at most his connection.

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "peer/control_protocol.hpp"

namespace peermq::detail {

/// What askers can have done; called by any number of threads at once.
class ControlHost {
public:
    virtual ~ControlHost() = default;
    [[nodiscard]] virtual PeerInfo control_info() = 0;
    [[nodiscard]] virtual PeerStats control_stats() = 0;
    /// Posts it; returns its id once it is durable. Throws Error. Gives up when `stopping` says so.
    [[nodiscard]] virtual std::string control_push(std::string_view queue, const Message& message,
                                                   std::chrono::nanoseconds timeout,
                                                   const std::function<bool()>& stopping) = 0;
};

class ControlServer {
public:
    /// Listens at "control" in `directory`, which must be locked by this process: what another left
    /// there is dead. Throws Error: io_error, denied.
    ControlServer(ControlHost& host, const std::string& directory, std::size_t message_bytes_max);
    /// Ends all connections, removes the socket.
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

private:
    struct Session {
        ControlSocket socket;
        std::atomic<bool> done{false};
        std::thread thread;
    };

    void accept_all();
    void serve(Session& session);
    [[nodiscard]] ControlObject answer(const ControlValue& request);
    void forget_done();

    ControlHost& host_;
    const std::size_t request_bytes_max_;
    ControlSocket directory_;  ///< the path of the socket may be longer than sockaddr_un takes
    ControlSocket listener_;
    ControlSocket stop_;  ///< an eventfd, readable at the end
    std::list<Session> sessions_;
    std::thread acceptor_;
};

/// "/proc/self/fd/N/control": the socket in an open directory, however long that one's path is.
[[nodiscard]] std::string control_path(int directory);

}  // namespace peermq::detail
