#pragma once

/// What the Python objects hold. Their ends may close a peer, which waits for threads that may wait
/// for the interpreter's lock, so they end without it.

#include <nanobind/nanobind.h>

#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>

#include "gil.hpp"
#include "peermq/peer.hpp"
#include "peermq/publisher.hpp"
#include "peermq/replier.hpp"
#include "peermq/requester.hpp"
#include "peermq/subscriber.hpp"

namespace peermq::python {

template <typename Value>
class Handle {
public:
    explicit Handle(Value&& value) : value_(std::make_shared<Value>(std::move(value))) {}
    ~Handle() {
        const Unlocked unlocked;
        value_.reset();
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    [[nodiscard]] Value& operator*() const noexcept { return *value_; }
    [[nodiscard]] Value* operator->() const noexcept { return value_.get(); }
    /// For calls that go on when their caller was interrupted.
    [[nodiscard]] const std::shared_ptr<Value>& share() const noexcept { return value_; }

private:
    std::shared_ptr<Value> value_;
};

class PeerHandle : public Handle<Peer> {
public:
    using Handle::Handle;
    ~PeerHandle() {
        const Unlocked unlocked;
        closing_ = {};
    }
    /// Closes in a thread of its own, so that Ctrl-C ends the waiting, not the closing.
    bool close(Duration deadline);

private:
    std::shared_future<bool> closing_;
};
using PushHandle = Handle<Push>;
using PullHandle = Handle<Pull>;
using PublisherHandle = Handle<Publisher>;
using SubscriberHandle = Handle<Subscriber>;
using RequesterHandle = Handle<Requester>;
using ReplierHandle = Handle<Replier>;

/// What `work` returns, done by a thread of its own, so that Ctrl-C ends the waiting and not the
/// work. It must own what it uses.
template <typename Work>
auto interruptible(Work&& work) {
    using Result = std::invoke_result_t<Work>;
    const auto promise = std::make_shared<std::promise<Result>>();
    std::future<Result> result = promise->get_future();
    std::thread([promise, work = std::forward<Work>(work)] {
        try {
            promise->set_value(work());
        } catch (...) {
            promise->set_exception(std::current_exception());
        }
    }).detach();
    (void)wait(std::nullopt,
               [&](Duration slice) { return result.wait_for(slice) == std::future_status::ready; });
    return result.get();
}

void add_peer(nanobind::module_& module);
void add_push(nanobind::module_& module);
void add_pull(nanobind::module_& module);
void add_publisher(nanobind::module_& module);
void add_subscriber(nanobind::module_& module);
void add_requester(nanobind::module_& module);
void add_replier(nanobind::module_& module);

}  // namespace peermq::python
