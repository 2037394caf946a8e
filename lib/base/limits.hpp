#pragma once

/// Every bound of the library in one place, with the relations between them.
///
/// Full means waiting, an error, or a counted drop that the user chose; never silence.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace peermq::base::limits {

using namespace std::chrono_literals;

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// --- names and properties
inline constexpr std::size_t stream_name_bytes_max = 255;
inline constexpr std::size_t key_bytes_max = 1024;
inline constexpr std::size_t topic_bytes_max = 1024;
inline constexpr std::size_t headers_bytes_max = 64 * kKiB;
inline constexpr std::size_t reason_bytes_max = 1024;
/// Name and version that a peer shows of itself in its first frame.
inline constexpr std::size_t agent_bytes_max = 255;

// --- records
inline constexpr std::size_t message_bytes_max_default = 16 * kMiB;
inline constexpr std::size_t message_bytes_max_ceiling = 1024 * kMiB;
/// Records are encoded side by side into chunks of this size, so that one chunk makes one batch of
/// the wire; a larger record has its own chunk. 132 KiB and not 128: two bodies of 64 KiB fit.
inline constexpr std::size_t chunk_bytes = 132 * kKiB;

// --- wire
/// A batch stops growing at this size; a larger single record travels as fragments of at most it.
inline constexpr std::size_t batch_bytes_max = 132 * kKiB;
/// Longest frame accepted from a peer: a batch, its descriptors and its header.
inline constexpr std::size_t frame_bytes_max = 256 * kKiB;
inline constexpr std::size_t runs_per_frame_max = 1024;
inline constexpr std::size_t link_window_bytes_min = 512 * kKiB;
inline constexpr std::size_t link_window_bytes_max = 16 * kMiB;
inline constexpr std::size_t streams_per_link_max = 65536;
inline constexpr std::size_t links_per_peer_max = 16384;
inline constexpr int protocol_errors_max = 10;

// --- link timing
inline constexpr auto hello_timeout = 5s;
inline constexpr auto heartbeat_interval = 1s;
inline constexpr auto suspect_after = 3s;
inline constexpr auto reconnect_wait_min = 50ms;
inline constexpr auto reconnect_wait_max = 10s;

// --- delivery
inline constexpr auto lease_duration = 30s;
inline constexpr auto resume_grace = 2s;
/// After a restart, what may have been handed out waits this long for its holders.
inline constexpr auto recover_grace = 2s;
inline constexpr auto max_processing_default = 30min;
inline constexpr std::uint32_t max_attempts_default = 10;
inline constexpr auto retry_wait_min = 1s;
inline constexpr auto retry_wait_max = 5min;
inline constexpr std::uint32_t prefetch_default = 64;
inline constexpr std::uint32_t prefetch_max = 1'000'000;
inline constexpr std::size_t prefetch_bytes_default = 64 * kMiB;
/// How many messages may wait behind blocked keys before hand-out stops looking further.
inline constexpr std::size_t key_lookahead_max = 65536;
/// A consumer stops starting messages this long before a producer that cannot hear it may give them
/// to another: covers the time between asking the clock and the handler's first instruction.
inline constexpr auto gate_margin = 250ms;
/// A source that ran dry keeps its claim to a share of the prefetch so long: windows do not flap.
inline constexpr auto idle_claim = 100ms;
/// Idle sources keep a window of one message while that costs the ready ones at most 1/8 of theirs.
inline constexpr std::uint32_t idle_share_divisor = 8;
/// Refused settlements remembered per source, for those who ask later.
inline constexpr std::size_t refused_kept_max = 4096;
/// Producers that are gone and of which nothing is held, kept in case they return.
inline constexpr std::size_t gone_sources_max = 1024;
/// The durable hand-out mark moves ahead in blocks of so many messages.
/// It follows the rate: after a restart everything up to the mark waits for its holders and is
/// flagged redelivered, so a slow queue must not run far ahead, and a fast one must not wait for
/// the disk.
inline constexpr std::uint64_t handout_mark_block_min = 256;
inline constexpr std::uint64_t handout_mark_block_max = 65536;
/// Asked for again within the first span, the block doubles; after more than the second, it halves.
inline constexpr auto handout_mark_soon = 50ms;
inline constexpr auto handout_mark_late = 500ms;
/// A consumer that was asked to give messages back is not asked again within this time.
inline constexpr auto recall_wait = 1s;
/// Runs settled by one consumer and not yet confirmed to it that the producer remembers.
inline constexpr std::size_t settled_memory_runs_max = 16384;

// --- spool
inline constexpr std::size_t segment_bytes_default = 64 * kMiB;
inline constexpr std::size_t segment_bytes_min = 16 * kKiB;
/// 4 and not 1 MiB: on a preallocated file the kernel's work per byte is about 40 % less.
inline constexpr std::size_t commit_bytes_max = 4 * kMiB;
/// Accepted bytes of one stream that wait to be written; a faster producer waits for the disk.
inline constexpr std::size_t unwritten_bytes_max = 8 * kMiB;
/// Newest records of a stored stream that stay in memory for hand-out.
inline constexpr std::size_t stream_cache_bytes = 32 * kMiB;
/// Quota is reserved in blocks of this size, so that a post rarely asks the spool.
inline constexpr std::size_t quota_block_bytes = 256 * kKiB;
inline constexpr std::size_t quarantine_tail_bytes_max = 1 * kMiB;
/// Copies of damaged segments and cut tails that are kept; later ones are only reported.
inline constexpr std::size_t quarantine_files_max = 64;
/// A manifest that claims to be longer is damaged.
inline constexpr std::size_t manifest_bytes_max = 64 * kMiB;
/// write() syncs by itself beyond this much; the bytes stay pinned until then.
inline constexpr std::size_t unsynced_bytes_max = 32 * kMiB;
/// A carried batch, and so one step of compaction, holds at most this much.
inline constexpr std::size_t carry_bytes_max = 1 * kMiB;
/// Segments whose index is kept in memory for reading, apart from the newest.
inline constexpr std::size_t segment_indexes_cached_max = 4;
inline constexpr auto free_space_check_interval = 100ms;
/// After this much quiet, a batch repeats how far the log was synced.
inline constexpr auto sync_record_wait = 100ms;
inline constexpr auto settlement_delay_max = 50ms;
inline constexpr std::uint64_t spool_bytes_default = 16 * kGiB;
inline constexpr std::uint64_t memory_stream_bytes_default = 256 * kMiB;
inline constexpr std::size_t streams_per_spool_max = 65536;

static_assert(batch_bytes_max < frame_bytes_max);
static_assert(chunk_bytes <= commit_bytes_max);
static_assert(suspect_after >= 2 * heartbeat_interval);
static_assert(lease_duration > suspect_after + resume_grace);
static_assert(link_window_bytes_min >= 2 * batch_bytes_max);
static_assert(handout_mark_block_min % 2 == 0 && handout_mark_block_min <= handout_mark_block_max);
static_assert(gate_margin < resume_grace - heartbeat_interval);

}  // namespace peermq::base::limits
