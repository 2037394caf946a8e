#pragma once

/// Identities: who sends (peer, session), what is sent (stream, epoch, seq).
///
/// A message is named by (stream id, epoch, seq). `seq` counts up within a stream and never goes
/// back, also across epochs of one spool; the epoch is new at every open, with a random half, so
/// that a cloned or restored spool or a lost tail can never give two messages one name.

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "base/bytes.hpp"

namespace peermq::base {

/// 16 random bytes; `Tag` keeps the kinds apart.
template <typename Tag>
struct Id16 {
    std::array<std::byte, 16> bytes{};

    friend auto operator<=>(const Id16&, const Id16&) = default;

    [[nodiscard]] bool is_zero() const noexcept { return *this == Id16{}; }

    /// 32 lower-case hexadecimal digits.
    [[nodiscard]] std::string hex() const {
        static constexpr char kDigits[] = "0123456789abcdef";
        std::string text;
        text.reserve(32);
        for (std::byte byte : bytes) {
            text.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4]);
            text.push_back(kDigits[std::to_integer<unsigned>(byte) & 15]);
        }
        return text;
    }
};

using PeerId = Id16<struct PeerIdTag>;        ///< kept in the spool, else new per process
using SessionId = Id16<struct SessionIdTag>;  ///< new for every opened peer object
using StreamId = Id16<struct StreamIdTag>;    ///< one per stream, kept with it
using SpoolId = Id16<struct SpoolIdTag>;      ///< one per spool directory

/// Position in a stream; the first record has 1, so 0 means "none".
using Seq = std::uint64_t;

/// One opening of a spool (or one process, for a stream in memory).
struct Epoch {
    std::uint32_t counter = 0;
    std::uint64_t nonce = 0;

    friend auto operator<=>(const Epoch&, const Epoch&) = default;
};

/// Inclusive range of seqs; empty when last < first.
struct Run {
    Seq first = 1;
    Seq last = 0;

    [[nodiscard]] bool empty() const noexcept { return last < first; }
    [[nodiscard]] std::uint64_t count() const noexcept { return empty() ? 0 : last - first + 1; }
    [[nodiscard]] bool contains(Seq seq) const noexcept { return first <= seq && seq <= last; }
    friend bool operator==(const Run&, const Run&) = default;
};

/// No stream comes this far.
inline constexpr Seq kSeqMax = ~Seq{0} >> 1;

/// `run` as another peer tells it, cut to what can be: keeps the arithmetic of runs in range.
[[nodiscard]] inline Run bounded(Run run) noexcept {
    return {std::max<Seq>(run.first, 1), std::min(run.last, kSeqMax)};
}

/// A permission to work on a message. A later one beats an earlier one.
struct LeaseId {
    std::uint32_t epoch = 0;    ///< counter of the producer's epoch that granted it
    std::uint64_t counter = 0;  ///< counts up within the epoch; 0 = none

    friend auto operator<=>(const LeaseId&, const LeaseId&) = default;
};

}  // namespace peermq::base

template <typename Tag>
struct std::hash<peermq::base::Id16<Tag>> {
    std::size_t operator()(const peermq::base::Id16<Tag>& id) const noexcept {
        std::size_t value;
        std::memcpy(&value, id.bytes.data(), sizeof value);
        return value;
    }
};
