#pragma once

/// Short ways to drive an Inbox in tests: fixed stream ids, a clock moved by hand, fake arrivals.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "delivery/inbox.hpp"

namespace peermq::delivery {

using namespace std::chrono_literals;

inline base::StreamId stream_id(unsigned number) {
    base::StreamId id;
    id.bytes[0] = std::byte{1};
    id.bytes[1] = static_cast<std::byte>(number & 0xFF);
    id.bytes[2] = static_cast<std::byte>(number >> 8);
    return id;
}

inline Arrival arrival(Seq first, Seq last, std::uint64_t lease = 1) {
    Arrival arrival;
    arrival.epoch = {1, 77};
    arrival.run = {first, last};
    arrival.lease = {1, lease};
    arrival.payload = std::make_shared<int>(0);
    arrival.bytes = 100 * arrival.run.count();
    return arrival;
}

class InboxTest : public ::testing::Test {
protected:
    void use(InboxOptions options) { inbox = Inbox(options); }
    void use_prefetch(std::uint32_t prefetch) { use({.prefetch = prefetch}); }

    /// Brings the source up, answers its HELD with an empty VALID and keeps its first actions.
    InboxActions up(SourceId source, bool ready = true, unsigned stream = 0,
                    bool persistent = true) {
        inbox.source_up(source, stream_id(stream == 0 ? static_cast<unsigned>(source) : stream),
                        persistent, ready, now);
        InboxActions actions = step();
        for (const auto& held : actions.helds)
            inbox.validated(held.source, held.number, {}, true, now);
        return actions;
    }

    InboxActions step() {
        inbox.tick(now);
        InboxActions actions = inbox.take_actions(now);
        inbox.check_invariants();
        return actions;
    }

    bool arrive(SourceId source, const Arrival& message) {
        const bool taken = inbox.arrived(source, message, now);
        inbox.check_invariants();
        return taken;
    }

    /// The seqs that the application gets, up to `count`.
    std::vector<Seq> take(std::size_t count = 1'000'000) {
        std::vector<Seq> seqs;
        while (seqs.size() < count) {
            const auto item = inbox.take(now);
            if (!item) break;
            seqs.push_back(item->seq);
        }
        inbox.check_invariants();
        return seqs;
    }

    bool ack(SourceId source, Seq seq) {
        return inbox.settle(source, seq, SettleKind::ack, std::nullopt, {});
    }

    /// Both ends prove life: the gate stays open.
    void hear(SourceId source) {
        inbox.source_heard(source, now);
        inbox.tick(now);
    }

    Inbox inbox{InboxOptions{}};
    Time now{std::chrono::seconds(1000)};
};

inline const InboxActions::Grant* grant_for(const std::vector<InboxActions::Grant>& grants,
                                            SourceId source) {
    for (const auto& grant : grants) {
        if (grant.source == source) return &grant;
    }
    return nullptr;
}

using Seqs = std::vector<Seq>;

}  // namespace peermq::delivery
