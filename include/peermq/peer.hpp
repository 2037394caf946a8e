#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "peermq/export.hpp"
#include "peermq/options.hpp"
#include "peermq/publisher.hpp"
#include "peermq/pull.hpp"
#include "peermq/push.hpp"
#include "peermq/replier.hpp"
#include "peermq/requester.hpp"
#include "peermq/stats.hpp"
#include "peermq/subscriber.hpp"

namespace peermq {

/// A process taking part: owns endpoints, identity, queues and at most one spool directory.
///
/// Threads: any number of callers at once. Starts threads of its own; they take no signals.
/// Fork: a child must not use a Peer made before the fork; every call there throws Error
/// invalid_state.
/// Lifetime: one that was moved from may only be destroyed or assigned to.
class PEERMQ_EXPORT Peer {
public:
    /// Opens the spool, if any, and recovers what it holds: queues with messages left are handed
    /// out again as soon as consumers connect, also before push() is called for them. Throws Error:
    /// locked (another process has it; text names its pid), version_mismatch, corrupt, denied,
    /// unsupported (a network file system), no_space, io_error, invalid_argument.
    explicit Peer(PeerOptions options = {});
    Peer(Peer&&) noexcept;
    Peer& operator=(Peer&&) noexcept;
    /// Like close() with PeerOptions::close_timeout. Never hangs, also when the disk does.
    ~Peer();

    /// Listens on "tcp://HOST:PORT", "ipc://PATH" or "inproc://NAME"; port "*" or 0 picks a free
    /// one. One port carries everything. Returns the endpoint as others must connect to it. Throws
    /// Error: invalid_argument, unsupported (scheme), address_in_use, denied (others can reach it
    /// and `insecure` is not set, or permissions), closed, io_error (for example out of
    /// descriptors).
    std::string bind(std::string_view endpoint);
    /// Connects now or as soon as someone listens there, and again whenever the link is lost.
    /// That nobody is there is told by events only. Throws Error: invalid_argument, unsupported,
    /// closed, io_error (the system refuses; what later attempts meet is an event).
    void connect(std::string_view endpoint);

    /// The sending side of a queue: 1 to 255 printable ASCII characters without space; names ending
    /// in ".dead" are reserved for dead letters.
    /// Throws Error: invalid_argument, invalid_state (options differ from those that this peer
    /// opened it with, or durability memory for a queue in the spool), unsupported (durability
    /// without a spool), quota (65,536 queues in the spool, those of dead letters included),
    /// closed, io_error.
    Push push(std::string_view queue, PushOptions options = {});
    /// The receiving side of a queue; "<queue>.dead" reads dead letters.
    /// Throws Error: invalid_argument, invalid_state (this peer pulls it already), closed,
    /// io_error.
    Pull pull(std::string_view queue, PullOptions options = {});

    /// Publishes topics that begin with `name`: itself and "<name>.<more>". A name is 1 to 255
    /// bytes, tokens of printable ASCII characters without space, `*` and `#`, joined by dots.
    /// Throws Error like push().
    Publisher publisher(std::string_view name, PublisherOptions options = {});
    /// Subscribes to the topics that match `pattern`, of all publishers of all connected peers, now
    /// and later. In a pattern `*` stands for one token, and `#`, at the end only, for the rest:
    /// zero or more tokens. Returns once every peer that is linked now has confirmed, or
    /// SubscriberOptions::confirm_timeout is over: Subscriber::publishers() says how many
    /// publishers have topics that can match, perhaps none.
    /// Throws Error: invalid_argument (pattern, options), closed, io_error.
    Subscriber subscriber(std::string_view pattern, SubscriberOptions options = {});
    /// The asking side of a service; names as for queues, of which they are independent.
    /// Throws Error: invalid_argument, invalid_state (options differ from those that this peer
    /// opened it with), unsupported (durability without a spool), quota, closed, io_error.
    Requester requester(std::string_view service, RequesterOptions options = {});
    /// The answering side of a service.
    /// Throws Error: invalid_argument, invalid_state (this peer answers it already), closed,
    /// io_error.
    Replier replier(std::string_view service, ReplierOptions options = {});

    /// Stops receiving, waits until the queues with Durability::memory are settled, which have no
    /// second chance, lets handlers finish, sends what is settled, says BYE, closes the spool. True
    /// when all of that was done within `deadline`; what was durable stays so in any case. With 0
    /// or less it waits for no consumer and no handler. Later calls return what the first one did.
    ///
    /// The last write and the farewell to other peers are tried for up to 2 s beyond `deadline`.
    /// When the disk of the spool does not answer even then, it returns false: the thread that
    /// waits for the disk, and calls of other threads that do, end when it answers, the spool is
    /// closed after them, and until then the directory stays locked. No event callback begins once
    /// it has returned; one that has not ended by then is left alone.
    ///
    /// A handler that calls it waits for itself: it gets false after the whole `deadline`, and its
    /// ack throws Error closed, which ends run(); call Pull::stop() there instead. An event
    /// callback must not call it.
    bool close(std::chrono::nanoseconds deadline);

    /// 32 hexadecimal digits; kept in the spool, else new per Peer.
    [[nodiscard]] std::string id() const;
    [[nodiscard]] PeerStats stats() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace peermq
