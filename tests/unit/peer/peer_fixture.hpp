#pragma once

/// A producer and a worker with one link, for tests of how the API behaves.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "peermq/peermq.hpp"
#include "support/temporary_directory.hpp"
#include "support/wait.hpp"

namespace peermq::test {

using namespace std::chrono_literals;

class PeerPair : public ::testing::Test {
protected:
    PeerPair() : endpoint(producer->bind("tcp://127.0.0.1:*")) { worker->connect(endpoint); }

    static Delivery next(Pull& pull) {
        std::optional<Delivery> delivery = pull.receive(kLong);
        if (!delivery) throw std::runtime_error("no message came");
        return std::move(*delivery);
    }
    template <typename Action>
    static ErrorCode code_of(Action&& action) {
        try {
            action();
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode{};
    }

    std::optional<Peer> producer{std::in_place, PeerOptions{.close_timeout = 100ms}};
    std::optional<Peer> worker{std::in_place, PeerOptions{.close_timeout = 100ms}};
    std::string endpoint;
};

}  // namespace peermq::test
