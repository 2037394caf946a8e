#pragma once

/// A network in virtual time that carries whole frames over connections, and breaks them.
///
/// As with libzmq over TCP, frames of a living connection arrive whole, once and in order; but a
/// connection can die at any moment, with everything under way in both directions, and its two ends
/// learn of it at different times, or only when they send again. Attempts to connect are refused,
/// or hang. A blocked direction between two hosts holds its frames back until it is healed.
///
/// Stricter than TCP, when asked: frames of a dead connection may come again, late, out of a newer
/// connection between the same hosts ("ghosts"). Only the session nonce tells them apart.
///
/// Everything is drawn from one seed, so a run repeats. Time only moves when the caller says so.
///
/// Threads: none. Callers: the simulator.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "support/seeded_random.hpp"

namespace peermq::sim {

using base::Duration;
using base::Time;

using HostId = std::uint32_t;
/// One end of one connection; never reused. 0 = none.
using EndId = std::uint64_t;

/// A frame in one or two parts. The second is not copied: `pin` keeps it alive.
struct Frame {
    std::vector<std::byte> head;
    base::ByteSpan records;
    std::shared_ptr<const void> pin;
    bool two_parts = false;
};

struct NetworkOptions {
    Duration delay_min = std::chrono::microseconds(50);
    Duration delay_max = std::chrono::microseconds(500);
    /// Longest time until an end learns that its connection has died.
    Duration notice_max = std::chrono::seconds(2);
    /// Frames under way in one direction before send() says "full".
    std::size_t frames_max = 1000;
    // The rest in times per million: of frames sent, attempts to connect, or ticks of disturb().
    std::uint32_t slow_frame = 0;  ///< takes up to slow_max; what follows it waits
    Duration slow_max = std::chrono::seconds(5);
    std::uint32_t die_at_frame = 0;
    std::uint32_t refuse = 0;
    std::uint32_t half_open = 0;  ///< of dying connections: one end is never told by itself
    std::uint32_t ghost = 0;      ///< of frames of a dead connection: comes again later
    std::uint32_t partition = 0;  ///< per tick and pair of hosts
    std::uint32_t partition_one_way = 0;
    std::uint32_t heal = 0;  ///< per tick and blocked direction
    std::uint32_t clog = 0;  ///< per tick and direction
    Duration clog_max = std::chrono::seconds(5);
    std::uint32_t swizzle = 0;  ///< per tick: clogs some hosts, frees them in another order
};

struct NetworkCounters {
    std::uint64_t frames_sent = 0;
    std::uint64_t frames_arrived = 0;
    std::uint64_t frames_lost = 0;
    std::uint64_t frames_slow = 0;
    std::uint64_t frames_full = 0;  ///< refused by send()
    std::uint64_t ghosts = 0;
    std::uint64_t connects = 0;
    std::uint64_t refused = 0;
    std::uint64_t deaths = 0;
    std::uint64_t half_open = 0;
    std::uint64_t partitions = 0;
    std::uint64_t partitions_one_way = 0;
    std::uint64_t clogs = 0;
    std::uint64_t swizzles = 0;
};

struct NetworkEvent {
    enum class Kind : std::uint8_t {
        accepted,   ///< a new end at a listening host
        connected,  ///< the end that connect() returned is usable
        refused,    ///< it never will be; the end has gone: nobody listens there
        failed,     ///< it never will be; the end has gone: for whatever reason of the network
        frame,
        down,  ///< the connection has died or the other side closed; the end has gone
    };
    Kind kind{};
    HostId host = 0;
    EndId end = 0;
    HostId remote = 0;
    std::uint16_t port = 0;  ///< accepted
    Frame frame;
};

class Network {
public:
    Network(std::uint64_t seed, NetworkOptions options);

    [[nodiscard]] HostId add_host();
    void listen(HostId host, std::uint16_t port);
    void stop_listening(HostId host, std::uint16_t port);

    /// Begins to connect; `connected` or `refused` follows, or nothing while the way is blocked.
    [[nodiscard]] EndId connect(HostId from, HostId to, std::uint16_t port, Time now);
    /// False when too much is under way (try later). True is no promise that it arrives.
    [[nodiscard]] bool send(EndId end, Frame frame, Time now);
    /// Closes in order: what was sent before still goes out, then the other side learns of it.
    void close(EndId end, Time now);

    /// The process of `host` ends: it listens no more and its ends are gone. A part of what it had
    /// sent may still arrive. `silent`: as by a power cut, so nobody is told before the host
    /// is back (it listens or connects again) and they send.
    void kill_host(HostId host, bool silent, Time now);
    /// One connection dies with all that is under way.
    void kill(EndId end, Time now);

    // --- ways between hosts
    /// Frames from `from` to `to` are held back until `until` (base::kNever: until heal()).
    void block(HostId from, HostId to, Time until);
    void heal(HostId from, HostId to, Time now);
    /// Ends all blocks; connections that died stay dead.
    void heal_all(Time now);
    /// No more faults from now on, and heals everything; ghosts not yet seen never come.
    void calm(Time now);
    /// Draws the faults that come by themselves. Call it in regular ticks.
    void disturb(Time now);

    /// When the next event may come; base::kNever when nothing is under way.
    [[nodiscard]] Time next_event() const;
    /// The next event due at `now`, in order of time.
    [[nodiscard]] std::optional<NetworkEvent> poll(Time now);

    [[nodiscard]] const NetworkCounters& counters() const noexcept { return counters_; }
    void set_options(const NetworkOptions& options) { options_ = options; }
    [[nodiscard]] const NetworkOptions& options() const noexcept { return options_; }
    [[nodiscard]] std::size_t connection_count() const noexcept { return connections_.size(); }
    [[nodiscard]] bool is_blocked(HostId from, HostId to, Time now) const;

private:
    enum class Content : std::uint8_t { knock, welcome, absence, refusal, frame, farewell };
    struct Item {
        Content content{};
        Time due{};
        Frame frame;
    };
    /// One direction of a connection: side 0 sends to side 1, or the other way round.
    struct Way {
        std::deque<Item> items;
        std::deque<Frame> arrived;  ///< the last few, for ghosts
    };
    enum class EndState : std::uint8_t { connecting, open, gone };
    struct Connection {
        HostId host[2]{};
        std::uint16_t port = 0;
        EndState state[2]{};
        bool dead = false;
        Way way[2];  ///< [side] = from this side to the other
    };
    /// A call to look at one way, or to tell one end that its connection is dead.
    struct Wake {
        Time at{};
        std::uint64_t order = 0;
        EndId end = 0;  ///< the sending end, or the end to be told
        bool tell = false;
        friend bool operator>(const Wake& a, const Wake& b) {
            return a.at != b.at ? a.at > b.at : a.order > b.order;
        }
    };
    struct Ghost {
        HostId from = 0;
        HostId to = 0;
        Time due{};
        Frame frame;
    };
    using Connections = std::map<std::uint64_t, Connection>;

    [[nodiscard]] Connection* find(EndId end);
    [[nodiscard]] static int side_of(EndId end) { return static_cast<int>(end & 1); }
    [[nodiscard]] static EndId other(EndId end) { return end ^ 1; }
    [[nodiscard]] Duration draw_delay();
    void put(EndId from, Connection& connection, Content content, Frame frame, Time now);
    void wake(EndId end, Time at, bool tell);
    [[nodiscard]] std::optional<NetworkEvent> look(EndId from, Connection& connection, Time now);
    [[nodiscard]] std::optional<NetworkEvent> arrive(EndId from, Connection& connection, Item item,
                                                     Time now);
    [[nodiscard]] std::optional<NetworkEvent> knock(EndId from, Connection& connection, Time now);
    [[nodiscard]] std::optional<NetworkEvent> tell(EndId end, Connection& connection,
                                                   bool absent = false);
    [[nodiscard]] std::optional<NetworkEvent> take_ghost(Time now);
    [[nodiscard]] NetworkEvent event(NetworkEvent::Kind kind, EndId end,
                                     const Connection& connection) const;
    void die(std::uint64_t number, Connection& connection, Time now);
    void lose(Way& way, HostId from, HostId to, Time now);
    void erase_if_over(EndId end);
    void wake_all(HostId from, HostId to, Time now);

    test::SeededRandom random_;
    NetworkOptions options_;
    NetworkCounters counters_;
    HostId hosts_ = 0;
    std::set<std::pair<HostId, std::uint16_t>> listening_;
    std::set<HostId> dark_;  ///< without power: nothing answers
    Connections connections_;
    std::uint64_t next_connection_ = 1;
    std::map<std::pair<HostId, HostId>, Time> blocked_until_;
    std::priority_queue<Wake, std::vector<Wake>, std::greater<>> wakes_;
    std::uint64_t next_order_ = 0;
    std::deque<Ghost> ghosts_;
};

}  // namespace peermq::sim
