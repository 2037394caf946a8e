/// The sending side: what consumers say that they hold, and what they say of it.

#include <algorithm>
#include <set>
#include <utility>

#include "peer/engine.hpp"
#include "peer/engine_state.hpp"
#include "peer/to_wire.hpp"

namespace peermq::detail {
namespace {

/// False while something that the answer is about is not final; then adds what was overruled.
bool is_final(const Producer& producer, Producer::Answer& answer) {
    for (const base::Run run : answer.open) {
        if (producer.group.settling(run)) return false;
    }
    for (const base::Run run : std::exchange(answer.open, {})) {
        for (const base::Run part : producer.group.overruled(answer.consumer, run))
            answer.refused.push_back({part, delivery::RefuseReason::newer_lease});
    }
    return true;
}

}  // namespace

/// The parts of `held` whose numbers mean other messages here: a clone, a restored copy or a lost
/// tail may have used them anew, in another epoch.
base::RunSet Engine::foreign_parts(const Producer& producer, const wire::HeldRun& held) const {
    base::RunSet foreign;
    const base::Epoch& current = producer.stream->config().epoch;
    if (held.epoch == current) return foreign;
    const bool older = held.epoch.counter < current.counter;
    const base::Seq end = producer.stream->handable_end();
    if (!older || spool_ == nullptr || !producer.stream->stored() || held.run.first > end) {
        foreign.add(held.run);
        return foreign;
    }
    if (held.run.last > end) foreign.add({end + 1, held.run.last});
    // What is settled may be in no file any more. Nobody can take it up again, so that its epoch
    // does not matter; only who settled it does, which the group knows.
    const base::Seq floor = producer.group.settled_floor();
    const base::Run open{std::max(held.run.first, floor + 1), std::min(held.run.last, end)};
    if (open.empty()) return foreign;
    for (base::Run gap : producer.group.settled_above_floor().gaps(open)) {
        while (!gap.empty()) {
            const auto stored = spool_->stored_from(producer.stream->config().index, gap.first);
            const base::Seq found = stored ? std::min(stored->run.first, gap.last + 1)
                                           : gap.last + 1;
            // In no file: damaged, and handed out in time only by ourselves; or not written yet,
            // and of our own epoch.
            const base::Run missing{gap.first, found - 1};
            if (!missing.empty() && held.lease.epoch != current.counter) foreign.add(missing);
            if (found > gap.last) break;
            const base::Run part{found, std::min(gap.last, stored->run.last)};
            if (stored->epoch != held.epoch) foreign.add(part);
            gap.first = part.last + 1;
        }
    }
    return foreign;
}

void Engine::on_held(LinkState& link, std::uint32_t handle, const wire::Held& held) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end()) return protocol_error(link, "HELD for an unknown stream");
    Outgoing& outgoing = it->second;
    outgoing.held.insert(outgoing.held.end(), held.runs.begin(), held.runs.end());
    if (outgoing.held.size() > base::limits::kPrefetchMax)
        return protocol_error(link, "HELD with too many runs");
    if (!held.done) return;
    after_settled(*outgoing.producer, link, [this, handle, number = held.number](LinkState& on) {
        announce_held(on, handle, number);
    });
}

void Engine::announce_held(LinkState& link, std::uint32_t handle, std::uint32_t number) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end()) return;
    Outgoing& outgoing = it->second;
    Producer& producer = *outgoing.producer;
    std::vector<delivery::HeldRun> announced;
    outgoing.foreign.clear();
    for (const wire::HeldRun& run : outgoing.held) {
        const base::RunSet foreign = foreign_parts(producer, run);
        for (const base::Run part : foreign.gaps(run.run))
            announced.push_back({part, run.lease, run.started});
        foreign.for_each([&](base::Run part) { outgoing.foreign.add(part); });
    }
    outgoing.held.clear();
    const std::vector<base::Run> refused = producer.group.announce(outgoing.consumer, announced,
                                                                   true, now_);
    std::vector<base::Run> revoked;
    outgoing.foreign.for_each([&](base::Run part) { revoked.push_back(part); });
    revoked.insert(revoked.end(), refused.begin(), refused.end());
    wire::Valid valid{number, true, {}};
    in_frames(revoked, [&](std::vector<base::Run> part, bool is_last) {
        valid.revoked = std::move(part);
        valid.done = is_last;
        send(link, handle, valid);
    });
    pump(producer);
}

/// The parts of `entry` that are about messages of ours; refuses the others. Their leases are of an
/// earlier process, so that the group could not tell.
std::vector<base::Run> Engine::ours_of(Producer& producer, const base::RunSet& foreign,
                                       const wire::SettleEntry& entry,
                                       std::vector<delivery::RefusedRun>& refused) {
    const bool of_this_process = entry.lease.epoch == producer.stream->config().epoch.counter;
    if (of_this_process || foreign.count_in(entry.run) == 0) return {entry.run};
    for (const base::Run run : foreign.intersection(entry.run)) {
        producer.refused += run.count();
        refused.push_back({run, delivery::RefuseReason::unknown});
    }
    return foreign.gaps(entry.run);
}

void Engine::on_settle(LinkState& link, std::uint32_t handle, const wire::Settle& settle) {
    const auto it = link.outgoing.find(handle);
    if (it == link.outgoing.end()) return protocol_error(link, "SETTLE for an unknown stream");
    Producer& producer = *it->second.producer;
    const delivery::ConsumerId consumer = it->second.consumer;
    std::vector<delivery::RefusedRun> refused;
    std::vector<base::Run> open;
    for (const wire::SettleEntry& entry : settle.entries) {
        delivery::SettleEntry translated{to_delivery(entry.kind), entry.run, entry.lease,
                                         std::nullopt, entry.reason};
        if (entry.delay_ms != wire::kDefaultDelay)
            translated.delay = std::chrono::milliseconds(entry.delay_ms);
        for (const base::Run run : ours_of(producer, it->second.foreign, entry, refused)) {
            translated.run = run;
            const auto some = producer.group.settle(consumer, settle.number, settle.confirmed,
                                                    translated, now_, wall_now_);
            refused.insert(refused.end(), some.begin(), some.end());
            if (producer.group.settling(run)) open.push_back(run);
        }
    }
    store_facts(producer);
    producer.unanswered.push_back({consumer, settle.number, std::move(refused), std::move(open)});
    answer_settlements(producer);
    wake(producer);
}

/// Confirms what is stored with the facts that have just been queued. A CONFIRM counts for all
/// before it, so that none goes while a message that was to die is not on its way to the disk, or
/// an earlier settlement of the same consumer is not final.
void Engine::answer_settlements(Producer& producer) {
    if (!producer.unburied.empty()) return;
    const bool stored = commits_ != nullptr && producer.stored();
    std::set<delivery::ConsumerId> waiting;
    for (Producer::Answer& answer : std::exchange(producer.unanswered, {})) {
        if (waiting.contains(answer.consumer) || !is_final(producer, answer)) {
            waiting.insert(answer.consumer);
            producer.unanswered.push_back(std::move(answer));
            continue;
        }
        if (!stored) {
            send_confirm(producer, answer.consumer, answer.number, std::move(answer.refused));
            continue;
        }
        const std::uint64_t ticket = commits_->add_changes({}, {}, false);
        when_stored(ticket, [this, &producer, answer = std::move(answer)] {
            send_confirm(producer, answer.consumer, answer.number, answer.refused);
        });
    }
}

void Engine::send_confirm(Producer& producer, delivery::ConsumerId consumer, std::uint64_t number,
                          std::vector<delivery::RefusedRun> refused) {
    const auto it = producer.consumers.find(consumer);
    if (it == producer.consumers.end() || it->second.handle == 0) return;
    LinkState* link = it->second.session->link;
    if (link == nullptr || link->closed) return;
    wire::Confirm confirm{number, {}};
    // All but the last frame repeat the previous number: it counts only once everything refused is
    // told.
    for (std::size_t i = 0; i < refused.size(); ++i) {
        if (confirm.refused.size() == base::limits::kRunsPerFrameMax) {
            confirm.number = number - 1;
            send(*link, it->second.handle, confirm);
            confirm.number = number;
            confirm.refused.clear();
        }
        confirm.refused.push_back({refused[i].run, to_wire(refused[i].reason)});
    }
    send(*link, it->second.handle, confirm);
}

}  // namespace peermq::detail
