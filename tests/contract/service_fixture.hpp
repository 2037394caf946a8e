#pragma once

/// Repliers at work, for tests of services.

#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "contract/fixture.hpp"

namespace peermq::test {

/// A replier whose handler runs on threads of its own until the object ends.
class Answering {
public:
    Answering(Peer& peer, std::string_view service, std::function<void(Request&)> handler,
              ReplierOptions options = {}, std::uint32_t concurrency = 1)
        : replier_(peer.replier(service, options)), thread_([this, concurrency, handler] {
              replier_.run(handler, {.concurrency = concurrency});
          }) {}
    ~Answering() { replier_.stop(); }

    [[nodiscard]] Replier& replier() { return replier_; }

private:
    Replier replier_;
    std::jthread thread_;
};

/// The next request; fails the test by an exception when there is none.
[[nodiscard]] inline Request next(Replier& replier) {
    std::optional<Request> request = replier.receive(kLong);
    if (!request) throw std::runtime_error("no request of " + replier.service() + " came");
    return std::move(*request);
}

/// The next one of whichever gets it.
[[nodiscard]] inline Request next(Replier& first, Replier& second) {
    std::optional<Request> request;
    (void)eventually([&] {
        request = first.receive(1ms);
        if (!request) request = second.receive(1ms);
        return request.has_value();
    });
    if (!request) throw std::runtime_error("no request of " + first.service() + " came");
    return std::move(*request);
}

struct RemoteFailure {
    std::string code;
    std::string message;
    friend bool operator==(const RemoteFailure&, const RemoteFailure&) = default;
    friend std::ostream& operator<<(std::ostream& out, const RemoteFailure& failure) {
        return out << failure.code << ": " << failure.message;
    }
};

/// What asking for `body` fails with.
[[nodiscard]] inline RemoteFailure remote_failure(Requester& requester, std::string_view body) {
    try {
        (void)requester.call({.body = body}, kLong);
    } catch (const RemoteError& error) {
        return {error.remote_code(), error.remote_message()};
    }
    return {"none", ""};
}

}  // namespace peermq::test
