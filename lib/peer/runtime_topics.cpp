/// Publishers and subscribers of a peer.

#include <algorithm>

#include "peer/check_options.hpp"
#include "peer/runtime.hpp"
#include "peer/topic.hpp"

namespace peermq::detail {
namespace {

bool same_options(const PublisherOptions& a, const PublisherOptions& b) {
    return a.durability == b.durability && a.overflow == b.overflow &&
           a.memory_bytes_max == b.memory_bytes_max && a.max_attempts == b.max_attempts &&
           a.retry_wait_min == b.retry_wait_min && a.retry_wait_max == b.retry_wait_max &&
           a.lease == b.lease && a.retain.everything == b.retain.everything &&
           a.retain.age == b.retain.age && a.retain.bytes == b.retain.bytes &&
           a.retain.count == b.retain.count && a.last_value == b.last_value;
}

TopicOptions topic_options(const PublisherOptions& options) {
    TopicOptions topic;
    topic.durable = group_options(push_options(options));
    const Retention& retain = options.retain;
    topic.age = retain.age;
    topic.bytes = retain.bytes;
    topic.count = retain.count;
    topic.retain = retain.everything || retain.age.count() > 0 || retain.bytes > 0 ||
                   retain.count > 0 || options.last_value != LastValue::none;
    switch (options.last_value) {
        case LastValue::none: break;
        case LastValue::topic: topic.supersede = Supersede::same_topic; break;
        case LastValue::key: topic.supersede = Supersede::same_key; break;
    }
    return topic;
}

}  // namespace

std::shared_ptr<OutStream> Runtime::open_publisher(std::string_view name,
                                                   const PublisherOptions& options) {
    check_process();
    check_publisher(name, options);
    const PushOptions push = push_options(options);
    check_push_options(push, spool_ != nullptr);
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
    const auto opened = publisher_options_.find(name);
    if (opened != publisher_options_.end()) {
        if (same_options(opened->second, options)) return publishers_.find(name)->second;
        throw Error(ErrorCode::invalid_state, "publisher \"" + std::string(name) +
                                                  "\" is open in this peer with other options");
    }
    const Durability durability = options.durability.value_or(spool_ ? Durability::disk
                                                                     : Durability::memory);
    if (const auto found = publishers_.find(name); found != publishers_.end()) {
        if (durability == Durability::memory) {
            throw Error(ErrorCode::invalid_state,
                        "publisher \"" + std::string(name) +
                            "\" is kept in the spool: durability memory is not possible for it");
        }
        with_engine([&](Engine& engine) {
            found->second->configure(durability, options.overflow);
            engine.configure_topic(*found->second, topic_options(options));
        });
        publisher_options_.emplace(name, options);
        nudge();
        return found->second;
    }
    auto stream = with_engine([&](Engine& engine) {
        const auto dead = dead_letters_of(name, durability);
        auto made = make_stream(name, spool::StreamKind::topic, durability, push);
        engine.add_topic(made, topic_options(options), dead);
        return made;
    });
    publisher_options_.emplace(name, options);
    nudge();
    return stream;
}

void Runtime::recover_publisher(const spool::RecoveredStream& recovered) {
    const auto dead = dead_letters_of(recovered.info.name, Durability::disk);
    auto stream = make_stream(recovered.info.name, spool::StreamKind::topic, Durability::disk, {});
    base::RunSet finished;
    for (const spool::GroupState& group : recovered.groups) {
        if (group.group == 0) finished = group.settled;
    }
    stream->recover(recovered.end, finished);
    // Until its publisher says what it retains, all of it stays.
    engine_->add_topic(stream, topic_options({.retain = {.everything = true}}), dead);
    engine_->recover_topic(*stream, recovered);
}

void Runtime::manage(OutStream& stream, const std::function<void(Engine&)>& change) {
    require_open();
    with_engine(change);
    if (stream.stored()) commits_->commit();
    kick();
    stream.throw_if_failed();
}

std::vector<SubscriptionStats> Runtime::subscriptions(OutStream& stream) {
    check_process();
    return with_engine([&](Engine& engine) { return engine.subscriptions(stream); });
}

std::shared_ptr<InStream> Runtime::open_subscriber(std::string_view pattern,
                                                   const SubscriberOptions& options) {
    check_process();
    wire::Subscribe wanted = subscription_of(pattern, options);
    const delivery::InboxOptions inbox = inbox_options(options);
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
    const std::string label = options.name.empty() ? std::string(pattern) : options.name;
    auto stream = std::make_shared<InStream>(label, inbox, false, weak_from_this(), clock_);
    stream->become_subscription(options.name.empty());
    std::erase_if(subscribers_, [](const auto& weak) { return weak.expired(); });
    subscribers_.push_back(stream);
    with_engine([&](Engine& engine) { engine.add_subscriber(stream, std::move(wanted)); });
    nudge();
    return stream;
}

std::uint32_t Runtime::change_subscription(
    InStream& stream, const std::function<void(std::vector<std::string>& patterns)>& change) {
    require_open();
    const std::uint32_t version = with_engine([&](Engine& engine) {
        wire::Subscribe wanted = engine.subscription(stream);
        change(wanted.patterns);
        for (const std::string& pattern : wanted.patterns) check_pattern(pattern);
        check_filter(wanted);
        return engine.change_subscription(stream, std::move(wanted));
    });
    nudge();
    return version;
}

std::vector<std::string> Runtime::patterns(const InStream& stream) {
    check_process();
    return with_engine([&](Engine& engine) { return engine.subscription(stream).patterns; });
}

PublisherStats Runtime::publisher_stats(OutStream& stream) {
    check_process();
    PublisherStats stats;
    stats.name = stream.config().name;
    stats.durability = to_string(stream.durability());
    stats.published = stream.posted();
    stats.bytes = spool_ && stream.stored()
                      ? spool_->stream_bytes(stream.config().index) + stream.unwritten_bytes()
                      : stream.memory_bytes();
    stats.subscribers = stream.subscribers();
    const base::Run kept = with_engine([&](Engine& engine) { return engine.kept(stream); });
    stats.first = kept.first;
    stats.last = kept.last;
    return stats;
}

SubscriberStats Runtime::subscriber_stats(InStream& stream) {
    check_process();
    const delivery::InboxStats inbox = stream.stats();
    const SubscriptionState state = stream.subscription();
    SubscriberStats stats;
    stats.name = stream.queue();
    stats.ready = inbox.ready;
    stats.started = inbox.started;
    stats.unconfirmed = inbox.unconfirmed;
    stats.received = inbox.received;
    stats.redelivered = inbox.redelivered;
    stats.duplicates = inbox.duplicates;
    stats.missed = stream.missed();
    stats.publishers = state.publishers;
    stats.peers = state.peers;
    stats.refusals = state.refusals;
    return stats;
}

}  // namespace peermq::detail
