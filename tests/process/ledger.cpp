#include "ledger.hpp"

#include <algorithm>
#include <limits>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace peermq::test {
namespace {

constexpr Nanoseconds kNeverHappened = std::numeric_limits<Nanoseconds>::max();
constexpr std::string_view kDeadSuffix = ".dead";

bool is_dead_queue(std::string_view queue) { return queue.ends_with(kDeadSuffix); }

/// Where a message is delivered: its queue, or the dead letters.
struct Place {
    std::vector<const LedgerEvent*> deliveries;
    std::vector<const LedgerEvent*> asks;
    Nanoseconds accepted_ack_at = kNeverHappened;
    bool ack_in_doubt = false;
};

struct Entry {
    const LedgerEvent* intent = nullptr;
    bool durable = false;
    bool failed = false;
    Place queue;
    Place dead;
};

/// Ids order like the sends: by process of the producer, then by number.
std::pair<std::uint64_t, std::uint64_t> order_of(const std::string& id) {
    std::uint64_t process = 0;
    std::uint64_t number = 0;
    char dash = 0;
    std::istringstream(id) >> process >> dash >> number;
    return {process, number};
}

class Judge {
public:
    explicit Judge(const std::vector<LedgerEvent>& events) { read(events); }

    LedgerVerdict verdict() {
        for (auto& [id, entry] : entries_) {
            check_sent(id, entry);
            check_lost(id, entry);
            for (Place* place : {&entry.queue, &entry.dead}) {
                check_flags(id, *place);
                check_after_ack(id, *place);
            }
        }
        check_order();
        return std::move(verdict_);
    }

private:
    void find(std::string rule, std::string text) {
        verdict_.findings.push_back({std::move(rule), std::move(text)});
    }

    void read(const std::vector<LedgerEvent>& events) {
        for (const LedgerEvent& event : events) {
            if (event.kind == "died") {
                died_[event.process] = event.begin;
                continue;
            }
            Entry& entry = entries_[event.id];
            if (event.kind == "intent") {
                entry.intent = &event;
            } else if (event.kind == "durable") {
                entry.durable = true;
                ++verdict_.durable;
            } else if (event.kind == "fail") {
                entry.failed = true;
            } else {
                read_worker(event, is_dead_queue(event.queue) ? entry.dead : entry.queue);
            }
        }
        for (const LedgerEvent& event : events) {
            if (event.kind == "accepted" || event.kind == "unknown" || event.kind == "refused") {
                read_outcome(event);
            }
        }
        for (auto& [id, entry] : entries_) {
            for (Place* place : {&entry.queue, &entry.dead}) doubt_of_the_dead(*place);
        }
    }

    void read_worker(const LedgerEvent& event, Place& place) {
        if (event.kind == "deliver") {
            place.deliveries.push_back(&event);
            ++verdict_.deliveries;
            if (place.deliveries.size() > 1) ++verdict_.repeated;
        } else if (event.kind == "ask") {
            place.asks.push_back(&event);
        } else if (event.kind == "refused") {
            ++verdict_.refused;
        }
    }

    void read_outcome(const LedgerEvent& event) {
        if (event.how != "ack") return;
        Entry& entry = entries_[event.id];
        Place& place = is_dead_queue(event.queue) ? entry.dead : entry.queue;
        if (event.kind == "accepted") {
            place.accepted_ack_at = std::min(place.accepted_ack_at, event.begin);
        } else if (event.kind == "unknown" || stored_before_a_death(event, place)) {
            place.ack_in_doubt = true;
        }
    }

    /// Refused, but a process died between the ack and the answer: the producer may have stored the
    /// ack, died before it could say so, and found the message settled when it was asked again.
    [[nodiscard]] bool stored_before_a_death(const LedgerEvent& refused, const Place& place) const {
        return std::any_of(place.asks.begin(), place.asks.end(), [&](const LedgerEvent* ask) {
            return ask->process == refused.process && ask->how == "ack" &&
                   std::any_of(died_.begin(), died_.end(), [&](const auto& death) {
                       return death.second > ask->begin && death.second < refused.begin;
                   });
        });
    }

    /// A process that was killed may have acked and never learned what came of it.
    void doubt_of_the_dead(Place& place) {
        for (const LedgerEvent* ask : place.asks) {
            if (ask->how == "ack" && died_.contains(ask->process)) place.ack_in_doubt = true;
        }
    }

    void check_sent(const std::string& id, const Entry& entry) {
        for (const Place* place : {&entry.queue, &entry.dead}) {
            for (const LedgerEvent* delivery : place->deliveries) {
                if (entry.intent == nullptr) {
                    find("invented", id + " was delivered but never sent");
                } else if (entry.failed) {
                    find("invented", id + " was delivered but its send failed");
                } else if (delivery->hash != entry.intent->hash ||
                           delivery->key != entry.intent->key) {
                    find("altered", id + " was delivered with other bytes");
                }
            }
        }
    }

    void check_lost(const std::string& id, const Entry& entry) {
        if (!entry.dead.deliveries.empty()) ++verdict_.dead;
        if (!entry.durable) return;
        const auto acked = [](const Place& place) {
            return place.accepted_ack_at != kNeverHappened;
        };
        if (acked(entry.queue) || acked(entry.dead)) return;
        if (entry.queue.ack_in_doubt || entry.dead.ack_in_doubt) {
            ++verdict_.ambiguous;
            return;
        }
        std::string text = id + " is durable, was delivered " +
                           std::to_string(entry.queue.deliveries.size()) +
                           " times, as dead letter " +
                           std::to_string(entry.dead.deliveries.size()) + " times, settled with [";
        for (const LedgerEvent* ask : entry.queue.asks) text += " " + ask->how;
        find("lost", text + " ], and never acked");
    }

    /// At most one delivery has no flag, and none of the others was certainly before it.
    void check_flags(const std::string& id, const Place& place) {
        const LedgerEvent* plain = nullptr;
        for (const LedgerEvent* delivery : place.deliveries) {
            if (delivery->redelivered) continue;
            if (plain != nullptr) find("unflagged", id + ": two deliveries without flag");
            plain = delivery;
        }
        if (plain == nullptr) return;
        for (const LedgerEvent* other : place.deliveries) {
            if (other != plain && other->end < plain->begin) {
                find("unflagged",
                     id + ": without flag at process " + std::to_string(plain->process) +
                         " after a delivery to process " + std::to_string(other->process));
            }
        }
    }

    void check_after_ack(const std::string& id, const Place& place) {
        for (const LedgerEvent* delivery : place.deliveries) {
            if (delivery->begin > place.accepted_ack_at) {
                find("undead",
                     id + " was delivered to process " + std::to_string(delivery->process) + " " +
                         std::to_string((delivery->begin - place.accepted_ack_at) / 1000) +
                         " us after its ack was accepted");
            }
        }
    }

    /// For each key, each first delivery must not certainly precede that of an earlier send.
    void check_order() {
        using Sent = std::pair<std::pair<std::uint64_t, std::uint64_t>, const LedgerEvent*>;
        std::map<std::string, std::vector<Sent>> keys;
        for (const auto& [id, entry] : entries_) {
            const auto& all = entry.queue.deliveries;
            if (all.empty() || all.front()->key.empty()) continue;
            const auto first = std::min_element(all.begin(), all.end(),
                                                [](auto* a, auto* b) { return a->end < b->end; });
            keys[(*first)->key].emplace_back(order_of(id), *first);
        }
        for (auto& [key, sent] : keys) {
            std::sort(sent.begin(), sent.end());
            check_key(key, sent);
        }
    }

    template <typename Sent>
    void check_key(const std::string& key, const std::vector<Sent>& sent) {
        const LedgerEvent* earliest_after = nullptr;
        for (auto each = sent.rbegin(); each != sent.rend(); ++each) {
            const LedgerEvent* delivery = each->second;
            if (earliest_after != nullptr && earliest_after->end < delivery->begin) {
                find("disordered", "key " + key + ": " + earliest_after->id +
                                       " was delivered before " + delivery->id);
            }
            if (earliest_after == nullptr || delivery->end < earliest_after->end) {
                earliest_after = delivery;
            }
        }
    }

    std::unordered_map<std::string, Entry> entries_;
    std::map<int, Nanoseconds> died_;
    LedgerVerdict verdict_;
};

}  // namespace

bool parse_event(std::string_view line, int process, LedgerEvent& event) {
    std::istringstream words{std::string(line)};
    event = {};
    event.process = process;
    words >> event.kind >> event.begin;
    event.end = event.begin;
    const std::string& kind = event.kind;
    if (kind == "intent") {
        words >> event.id >> std::hex >> event.hash >> event.key;
    } else if (kind == "durable" || kind == "fail") {
        words >> event.id;
    } else if (kind == "deliver") {
        words >> event.end >> event.id >> event.queue >> std::hex >> event.hash >> event.key >>
            std::dec >> event.attempt >> event.redelivered;
    } else if (kind == "ask" || kind == "accepted" || kind == "refused" || kind == "unknown") {
        words >> event.id >> event.queue >> event.how;
    } else {
        return false;
    }
    if (event.key == "-") event.key.clear();
    return !words.fail();
}

LedgerVerdict judge(const std::vector<LedgerEvent>& events) { return Judge(events).verdict(); }

bool LedgerVerdict::breaks(std::string_view rule) const {
    return std::any_of(findings.begin(), findings.end(),
                       [&](const LedgerFinding& finding) { return finding.rule == rule; });
}

std::string LedgerVerdict::text() const {
    constexpr std::size_t kShown = 20;
    std::ostringstream out;
    for (std::size_t i = 0; i < std::min(kShown, findings.size()); ++i) {
        out << findings[i].rule << ": " << findings[i].text << '\n';
    }
    out << findings.size() << " findings; durable " << durable << ", deliveries " << deliveries
        << ", repeated " << repeated << ", acks in doubt " << ambiguous << ", refused " << refused
        << ", dead letters read " << dead;
    return out.str();
}

}  // namespace peermq::test
