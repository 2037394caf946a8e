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
inline constexpr std::size_t kStreamNameBytesMax = 255;
inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::size_t kTopicBytesMax = 1024;
inline constexpr std::size_t kHeadersBytesMax = 64 * kKiB;
inline constexpr std::size_t kReasonBytesMax = 1024;
/// Name and version that a peer shows of itself in its first frame.
inline constexpr std::size_t kAgentBytesMax = 255;

// --- records
inline constexpr std::size_t kMessageBytesMaxDefault = 16 * kMiB;
inline constexpr std::size_t kMessageBytesMaxCeiling = 1024 * kMiB;
/// Records are encoded side by side into chunks of this size, so that one chunk makes one batch of
/// the wire; a larger record has its own chunk. 132 KiB and not 128: two bodies of 64 KiB fit.
inline constexpr std::size_t kChunkBytes = 132 * kKiB;

/// How much longer than message_bytes_max a dead letter may be: its headers say why it died.
inline constexpr std::size_t kDeadLetterExtraBytes = kHeadersBytesMax + 1 * kKiB;

// --- wire
/// A batch stops growing at this size; a larger single record travels as fragments of at most it.
inline constexpr std::size_t kBatchBytesMax = 132 * kKiB;
/// Longest frame accepted from a peer: a batch, its descriptors and its header.
inline constexpr std::size_t kFrameBytesMax = 256 * kKiB;
inline constexpr std::size_t kRunsPerFrameMax = 1024;
inline constexpr std::size_t kLinkWindowBytesMin = 512 * kKiB;
inline constexpr std::size_t kLinkWindowBytesMax = 16 * kMiB;
inline constexpr std::size_t kStreamsPerLinkMax = 65536;
inline constexpr std::size_t kLinksPerPeerMax = 16384;
inline constexpr int kProtocolErrorsMax = 10;

// --- subscriptions
/// Name or value of a header that a subscription asks for.
inline constexpr std::size_t kFilterTextBytesMax = 1024;
/// Patterns of one subscription, and likewise its header filters.
inline constexpr std::size_t kFiltersMax = 1024;
/// Bytes of all texts of one subscription's filter.
inline constexpr std::size_t kFilterBytesMax = 128 * kKiB;
/// Messages that may wait at a publisher for one live subscription.
inline constexpr std::uint32_t kBufferDefault = 65536;
inline constexpr std::uint32_t kBufferMax = 16'777'216;
/// A filter looks so far ahead of what a durable subscription has been handed.
inline constexpr std::uint64_t kFilterAheadMax = 65536;
/// Subscriptions of one publisher, live ones included.
inline constexpr std::size_t kSubscriptionsPerTopicMax = 16384;
/// Topics or keys of one publisher of which the last value is known; further ones supersede nothing.
inline constexpr std::size_t kLastValuesMax = 1'000'000;
/// A durable subscription without members is kept so long.
inline constexpr auto kExpiresAfterDefault = 168h;

// --- link timing
inline constexpr auto kHelloTimeout = 5s;
inline constexpr auto kHeartbeatInterval = 1s;
inline constexpr auto kSuspectAfter = 3s;
inline constexpr auto kReconnectWaitMin = 50ms;
inline constexpr auto kReconnectWaitMax = 10s;

// --- delivery
inline constexpr auto kLeaseDuration = 30s;
/// The shortest that a producer may choose.
inline constexpr auto kLeaseMin = 6s;
inline constexpr auto kResumeGrace = 2s;
/// After a restart, what may have been handed out waits this long for its holders.
inline constexpr auto kRecoverGrace = 2s;
inline constexpr auto kMaxProcessingDefault = 30min;
inline constexpr std::uint32_t kMaxAttemptsDefault = 10;
inline constexpr auto kRetryWaitMin = 1s;
inline constexpr auto kRetryWaitMax = 5min;
inline constexpr std::uint32_t kPrefetchDefault = 64;
inline constexpr std::uint32_t kPrefetchMax = 1'000'000;
inline constexpr std::size_t kPrefetchBytesDefault = 64 * kMiB;
/// Handlers of one consumer at the same time, each perhaps a thread.
inline constexpr std::uint32_t kConcurrencyMax = 1024;
/// How many messages may wait behind blocked keys before hand-out stops looking further.
inline constexpr std::size_t kKeyLookaheadMax = 65536;
/// A consumer stops starting messages this long before a producer that cannot hear it may give them
/// to another: covers the time between asking the clock and the handler's first instruction.
inline constexpr auto kGateMargin = 250ms;
/// A source that ran dry keeps its claim to a share of the prefetch so long: windows do not flap.
inline constexpr auto kIdleClaim = 100ms;
/// Where more sources are ready than a consumer has slots, a source keeps a slot so long: moving it
/// costs frames to two producers, so quick handlers should not pay that for every message.
inline constexpr auto kSlotTurn = 20ms;
/// Idle sources keep a window of one message while that costs the ready ones at most 1/8 of theirs.
inline constexpr std::uint32_t kIdleShareDivisor = 8;
/// Refused settlements remembered per source, for those who ask later.
inline constexpr std::size_t kRefusedKeptMax = 4096;
/// Producers that are gone and of which nothing is held, kept in case they return.
inline constexpr std::size_t kGoneSourcesMax = 1024;
/// The durable hand-out mark moves ahead in blocks of so many messages.
/// It follows the rate: after a restart everything up to the mark waits for its holders and is
/// flagged redelivered, so a slow queue must not run far ahead, and a fast one must not wait for
/// the disk.
inline constexpr std::uint64_t kHandoutMarkBlockMin = 256;
inline constexpr std::uint64_t kHandoutMarkBlockMax = 65536;
/// Asked for again within the first span, the block doubles; after more than the second, it halves.
inline constexpr auto kHandoutMarkSoon = 50ms;
inline constexpr auto kHandoutMarkLate = 500ms;
/// A consumer that was asked to give messages back is not asked again within this time.
inline constexpr auto kRecallWait = 1s;
/// Runs settled by one consumer and not yet confirmed to it that the producer remembers.
inline constexpr std::size_t kSettledMemoryRunsMax = 16384;

// --- requests and replies
/// Parts of one reply that are under way or not taken yet, in bytes; one part is always allowed.
inline constexpr std::size_t kReplyWindowBytes = 1 * kMiB;
/// Replies that wait for requesters out of reach; beyond it the oldest are dropped, counted.
inline constexpr std::size_t kRepliesKeptBytesMax = 64 * kMiB;
/// Requests of one requester that are known to be cancelled and were not begun.
inline constexpr std::size_t kCancelledKeptMax = 65536;
inline constexpr std::uint32_t kRequestsInFlightDefault = 1024;
inline constexpr std::uint32_t kRequestsInFlightMax = 1'000'000;
/// Codes of failures, as repliers choose them.
inline constexpr std::size_t kFailureCodeBytesMax = 255;

// --- events
/// Events and refusals that wait for the user's callback; further ones are counted and not told.
inline constexpr std::size_t kEventsWaitingMax = 10'000;

// --- control socket
/// Connections at a time; a thread each.
inline constexpr int kControlSessionsMax = 16;
/// A request may be longer than its message by this much.
inline constexpr std::size_t kControlExtraBytes = 256 * kKiB;
/// Longest answer that is taken in: the stats of 65,536 queues take half of it.
inline constexpr std::size_t kControlAnswerBytesMax = 64 * kMiB;
inline constexpr auto kControlAnswerTimeout = 10s;
/// A connection that asks nothing for so long is closed.
inline constexpr auto kControlIdleMax = 10min;

// --- spool
inline constexpr std::size_t kSegmentBytesDefault = 64 * kMiB;
inline constexpr std::size_t kSegmentBytesMin = 16 * kKiB;
inline constexpr std::size_t kSegmentBytesMax = 1024 * kMiB;
/// 4 and not 1 MiB: on a preallocated file the kernel's work per byte is about 40 % less.
inline constexpr std::size_t kCommitBytesMax = 4 * kMiB;
/// Accepted bytes of one stream that wait to be written; a faster producer waits for the disk.
inline constexpr std::size_t kUnwrittenBytesMax = 8 * kMiB;
/// Newest records of a stored stream that stay in memory for hand-out.
inline constexpr std::size_t kStreamCacheBytes = 32 * kMiB;
/// Quota is reserved in blocks of this size, so that a post rarely asks the spool.
inline constexpr std::size_t kQuotaBlockBytes = 256 * kKiB;
inline constexpr std::size_t kQuarantineTailBytesMax = 1 * kMiB;
/// Copies of damaged segments and cut tails that are kept; later ones are only reported.
inline constexpr std::size_t kQuarantineFilesMax = 64;
/// A manifest that claims to be longer is damaged.
inline constexpr std::size_t kManifestBytesMax = 64 * kMiB;
/// write() syncs by itself beyond this much; the bytes stay pinned until then.
inline constexpr std::size_t kUnsyncedBytesMax = 32 * kMiB;
/// A carried batch, and so one step of compaction, holds at most this much.
inline constexpr std::size_t kCarryBytesMax = 1 * kMiB;
/// A segment sealed, or last settled in, less than this ago is not compacted: consumers are about
/// to finish it.
inline constexpr auto kCompactionRest = 2s;
/// Kept free by a file of this size, so that a full disk still takes the manifest without which no
/// finished segment may go. Enough for 2,700 segments.
inline constexpr std::size_t kManifestReserveBytes = 64 * kKiB;
/// Finished segments kept to be written again; all but one are given back when nothing was written
/// for a while.
inline constexpr std::size_t kSpareSegmentsMax = 4;
inline constexpr auto kSpareSegmentsRest = 5s;
/// Segments whose index is kept in memory for reading, apart from the newest.
inline constexpr std::size_t kSegmentIndexesCachedMax = 4;
inline constexpr auto kFreeSpaceCheckInterval = 100ms;
/// After this much quiet, a batch repeats how far the log was synced.
inline constexpr auto kSyncRecordWait = 100ms;
inline constexpr auto kSettlementDelayMax = 50ms;
inline constexpr std::uint64_t kSpoolBytesDefault = 16 * kGiB;
inline constexpr std::size_t kStreamsPerSpoolMax = 65536;
/// What the owner of a group of a stream keeps of it: the filter of a subscription and more.
inline constexpr std::size_t kGroupInfoBytesMax = kFilterBytesMax + 32 * kKiB;

static_assert(kBatchBytesMax < kFrameBytesMax);
static_assert(kChunkBytes <= kCommitBytesMax);
static_assert(kSuspectAfter >= 2 * kHeartbeatInterval);
static_assert(kLeaseDuration > kSuspectAfter + kResumeGrace);
static_assert(kLinkWindowBytesMin >= 2 * kBatchBytesMax);
static_assert(kHandoutMarkBlockMin % 2 == 0 && kHandoutMarkBlockMin <= kHandoutMarkBlockMax);
static_assert(kGateMargin < kResumeGrace - kHeartbeatInterval);

}  // namespace peermq::base::limits
