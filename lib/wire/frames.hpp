#pragma once

/// The frames that two peers exchange: plain structs, encode and decode. Pure; any thread.
///
/// One frame is one ZeroMQ message (after the ROUTER's routing id), of one part, or of two when the
/// payload of a BATCH, FRAGMENT or REPLY is sent from where it lies. Frames on one link arrive in
/// order or the link dies. FORMAT.md beside this file has the byte tables.
///
/// The conversation:
///   both           HELLO, then PING/PONG for life, CREDIT for the link's byte window, BYE at the
///   end consumer side  WANT names a queue; the producer side answers OFFER for each such stream it
///   has consumer       HELD tells what it still holds or has acked of that stream (may be empty);
///                  the producer answers VALID with what is revoked. Then
///                  GRANT gives the window: most messages and bytes that may be unsettled here
///   producer       STATE says READY or IDLE; BATCH or FRAGMENT carries records; RECALL asks back
///   consumer       SETTLE acks, nacks, releases, rejects; RENEW extends leases
///   producer       CONFIRM when what was settled is durable; GRANTED when a smaller window is in
///   force
///
/// Topics: the consumer side sends SUBSCRIBE instead of WANT, again whenever its filter changes;
/// the producer side answers OFFER for each publisher that the patterns can match, then SUBSCRIBED.
/// From OFFER on all is as for a queue. GAP tells a subscriber how many messages it has missed.
///
/// Services: the consumer sends REPLY before it settles a request; the producer answers
/// REPLY_CREDIT as long parts are taken, and CANCEL when nobody waits any more.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace peermq::wire {

/// Reaches the wire: numbered by hand, never reused.
enum class FrameType : std::uint8_t {
    hello = 1,
    reject = 2,
    bye = 3,
    ping = 4,
    pong = 5,
    credit = 6,
    want = 8,
    unwant = 9,
    offer = 10,
    unoffer = 11,
    state = 12,
    grant = 13,
    granted = 14,
    held = 15,
    valid = 16,
    batch = 17,
    fragment = 18,
    settle = 19,
    confirm = 20,
    renew = 21,
    recall = 22,
    reply = 32,
    reply_credit = 33,
    cancel = 34,
    gap = 35,
    // Reserved: transactions of later versions.
    transaction_ask = 36,
    transaction_answer = 37,
    subscribe = 38,
    subscribed = 39,
};
[[nodiscard]] std::string_view to_string(FrameType type) noexcept;

inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::uint16_t kProtocolVersionMin = 1;
/// First bytes of every HELLO, so that a stranger is told apart at once: "PMQ1".
inline constexpr std::uint32_t kMagic = 0x31514D50;
inline constexpr std::uint8_t kSkippable = 0x80;
inline constexpr std::size_t kFrameHeaderBytes = 24;

/// 0 u8 type, 1 u8 flags, 2 u16 reserved, 4 u32 stream handle, 8 u64 session nonce,
/// 16 u32 length of the fields that follow (payload of BATCH, FRAGMENT and REPLY excluded), 20 u32
/// reserved.
struct FrameHeader {
    FrameType type{};
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;  ///< handle that the producer gave the stream in OFFER; 0 = none
    std::uint64_t nonce = 0;  ///< what the receiver announced in its HELLO; 0 only in a first HELLO
    friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

/// Where a process runs, so that a peer on the same host can watch it die.
struct HostInfo {
    std::array<std::byte, 16> boot_id{};
    std::uint64_t pid_namespace = 0;
    std::uint32_t pid = 0;
    std::uint64_t start_time = 0;  ///< field 22 of /proc/PID/stat, in clock ticks since boot
    friend bool operator==(const HostInfo&, const HostInfo&) = default;
};

struct Hello {
    std::uint16_t version_min = kProtocolVersionMin;
    std::uint16_t version_max = kProtocolVersion;
    std::uint64_t capabilities = 0;  ///< bits reserved
    std::uint64_t nonce = 0;         ///< every later frame to the sender carries it
    std::uint64_t echo = 0;          ///< the receiver's nonce when already known, else 0
    base::PeerId peer;
    base::SessionId session;
    std::uint32_t frame_bytes_max = 0;
    std::uint64_t message_bytes_max = 0;
    std::uint64_t window_bytes = 0;  ///< data bytes the sender takes before it confirms by CREDIT
    std::int64_t wall_time_ns = 0;   ///< sender's UTC, to warn of skew
    HostInfo host;
    std::string agent;  ///< "peermq 0.1.0", at most 255 bytes
    friend bool operator==(const Hello&, const Hello&) = default;
};

/// Codes that this version does not know are kept as their number.
enum class RejectCode : std::uint16_t {
    version = 1,
    protocol = 2,
    self = 3,
    duplicate = 4,
    limit = 5,
    denied = 6,
    closing = 7,
    hello_timeout = 8,
};
[[nodiscard]] std::string_view to_string(RejectCode code) noexcept;

struct Reject {
    RejectCode code{};
    std::string text;
    friend bool operator==(const Reject&, const Reject&) = default;
};
struct Bye {
    std::string text;
    friend bool operator==(const Bye&, const Bye&) = default;
};
struct Ping {
    std::uint64_t token = 0;
    std::uint64_t received_bytes = 0;
    friend bool operator==(const Ping&, const Ping&) = default;
};
struct Pong {
    std::uint64_t token = 0;
    std::uint64_t received_bytes = 0;
    friend bool operator==(const Pong&, const Pong&) = default;
};
/// Total of data bytes (BATCH, FRAGMENT and REPLY frames, whole) taken by the receiver's link since
/// HELLO.
struct Credit {
    std::uint64_t received_bytes = 0;
    friend bool operator==(const Credit&, const Credit&) = default;
};

enum class StreamKind : std::uint8_t { queue = 1, topic = 2, service = 3 };

/// `handle` is the consumer's number for what it wants, and comes back in OFFER.
struct Want {
    std::uint32_t handle = 0;
    StreamKind kind = StreamKind::queue;
    std::string name;  ///< 1 to stream_name_bytes_max bytes
    friend bool operator==(const Want&, const Want&) = default;
};
struct Unwant {
    std::uint32_t handle = 0;
    friend bool operator==(const Unwant&, const Unwant&) = default;
};

enum class Level : std::uint8_t { memory = 1, os = 2, disk = 3 };

struct Offer {
    std::uint32_t want = 0;
    base::StreamId stream;
    Level level = Level::memory;
    bool ready = false;  ///< has messages to hand out
    std::uint64_t depth = 0;
    friend bool operator==(const Offer&, const Offer&) = default;
};
struct Unoffer {
    std::string reason;
    friend bool operator==(const Unoffer&, const Unoffer&) = default;
};
struct State {
    bool ready = false;
    std::uint64_t depth = 0;
    friend bool operator==(const State&, const State&) = default;
};

struct Grant {
    std::uint32_t number = 0;       ///< counts up per stream and link
    std::uint32_t messages = 0;     ///< most unsettled messages
    std::uint64_t bytes = 0;        ///< most unsettled bytes; one message is always allowed
    std::uint32_t concurrency = 1;  ///< handlers: how many messages may be suspects when we die
    friend bool operator==(const Grant&, const Grant&) = default;
};
struct Granted {
    std::uint32_t number = 0;
    friend bool operator==(const Granted&, const Granted&) = default;
};

struct HeldRun {
    base::Epoch epoch;
    base::Run run;
    base::LeaseId lease;
    bool started = false;  ///< handed to the application
    friend bool operator==(const HeldRun&, const HeldRun&) = default;
};
struct Held {
    std::uint32_t number = 0;
    bool done = true;  ///< no further HELD of this number follows
    std::vector<HeldRun> runs;
    friend bool operator==(const Held&, const Held&) = default;
};
/// Answers HELD of the same number: the runs to forget (unstarted) or expect to be refused
/// (started).
struct Valid {
    std::uint32_t number = 0;
    bool done = true;  ///< no further VALID of this number follows
    std::vector<base::Run> revoked;
    friend bool operator==(const Valid&, const Valid&) = default;
};

inline constexpr std::uint8_t kRedelivered = 0x01;  ///< may have been handed out before
inline constexpr std::uint8_t kAlone = 0x02;  ///< suspected of killing workers: runs by itself
inline constexpr std::uint8_t kNoAck = 0x04;  ///< at most once: settled by being sent

/// Run-length annotation of records in a BATCH: what changes from one delivery to the next.
struct BatchRun {
    base::Run run;
    std::uint64_t lease = 0;    ///< counter; its epoch is Batch::lease_epoch
    std::uint16_t attempt = 1;  ///< 1 + counted failures
    std::uint8_t flags = 0;
    friend bool operator==(const BatchRun&, const BatchRun&) = default;
};

/// `records` are the runs' records in order, byte for byte as stored, one per seq of the runs. All
/// of one record epoch.
struct Batch {
    base::Epoch epoch;
    std::uint32_t lease_epoch = 0;
    std::vector<BatchRun> runs;
    base::ByteSpan records;
};

/// A part of one record that is larger than a batch.
struct Fragment {
    base::Epoch epoch;
    std::uint32_t lease_epoch = 0;
    BatchRun run;              ///< of one seq
    std::uint32_t total = 0;   ///< length of the record; the receiver bounds it
    std::uint32_t offset = 0;  ///< of `bytes` in the record; offset + size <= total
    base::ByteSpan bytes;      ///< at least one
};

enum class SettleKind : std::uint8_t { ack = 1, nack = 2, release = 3, reject = 4, recalled = 5 };
inline constexpr std::uint32_t kDefaultDelay = 0xFFFFFFFF;

struct SettleEntry {
    SettleKind kind = SettleKind::ack;
    base::Run run;
    base::LeaseId lease;
    std::uint32_t delay_ms = kDefaultDelay;  ///< nack only; kDefaultDelay = back-off
    std::string reason;                      ///< nack, reject; at most reason_bytes_max
    friend bool operator==(const SettleEntry&, const SettleEntry&) = default;
};
struct Settle {
    std::uint64_t number = 0;     ///< counts up per stream and link
    std::uint64_t confirmed = 0;  ///< highest CONFIRM number seen
    std::vector<SettleEntry> entries;
    friend bool operator==(const Settle&, const Settle&) = default;
};

enum class RefuseReason : std::uint8_t {
    newer_lease = 1,
    settled = 2,
    unknown = 3,
    settled_before_start = 4,  ///< of this producer; whether by this consumer is not known any more
};
struct RefusedRun {
    base::Run run;
    RefuseReason reason{};
    friend bool operator==(const RefusedRun&, const RefusedRun&) = default;
};
/// SETTLE frames up to `number` are applied and as durable as the stream's level asks.
struct Confirm {
    std::uint64_t number = 0;
    std::vector<RefusedRun> refused;
    friend bool operator==(const Confirm&, const Confirm&) = default;
};

struct Renew {
    std::vector<base::Run> runs;
    friend bool operator==(const Renew&, const Renew&) = default;
};
struct Recall {
    std::uint32_t messages = 0;
    friend bool operator==(const Recall&, const Recall&) = default;
};

/// What happens to messages of a live subscription that takes them too slowly.
enum class Slow : std::uint8_t { drop_oldest = 1, drop_newest = 2, block = 3, disconnect = 4 };
/// Where a subscription begins.
enum class From : std::uint8_t { now = 1, start = 2, sequence = 3, time = 4, last = 5 };

struct HeaderFilter {
    std::string name;
    std::string value;
    friend bool operator==(const HeaderFilter&, const HeaderFilter&) = default;
};
/// All up to `seq` of `stream` that was wanted has been handed to the application.
struct ResumePoint {
    base::StreamId stream;
    base::Seq seq = 0;
    friend bool operator==(const ResumePoint&, const ResumePoint&) = default;
};
/// The whole of a subscription, as it shall be from now on. `handle` is the consumer's number for
/// it, as in WANT; UNWANT ends it.
struct Subscribe {
    std::uint32_t handle = 0;
    std::uint32_t version = 0;  ///< counts up with every change
    Slow slow = Slow::drop_oldest;
    From from = From::now;
    bool any_header = false;            ///< one header filter is enough; else all of them
    std::uint32_t buffer = 0;           ///< live: messages that may wait at the publisher
    std::uint64_t from_value = 0;       ///< a sequence number, ns since 1970 UTC, or a count
    std::uint64_t max_lag = 0;          ///< durable: most unsettled messages; 0 = no limit
    std::int64_t expires_after = 0;     ///< durable: ns without a member; 0 = never
    std::string name;                   ///< empty: live, ends with its session
    std::vector<std::string> patterns;  ///< at least one
    std::vector<HeaderFilter> headers;
    std::vector<ResumePoint> resume;
    friend bool operator==(const Subscribe&, const Subscribe&) = default;
};
/// All publishers here know that version: what they take from now on goes through its filter.
struct Subscribed {
    std::uint32_t handle = 0;
    std::uint32_t version = 0;
    std::uint32_t publishers = 0;  ///< whose topics the patterns can match
    std::string refusal;           ///< not empty: why (some of) it could not be done
    friend bool operator==(const Subscribed&, const Subscribed&) = default;
};

enum class GapReason : std::uint8_t { slow = 1, lag = 2, expired = 3, damage = 4, gone = 5 };
/// `missed` counts since the producer made this `consumer`: another one begins anew.
struct Gap {
    std::uint64_t consumer = 0;
    std::uint64_t missed = 0;
    base::Seq before = 0;  ///< the latest of them came before this one
    GapReason reason{};
    friend bool operator==(const Gap&, const Gap&) = default;
};
inline constexpr std::uint8_t kLastPart = 0x01;  ///< no further part of this reply follows
inline constexpr std::uint8_t kFailure = 0x02;   ///< the handler failed: code in a header
inline constexpr std::uint8_t kProgress = 0x04;  ///< tells how far the work is, is no result

/// A part of a reply, or of one part's record when that is larger than a batch. From who consumes
/// a service to who asks; the stream handle is that of the OFFER, `epoch` and `request` name the
/// request's record.
struct Reply {
    base::Epoch epoch;
    base::Seq request = 0;
    std::uint64_t answer = 0;  ///< tells one run of the handler from another
    std::uint32_t part = 0;    ///< counts from 0
    std::uint8_t flags = 0;
    std::uint32_t total = 0;   ///< length of the part's record; the receiver bounds it
    std::uint32_t offset = 0;  ///< of `bytes` in the record; offset + size <= total
    base::ByteSpan bytes;      ///< at least one
};
/// Of the reply to `request`, so many bytes of records have been taken by the application.
struct ReplyCredit {
    base::Seq request = 0;
    std::uint64_t taken_bytes = 0;
    friend bool operator==(const ReplyCredit&, const ReplyCredit&) = default;
};
/// Nobody waits for a reply to these requests any more.
struct Cancel {
    std::vector<base::Run> requests;
    friend bool operator==(const Cancel&, const Cancel&) = default;
};

/// Types whose frames carry a payload behind their fields.
template <typename Fields>
inline constexpr bool kHasPayload = std::is_same_v<Fields, Batch> ||
                                    std::is_same_v<Fields, Fragment> ||
                                    std::is_same_v<Fields, Reply>;

/// A frame of a type that this version does not know but may skip.
struct Skipped {
    friend bool operator==(const Skipped&, const Skipped&) = default;
};

using Body = std::variant<Skipped, Hello, Reject, Bye, Ping, Pong, Credit, Want, Unwant, Offer,
                          Unoffer, State, Grant, Granted, Held, Valid, Batch, Fragment, Settle,
                          Confirm, Renew, Recall, Gap, Subscribe, Subscribed, Reply, ReplyCredit,
                          Cancel>;

struct Frame {
    FrameHeader header;  ///< of a Skipped body: type holds the unknown number
    Body body;
};

enum class DecodeError : std::uint8_t {
    none = 0,
    truncated,       ///< fewer bytes than a length field or the type asks for
    bad_length,      ///< a text, or the whole frame, is longer than its limit
    bad_value,       ///< a field has a value that its type does not allow
    trailing_bytes,  ///< bytes after the last field
    unknown_type,    ///< and not skippable
    bad_magic,       ///< a HELLO that is not of this protocol
    too_many,        ///< more entries than runs_per_frame_max
};
[[nodiscard]] std::string_view to_string(DecodeError error) noexcept;

struct DecodedFrame {
    Frame frame;  ///< spans point into the given bytes; with an error, at most the header is set
    DecodeError error = DecodeError::none;
    [[nodiscard]] bool ok() const noexcept { return error == DecodeError::none; }
};

/// Decodes one whole frame of at most limits::kFrameBytesMax. Allocates at most in proportion to
/// the given bytes. Every Run in the result has 1 <= first <= last, and the counts of a frame's
/// runs add up without overflow.
[[nodiscard]] DecodedFrame decode(base::ByteSpan bytes);

/// Decodes a frame that came as two parts: `head` is the frame header and its fields, `payload` the
/// records of a BATCH or the bytes of a FRAGMENT or REPLY (empty for every other type). Same result
/// as decode() of both joined, for a head as long as its header tells.
[[nodiscard]] DecodedFrame decode_parts(base::ByteSpan head, base::ByteSpan payload);

/// Appends the frame for `body` to `out`. The payload of a Batch, Fragment or Reply is appended
/// too; use encode_batch_head, encode_fragment_head or encode_reply_head to send it without
/// copying.
///
/// `body` is not Skipped, lists hold at most runs_per_frame_max entries, names are 1 to
/// stream_name_bytes_max long (asserted: our own invariants). Texts for people (reason, text,
/// agent) are cut to their limit, and the reasons of a long Settle further, so that it fits one
/// frame.
void encode(std::uint32_t stream, std::uint64_t nonce, const Body& body,
            std::vector<std::byte>& out);

/// Size of a BATCH frame up to its records, a multiple of 8, and its encoding in place.
[[nodiscard]] std::size_t batch_head_bytes(std::size_t runs) noexcept;
void encode_batch_head(std::uint32_t stream, std::uint64_t nonce, const Batch& batch,
                       std::span<std::byte> out) noexcept;

/// The same for a FRAGMENT and a REPLY up to their bytes.
inline constexpr std::size_t kFragmentHeadBytes = kFrameHeaderBytes + 56;
void encode_fragment_head(std::uint32_t stream, std::uint64_t nonce, const Fragment& fragment,
                          std::span<std::byte> out) noexcept;
inline constexpr std::size_t kReplyHeadBytes = kFrameHeaderBytes + 48;
void encode_reply_head(std::uint32_t stream, std::uint64_t nonce, const Reply& reply,
                       std::span<std::byte> out) noexcept;

}  // namespace peermq::wire
