#pragma once

/// What the public handles hold: shared by lib/peer and the patterns.

#include <chrono>
#include <memory>

#include "base/clock.hpp"
#include "peer/in_stream.hpp"
#include "peer/out_stream.hpp"
#include "peer/runtime.hpp"
#include "peermq/peer.hpp"

namespace peermq {

namespace detail {
class ControlPort;
}

class Peer::Impl {
public:
    std::shared_ptr<detail::Runtime> runtime;
    std::shared_ptr<detail::ControlPort> control;  ///< with a spool
};

class Push::Impl {
public:
    std::shared_ptr<detail::Runtime> runtime;
    std::shared_ptr<detail::OutStream> stream;
};

class Pull::Impl {
public:
    std::shared_ptr<detail::Runtime> runtime;
    std::shared_ptr<detail::InStream> stream;
};

class Publisher::Impl {
public:
    std::shared_ptr<detail::Runtime> runtime;
    std::shared_ptr<detail::OutStream> stream;
};

class Subscriber::Impl {
public:
    std::shared_ptr<detail::Runtime> runtime;
    std::shared_ptr<detail::InStream> stream;
    std::string name;
    base::Duration confirm_timeout{};
};

class Requester::Impl {
public:
    std::shared_ptr<detail::Runtime> runtime;
    std::shared_ptr<detail::Calls> calls;
    RequesterOptions options;
};

class Replier::Impl {
public:
    std::shared_ptr<detail::Runtime> runtime;
    std::shared_ptr<detail::InStream> stream;
    ReplierOptions options;
};

}  // namespace peermq
