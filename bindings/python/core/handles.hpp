#pragma once

/// What the Python objects hold. Their ends may close a peer, which waits for threads that may wait
/// for the interpreter's lock, so they end without it.

#include <nanobind/nanobind.h>

#include <future>
#include <memory>
#include <optional>

#include "gil.hpp"
#include "peermq/peer.hpp"

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

void add_peer(nanobind::module_& module);
void add_push(nanobind::module_& module);
void add_pull(nanobind::module_& module);

}  // namespace peermq::python
