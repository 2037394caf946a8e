#include "taking.hpp"

#include <algorithm>

#include "exit_codes.hpp"
#include "signals.hpp"

namespace peermq::tools {
namespace {

using std::chrono::milliseconds;

constexpr auto kLook = milliseconds(50);
/// A queue counts as empty once its producers have had nothing for so long. A producer that was
/// just started may still wait for what earlier consumers hold of it, which takes it 2 s.
constexpr auto kIdle = milliseconds(300);
constexpr auto kIdleBeforeFirst = milliseconds(2500);
/// A lost link may come back; a producer that was done does not.
constexpr auto kIdleAlone = milliseconds(1000);

}  // namespace

void add_take_options(CLI::App& app, TakeArguments& arguments, bool has_end) {
    add_count(app, "-n,--count", arguments.count, "End after N messages", 1);
    if (has_end) {
        app.add_flag("-e,--exit-at-end", arguments.exit_at_end,
                     "End when the producers have nothing left to hand out, or have left");
    }
    add_duration(app, "--timeout", arguments.timeout,
                 "End with 5 when no message comes for so long");
}

Source source_of(Pull& pull) {
    return {.receive = [&pull](nanoseconds timeout) { return pull.receive(timeout); },
            .stop = [&pull] { pull.stop(); },
            .stopped = [&pull] { return pull.stopped(); },
            .stats = [&pull] { return pull.stats(); }};
}

Taker::Taker(const Source& source, const TakeArguments& arguments)
    : source_(source),
      arguments_(arguments),
      last_message_(Clock::now().time_since_epoch().count()) {}

bool Taker::reserve() {
    if (end_.load() != End::none) return false;
    if (stop_requested()) {
        finish(End::stopped);
        return false;
    }
    if (arguments_.count == 0 || taken_.fetch_add(1) < arguments_.count) return true;
    taken_.fetch_sub(1);
    return false;
}

std::optional<Delivery> Taker::next_now() {
    if (!reserve()) return std::nullopt;
    std::optional<Delivery> delivery = source_.receive(nanoseconds(0));
    if (!delivery && arguments_.count != 0) taken_.fetch_sub(1);
    return delivery;
}

std::optional<Delivery> Taker::next() {
    if (!reserve()) {
        if (end_.load() == End::none) finish(End::count);
        return std::nullopt;
    }
    while (true) {
        const Clock::duration waited = Clock::now().time_since_epoch() -
                                       Clock::duration(last_message_.load());
        const nanoseconds left = arguments_.timeout.value_or(nanoseconds::max()) - waited;
        if (std::optional<Delivery> delivery = source_.receive(
                std::clamp<nanoseconds>(left, nanoseconds(0), kLook))) {
            last_message_.store(Clock::now().time_since_epoch().count());
            return delivery;
        }
        if (stop_requested()) {
            finish(End::stopped);
        } else if (arguments_.exit_at_end && at_end()) {
            finish(End::at_end);
        } else if (left <= nanoseconds(0)) {
            finish(End::timeout);
        }
        if (end_.load() != End::none || source_.stopped()) return std::nullopt;
    }
}

bool Taker::at_end() {
    const PullStats stats = source_.stats();
    const Clock::rep now = Clock::now().time_since_epoch().count();
    if (stats.producers > 0) seen_producer_.store(true);
    const bool idle = seen_producer_.load() && stats.producers_ready == 0 && stats.ready == 0 &&
                      stats.started == 0;
    Clock::rep since = idle_since_.load();
    if (!idle || since == 0) {
        since = idle ? now : 0;
        idle_since_.store(since);
    }
    const auto enough = stats.received == 0    ? kIdleBeforeFirst
                        : stats.producers == 0 ? kIdleAlone
                                               : kIdle;
    return since != 0 && Clock::duration(now - since) >= enough;
}

void Taker::finish(End end) {
    End none = End::none;
    end_.compare_exchange_strong(none, end);
}

int Taker::exit_code() const {
    switch (end_.load()) {
        case End::timeout: return kExitTimeout;
        case End::stopped:
            return arguments_.count == 0 && !arguments_.exit_at_end
                       ? kExitOk
                       : Signals::instance().exit_code();
        default: return kExitOk;
    }
}

}  // namespace peermq::tools
