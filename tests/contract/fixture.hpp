#pragma once

/// Peers that are linked as the case asks: over which transport, how durable, and who binds.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peermq/peermq.hpp"
#include "support/temporary_directory.hpp"
#include "support/wait.hpp"

namespace peermq::test {

using namespace std::chrono_literals;

enum class Wire { inproc, ipc, tcp };

struct Arrangement {
    Wire wire = Wire::tcp;
    Durability durability = Durability::memory;
    bool producer_binds = true;
};

/// Every wire with every level, and either side binding.
[[nodiscard]] std::vector<Arrangement> all_setups();
/// Names of cases.
[[nodiscard]] std::string setup_name(const ::testing::TestParamInfo<Arrangement>& one);
[[nodiscard]] std::string level_name(const ::testing::TestParamInfo<Durability>& one);

/// What the event callback was given. May be asked while the peer works.
class EventLog {
public:
    [[nodiscard]] EventCallback callback();
    [[nodiscard]] std::size_t count(EventKind kind) const;
    /// The first event of this kind whose text contains `part`, as soon as there is one.
    [[nodiscard]] std::optional<Event> wait(EventKind kind, std::string_view part = {}) const;
    /// All texts, for messages of failures.
    [[nodiscard]] std::string text() const;

private:
    mutable std::mutex mutex_;
    std::vector<Event> events_;
};

/// One producer and any number of workers; everything ends with the object, workers first.
class World {
public:
    explicit World(Arrangement setup = {}) : setup_(setup) {}

    [[nodiscard]] const Arrangement& setup() const { return setup_; }
    [[nodiscard]] const TemporaryDirectory& directory() const { return directory_; }
    [[nodiscard]] bool stored() const { return setup_.durability != Durability::memory; }
    /// Options of the producer: its spool when something is to be stored, and its events.
    [[nodiscard]] PeerOptions producer_options();

    Peer& producer();
    /// A new worker with a link to the producer.
    Peer& worker();
    void link(Peer& worker);
    void end_producer();
    [[nodiscard]] std::string fresh_endpoint();

    /// A queue of the producer, with the durability of the setup.
    Push push(std::string_view queue = "jobs", PushOptions options = {});

    EventLog events;  ///< of the producer

private:
    Arrangement setup_;
    TemporaryDirectory directory_;
    std::optional<Peer> producer_;
    std::string producer_endpoint_;
    std::deque<Peer> workers_;
};

/// The next message; fails the test by an exception when there is none.
[[nodiscard]] Delivery next(Pull& pull);
/// Receives and acks `count` messages; their bodies in order.
std::vector<std::string> drain(Pull& pull, std::size_t count);
/// "0", "1" ... posted to `push`.
void post_numbers(Push& push, std::size_t count, std::size_t first = 0);
[[nodiscard]] std::vector<std::string> numbers(std::size_t count, std::size_t first = 0);
[[nodiscard]] std::size_t links_up(const Peer& peer);

/// Calls `action`, which must throw Error; the text of it, or a failure.
template <typename Action>
std::string text_of_error(ErrorCode code, Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        EXPECT_EQ(to_string(code), to_string(error.code())) << error.what();
        return error.what();
    }
    ADD_FAILURE() << "no Error " << to_string(code);
    return {};
}

}  // namespace peermq::test
