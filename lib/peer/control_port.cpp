#include "peer/control_port.hpp"

#include <unistd.h>

#include <algorithm>

#include "peer/compose.hpp"
#include "peer/process.hpp"
#include "peermq/error.hpp"
#include "peermq/version.hpp"

namespace peermq::detail {
namespace {

using namespace std::chrono_literals;

/// How often a wait looks whether the peer ends.
constexpr auto kLook = 50ms;

}  // namespace

ControlPort::ControlPort(std::shared_ptr<Runtime> runtime, std::string spool)
    : runtime_(std::move(runtime)),
      spool_(std::move(spool)),
      process_generation_(process_generation()),
      start_(std::chrono::steady_clock::now()) {}

std::shared_ptr<ControlPort> ControlPort::open(std::shared_ptr<Runtime> runtime,
                                               const std::string& spool) {
    auto port = std::make_shared<ControlPort>(runtime, spool);
    try {
        port->server_ = std::make_unique<ControlServer>(*port, spool, runtime->message_bytes_max());
    } catch (const std::exception& error) {
        runtime->report_io_error(std::string(error.what()) + "; other programs cannot look in");
    }
    return port;
}

ControlPort::~ControlPort() { close(); }

void ControlPort::bound(const std::string& endpoint) {
    const std::lock_guard lock(mutex_);
    endpoints_.push_back(endpoint);
}

void ControlPort::close() noexcept {
    std::unique_ptr<ControlServer> server;
    if (process_generation() != process_generation_) {
        // Its threads are not here, and its socket is the parent's.
        (void)server_.release();
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        server = std::move(server_);
    }
}

PeerInfo ControlPort::control_info() {
    const std::lock_guard lock(mutex_);
    return {.peer = runtime_->id().hex(),
            .version = std::string(kVersion),
            .spool = spool_,
            .pid = static_cast<std::uint64_t>(::getpid()),
            .uptime = std::chrono::steady_clock::now() - start_,
            .endpoints = endpoints_};
}

PeerStats ControlPort::control_stats() { return runtime_->stats(); }

std::string ControlPort::control_push(std::string_view queue, const Message& message,
                                      std::chrono::nanoseconds timeout,
                                      const std::function<bool()>& stopping) {
    const std::shared_ptr<OutStream> stream = runtime_->open_push_as_it_is(queue);
    if (!stream->stored()) {
        throw Error(ErrorCode::unsupported, "queue \"" + std::string(queue) +
                                                "\" of that peer lies in memory: nothing there "
                                                "would be kept");
    }
    base::Clock& clock = runtime_->clock();
    const base::Time deadline = base::after(clock.now(), timeout);
    const auto next_look = [&] { return std::min(deadline, base::after(clock.now(), kLook)); };
    const auto go_on = [&](ErrorCode code, const char* late) {
        if (stopping()) throw Error(ErrorCode::closed, "the peer is closing");
        if (clock.now() >= deadline) throw Error(code, late);
    };
    std::optional<base::Seq> seq;
    while (!(seq = append(*stream, message, {}, WhenFull::as_configured, next_look()))) {
        go_on(ErrorCode::quota, "no room in the spool of that peer within the time given");
    }
    while (!stream->wait(Until::durable, *seq, next_look())) {
        go_on(ErrorCode::io_error, "not durable within the time given; it may become so later");
    }
    if (!message.id.empty()) return std::string(message.id);
    return stream->config().id.hex() + "-" + std::to_string(stream->config().epoch.counter) + "-" +
           std::to_string(*seq);
}

}  // namespace peermq::detail
