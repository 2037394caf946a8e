#include "sim/network.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace peermq::sim {
namespace {

constexpr std::size_t kGhostsMax = 256;
constexpr std::size_t kArrivedKept = 4;

/// Draws a time in (now, now + most].
Time soon(test::SeededRandom& random, Time now, Duration most) {
    const auto range = static_cast<std::uint64_t>(std::max<std::int64_t>(most.count(), 1));
    return now + Duration(static_cast<std::int64_t>(random.between(1, range)));
}

}  // namespace

Network::Network(std::uint64_t seed, NetworkOptions options) : random_(seed), options_(options) {}

HostId Network::add_host() { return hosts_++; }

void Network::listen(HostId host, std::uint16_t port) {
    dark_.erase(host);
    listening_.emplace(host, port);
}

void Network::stop_listening(HostId host, std::uint16_t port) { listening_.erase({host, port}); }

// --- connections ---------------------------------------------------------------------------------

Network::Connection* Network::find(EndId end) {
    const auto at = connections_.find(end >> 1);
    return at == connections_.end() ? nullptr : &at->second;
}

Duration Network::draw_delay() {
    const Duration range = options_.delay_max - options_.delay_min;
    const auto spread = static_cast<std::uint64_t>(range.count());
    return options_.delay_min + Duration(static_cast<std::int64_t>(random_.below(spread + 1)));
}

void Network::wake(EndId end, Time at, bool tell) { wakes_.push({at, next_order_++, end, tell}); }

void Network::put(EndId from, Connection& connection, Content content, Frame frame, Time now) {
    std::deque<Item>& items = connection.way[side_of(from)].items;
    Time due = now + draw_delay();
    if (content == Content::frame && random_.chance(options_.slow_frame)) {
        due = soon(random_, now, options_.slow_max);
        ++counters_.frames_slow;
    }
    // In order: nothing overtakes what was sent before it.
    if (!items.empty()) due = std::max(due, items.back().due);
    items.push_back({content, due, std::move(frame)});
    wake(from, due, false);
}

EndId Network::connect(HostId from, HostId to, std::uint16_t port, Time now) {
    PEERMQ_ASSERT(from < hosts_ && to < hosts_);
    dark_.erase(from);
    const std::uint64_t number = next_connection_++;
    Connection& connection = connections_[number];
    connection.host[0] = from;
    connection.host[1] = to;
    connection.port = port;
    ++counters_.connects;
    put(number << 1, connection, Content::knock, {}, now);
    return number << 1;
}

bool Network::send(EndId end, Frame frame, Time now) {
    Connection* connection = find(end);
    if (!connection || connection->state[side_of(end)] == EndState::gone) return true;
    Way& way = connection->way[side_of(end)];
    if (way.items.size() >= options_.frames_max) {
        ++counters_.frames_full;
        return false;
    }
    ++counters_.frames_sent;
    if (connection->dead) {
        ++counters_.frames_lost;
        // The other host answers a frame for a connection that it does not know.
        if (!dark_.contains(connection->host[1 - side_of(end)])) {
            wake(end, now + draw_delay() + draw_delay(), true);
        }
        return true;
    }
    put(end, *connection, Content::frame, std::move(frame), now);
    if (random_.chance(options_.die_at_frame)) die(end >> 1, *connection, now);
    return true;
}

void Network::close(EndId end, Time now) {
    Connection* connection = find(end);
    if (!connection || connection->state[side_of(end)] == EndState::gone) return;
    connection->state[side_of(end)] = EndState::gone;
    if (!connection->dead) put(end, *connection, Content::farewell, {}, now);
    erase_if_over(end);
}

void Network::kill(EndId end, Time now) {
    Connection* connection = find(end);
    if (connection && !connection->dead) die(end >> 1, *connection, now);
}

void Network::die(std::uint64_t number, Connection& connection, Time now) {
    ++counters_.deaths;
    connection.dead = true;
    for (int side = 0; side < 2; ++side) {
        lose(connection.way[side], connection.host[side], connection.host[1 - side], now);
    }
    const bool half_open = random_.chance(options_.half_open);
    const auto untold = half_open ? static_cast<int>(random_.below(2)) : -1;
    counters_.half_open += half_open ? 1 : 0;
    for (int side = 0; side < 2; ++side) {
        if (side == untold) continue;
        const Time at = soon(random_, now, options_.notice_max);
        wake((number << 1) | static_cast<EndId>(side), at, true);
    }
}

void Network::lose(Way& way, HostId from, HostId to, Time now) {
    const auto haunt = [&](Frame& frame) {
        if (ghosts_.size() >= kGhostsMax || !random_.chance(options_.ghost)) return;
        ghosts_.push_back({from, to, soon(random_, now, options_.slow_max), std::move(frame)});
    };
    for (Frame& frame : way.arrived) haunt(frame);
    for (Item& item : way.items) {
        if (item.content != Content::frame) continue;
        ++counters_.frames_lost;
        haunt(item.frame);
    }
    way.arrived.clear();
    way.items.clear();
}

void Network::kill_host(HostId host, bool silent, Time now) {
    std::erase_if(listening_, [&](const auto& entry) { return entry.first == host; });
    if (silent) dark_.insert(host);
    for (auto& [number, connection] : connections_) {
        for (int side = 0; side < 2; ++side) {
            if (connection.host[side] != host) continue;
            connection.state[side] = EndState::gone;
            if (connection.dead) continue;
            // What the kernel had taken over may still go out, up to some point.
            std::deque<Item>& items = connection.way[side].items;
            const std::size_t kept = random_.below(items.size() + 1);
            counters_.frames_lost += items.size() - kept;
            items.resize(kept);
            if (silent) continue;
            put((number << 1) | static_cast<EndId>(side), connection, Content::farewell, {}, now);
        }
    }
    std::erase_if(connections_, [](const auto& entry) {
        const Connection& each = entry.second;
        return each.state[0] == EndState::gone && each.state[1] == EndState::gone;
    });
}

void Network::erase_if_over(EndId end) {
    const Connection* connection = find(end);
    if (!connection) return;
    const bool over = connection->state[0] == EndState::gone &&
                      connection->state[1] == EndState::gone;
    if (over) connections_.erase(end >> 1);
}

// --- events --------------------------------------------------------------------------------------

Time Network::next_event() const {
    Time next = wakes_.empty() ? base::kNever : wakes_.top().at;
    for (const Ghost& ghost : ghosts_) next = std::min(next, ghost.due);
    return next;
}

std::optional<NetworkEvent> Network::poll(Time now) {
    if (auto ghost = take_ghost(now)) return ghost;
    while (!wakes_.empty() && wakes_.top().at <= now) {
        const Wake next = wakes_.top();
        wakes_.pop();
        Connection* connection = find(next.end);
        if (!connection) continue;
        auto found = next.tell ? tell(next.end, *connection) : look(next.end, *connection, now);
        if (found) return found;
    }
    return std::nullopt;
}

NetworkEvent Network::event(NetworkEvent::Kind kind, EndId end,
                            const Connection& connection) const {
    const int side = side_of(end);
    return {kind, connection.host[side], end, connection.host[1 - side], connection.port, {}};
}

std::optional<NetworkEvent> Network::tell(EndId end, Connection& connection, bool absent) {
    EndState& state = connection.state[side_of(end)];
    if (state == EndState::gone) return std::nullopt;
    auto kind = NetworkEvent::Kind::down;
    if (state == EndState::connecting) {
        kind = absent ? NetworkEvent::Kind::refused : NetworkEvent::Kind::failed;
    }
    const bool known = side_of(end) == 0 || state == EndState::open;
    state = EndState::gone;
    const NetworkEvent told = event(kind, end, connection);
    erase_if_over(end);
    // An end that was never accepted is nobody's business.
    return known ? std::optional(told) : std::nullopt;
}

std::optional<NetworkEvent> Network::look(EndId from, Connection& connection, Time now) {
    std::deque<Item>& items = connection.way[side_of(from)].items;
    if (items.empty() || items.front().due > now) return std::nullopt;
    const HostId to = connection.host[1 - side_of(from)];
    const auto blocked = blocked_until_.find({connection.host[side_of(from)], to});
    if (blocked != blocked_until_.end()) {
        if (blocked->second > now) {
            if (blocked->second != base::kNever) wake(from, blocked->second, false);
            return std::nullopt;
        }
        blocked_until_.erase(blocked);
    }
    Item item = std::move(items.front());
    items.pop_front();
    // Others may be due as well, after a time in which they were held back.
    if (!items.empty() && items.front().due <= now) wake(from, now, false);
    return arrive(from, connection, std::move(item), now);
}

std::optional<NetworkEvent> Network::arrive(EndId from, Connection& connection, Item item,
                                            Time now) {
    const EndId to = other(from);
    EndState& state = connection.state[side_of(to)];
    switch (item.content) {
        case Content::knock: return knock(from, connection, now);
        case Content::welcome:
            if (state != EndState::connecting) return std::nullopt;
            state = EndState::open;
            return event(NetworkEvent::Kind::connected, to, connection);
        case Content::absence: return tell(to, connection, true);
        case Content::refusal:
        case Content::farewell: return tell(to, connection);
        case Content::frame: break;
    }
    if (state == EndState::gone) {
        // Nobody is there any more; the sender learns of it.
        ++counters_.frames_lost;
        connection.dead = true;
        if (!dark_.contains(connection.host[side_of(to)])) wake(from, now + draw_delay(), true);
        return std::nullopt;
    }
    ++counters_.frames_arrived;
    NetworkEvent arrived = event(NetworkEvent::Kind::frame, to, connection);
    if (options_.ghost != 0) {
        std::deque<Frame>& kept = connection.way[side_of(from)].arrived;
        if (kept.size() == kArrivedKept) kept.pop_front();
        kept.push_back(item.frame);
    }
    arrived.frame = std::move(item.frame);
    return arrived;
}

std::optional<NetworkEvent> Network::knock(EndId from, Connection& connection, Time now) {
    const EndId to = other(from);
    const bool heard = listening_.contains({connection.host[1], connection.port});
    if (!heard || random_.chance(options_.refuse)) {
        connection.state[side_of(to)] = EndState::gone;
        if (dark_.contains(connection.host[1])) return std::nullopt;
        ++counters_.refused;
        put(to, connection, heard ? Content::refusal : Content::absence, {}, now);
        return std::nullopt;
    }
    connection.state[side_of(to)] = EndState::open;
    put(to, connection, Content::welcome, {}, now);
    return event(NetworkEvent::Kind::accepted, to, connection);
}

std::optional<NetworkEvent> Network::take_ghost(Time now) {
    for (auto ghost = ghosts_.begin(); ghost != ghosts_.end();) {
        if (ghost->due > now) {
            ++ghost;
            continue;
        }
        for (auto at = connections_.rbegin(); at != connections_.rend(); ++at) {
            Connection& connection = at->second;
            for (int side = 0; side < 2; ++side) {
                if (connection.dead || connection.host[side] != ghost->to ||
                    connection.host[1 - side] != ghost->from ||
                    connection.state[side] != EndState::open) {
                    continue;
                }
                const EndId end = (at->first << 1) | static_cast<EndId>(side);
                NetworkEvent seen = event(NetworkEvent::Kind::frame, end, connection);
                seen.frame = std::move(ghost->frame);
                ghosts_.erase(ghost);
                ++counters_.ghosts;
                return seen;
            }
        }
        ghost = ghosts_.erase(ghost);  // no newer connection: it has missed its chance
    }
    return std::nullopt;
}

// --- ways between hosts --------------------------------------------------------------------------

bool Network::is_blocked(HostId from, HostId to, Time now) const {
    const auto at = blocked_until_.find({from, to});
    return at != blocked_until_.end() && at->second > now;
}

void Network::block(HostId from, HostId to, Time until) {
    Time& current = blocked_until_[{from, to}];
    current = std::max(current, until);
}

void Network::wake_all(HostId from, HostId to, Time now) {
    for (auto& [number, connection] : connections_) {
        for (int side = 0; side < 2; ++side) {
            if (connection.host[side] != from || connection.host[1 - side] != to) continue;
            if (!connection.way[side].items.empty()) {
                wake((number << 1) | static_cast<EndId>(side), now, false);
            }
        }
    }
}

void Network::heal(HostId from, HostId to, Time now) {
    if (blocked_until_.erase({from, to}) > 0) wake_all(from, to, now);
}

void Network::heal_all(Time now) {
    const auto blocked = std::exchange(blocked_until_, {});
    for (const auto& [way, until] : blocked) wake_all(way.first, way.second, now);
}

void Network::calm(Time now) {
    const NetworkOptions before = std::exchange(options_, NetworkOptions{});
    options_.delay_min = before.delay_min;
    options_.delay_max = before.delay_max;
    options_.notice_max = before.notice_max;
    options_.frames_max = before.frames_max;
    ghosts_.clear();
    heal_all(now);
}

void Network::disturb(Time now) {
    const auto some = [&] { return static_cast<HostId>(random_.below(hosts_)); };
    if (hosts_ < 2) return;
    for (auto at = blocked_until_.begin(); at != blocked_until_.end();) {
        const auto [from, to] = (at++)->first;
        if (random_.chance(options_.heal)) heal(from, to, now);
    }
    const HostId from = some();
    const auto to = static_cast<HostId>((from + 1 + random_.below(hosts_ - 1)) % hosts_);
    if (random_.chance(options_.partition)) {
        ++counters_.partitions;
        block(from, to, base::kNever);
        block(to, from, base::kNever);
    }
    if (random_.chance(options_.partition_one_way)) {
        ++counters_.partitions_one_way;
        block(from, to, base::kNever);
    }
    if (random_.chance(options_.clog)) {
        ++counters_.clogs;
        block(from, to, soon(random_, now, options_.clog_max));
    }
    if (!random_.chance(options_.swizzle)) return;
    // Each of some hosts is cut off from all others, and comes back at a time of its own.
    ++counters_.swizzles;
    for (HostId host = 0; host < hosts_; ++host) {
        if (random_.below(2) == 0) continue;
        const Time until = soon(random_, now, options_.clog_max);
        for (HostId peer = 0; peer < hosts_; ++peer) {
            if (peer == host) continue;
            block(host, peer, until);
            block(peer, host, until);
        }
    }
}

}  // namespace peermq::sim
