#pragma once

/// Writes down what happens in a simulated run: the history for the checker, a hash of every step,
/// a readable trace when asked, and how often each kind of fault came.
///
/// Threads: none.

#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "base/bytes.hpp"
#include "sim/history.hpp"
#include "sim/scenario.hpp"

namespace peermq::sim {

using FaultCounts = std::array<std::uint64_t, kFaultKinds>;

class Recorder {
public:
    /// `trace`: where every event goes as a line of text; null for nowhere.
    explicit Recorder(std::FILE* trace) : trace_(trace) {}

    void set_now(Time now) { now_ = now; }
    [[nodiscard]] Time now() const noexcept { return now_; }

    void add(Event event);
    /// A line of the trace that no checker sees; part of the hash by its length alone.
    void note(ActorId actor, const std::string& text);
    [[nodiscard]] bool tracing() const noexcept { return trace_ != nullptr; }
    void mix(std::uint64_t word) noexcept {
        hash_ = (hash_ ^ word) * 0x9E3779B97F4A7C15;
        hash_ ^= hash_ >> 29;
    }
    void count(FaultKind kind, std::uint64_t times = 1) noexcept {
        faults_[static_cast<std::size_t>(kind)] += times;
    }

    [[nodiscard]] History& history() noexcept { return history_; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_ ^ history_.hash(); }
    [[nodiscard]] const FaultCounts& faults() const noexcept { return faults_; }

    void declare_at_most_once(StreamNumber stream) { at_most_once_.insert(stream); }
    [[nodiscard]] bool at_most_once(StreamNumber stream) const {
        return at_most_once_.contains(stream);
    }

    /// The epoch in which the message with this hash was sent.
    void remember_epoch(std::uint64_t message, EpochNumber epoch) { epochs_[message] = epoch; }
    [[nodiscard]] EpochNumber epoch_of(std::uint64_t message) const;

private:
    std::FILE* trace_;
    Time now_{};
    History history_;
    std::uint64_t hash_ = 0;
    FaultCounts faults_{};
    std::unordered_map<std::uint64_t, EpochNumber> epochs_;
    std::set<StreamNumber> at_most_once_;
};

/// The body of message `number`: its number, then bytes that follow from it.
void make_body(std::uint64_t number, std::size_t bytes, std::string& out);
/// The number of the message with this body; something else when a byte is not as made.
[[nodiscard]] std::uint64_t number_of_body(base::ByteSpan body);
[[nodiscard]] std::uint64_t number_of_key(std::string_view key);

}  // namespace peermq::sim
