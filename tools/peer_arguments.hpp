#pragma once

/// The peer that a command opens: where it listens, whom it connects to, what it tells.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "peermq/peer.hpp"

namespace peermq::tools {

struct PeerArguments {
    std::vector<std::string> bind;
    std::vector<std::string> connect;
    std::string spool;
    std::string durability;
    std::uint64_t message_bytes_max = std::uint64_t{16} << 20;
    bool insecure = false;
    bool verbose = false;
    bool quiet = false;
};

/// --bind, --connect, --insecure, --max-message, --verbose, --quiet.
void add_peer_options(CLI::App& app, PeerArguments& arguments);
/// --spool, --durability.
void add_spool_options(CLI::App& app, PeerArguments& arguments);

[[nodiscard]] std::optional<Durability> durability_of(const PeerArguments& arguments);

/// Opens the peer, binds and connects, and tells on standard error where it listens and what
/// happens to it. Throws UsageError when there is nobody to talk to.
[[nodiscard]] std::unique_ptr<Peer> open_peer(const PeerArguments& arguments);
/// The same without asking for endpoints.
[[nodiscard]] std::unique_ptr<Peer> open_peer_alone(const PeerArguments& arguments);

}  // namespace peermq::tools
