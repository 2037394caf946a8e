#include "contract/fixture.hpp"

#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace peermq::test {

std::vector<Arrangement> all_setups() {
    std::vector<Arrangement> all;
    for (const Wire wire : {Wire::inproc, Wire::ipc, Wire::tcp}) {
        for (const Durability durability : {Durability::memory, Durability::os, Durability::disk}) {
            for (const bool producer_binds : {true, false})
                all.push_back({wire, durability, producer_binds});
        }
    }
    return all;
}

std::string setup_name(const ::testing::TestParamInfo<Arrangement>& one) {
    static constexpr const char* kWires[] = {"Inproc", "Ipc", "Tcp"};
    static constexpr const char* kLevels[] = {"Memory", "Os", "Disk"};
    const Arrangement& setup = one.param;
    return std::string(kWires[static_cast<int>(setup.wire)]) +
           kLevels[static_cast<int>(setup.durability)] +
           (setup.producer_binds ? "ProducerBinds" : "ConsumerBinds");
}

std::string level_name(const ::testing::TestParamInfo<Durability>& one) {
    static constexpr const char* kLevels[] = {"Memory", "Os", "Disk"};
    return kLevels[static_cast<int>(one.param)];
}

EventCallback EventLog::callback() {
    return [this](const Event& event) {
        const std::lock_guard lock(mutex_);
        events_.push_back(event);
    };
}

std::size_t EventLog::count(EventKind kind) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::count_if(
        events_.begin(), events_.end(), [&](const Event& event) { return event.kind == kind; }));
}

std::optional<Event> EventLog::wait(EventKind kind, std::string_view part) const {
    std::optional<Event> found;
    (void)eventually([&] {
        const std::lock_guard lock(mutex_);
        const auto it = std::find_if(events_.begin(), events_.end(), [&](const Event& event) {
            return event.kind == kind && event.text.find(part) != std::string::npos;
        });
        if (it != events_.end()) found = *it;
        return found.has_value();
    });
    return found;
}

std::string EventLog::text() const {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const Event& event : events_)
        all += std::string(to_string(event.kind)) + ": " + event.text + "\n";
    return all;
}

PeerOptions World::producer_options() {
    PeerOptions options;
    if (stored()) options.spool = directory_ / "spool";
    options.segment_bytes = 1 << 20;
    options.on_event = events.callback();
    return options;
}

Peer& World::producer() {
    if (!producer_) producer_.emplace(producer_options());
    return *producer_;
}

Peer& World::worker() {
    workers_.emplace_back();
    link(workers_.back());
    return workers_.back();
}

void World::link(Peer& worker) {
    if (!setup_.producer_binds) {
        producer().connect(worker.bind(fresh_endpoint()));
        return;
    }
    if (producer_endpoint_.empty()) producer_endpoint_ = producer().bind(fresh_endpoint());
    worker.connect(producer_endpoint_);
}

void World::end_producer() {
    producer_.reset();
    producer_endpoint_.clear();
}

std::string World::fresh_endpoint() {
    static std::atomic<unsigned> made{0};
    const std::string number = std::to_string(++made);
    switch (setup_.wire) {
        case Wire::inproc: return "inproc://contract-" + number;
        case Wire::ipc: return "ipc://" + (directory_ / ("socket-" + number));
        case Wire::tcp: break;
    }
    return "tcp://127.0.0.1:*";
}

Push World::push(std::string_view queue, PushOptions options) {
    options.durability = setup_.durability;
    return producer().push(queue, options);
}

Delivery next(Pull& pull) {
    std::optional<Delivery> delivery = pull.receive(kLong);
    if (!delivery) throw std::runtime_error("no message of " + pull.queue() + " came");
    return std::move(*delivery);
}

std::vector<std::string> drain(Pull& pull, std::size_t count) {
    std::vector<std::string> bodies;
    while (bodies.size() < count) {
        Delivery delivery = next(pull);
        bodies.emplace_back(delivery.text());
        delivery.ack();
    }
    return bodies;
}

void post_numbers(Push& push, std::size_t count, std::size_t first) {
    for (std::size_t i = first; i < first + count; ++i) push.post({.body = std::to_string(i)});
}

std::vector<std::string> numbers(std::size_t count, std::size_t first) {
    std::vector<std::string> all;
    for (std::size_t i = first; i < first + count; ++i) all.push_back(std::to_string(i));
    return all;
}

std::size_t links_up(const Peer& peer) { return peer.stats().links.size(); }

}  // namespace peermq::test
