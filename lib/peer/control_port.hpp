#pragma once

/// What a peer offers at its control socket: its numbers, and store-and-forward into its queues.
///
/// Threads: any.

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "peer/control_server.hpp"
#include "peer/runtime.hpp"

namespace peermq::detail {

class ControlPort final : public ControlHost {
public:
    /// That there can be no socket (a file system without them, say) is an event, no failure: the
    /// peer works without.
    [[nodiscard]] static std::shared_ptr<ControlPort> open(std::shared_ptr<Runtime> runtime,
                                                           const std::string& spool);
    ~ControlPort() override;
    ControlPort(std::shared_ptr<Runtime> runtime, std::string spool);

    void bound(const std::string& endpoint);
    /// Ends all connections; a second call does nothing. In a forked child all is left as it is.
    void close() noexcept;

    [[nodiscard]] PeerInfo control_info() override;
    [[nodiscard]] PeerStats control_stats() override;
    [[nodiscard]] std::string control_push(std::string_view queue, const Message& message,
                                           std::chrono::nanoseconds timeout,
                                           const std::function<bool()>& stopping) override;

private:
    const std::shared_ptr<Runtime> runtime_;
    const std::string spool_;
    const unsigned process_generation_;
    const std::chrono::steady_clock::time_point start_;
    std::mutex mutex_;  ///< guards what follows
    std::vector<std::string> endpoints_;
    std::unique_ptr<ControlServer> server_;
};

}  // namespace peermq::detail
