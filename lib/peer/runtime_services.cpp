/// Services: what requesters and repliers ask of a peer.

#include "peer/check_options.hpp"
#include "peer/runtime.hpp"

namespace peermq::detail {
namespace {

namespace limits = base::limits;

void require(bool holds, const std::string& what) {
    if (!holds) throw Error(ErrorCode::invalid_argument, what);
}

void check(const RequesterOptions& options, bool has_spool) {
    require(options.timeout.count() > 0, "RequesterOptions::timeout: must be positive");
    require(options.in_flight_max >= 1 && options.in_flight_max <= limits::kRequestsInFlightMax,
            "RequesterOptions::in_flight_max of " + std::to_string(options.in_flight_max) +
                ": 1 to 1,000,000 are possible");
    require(options.memory_bytes_max >= 1024,
            "RequesterOptions::memory_bytes_max: at least 1,024 bytes");
    require(options.retry_percent <= 100, "RequesterOptions::retry_percent: 0 to 100");
    require(options.breaker_window >= 1 && options.breaker_window <= 1000,
            "RequesterOptions::breaker_window of " + std::to_string(options.breaker_window) +
                ": 1 to 1,000 are possible");
    require(options.breaker_failures <= options.breaker_window,
            "RequesterOptions::breaker_failures of " + std::to_string(options.breaker_failures) +
                ": not more than breaker_window, " + std::to_string(options.breaker_window));
    require(options.breaker_wait.count() > 0, "RequesterOptions::breaker_wait: must be positive");
    if (options.durability != Durability::memory && !has_spool) {
        throw Error(ErrorCode::unsupported,
                    "durability os and disk need a spool: set PeerOptions::spool");
    }
}

bool same(const RequesterOptions& a, const RequesterOptions& b) {
    return a.durability == b.durability && a.timeout == b.timeout &&
           a.in_flight_max == b.in_flight_max && a.memory_bytes_max == b.memory_bytes_max &&
           a.retry_percent == b.retry_percent && a.retry_burst == b.retry_burst &&
           a.breaker_failures == b.breaker_failures && a.breaker_window == b.breaker_window &&
           a.breaker_wait == b.breaker_wait;
}

}  // namespace

delivery::GroupOptions service_group_options(const RequesterOptions& options) {
    delivery::GroupOptions group;
    group.repeat = delivery::Repeat::if_told;
    group.repeat_percent = options.retry_percent;
    group.repeat_burst = options.retry_burst;
    // Repliers that may hold a request from before a restart are waited for until they have tried
    // to connect once more.
    group.recover_grace = limits::kReconnectWaitMax + limits::kRecoverGrace;
    return group;
}

namespace {

PushOptions stream_options(const RequesterOptions& options) {
    PushOptions push;
    push.memory_bytes_max = options.memory_bytes_max;
    return push;
}

}  // namespace

std::shared_ptr<Calls> Runtime::open_requester(
    std::string_view service, const RequesterOptions& options,
    const std::function<std::shared_ptr<void>(base::Clock&)>& make_client) {
    check_process();
    check_name("service name", service);
    check(options, spool_ != nullptr);
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
    const auto opened = services_.find(service);
    if (opened != services_.end() && opened->second.options) {
        if (!same(*opened->second.options, options)) {
            throw Error(ErrorCode::invalid_state, "service \"" + std::string(service) +
                                                      "\" is open in this peer with other options");
        }
        return opened->second.calls;
    }
    if (opened != services_.end()) {
        if (options.durability == Durability::memory) {
            throw Error(ErrorCode::invalid_state,
                        "service \"" + std::string(service) +
                            "\" has requests in the spool: durability memory is not possible for "
                            "it");
        }
        const std::shared_ptr<Calls>& calls = opened->second.calls;
        calls->client = make_client(clock_);
        calls->set_in_flight_max(options.in_flight_max);
        with_engine([&](Engine& engine) {
            calls->stream()->configure(options.durability, Overflow::block);
            engine.configure_producer(*calls->stream(), service_group_options(options));
        });
        opened->second.options = options;
        return calls;
    }
    auto calls = with_engine([&](Engine& engine) {
        auto made = make_calls(service, options);
        made->client = make_client(clock_);
        engine.add_service(made, service_group_options(options));
        return made;
    });
    services_.emplace(service, Service{calls, options});
    nudge();
    return calls;
}

std::shared_ptr<Calls> Runtime::make_calls(std::string_view service,
                                           const RequesterOptions& options) {
    const PushOptions stream = stream_options(options);
    auto requests = new_stream(service, spool::StreamKind::service, options.durability, stream);
    std::shared_ptr<OutStream> replies;
    if (requests->stored())
        replies = new_stream(service, spool::StreamKind::reply, options.durability, stream);
    return std::make_shared<Calls>(std::move(requests), std::move(replies), options.in_flight_max,
                                   weak_from_this(), clock_);
}

std::vector<std::shared_ptr<Calls>> Runtime::each_replier(
    std::string_view service,
    const std::function<std::shared_ptr<void>(base::Clock&)>& make_client) {
    check_process();
    return with_engine([&](Engine& engine) {
        return engine.each_replier(std::string(service), [&] {
            RequesterOptions options;
            options.in_flight_max = limits::kRequestsInFlightMax;
            auto made = make_calls(service, options);
            made->client = make_client(clock_);
            return made;
        });
    });
}

std::shared_ptr<InStream> Runtime::open_replier(std::string_view service,
                                                const ReplierOptions& options) {
    check_process();
    check_name("service name", service);
    require(options.prefetch <= limits::kPrefetchMax, "ReplierOptions::prefetch of " +
                                                          std::to_string(options.prefetch) +
                                                          ": 1 to 1,000,000 are possible");
    require(options.concurrency >= 1 && options.concurrency <= limits::kConcurrencyMax,
            "ReplierOptions::concurrency: 1 to 1,024 are possible");
    require(options.max_processing.count() > 0, "ReplierOptions::max_processing: must be positive");
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
    if (repliers_.contains(service)) {
        throw Error(ErrorCode::invalid_state,
                    "service \"" + std::string(service) +
                        "\" is answered by this peer already: share that Replier between threads");
    }
    delivery::InboxOptions inbox;
    inbox.prefetch = options.prefetch == 0 ? options.concurrency : options.prefetch;
    inbox.concurrency = options.concurrency;
    inbox.max_processing = options.max_processing;
    inbox.lease_duration = limits::kLeaseMin;
    auto replies = std::make_unique<Replies>(
        ReplyOptions{options.cache_bytes_max, options.cache_count_max, options_.message_bytes_max},
        clock_);
    auto stream = std::make_shared<InStream>(std::string(service), inbox, false, weak_from_this(),
                                             clock_, std::move(replies));
    repliers_.emplace(service, stream);
    with_engine([&](Engine& engine) { engine.add_consumer(stream); });
    nudge();
    return stream;
}

void Runtime::close_replier(const std::shared_ptr<InStream>& stream) {
    if (process_generation() != process_generation_) return;
    stream->stop();
    const std::lock_guard lock(streams_mutex_);
    const auto it = repliers_.find(stream->queue());
    if (it != repliers_.end() && it->second == stream) repliers_.erase(it);
}

RequesterStats Runtime::requester_stats(Calls& calls) {
    check_process();
    const CallStats table = calls.stats();
    const PushStats stream = push_stats(*calls.stream());
    RequesterStats stats;
    stats.service = stream.queue;
    stats.durability = stream.durability;
    stats.in_flight = table.in_flight;
    stats.requests = table.requests;
    stats.replies = table.replies;
    stats.remote_failures = table.remote_failures;
    stats.timeouts = table.timeouts;
    stats.cancelled = table.cancelled;
    stats.outcome_unknown = table.outcome_unknown;
    stats.late_replies = table.late;
    stats.retries = stream.redelivered;
    stats.repliers = stream.consumers;
    return stats;
}

ReplierStats Runtime::replier_stats(InStream& stream) {
    check_process();
    const delivery::InboxStats inbox = stream.stats();
    const ReplyStats replies = stream.replies()->stats();
    ReplierStats stats;
    stats.service = stream.queue();
    stats.ready = inbox.ready;
    stats.started = inbox.started;
    stats.unconfirmed = replies.kept;
    stats.received = inbox.received;
    stats.redelivered = inbox.redelivered;
    stats.replies = replies.replies;
    stats.failures = replies.failures;
    stats.replayed = replies.replayed;
    stats.expired = replies.expired;
    stats.cancelled = replies.cancelled;
    stats.dropped = replies.dropped;
    stats.requesters = inbox.sources;
    return stats;
}

bool Runtime::drive_for_reply(const std::function<bool()>& done, base::Time deadline, bool quick) {
    return drive(done, deadline, quick ? Place::taken_over : Place::only_if_vacant);
}

void Runtime::calls_changed(const std::shared_ptr<Calls>& calls, bool at_once) {
    engine_->notifications().calls_changed(calls);
    if (at_once) nudge();
}

}  // namespace peermq::detail
