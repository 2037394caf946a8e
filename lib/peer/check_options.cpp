#include "peer/check_options.hpp"

#include <string>

#include "base/limits.hpp"
#include "delivery/topic_pattern.hpp"
#include "peermq/error.hpp"

namespace peermq::detail {
namespace {

namespace limits = base::limits;

[[noreturn]] void refuse(const std::string& text) {
    throw Error(ErrorCode::invalid_argument, text);
}

void require(bool holds, const std::string& text) {
    if (!holds) refuse(text);
}

/// The options that PullOptions and SubscriberOptions share.
template <typename Options>
delivery::InboxOptions checked_inbox(const Options& options, const std::string& type) {
    require(options.prefetch >= 1 && options.prefetch <= limits::kPrefetchMax,
            type + "::prefetch of " + std::to_string(options.prefetch) +
                ": 1 to 1,000,000 are possible");
    require(options.concurrency >= 1 && options.concurrency <= limits::kConcurrencyMax,
            type + "::concurrency: 1 to 1,024 are possible");
    require(options.prefetch_bytes >= 1, type + "::prefetch_bytes: at least 1");
    require(options.max_processing.count() > 0, type + "::max_processing: must be positive");
    delivery::InboxOptions inbox;
    inbox.prefetch = options.prefetch;
    inbox.prefetch_bytes = options.prefetch_bytes;
    inbox.concurrency = options.concurrency;
    inbox.max_processing = options.max_processing;
    // Each producer chooses its lease and does not tell: renewed for the shortest, none runs out.
    inbox.lease_duration = limits::kLeaseMin;
    return inbox;
}

}  // namespace

void check_name(std::string_view what, std::string_view name) {
    const auto fail = [&](const std::string& why) {
        refuse(std::string(what) + " \"" + std::string(name.substr(0, 64)) + "\": " + why);
    };
    if (name.empty()) fail("it is empty");
    if (name.size() > limits::kStreamNameBytesMax) fail("longer than 255 bytes");
    for (const char c : name) {
        if (c <= ' ' || c > '~') fail("only printable ASCII characters without space are possible");
    }
}

void check_push_options(const PushOptions& options, bool has_spool) {
    require(options.lease >= limits::kLeaseMin,
            "PushOptions::lease: at least 6 s, or a slow link costs leases");
    require(options.retry_wait_min.count() >= 0,
            "PushOptions::retry_wait_min: must not be negative");
    require(options.retry_wait_max >= options.retry_wait_min,
            "PushOptions::retry_wait_max: below retry_wait_min");
    require(options.memory_bytes_max >= 1024,
            "PushOptions::memory_bytes_max: at least 1,024 bytes");
    if (options.durability.value_or(Durability::memory) != Durability::memory && !has_spool) {
        throw Error(ErrorCode::unsupported,
                    "durability os and disk need a spool: set PeerOptions::spool");
    }
}

delivery::GroupOptions group_options(const PushOptions& options) {
    delivery::GroupOptions group;
    group.lease_duration = options.lease;
    group.max_attempts = options.max_attempts;
    group.retry_wait_min = options.retry_wait_min;
    group.retry_wait_max = options.retry_wait_max;
    group.max_consumers = options.max_consumers;
    group.ack_required = options.ack_required;
    return group;
}

delivery::InboxOptions inbox_options(const PullOptions& options) {
    return checked_inbox(options, "PullOptions");
}

void check_publisher(std::string_view name, const PublisherOptions& options) {
    check_name("publisher name", name);
    if (const auto problem = delivery::topic_problem(name))
        refuse("publisher name \"" + std::string(name) + "\": " + *problem);
    require(options.memory_bytes_max >= 1024,
            "PublisherOptions::memory_bytes_max: at least 1,024 bytes");
    require(options.retain.age.count() >= 0, "Retention::age: must not be negative");
}

PushOptions push_options(const PublisherOptions& options) {
    PushOptions push;
    push.durability = options.durability;
    push.overflow = options.overflow;
    push.memory_bytes_max = options.memory_bytes_max;
    push.max_attempts = options.max_attempts;
    push.retry_wait_min = options.retry_wait_min;
    push.retry_wait_max = options.retry_wait_max;
    push.lease = options.lease;
    return push;
}

void check_pattern(std::string_view pattern) {
    if (const auto problem = delivery::pattern_problem(pattern))
        refuse("pattern \"" + std::string(pattern.substr(0, 64)) + "\": " + *problem);
}

void check_filter(const wire::Subscribe& wanted) {
    require(!wanted.patterns.empty(),
            "the last pattern of a subscription cannot be removed: destroy the Subscriber");
    require(wanted.patterns.size() <= limits::kFiltersMax,
            "at most 1,024 patterns are possible in one subscription");
    require(wanted.headers.size() <= limits::kFiltersMax,
            "SubscriberOptions::headers: at most 1,024 are possible");
    std::size_t bytes = 0;
    for (const std::string& pattern : wanted.patterns) bytes += pattern.size();
    for (const wire::HeaderFilter& header : wanted.headers) {
        require(!header.name.empty(), "SubscriberOptions::headers: a name is empty");
        require(header.name.size() <= limits::kFilterTextBytesMax &&
                    header.value.size() <= limits::kFilterTextBytesMax,
                "SubscriberOptions::headers: names and values of at most 1,024 bytes are possible");
        bytes += header.name.size() + header.value.size();
    }
    require(bytes <= limits::kFilterBytesMax, "patterns and headers of one subscription take " +
                                                  std::to_string(bytes) +
                                                  " bytes, at most 131,072 are possible");
}

wire::Subscribe subscription_of(std::string_view pattern, const SubscriberOptions& options) {
    check_pattern(pattern);
    if (!options.name.empty()) check_name("subscription name", options.name);
    require(options.buffer >= 1 && options.buffer <= limits::kBufferMax,
            "SubscriberOptions::buffer of " + std::to_string(options.buffer) +
                ": 1 to 16,777,216 messages are possible");
    require(options.expires_after.count() >= 0,
            "SubscriberOptions::expires_after: must not be negative");
    require(options.confirm_timeout.count() >= 0,
            "SubscriberOptions::confirm_timeout: must not be negative");
    wire::Subscribe wanted;
    switch (options.slow) {
        case SlowPolicy::drop_oldest: wanted.slow = wire::Slow::drop_oldest; break;
        case SlowPolicy::drop_newest: wanted.slow = wire::Slow::drop_newest; break;
        case SlowPolicy::block: wanted.slow = wire::Slow::block; break;
        case SlowPolicy::disconnect: wanted.slow = wire::Slow::disconnect; break;
    }
    wanted.from = static_cast<wire::From>(options.from.kind());
    wanted.from_value = options.from.value();
    wanted.any_header = options.match == Match::any;
    wanted.buffer = options.buffer;
    wanted.max_lag = options.max_lag;
    wanted.expires_after = options.expires_after.count();
    wanted.name = options.name;
    wanted.patterns.emplace_back(pattern);
    for (const auto& [name, value] : options.headers) wanted.headers.push_back({name, value});
    check_filter(wanted);
    return wanted;
}

delivery::InboxOptions inbox_options(const SubscriberOptions& options) {
    return checked_inbox(options, "SubscriberOptions");
}

}  // namespace peermq::detail
