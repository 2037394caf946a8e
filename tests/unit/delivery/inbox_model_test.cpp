/// Fake producers that keep to the protocol, with links that fail, against the real Inbox: what is
/// in flight stays within prefetch, no message is lost, none is with two owners, all drains at the
/// end.

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "inbox_support.hpp"

namespace peermq::delivery {
namespace {

/// A producer of one stream with one link to the Inbox: frames in order, delayed at will, lost with
/// the link. Messages that come back are free for "another consumer", which takes some of them.
struct Producer {
    enum class At { fresh, leased, settled };
    struct Message {
        At at = At::fresh;
        LeaseId lease;
        bool handed_out = false;
    };
    using Frame = std::function<void()>;

    SourceId source = 0;
    unsigned stream = 0;
    bool up = false;
    bool ready = false;
    bool suspect = false;
    std::uint32_t window = 0;
    std::uint64_t lease = 0;
    Time heard{};          ///< when it last got anything from us
    Time stalled_until{};  ///< the link moves nothing, but lives
    std::uint64_t under_way = 0;
    std::map<Seq, Message> messages;
    std::set<Seq> elsewhere;    ///< settled by the other consumer
    std::deque<Frame> to_us;    ///< frames under way to the Inbox
    std::deque<Frame> to_them;  ///< frames under way to the producer

    std::uint64_t leased() const {
        return static_cast<std::uint64_t>(
            std::count_if(messages.begin(), messages.end(),
                          [](const auto& one) { return one.second.at == At::leased; }));
    }
    bool has_fresh() const {
        return std::any_of(messages.begin(), messages.end(),
                           [](const auto& one) { return one.second.at == At::fresh; });
    }
};

class Model {
public:
    Model(unsigned seed, std::uint32_t prefetch, unsigned producers)
        : random_(seed),
          prefetch_(prefetch),
          inbox_(InboxOptions{.prefetch = prefetch, .concurrency = 4}) {
        for (unsigned i = 1; i <= producers; ++i) {
            Producer& producer = producers_.emplace_back();
            producer.stream = i;
            for (Seq seq = 1; seq <= 60; ++seq) producer.messages[seq];
        }
    }

    void run(int steps, bool faults) {
        faulty_ = faults;
        for (int i = 0; i < steps; ++i) {
            step(faults);
            check();
        }
        for (int i = 0; i < 4000 && !done(); ++i) {
            step(false);
            check();
        }
        EXPECT_TRUE(done()) << "not drained";
        EXPECT_EQ(in_flight(), 0U);
        for (const Producer& producer : producers_) {
            for (const auto& [seq, message] : producer.messages)
                EXPECT_EQ(message.at, Producer::At::settled) << seq;
        }
    }

private:
    unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

    void step(bool faults) {
        now_ += std::chrono::milliseconds(below(40));
        for (Producer& producer : producers_) {
            if (!producer.up) {
                if (!faults || below(20) == 0) connect(producer, faults && below(2) == 0);
            } else if (faults && below(150) == 0) {
                disconnect(producer, below(3) == 0);
            }
            if (producer.up) {
                hand_out(producer);
                deliver(producer);
                if (below(60) == 0) recall(producer);
                if (faults && below(200) == 0)
                    producer.stalled_until = now_ + std::chrono::milliseconds(below(5000));
                if (below(10) < 3) heartbeat(producer);
            }
            if (now_ > producer.heard + 2s) {
                producer.suspect = true;
                take_back(producer);
            }
        }
        work();
        inbox_.tick(now_);
        send(inbox_.take_actions(now_));
        inbox_.check_invariants();
    }

    void connect(Producer& producer, bool fresh_source) {
        producer.up = true;
        producer.heard = now_;
        producer.window = 0;
        producer.ready = producer.has_fresh();
        if (producer.source == 0 || fresh_source) producer.source = ++sources_;
        inbox_.source_up(producer.source, stream_id(producer.stream), true, producer.ready, now_);
    }

    void disconnect(Producer& producer, bool ended) {
        producer.up = false;
        producer.to_us.clear();
        producer.to_them.clear();
        producer.under_way = 0;
        producer.stalled_until = now_;
        inbox_.source_down(producer.source, ended, now_);
        if (ended) producer.source = 0;
    }

    /// Frames cross the link, in order, as many as chance allows.
    void deliver(Producer& producer) {
        if (now_ < producer.stalled_until) return;
        for (unsigned i = below(9); i > 0 && !producer.to_them.empty(); --i) {
            const auto frame = std::move(producer.to_them.front());
            producer.to_them.pop_front();
            producer.heard = now_;
            frame();
        }
        for (unsigned i = below(9); i > 0 && !producer.to_us.empty(); --i) {
            const auto frame = std::move(producer.to_us.front());
            producer.to_us.pop_front();
            frame();
        }
    }

    void hand_out(Producer& producer) {
        if (producer.suspect) return;  // nothing more until we have announced what we hold
        std::uint64_t leased = producer.leased();
        for (auto& [seq, message] : producer.messages) {
            if (message.at != Producer::At::fresh || leased >= producer.window || below(4) == 0)
                continue;
            message.at = Producer::At::leased;
            message.lease = {1, ++producer.lease};
            ++leased;
            Arrival one = arrival(seq, seq, producer.lease);
            one.redelivered = message.handed_out;
            message.handed_out = true;
            ++producer.under_way;
            producer.to_us.push_back([this, &producer, one] {
                --producer.under_way;
                EXPECT_TRUE(inbox_.arrived(producer.source, one, now_));
            });
        }
        const bool ready = producer.has_fresh();
        if (ready == producer.ready) return;
        producer.ready = ready;
        producer.to_us.push_back(
            [this, &producer, ready] { inbox_.source_ready(producer.source, ready); });
    }

    void recall(Producer& producer) {
        producer.to_us.push_back([this, &producer] { inbox_.recall(producer.source, 2); });
    }

    void heartbeat(Producer& producer) {
        const Time sent = now_;
        producer.to_them.push_back([this, &producer, sent] {
            producer.to_us.push_back(
                [this, &producer, sent] { inbox_.source_heard(producer.source, sent); });
        });
    }

    /// The holder was silent: what it had goes back, and another consumer may get and settle it.
    void take_back(Producer& producer) {
        for (auto& [seq, message] : producer.messages) {
            if (message.at != Producer::At::leased) continue;
            const bool other = below(3) == 0;
            message.at = other ? Producer::At::settled : Producer::At::fresh;
            if (other) producer.elsewhere.insert(seq);
        }
    }

    void work() {
        while (below(3) != 0) {
            const auto item = inbox_.take(now_);
            if (!item) break;
            for (const Producer& producer : producers_) {
                if (producer.source != item->source) continue;
                const auto& message = producer.messages.at(item->seq);
                EXPECT_TRUE(message.at == Producer::At::leased && message.lease == item->lease)
                    << item->seq;
            }
            started_.push_back(*item);
        }
        while (!started_.empty() && below(3) != 0) {
            const auto at = started_.begin() + static_cast<std::ptrdiff_t>(
                                                   below(static_cast<unsigned>(started_.size())));
            const auto kind = below(8) == 0 ? SettleKind::release : SettleKind::ack;
            EXPECT_TRUE(inbox_.settle(at->source, at->seq, kind, std::nullopt, {}));
            started_.erase(at);
        }
    }

    Producer& of(SourceId source) {
        return *std::find_if(producers_.begin(), producers_.end(),
                             [&](const Producer& one) { return one.source == source; });
    }

    void send(const InboxActions& actions) {
        for (const auto& held : actions.helds) {
            of(held.source).to_them.push_back([this, held] { announce(of(held.source), held); });
        }
        for (const auto& grant : actions.shrinks) {
            of(grant.source).to_them.push_back([this, grant] {
                Producer& producer = of(grant.source);
                producer.window = grant.messages;
                producer.to_us.push_back(
                    [this, grant] { inbox_.granted(grant.source, grant.number); });
            });
        }
        for (const auto& settle : actions.settles) {
            of(settle.source).to_them.push_back([this, settle] {
                apply(of(settle.source), settle);
            });
        }
        for (const auto& grant : actions.grants) {
            of(grant.source).to_them.push_back([this, grant] {
                of(grant.source).window = grant.messages;
            });
        }
    }

    void announce(Producer& producer, const InboxActions::Held& held) {
        producer.suspect = false;
        std::vector<Run> revoked;
        std::set<Seq> kept;
        for (const auto& entry : held.runs) {
            for (Seq seq = entry.held.run.first; seq <= entry.held.run.last; ++seq) {
                auto& message = producer.messages.at(seq);
                const bool adopted = message.at != Producer::At::settled &&
                                     message.lease == entry.held.lease;
                if (!adopted) {
                    revoked.push_back({seq, seq});
                    continue;
                }
                message.at = Producer::At::leased;
                kept.insert(seq);
            }
        }
        for (auto& [seq, message] : producer.messages) {
            if (message.at == Producer::At::leased && !kept.contains(seq))
                message.at = Producer::At::fresh;
        }
        producer.to_us.push_back([this, source = producer.source, number = held.number, revoked] {
            inbox_.validated(source, number, revoked, true, now_);
        });
    }

    void apply(Producer& producer, const InboxActions::Settle& settle) {
        std::vector<RefusedRun> refused;
        for (const SettleEntry& entry : settle.entries) {
            for (Seq seq = entry.run.first; seq <= entry.run.last; ++seq) {
                auto& message = producer.messages.at(seq);
                const bool mine = message.lease == entry.lease && !producer.elsewhere.contains(seq);
                if (!mine) {
                    refused.push_back({{seq, seq}, RefuseReason::newer_lease});
                } else if (entry.kind == SettleKind::ack) {
                    message.at = Producer::At::settled;
                } else if (message.at == Producer::At::leased) {
                    message.at = Producer::At::fresh;
                }
            }
        }
        producer.to_us.push_back([this, source = producer.source, number = settle.number, refused] {
            inbox_.confirmed(source, number, refused);
        });
    }

    /// Unsettled at the Inbox or on a link to it, counted from outside.
    std::uint64_t in_flight() const {
        const InboxStats stats = inbox_.stats();
        std::uint64_t sum = stats.ready + stats.started;
        for (const Producer& producer : producers_) sum += producer.under_way;
        return sum;
    }

    void check() {
        std::uint64_t windows = 0;
        for (const Producer& producer : producers_) {
            if (producer.to_them.empty() && producer.up) windows += producer.window;
        }
        EXPECT_LE(windows, prefetch_);
        // With faults, producers may rightly take back what we still work on.
        if (!faulty_) {
            EXPECT_LE(in_flight(), prefetch_);
        }
    }

    bool done() const {
        return inbox_.drained() && started_.empty() &&
               std::all_of(producers_.begin(), producers_.end(), [](const Producer& producer) {
                   return std::all_of(
                       producer.messages.begin(), producer.messages.end(),
                       [](const auto& one) { return one.second.at == Producer::At::settled; });
               });
    }

    std::mt19937 random_;
    std::uint32_t prefetch_;
    Inbox inbox_;
    Time now_{std::chrono::seconds(1000)};
    SourceId sources_ = 0;
    bool faulty_ = false;
    std::deque<Producer> producers_;
    std::vector<Item> started_;
};

class InboxModel : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(InboxModel, LosesNothingAndDrainsUnderLinkLossResumeAndRecall) {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Model(seed, GetParam(), 1 + seed % 5).run(600, true);
        if (HasFailure()) return;
    }
}

TEST_P(InboxModel, KeepsWhatIsInFlightWithinPrefetch) {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Model(seed, GetParam(), 1 + seed % 7).run(300, false);
        if (HasFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(Prefetch, InboxModel, ::testing::Values(1U, 2U, 3U, 8U, 64U));

}  // namespace
}  // namespace peermq::delivery
