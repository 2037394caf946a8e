/// The end of a peer, and its numbers.

#include <algorithm>
#include <future>
#include <system_error>
#include <thread>

#include "peer/runtime.hpp"
#include "peer/thread.hpp"

namespace peermq::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto kDrainCheckInterval = 2ms;
/// Beyond its deadline close() waits so long for what it must do in any case: a last write and
/// sync, a farewell to the others. Only a disk that hangs takes longer.
constexpr auto kCloseGrace = 2s;
constexpr auto kFarewell = 50ms;
/// For events that still wait for their callback.
constexpr auto kEventsGrace = 100ms;

}  // namespace

std::string_view to_string(Durability durability) {
    switch (durability) {
        case Durability::memory: return "memory";
        case Durability::os: return "os";
        case Durability::disk: return "disk";
    }
    return "unknown";
}

bool Runtime::close(base::Duration timeout) {
    const std::lock_guard closing(closing_);
    if (close_result_) return *close_result_;
    const base::Time deadline = base::after(clock_.now(), timeout);
    const base::Time end = base::after(std::max(deadline, clock_.now()), kCloseGrace);
    // Closing writes, syncs and waits for those who do, and a disk may hang: a thread of its own
    // does it, which can be left alone with that.
    const auto work = std::make_shared<std::packaged_task<bool()>>(
        [self = shared_from_this(), deadline] { return self->close_all(deadline); });
    std::future<bool> result = work->get_future();
    try {
        std::thread closer = start_thread("pmq-closer", [work] { (*work)(); });
        if (!join_or_leave(closer, result, end - clock_.now())) give_up_closing();
    } catch (const std::system_error&) {
        (*work)();  // no thread to be had
    }
    events_.end(std::max<base::Duration>(end - clock_.now(), kEventsGrace));
    const bool over = result.wait_for(base::Duration::zero()) == std::future_status::ready;
    close_result_ = false;
    close_result_ = over && result.get();
    return *close_result_;
}

bool Runtime::close_all(base::Time deadline) {
    std::vector<std::shared_ptr<OutStream>> pushes;
    std::vector<std::shared_ptr<Calls>> calls;
    {
        const std::lock_guard lock(streams_mutex_);
        closed_ = true;
        pushes = out_streams();
        for (const auto& [name, service] : services_) calls.push_back(service.calls);
    }
    for (const auto& table : calls) table->close();
    // Also those whose Pull is gone but whose messages are still in somebody's hands.
    const std::vector<std::shared_ptr<InStream>> pulls = with_engine(
        [](const Engine& engine) { return engine.pulls(); });
    const auto wait_until = [&](const std::function<bool()>& condition) {
        while (!condition()) {
            if (clock_.now() >= deadline) return false;
            std::this_thread::sleep_for(kDrainCheckInterval);
        }
        return true;
    };
    for (const auto& stream : pulls) stream->stop();
    // What lies only in memory has no second chance; what is stored is safe already.
    bool clean = wait_until([&] {
        return std::all_of(pushes.begin(), pushes.end(), [&](const auto& stream) {
            // Nobody waits for the replies to requests any more.
            if (stream->stored() || stream->config().kind == spool::StreamKind::dead ||
                stream->config().kind == spool::StreamKind::service ||
                stream->config().kind == spool::StreamKind::reply)
                return true;
            return with_engine([&](Engine& engine) {
                return stream->config().kind == spool::StreamKind::topic
                           ? engine.published(*stream)
                           : engine.group(*stream).stats().depth == 0;
            });
        });
    });
    with_engine([](Engine& engine) { engine.begin_close(); });
    kick();
    clean = wait_until(
                [&] { return with_engine([](Engine& engine) { return engine.drained(); }); }) &&
            clean;
    for (const auto& stream : pushes) stream->close();
    for (const auto& stream : pulls) stream->close();
    stop_committer();
    (void)guarded_step();  // confirms what the last commit has stored
    with_engine([](Engine& engine) { engine.say_bye(); });
    stop_threads();
    {
        const std::lock_guard role(role_);
        network_ended_ = true;
        network_->shut_down(std::max(deadline, base::after(clock_.now(), kFarewell)));
    }
    if (spool_) spool_->close();
    return clean;
}

void Runtime::give_up_closing() {
    events_.emit({EventKind::io_error, "", "", 1,
                  "closing is not over: the disk of the spool does not answer; what waits for it "
                  "ends when it does, and until then the spool stays locked"});
    tell_to_stop();
    // Who holds this waits for the disk, too, and closing goes on behind them.
    const std::unique_lock lock(streams_mutex_, std::try_to_lock);
    if (!lock) return;
    for (const auto& stream : out_streams()) stream->close();
    for (const auto& [name, stream] : pulls_) stream->close();
    for (const auto& weak : subscribers_) {
        if (const auto stream = weak.lock()) stream->close();
    }
}

void Runtime::stop_committer() {
    if (!committer_.joinable()) return;
    commits_->stop();
    committer_.join();
}

void Runtime::tell_to_stop() {
    {
        const std::lock_guard lock(driver_mutex_);
        const std::lock_guard keeper(keeper_mutex_);
        stopping_ = true;
        driver_changed_.notify_all();
        keeper_wanted_.notify_all();
    }
    network_->wake();
}

void Runtime::stop_threads() {
    stop_committer();
    tell_to_stop();
    if (background_.joinable()) background_.join();
    if (keeper_.joinable()) keeper_.join();
    // A thread of the application may still wait for the sockets in receive() or wait().
    std::unique_lock lock(driver_mutex_);
    driver_changed_.wait(lock, [this] { return driver_ == Driver::nobody; });
}

std::uint64_t Runtime::purge(OutStream& stream) {
    require_open();
    const std::uint64_t count = with_engine([&](Engine& engine) { return engine.purge(stream); });
    // Durable on return: a purged message must not be back after a crash.
    const bool stored = !stream.stored() || commits_->commit();
    kick();
    stream.throw_if_failed();
    if (!stored) throw Error(ErrorCode::closed, "the peer was closed before the purge was stored");
    return count;
}

void Runtime::pause(const OutStream& stream, bool paused) {
    require_open();
    with_engine([&](Engine& engine) { engine.pause(stream, paused); });
    nudge();
}

PushStats Runtime::push_stats(OutStream& stream) {
    check_process();
    PushStats stats = with_engine([&](Engine& engine) {
        PushStats taken = engine.push_stats(stream);
        taken.durability = to_string(stream.config().durability);
        return taken;
    });
    stats.queue = stream.config().name;
    stats.posted = stream.posted();
    return stats;
}

PullStats Runtime::pull_stats(InStream& stream) {
    check_process();
    const delivery::InboxStats inbox = stream.stats();
    PullStats stats;
    stats.queue = stream.queue();
    stats.ready = inbox.ready;
    stats.started = inbox.started;
    stats.unconfirmed = inbox.unconfirmed;
    stats.received = inbox.received;
    stats.redelivered = inbox.redelivered;
    stats.acked = inbox.acked;
    stats.nacked = inbox.nacked;
    stats.released = inbox.released;
    stats.rejected = inbox.rejected;
    stats.recalled = inbox.recalled;
    stats.refused = inbox.refused;
    stats.duplicates = inbox.duplicates;
    stats.unsettled_drops = stream.unsettled_drops();
    stats.producers = inbox.sources;
    stats.producers_ready = inbox.sources_ready;
    return stats;
}

std::vector<std::shared_ptr<OutStream>> Runtime::out_streams() {
    std::vector<std::shared_ptr<OutStream>> all;
    for (const auto& [name, stream] : pushes_) all.push_back(stream);
    for (const auto& [name, stream] : publishers_) all.push_back(stream);
    for (const auto& [name, service] : services_) {
        all.push_back(service.calls->stream());
        if (service.calls->replies()) all.push_back(service.calls->replies());
    }
    return all;
}

PeerStats Runtime::stats() {
    PeerStats stats;
    stats.peer = peer_.hex();
    std::vector<std::shared_ptr<OutStream>> pushes;
    std::vector<std::shared_ptr<OutStream>> publishers;
    std::vector<std::shared_ptr<InStream>> pulls;
    std::vector<std::shared_ptr<InStream>> subscribers;
    {
        const std::lock_guard lock(streams_mutex_);
        for (const auto& [name, stream] : pushes_) pushes.push_back(stream);
        for (const auto& [name, stream] : pulls_) pulls.push_back(stream);
        for (const auto& [name, stream] : publishers_) publishers.push_back(stream);
        for (const auto& weak : subscribers_) {
            if (auto stream = weak.lock(); stream && !stream->stopped())
                subscribers.push_back(std::move(stream));
        }
    }
    for (const auto& stream : pushes) stats.pushes.push_back(push_stats(*stream));
    for (const auto& stream : pulls) stats.pulls.push_back(pull_stats(*stream));
    for (const auto& stream : publishers) stats.publishers.push_back(publisher_stats(*stream));
    for (const auto& stream : subscribers) stats.subscribers.push_back(subscriber_stats(*stream));
    with_engine([&](Engine& engine) {
        stats.links = engine.link_stats();
        stats.rejected_links = engine.rejected_links();
        stats.protocol_errors = engine.protocol_errors();
    });
    stats.damage = damage_.load();
    stats.events_dropped = events_.dropped();
    stats.callback_failures = events_.failures();
    if (spool_) {
        const spool::SpoolStats spool = spool_->stats();
        stats.spool.live_bytes = spool.live_bytes;
        stats.spool.dead_bytes = spool.dead_bytes;
        stats.spool.disk_bytes = spool.disk_bytes;
        stats.spool.segments = spool.segments;
        stats.spool.syncs = spool.syncs;
        stats.spool.sync_mean = std::chrono::nanoseconds(
            static_cast<std::int64_t>(spool.syncs ? spool.sync_ns_total / spool.syncs : 0));
        stats.spool.sync_max = std::chrono::nanoseconds(
            static_cast<std::int64_t>(spool.sync_ns_max));
        stats.spool.space_low = spool.space_low;
    }
    return stats;
}

}  // namespace peermq::detail
