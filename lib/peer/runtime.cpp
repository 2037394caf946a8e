#include "peer/runtime.hpp"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "peer/check_options.hpp"
#include "peer/dead_letter.hpp"
#include "peer/thread.hpp"
#include "peermq/version.hpp"

namespace peermq::detail {
namespace {

bool same_options(const PushOptions& a, const PushOptions& b) {
    return a.durability == b.durability && a.overflow == b.overflow &&
           a.memory_bytes_max == b.memory_bytes_max && a.max_attempts == b.max_attempts &&
           a.retry_wait_min == b.retry_wait_min && a.retry_wait_max == b.retry_wait_max &&
           a.lease == b.lease && a.max_consumers == b.max_consumers &&
           a.ack_required == b.ack_required;
}

/// Chunks and libzmq's receive buffers are blocks of 132 KiB that come and go thousands of times a
/// second. glibc maps and unmaps such blocks, page by page, until a larger one has been freed once;
/// then it keeps them. In a spike that halved the time of the receiving thread.
void keep_large_blocks() {
    static const bool kDone = [] {
        void* volatile block = std::malloc(16 * base::limits::kMiB);
        std::free(block);
        return true;
    }();
    static_cast<void>(kDone);
}

std::string describe(const spool::Damage& damage) {
    std::string text = damage.text;
    if (!damage.path.empty())
        text += " [" + damage.path + " offset " + std::to_string(damage.offset) + "]";
    return text;
}

}  // namespace

std::shared_ptr<Runtime> Runtime::start(PeerOptions options,
                                        std::shared_ptr<base::FileSystem> files) {
    if (!files) files = std::make_shared<base::SystemFileSystem>();
    std::shared_ptr<Runtime> runtime(new Runtime(std::move(options), std::move(files)), &release);
    runtime->open();
    return runtime;
}

Runtime::Runtime(PeerOptions options, std::shared_ptr<base::FileSystem> files)
    : options_(std::move(options)),
      process_generation_(process_generation()),
      files_(std::move(files)),
      events_(options_.on_event, options_.log) {}

void Runtime::open() {
    if (options_.message_bytes_max < 1024 ||
        options_.message_bytes_max > base::limits::kMessageBytesMaxCeiling) {
        throw Error(ErrorCode::invalid_argument, "message_bytes_max of " +
                                                     std::to_string(options_.message_bytes_max) +
                                                     ": from 1,024 bytes to 1 GiB are possible");
    }
    if (options_.segment_bytes > base::limits::kSegmentBytesMax)
        throw Error(ErrorCode::invalid_argument, "segment_bytes: at most 1 GiB");
    keep_large_blocks();
    peer_ = random_.id<base::PeerId>();
    if (!options_.spool.empty()) open_spool();
    network_ = std::make_unique<net::Network>(
        net::NetworkOptions{1, base::limits::kFrameBytesMax, base::limits::kReconnectWaitMin,
                            base::limits::kReconnectWaitMax},
        clock_, random_);
    EngineOptions engine;
    engine.peer = peer_;
    engine.session = random_.id<base::SessionId>();
    engine.host = host_info();
    engine.agent = "peermq " + std::string(kVersion);
    engine.message_bytes_max = options_.message_bytes_max;
    engine.dead_bytes_max = options_.dead_bytes_max;
    engine_ = std::make_unique<Engine>(std::move(engine), random_, *network_, spool_.get(),
                                       commits_.get(), events_);
    recover_streams();
    start_threads();
}

void Runtime::close_by_destructor() noexcept {
    if (process_generation() != process_generation_) return;
    try {
        (void)close(options_.close_timeout);
    } catch (const std::exception& error) {
        events_.emit(
            {EventKind::io_error, "", "", 1, std::string("closing failed: ") + error.what()});
    }
}

void Runtime::release(Runtime* runtime) noexcept {
    if (process_generation() == runtime->process_generation_) delete runtime;
}

void Runtime::require_open() {
    check_process();
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
}

void Runtime::open_spool() {
    spool::SpoolOptions options;
    options.segment_bytes = options_.segment_bytes;
    options.max_bytes = options_.spool_bytes_max;
    options.dead_bytes_max = options_.dead_bytes_max;
    options.free_bytes_min = options_.free_bytes_min;
    options.message_bytes_max = options_.message_bytes_max;
    const auto report = [this](const spool::Damage& damage) { report_damage(damage); };
    spool_ = spool::Spool::open(*files_, clock_, random_, options_.spool, options, report);
    peer_ = spool_->peer();
    commits_ = std::make_unique<CommitQueue>(*spool_, clock_, *this);
}

void Runtime::report_damage(const spool::Damage& damage) {
    if (damage.kind == spool::Damage::Kind::io_error) {
        // Nothing is damaged: the system refused, and may do better next time.
        events_.emit({EventKind::io_error, "", "", 1, describe(damage)});
        return;
    }
    damage_.fetch_add(1, std::memory_order_relaxed);
    events_.emit(
        {EventKind::damage, "", "", std::max<std::uint64_t>(1, damage.records), describe(damage)});
}

void Runtime::recover_streams() {
    if (!spool_) return;
    for (const spool::Damage& damage : spool_->recovery().damage) report_damage(damage);
    engine_->set_now(clock_.now(), clock_.wall_now());
    const std::vector<spool::RecoveredStream> all = spool_->take_recovered();
    recover_services(all);
    for (const spool::RecoveredStream& recovered : all) {
        if (recovered.info.kind == spool::StreamKind::topic) {
            recover_publisher(recovered);
            continue;
        }
        const bool dead = recovered.info.kind == spool::StreamKind::dead;
        if (!dead && recovered.info.kind != spool::StreamKind::queue) continue;
        std::shared_ptr<OutStream> stream;
        if (const auto it = pushes_.find(recovered.info.name); it != pushes_.end()) {
            stream = it->second;  // dead letters whose queue came first
        } else if (dead) {
            stream = make_stream(recovered.info.name, recovered.info.kind, Durability::disk, {});
            engine_->add_producer(stream, dead_letter_options(), nullptr);
        } else {
            stream = make_queue(recovered.info.name, Durability::disk, {});
        }
        base::RunSet settled;
        for (const spool::GroupState& group : recovered.groups) {
            if (group.group == 0) settled = group.settled;
        }
        stream->recover(recovered.end, settled);
        engine_->recover_producer(*stream, recovered);
    }
}

void Runtime::start_threads() {
    try {
        const auto self = shared_from_this();
        background_ = start_thread("pmq-background", [self] { self->run_background(); });
        if (!spool_) return;
        committer_ = start_thread("pmq-committer", [self] { self->commits_->run(); });
        keeper_ = start_thread("pmq-keeper", [self] { self->run_keeper(); });
    } catch (const std::system_error& error) {
        stop_threads();
        throw Error(ErrorCode::io_error,
                    std::string("cannot start a thread (see ulimit -u): ") + error.what());
    }
}

// --- endpoints and queues

std::string Runtime::bind(std::string_view text) {
    check_process();
    const net::Endpoint endpoint = net::Endpoint::parse(text, true);
    if (!endpoint.is_loopback() && !options_.insecure) {
        throw Error(ErrorCode::denied,
                    "bind of \"" + std::string(text) +
                        "\" would let other hosts in without encryption: bind 127.0.0.1, or set "
                        "PeerOptions::insecure if the network is trusted");
    }
    std::string bound = with_engine([&](Engine&) { return network_->bind(endpoint); });
    kick();
    return bound;
}

void Runtime::connect(std::string_view text) {
    check_process();
    const net::Endpoint endpoint = net::Endpoint::parse(text, false);
    with_engine([&](Engine&) { (void)network_->connect(endpoint); });
    kick();
}

std::shared_ptr<OutStream> Runtime::make_stream(std::string_view name, spool::StreamKind kind,
                                                Durability durability, const PushOptions& options) {
    auto& streams = kind == spool::StreamKind::topic ? publishers_ : pushes_;
    return streams.emplace(std::string(name), new_stream(name, kind, durability, options))
        .first->second;
}

std::shared_ptr<OutStream> Runtime::new_stream(std::string_view name, spool::StreamKind kind,
                                               Durability durability, const PushOptions& options) {
    OutStreamConfig config;
    config.name = std::string(name);
    config.kind = kind;
    config.durability = durability;
    config.overflow = options.overflow;
    config.memory_bytes_max = options.memory_bytes_max;
    config.message_bytes_max = options_.message_bytes_max;
    config.cache_bytes = base::limits::kStreamCacheBytes;
    // A small quota is reserved in small steps.
    config.quota_block_bytes = std::min<std::uint64_t>(base::limits::kQuotaBlockBytes,
                                                       options_.spool_bytes_max / 64);
    if (durability == Durability::memory) {
        config.id = random_.id<base::StreamId>();
        config.epoch = {1, random_.next()};
        // A small quota is given back in small steps.
        config.chunk_bytes = std::clamp<std::size_t>(options.memory_bytes_max / 8, 4096,
                                                     base::limits::kChunkBytes);
    } else {
        const spool::StreamInfo info = spool_->stream(kind, name);
        config.id = info.id;
        config.index = info.index;
        config.epoch = spool_->epoch();
        config.chunk_bytes = base::limits::kChunkBytes;
    }
    return std::make_shared<OutStream>(config, weak_from_this(), clock_);
}

std::shared_ptr<OutStream> Runtime::dead_letters_of(std::string_view name, Durability durability) {
    const std::string dead_name = std::string(name) + std::string(kDeadSuffix);
    if (const auto it = pushes_.find(dead_name); it != pushes_.end()) return it->second;
    const Durability level = durability == Durability::memory ? durability : Durability::disk;
    auto dead = make_stream(dead_name, spool::StreamKind::dead, level, {});
    engine_->add_producer(dead, dead_letter_options(), nullptr);
    return dead;
}

std::shared_ptr<OutStream> Runtime::make_queue(std::string_view name, Durability durability,
                                               const PushOptions& options) {
    const std::shared_ptr<OutStream> dead = dead_letters_of(name, durability);
    std::shared_ptr<OutStream> stream = make_stream(name, spool::StreamKind::queue, durability,
                                                    options);
    engine_->add_producer(stream, group_options(options), dead);
    return stream;
}

std::shared_ptr<OutStream> Runtime::open_push(std::string_view queue, const PushOptions& options) {
    check_process();
    check_name("queue name", queue);
    if (holds_dead_letters(queue)) {
        throw Error(ErrorCode::invalid_argument,
                    "queue name \"" + std::string(queue) +
                        "\": names ending in .dead are for dead letters");
    }
    check_push_options(options, spool_ != nullptr);
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
    const Durability durability = options.durability.value_or(spool_ ? Durability::disk
                                                                     : Durability::memory);
    const auto opened = push_options_.find(queue);
    if (opened != push_options_.end()) {
        if (!same_options(opened->second, options)) {
            throw Error(ErrorCode::invalid_state, "queue \"" + std::string(queue) +
                                                      "\" is open in this peer with other options");
        }
        return pushes_.find(queue)->second;
    }
    const auto recovered = pushes_.find(queue);
    if (recovered == pushes_.end()) {
        auto stream = with_engine([&](Engine&) { return make_queue(queue, durability, options); });
        push_options_.emplace(queue, options);
        return stream;
    }
    if (durability == Durability::memory) {
        throw Error(ErrorCode::invalid_state,
                    "queue \"" + std::string(queue) +
                        "\" is kept in the spool: durability memory is not possible for it");
    }
    with_engine([&](Engine& engine) {
        recovered->second->configure(durability, options.overflow);
        engine.configure_producer(*recovered->second, group_options(options));
    });
    push_options_.emplace(queue, options);
    return recovered->second;
}

std::shared_ptr<OutStream> Runtime::open_push_as_it_is(std::string_view queue) {
    {
        const std::lock_guard lock(streams_mutex_);
        if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
        if (push_options_.contains(queue)) return pushes_.find(queue)->second;
    }
    return open_push(queue, {});
}

std::shared_ptr<InStream> Runtime::open_pull(std::string_view queue, const PullOptions& options) {
    check_process();
    check_name("queue name", queue);
    const delivery::InboxOptions inbox = inbox_options(options);
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw Error(ErrorCode::closed, "the peer is closed");
    if (pulls_.contains(queue)) {
        throw Error(ErrorCode::invalid_state,
                    "queue \"" + std::string(queue) +
                        "\" is pulled by this peer already: share that Pull between threads");
    }
    auto stream = std::make_shared<InStream>(std::string(queue), inbox, options.single_producer,
                                             weak_from_this(), clock_);
    pulls_.emplace(queue, stream);
    with_engine([&](Engine& engine) { engine.add_consumer(stream); });
    nudge();
    return stream;
}

void Runtime::close_pull(const std::shared_ptr<InStream>& stream) {
    if (process_generation() != process_generation_) return;
    stream->stop();
    const std::lock_guard lock(streams_mutex_);
    // What is in handlers is still settled through the engine, which lets go of the stream
    // afterwards.
    const auto it = pulls_.find(stream->queue());
    if (it != pulls_.end() && it->second == stream) pulls_.erase(it);
}

}  // namespace peermq::detail
