#pragma once

/// The peermq side: everything here uses what any program can use, include/peermq.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "peermq/peermq.hpp"
#include "processes.hpp"
#include "traffic.hpp"

namespace peermq::bench {

inline constexpr const char* kQueue = "bench";

/// Messages that a worker may hold: about 8 to 12 MiB as stored, whatever their size.
[[nodiscard]] std::uint32_t prefetch_for(std::size_t size);

/// The level, spelt as the library spells it. Not for System::raw.
[[nodiscard]] Durability durability_of(System system);

/// Options of a producing peer; `directory` is used by the levels that need a spool.
[[nodiscard]] PeerOptions producer_options(System system, const std::filesystem::path& directory,
                                           std::uint64_t quota_bytes = 0);

/// Posts to the queues in turn; settle() is flush(acked).
[[nodiscard]] std::unique_ptr<Outlet> make_peer_outlet(System system,
                                                       const std::filesystem::path& directory,
                                                       int queues, std::uint64_t quota_bytes);

/// Name of the nth of `queues` queues.
[[nodiscard]] std::string queue_name(int index);

/// Handles and acks every message of `queue` in this thread until `channel` says stop, then closes
/// the peer. Says {"ready": true} once the pull exists.
void run_peer_worker(Channel& channel, const std::string& endpoint, const PullOptions& options,
                     const std::function<void(Delivery&)>& handler);

/// Waits until `push` has that many consumers; throws after a minute.
void wait_for_consumers(const Push& push, std::uint64_t count);

}  // namespace peermq::bench
