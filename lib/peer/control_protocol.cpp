#include "peer/control_protocol.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "peermq/stats_fields.hpp"

namespace peermq::detail {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

enum Kind : std::uint8_t { kNumber = 1, kText = 2, kList = 3, kObject = 4 };
constexpr int kDepthMax = 8;

template <typename Number>
void put(std::string& out, Number number) {
    std::array<std::byte, sizeof number> bytes;
    base::store(bytes.data(), number);
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <typename Number>
bool take_number(std::string_view& bytes, Number& number) {
    if (bytes.size() < sizeof number) return false;
    number = base::load<Number>(reinterpret_cast<const std::byte*>(bytes.data()));
    bytes.remove_prefix(sizeof number);
    return true;
}

bool take_text(std::string_view& bytes, std::size_t size, std::string& text) {
    if (bytes.size() < size) return false;
    text = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return true;
}

// --- stats to values and back

template <typename Stats>
ControlValue encode_stats(const Stats& stats);

ControlValue encode_field(std::uint64_t number) { return number; }
ControlValue encode_field(bool flag) { return std::uint64_t{flag}; }
ControlValue encode_field(const std::string& text) { return text; }
ControlValue encode_field(std::chrono::nanoseconds duration) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
}
template <typename Stats>
ControlValue encode_field(const Stats& stats) {
    return encode_stats(stats);
}
template <typename Item>
ControlValue encode_field(const std::vector<Item>& items) {
    ControlList list;
    for (const Item& item : items) list.push_back(encode_field(item));
    return list;
}

template <typename Stats>
ControlValue encode_stats(const Stats& stats) {
    ControlObject object;
    for_each_field(stats, [&](std::string_view name, const auto& field) {
        object.emplace(name, encode_field(field));
    });
    return object;
}

template <typename Stats>
void decode_stats(const ControlValue& value, Stats& stats);

void decode_field(const ControlValue& value, std::uint64_t& number) { number = value.number(); }
void decode_field(const ControlValue& value, bool& flag) { flag = value.number() != 0; }
void decode_field(const ControlValue& value, std::string& text) { text = value.text(); }
void decode_field(const ControlValue& value, std::chrono::nanoseconds& duration) {
    duration = std::chrono::nanoseconds(
        static_cast<std::int64_t>(std::min<std::uint64_t>(value.number(), INT64_MAX)));
}
template <typename Stats>
void decode_field(const ControlValue& value, Stats& stats) {
    decode_stats(value, stats);
}
template <typename Item>
void decode_field(const ControlValue& value, std::vector<Item>& items) {
    for (const ControlValue& each : value.list()) decode_field(each, items.emplace_back());
}

template <typename Stats>
void decode_stats(const ControlValue& value, Stats& stats) {
    for_each_field(stats, [&](std::string_view name, auto& field) {
        const auto found = value.object().find(name);
        if (found != value.object().end()) decode_field(found->second, field);
    });
}

const ControlValue kNothing;

}  // namespace

std::uint64_t ControlValue::number() const noexcept {
    const auto* number = std::get_if<std::uint64_t>(&value_);
    return number == nullptr ? 0 : *number;
}

const std::string& ControlValue::text() const noexcept {
    static const std::string kEmpty;
    const auto* text = std::get_if<std::string>(&value_);
    return text == nullptr ? kEmpty : *text;
}

const ControlList& ControlValue::list() const noexcept {
    static const ControlList kEmpty;
    const auto* list = std::get_if<ControlList>(&value_);
    return list == nullptr ? kEmpty : *list;
}

const ControlObject& ControlValue::object() const noexcept {
    static const ControlObject kEmpty;
    const auto* object = std::get_if<ControlObject>(&value_);
    return object == nullptr ? kEmpty : *object;
}

const ControlValue& ControlValue::at(std::string_view name) const noexcept {
    const auto found = object().find(name);
    return found == object().end() ? kNothing : found->second;
}

void ControlValue::encode(std::string& out) const {
    if (const auto* number = std::get_if<std::uint64_t>(&value_)) {
        put(out, std::uint8_t{kNumber});
        put(out, *number);
    } else if (const auto* text = std::get_if<std::string>(&value_)) {
        put(out, std::uint8_t{kText});
        put(out, static_cast<std::uint32_t>(text->size()));
        out += *text;
    } else if (const auto* list = std::get_if<ControlList>(&value_)) {
        put(out, std::uint8_t{kList});
        put(out, static_cast<std::uint32_t>(list->size()));
        for (const ControlValue& each : *list) each.encode(out);
    } else {
        put(out, std::uint8_t{kObject});
        put(out, static_cast<std::uint32_t>(object().size()));
        for (const auto& [name, value] : object()) {
            put(out, static_cast<std::uint8_t>(name.size()));
            out += name;
            value.encode(out);
        }
    }
}

std::optional<ControlValue> ControlValue::decode(std::string_view bytes) {
    ControlValue value;
    if (!take(bytes, value, 0) || !bytes.empty()) return std::nullopt;
    return value;
}

bool ControlValue::take(std::string_view& bytes, ControlValue& value, int depth) {
    std::uint8_t kind = 0;
    if (depth > kDepthMax || !take_number(bytes, kind)) return false;
    if (kind == kNumber) {
        std::uint64_t number = 0;
        if (!take_number(bytes, number)) return false;
        value = number;
        return true;
    }
    std::uint32_t count = 0;
    if (!take_number(bytes, count)) return false;
    if (kind == kText) {
        std::string text;
        if (!take_text(bytes, count, text)) return false;
        value = std::move(text);
        return true;
    }
    // Each entry takes at least a byte: a count beyond that is a lie.
    if (count > bytes.size() || (kind != kList && kind != kObject)) return false;
    ControlList list;
    ControlObject object;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::string name;
        std::uint8_t name_bytes = 0;
        if (kind == kObject &&
            (!take_number(bytes, name_bytes) || !take_text(bytes, name_bytes, name))) {
            return false;
        }
        ControlValue each;
        if (!take(bytes, each, depth + 1)) return false;
        if (kind == kList) {
            list.push_back(std::move(each));
        } else {
            object.insert_or_assign(std::move(name), std::move(each));
        }
    }
    value = kind == kList ? ControlValue(std::move(list)) : ControlValue(std::move(object));
    return true;
}

ControlValue to_control(const PeerStats& stats) { return encode_stats(stats); }

PeerStats stats_of(const ControlValue& value) {
    PeerStats stats;
    decode_stats(value, stats);
    return stats;
}

ControlObject to_control(const PeerInfo& info) {
    return {{"peer", info.peer},
            {"version", info.version},
            {"spool", info.spool},
            {"pid", info.pid},
            {"uptime", encode_field(info.uptime)},
            {"endpoints", encode_field(info.endpoints)}};
}

PeerInfo info_of(const ControlValue& value) {
    PeerInfo info;
    info.peer = value.at("peer").text();
    info.version = value.at("version").text();
    info.spool = value.at("spool").text();
    info.pid = value.at("pid").number();
    decode_field(value.at("uptime"), info.uptime);
    decode_field(value.at("endpoints"), info.endpoints);
    return info;
}

ControlObject to_control(std::string_view queue, const Message& message) {
    ControlList headers;
    for (const auto& [name, value] : message.headers) {
        headers.emplace_back(ControlList{name, value});
    }
    return {{"queue", queue},
            {"body", message.body.text()},
            {"key", message.key},
            {"headers", std::move(headers)},
            {"id", message.id},
            {"correlation_id", message.correlation_id},
            {"reply_to", message.reply_to},
            {"content_type", message.content_type}};
}

Message message_of(const ControlValue& value) {
    Message message;
    message.body = value.at("body").text();
    message.key = value.at("key").text();
    for (const ControlValue& header : value.at("headers").list()) {
        if (header.list().size() != 2) continue;
        message.headers.emplace_back(header.list()[0].text(), header.list()[1].text());
    }
    message.id = value.at("id").text();
    message.correlation_id = value.at("correlation_id").text();
    message.reply_to = value.at("reply_to").text();
    message.content_type = value.at("content_type").text();
    return message;
}

// --- sockets

ControlSocket& ControlSocket::operator=(ControlSocket&& other) noexcept {
    if (this != &other) {
        if (descriptor_ >= 0) ::close(descriptor_);
        descriptor_ = std::exchange(other.descriptor_, -1);
    }
    return *this;
}

ControlSocket::~ControlSocket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

bool ControlSocket::wait(short events, SteadyTime deadline, int cancel) const {
    while (true) {
        std::array<pollfd, 2> waits{{{descriptor_, events, 0}, {cancel, POLLIN, 0}}};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        const auto timeout = static_cast<int>(
            std::clamp<std::int64_t>(left.count(), 0, std::int64_t{3'600'000}));
        const int ready = ::poll(waits.data(), waits.size(), timeout);
        if (ready < 0 && errno == EINTR) continue;
        return ready > 0 && waits[1].revents == 0;
    }
}

bool ControlSocket::send(const ControlValue& value, SteadyTime deadline, int cancel) const {
    std::string frame(4, '\0');
    value.encode(frame);
    base::store(reinterpret_cast<std::byte*>(frame.data()),
                static_cast<std::uint32_t>(frame.size() - 4));
    std::string_view left = frame;
    while (!left.empty()) {
        if (!wait(POLLOUT, deadline, cancel)) return false;
        const ssize_t sent = ::send(descriptor_, left.data(), left.size(),
                                    MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
        if (sent > 0) left.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

bool ControlSocket::receive_all(char* data, std::size_t size, SteadyTime deadline,
                                int cancel) const {
    while (size > 0) {
        if (!wait(POLLIN, deadline, cancel)) return false;
        const ssize_t got = ::recv(descriptor_, data, size, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
        if (got < 0) continue;
        data += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

std::optional<ControlValue> ControlSocket::receive(std::size_t bytes_max, SteadyTime deadline,
                                                   int cancel) const {
    std::array<char, 4> head{};
    if (!receive_all(head.data(), head.size(), deadline, cancel)) return std::nullopt;
    const auto size = base::load<std::uint32_t>(reinterpret_cast<const std::byte*>(head.data()));
    if (size > bytes_max) return std::nullopt;
    std::string bytes(size, '\0');
    if (!receive_all(bytes.data(), size, deadline, cancel)) return std::nullopt;
    return ControlValue::decode(bytes);
}

}  // namespace peermq::detail
