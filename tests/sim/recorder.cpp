#include "sim/recorder.hpp"

#include <charconv>
#include <cstring>

#include "record/record.hpp"

namespace peermq::sim {
namespace {

constexpr std::size_t kNumberBytes = 8;

std::uint64_t filler(std::uint64_t number) { return number * 0x9E3779B97F4A7C15; }

}  // namespace

void Recorder::add(Event event) {
    event.at = now_;
    if (trace_ != nullptr) {
        const auto since_start = now_.time_since_epoch() - std::chrono::hours(24);
        std::fprintf(trace_, "%12.6f  %s\n", static_cast<double>(since_start.count()) / 1e9,
                     to_text(event).c_str());
    }
    history_.add(event);
}

void Recorder::note(ActorId actor, const std::string& text) {
    if (trace_ == nullptr) return;
    const auto since_start = now_.time_since_epoch() - std::chrono::hours(24);
    std::fprintf(trace_, "%12.6f  # peer %u: %s\n", static_cast<double>(since_start.count()) / 1e9,
                 actor, text.c_str());
}

EpochNumber Recorder::epoch_of(std::uint64_t message) const {
    const auto at = epochs_.find(message);
    return at == epochs_.end() ? 0 : at->second;
}

void make_body(std::uint64_t number, std::size_t bytes, std::string& out) {
    out.resize(std::max(bytes, kNumberBytes));
    std::memcpy(out.data(), &number, kNumberBytes);
    std::uint64_t word = filler(number);
    for (std::size_t at = kNumberBytes; at < out.size(); at += kNumberBytes) {
        std::memcpy(out.data() + at, &word, std::min(kNumberBytes, out.size() - at));
        ++word;
    }
}

std::uint64_t number_of_body(base::ByteSpan body) {
    const std::uint64_t altered = record::key_hash(base::as_text(body)) | (std::uint64_t{1} << 63);
    if (body.size() < kNumberBytes) return altered;
    const auto number = base::load<std::uint64_t>(body.data());
    std::uint64_t word = filler(number);
    for (std::size_t at = kNumberBytes; at < body.size(); at += kNumberBytes) {
        if (std::memcmp(body.data() + at, &word, std::min(kNumberBytes, body.size() - at)) != 0) {
            return altered;
        }
        ++word;
    }
    return number;
}

std::uint64_t number_of_key(std::string_view key) {
    std::uint64_t number = 0;
    if (!key.empty()) std::from_chars(key.data() + 1, key.data() + key.size(), number);
    return number;
}

}  // namespace peermq::sim
