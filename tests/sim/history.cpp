#include "sim/history.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>

namespace peermq::sim {
namespace {

constexpr std::array<std::string_view, kEventKinds> kNames{
    "stream",    "opened",   "crash",   "healed",    "drained", "credit", "gauge",
    "intend",    "durable",  "fail",    "deliver",   "ack",     "nack",   "release",
    "reject",    "accepted", "refused", "unknown",   "settled", "dead",   "expired",
    "forgotten", "purged",   "damaged", "reclaimed", "remains", "lapse",
};

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15;
    return hash ^ (hash >> 29);
}

/// The next word of `text`, cut off from it; empty at the end.
std::string_view next_word(std::string_view& text) {
    const std::size_t begin = std::min(text.find_first_not_of(" \t\r"), text.size());
    const std::size_t end = std::min(text.find_first_of(" \t\r", begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    text.remove_prefix(end);
    return word;
}

template <typename Number>
Number number(std::string_view text) {
    Number value{};
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size()) {
        throw std::invalid_argument("not a number: " + std::string(text));
    }
    return value;
}

void set_field(Event& event, std::string_view name, std::string_view value) {
    if (name == "stream") {
        event.stream = number<StreamNumber>(value);
    } else if (name == "epoch") {
        event.epoch = number<EpochNumber>(value);
    } else if (name == "by") {
        event.actor = number<ActorId>(value);
    } else if (name == "to") {
        event.other = number<StreamNumber>(value);
    } else if (name == "last") {
        event.last = number<base::Seq>(value);
    } else if (name == "hash") {
        event.hash = number<std::uint64_t>(value);
    } else if (name == "key") {
        event.key = number<std::uint64_t>(value);
    } else if (name == "value") {
        event.value = number<std::uint64_t>(value);
    } else if (name == "limit") {
        event.limit = number<std::uint64_t>(value);
    } else if (name == "attempt") {
        event.attempt = number<std::uint16_t>(value);
    } else if (name == "lease") {
        const std::size_t dot = value.find('.');
        if (dot == std::string_view::npos) throw std::invalid_argument("lease without a dot");
        event.lease = {number<std::uint32_t>(value.substr(0, dot)),
                       number<std::uint64_t>(value.substr(dot + 1))};
    } else if (name == "at") {
        event.at = base::Time(base::Duration(number<std::int64_t>(value)));
    } else {
        throw std::invalid_argument("unknown field " + std::string(name));
    }
}

Event parse_event(std::string_view line, base::Time before) {
    Event event;
    event.at = before + std::chrono::milliseconds(1);
    const std::string_view kind = next_word(line);
    const auto found = std::find(kNames.begin(), kNames.end(), kind);
    if (found == kNames.end()) throw std::invalid_argument("unknown event " + std::string(kind));
    event.kind = static_cast<EventKind>(found - kNames.begin());
    bool hashed = false;
    while (true) {
        const std::string_view word = next_word(line);
        if (word.empty()) break;
        const std::size_t equals = word.find('=');
        if (word == "again") {
            event.again = true;
        } else if (equals == std::string_view::npos) {
            event.seq = number<base::Seq>(word);
        } else {
            hashed |= word.substr(0, equals) == "hash";
            set_field(event, word.substr(0, equals), word.substr(equals + 1));
        }
    }
    if (!hashed) event.hash = event.seq;
    return event;
}

}  // namespace

std::string_view to_string(EventKind kind) noexcept {
    return kNames[static_cast<std::size_t>(kind)];
}

std::string to_text(const Event& event) {
    std::string text(to_string(event.kind));
    if (event.seq != 0) text += " " + std::to_string(event.seq);
    const auto field = [&](std::string_view name, std::uint64_t value, std::uint64_t usual) {
        if (value == usual) return;
        text.append(" ").append(name).append("=").append(std::to_string(value));
    };
    field("stream", event.stream, 1);
    field("epoch", event.epoch, 1);
    field("by", event.actor, 0);
    field("to", event.other, 0);
    field("last", event.last, 0);
    field("hash", event.hash, event.seq);
    field("key", event.key, 0);
    field("value", event.value, 0);
    field("limit", event.limit, 0);
    field("attempt", event.attempt, 0);
    if (event.again) text += " again";
    if (event.lease != base::LeaseId{}) {
        text += " lease=" + std::to_string(event.lease.epoch) + "." +
                std::to_string(event.lease.counter);
    }
    return text + " at=" + std::to_string(event.at.time_since_epoch().count());
}

void History::add(const Event& event) {
    const auto two = [](std::uint64_t high, std::uint64_t low) { return high << 32 | low; };
    const std::uint64_t flags = (event.again ? 0x10000u : 0u) | event.attempt;
    for (const std::uint64_t word :
         {two(static_cast<std::uint64_t>(event.kind), flags), two(event.actor, event.stream),
          two(event.epoch, event.other), event.seq, event.last, event.hash, event.key, event.value,
          event.limit, std::uint64_t{event.lease.epoch}, event.lease.counter,
          static_cast<std::uint64_t>(event.at.time_since_epoch().count())}) {
        hash_ = mixed(hash_, word);
    }
    events_.push_back(event);
}

StreamNumber History::number_of(const base::StreamId& stream) {
    return streams_.emplace(stream, static_cast<StreamNumber>(streams_.size() + 1)).first->second;
}

EpochNumber History::number_of(const base::Epoch& epoch) {
    return epochs_.emplace(epoch, static_cast<EpochNumber>(epochs_.size() + 1)).first->second;
}

std::string History::text() const {
    std::string text;
    for (const Event& event : events_) text += to_text(event) + "\n";
    return text;
}

History History::parse(std::string_view text) {
    History history;
    base::Time before{};
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(";\n"), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        line = line.substr(0, line.find('#'));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        try {
            history.add(parse_event(line, before));
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(std::string(error.what()) + " in: " + std::string(line));
        }
        before = history.events().back().at;
    }
    return history;
}

}  // namespace peermq::sim
