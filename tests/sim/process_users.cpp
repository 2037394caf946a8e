/// What the applications of a simulated process do: post, handle, settle, and what they are told.

#include <algorithm>

#include "base/limits.hpp"
#include "peer/in_batch.hpp"
#include "record/record.hpp"
#include "sim/process.hpp"

namespace peermq::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kBurstMax = 8;
constexpr std::size_t kSmallBytesMax = 300;
constexpr std::size_t kLargeBytesMin = 140'000;
constexpr std::size_t kLargeBytesMax = 300'000;
/// After the faults, handlers end soon.
constexpr Duration kCalmWorkMax = 20ms;

EventKind event_of(delivery::SettleKind kind) {
    switch (kind) {
        case delivery::SettleKind::ack: return EventKind::ack;
        case delivery::SettleKind::nack: return EventKind::nack;
        case delivery::SettleKind::reject: return EventKind::reject;
        default: return EventKind::release;
    }
}

}  // namespace

// --- sending -------------------------------------------------------------------------------------

void Process::post(Push& push) {
    std::uint32_t& left = node_.left[push.index];
    if (left == 0 || closing_ || push.next_burst > node_.clock.now()) return;
    for (std::uint64_t burst = 1 + random_.below(kBurstMax); burst > 0 && left > 0; --burst) {
        --left;
        post_one(push);
    }
    push.next_burst = base::after(node_.clock.now(), draw(push.plan->gap_max));
}

void Process::post_one(Push& push) {
    const std::uint64_t number = around_.next_message++;
    std::size_t bytes = random_.below(kSmallBytesMax);
    if (random_.chance(push.plan->large)) {
        bytes = random_.between(kLargeBytesMin, kLargeBytesMax);
        recorder_.count(FaultKind::fragmented);
    }
    make_body(number, bytes, body_);
    std::string key;
    if (random_.chance(push.plan->keyed))
        key = "k" + std::to_string(1 + random_.below(push.plan->keys));

    Event event;
    event.kind = EventKind::intend;
    event.stream = recorder_.history().number_of(push.stream->config().id);
    event.hash = number;
    event.key = number_of_key(key);
    recorder_.add(event);
    const EpochNumber epoch = recorder_.history().number_of(push.stream->config().epoch);
    recorder_.remember_epoch(number, epoch);
    record::Record record;
    record.key = key;
    record.body = base::as_bytes(body_);
    std::optional<base::Seq> seq = append(push, record);
    if (!seq && push.plan->drop_oldest) {
        drop_oldest(push, body_.size() + record::kHeaderBytes);
        seq = append(push, record);
    }
    if (!seq) {
        recorder_.count(FaultKind::quota);
        event.kind = EventKind::fail;
        recorder_.add(event);
        return;
    }
    push.receipts.push_back({*seq, number, event.key});
    collect_receipts(push);
}

std::optional<base::Seq> Process::append(Push& push, record::Record& record) {
    try {
        return push.stream->append(record, detail::WhenFull::return_nothing);
    } catch (const Error& error) {
        recorder_.note(node_.actor, std::string("not sent: ") + error.what());
        return std::nullopt;
    }
}

Event Process::durable_event(const Push& push, const Receipt& receipt) {
    Event event;
    event.kind = EventKind::durable;
    event.stream = recorder_.history().number_of(push.stream->config().id);
    event.epoch = recorder_.history().number_of(push.stream->config().epoch);
    event.seq = receipt.seq;
    event.hash = receipt.message;
    event.key = receipt.key;
    return event;
}

void Process::collect_receipts(Push& push) {
    // At level os a receipt means less: what counts is written down when that is known.
    base::Seq end = push.stream->handable_end();
    if (push.plan->level == Durability::os) {
        end = std::min(end, spool_->synced_end(push.stream->config().index));
    }
    while (!push.receipts.empty() && push.receipts.front().seq <= end) {
        recorder_.add(durable_event(push, push.receipts.front()));
        push.receipts.pop_front();
    }
}

void Process::record_end() {
    if (spool_ && spool_->has_written()) node_.wrote = true;
    for (Push& push : pushes_) {
        if (push.plan->level != Durability::os) continue;
        collect_receipts(push);
        for (const Receipt& receipt : push.receipts) {
            if (receipt.seq > push.stream->handable_end()) break;
            node_.unsynced.push_back(durable_event(push, receipt));
        }
        push.receipts.clear();
    }
}

// --- working -------------------------------------------------------------------------------------

void Process::start(Pull& pull) {
    const std::size_t handlers = closing_ ? 0 : pull.plan->handlers;
    while (pull.running.size() < handlers) {
        if (!pull.stream->receive(pull.item, Duration::zero())) return;
        deliver(pull, pull.item);
    }
}

void Process::deliver(Pull& pull, const delivery::Item& item) {
    const auto& batch = *static_cast<const detail::InBatch*>(item.payload.get());
    const record::Record record = record::parts(batch.record(item.payload_index));
    Work work;
    work.source = item.source;
    work.stream = batch.stream;
    work.lease = item.lease;
    Event& event = work.name;
    event.actor = pull.actor;
    event.stream = recorder_.history().number_of(batch.stream);
    event.epoch = recorder_.history().number_of(item.epoch);
    event.seq = item.seq;
    Event delivered = event;
    delivered.kind = EventKind::deliver;
    delivered.hash = number_of_body(record.body);
    if (around_.canary == Canary::alter_body && delivered.hash % 16 == 0) ++delivered.hash;
    delivered.key = number_of_key(record.key);
    delivered.again = item.redelivered;
    delivered.attempt = item.attempt;
    delivered.lease = item.lease;
    recorder_.add(delivered);
    if (item.redelivered) recorder_.count(FaultKind::redelivered);
    if (recorder_.at_most_once(event.stream)) recorder_.count(FaultKind::at_most_once);
    decide(*pull.plan, work);
    pull.running.push_back(std::move(work));
}

void Process::decide(const PullPlan& plan, Work& work) {
    Duration takes = draw(plan.work_max);
    work.kind = delivery::SettleKind::ack;
    if (around_.calm) {
        takes = std::min(takes, kCalmWorkMax);
    } else {
        if (random_.chance(plan.slow)) {
            takes = draw(plan.slow_max);
            recorder_.count(FaultKind::slow_handler);
        }
        if (random_.chance(plan.nack)) {
            work.kind = delivery::SettleKind::nack;
            if (random_.below(2) == 0) work.delay = draw(500ms);
            recorder_.count(FaultKind::nack);
        } else if (random_.chance(plan.release)) {
            work.kind = delivery::SettleKind::release;
            recorder_.count(FaultKind::release);
        } else if (random_.chance(plan.reject)) {
            work.kind = delivery::SettleKind::reject;
            recorder_.count(FaultKind::reject);
        }
    }
    work.done_at = base::after(node_.clock.now(), takes);
}

void Process::finish(Pull& pull) {
    const Time now = node_.clock.now();
    for (std::size_t i = 0; i < pull.running.size();) {
        Work& work = pull.running[i];
        if (around_.calm) work.done_at = std::min(work.done_at, base::after(now, kCalmWorkMax));
        if (work.done_at > now) {
            ++i;
            continue;
        }
        Event event = work.name;
        event.kind = event_of(work.kind);
        recorder_.add(event);
        if (pull.stream->settle(work.source, work.name.seq, work.kind, work.delay, "simulated")) {
            pull.asked.push_back(std::move(work));
        } else {
            event.kind = EventKind::unknown;
            recorder_.add(event);
        }
        pull.running.erase(pull.running.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

void Process::learn_outcomes(Pull& pull) {
    if (pull.asked.empty()) return;
    std::erase_if(pull.asked, [&](const Work& work) {
        const delivery::Outcome outcome = pull.stream->outcome(work.source, work.name.seq);
        Event event = work.name;
        switch (outcome) {
            case delivery::Outcome::pending: return false;
            case delivery::Outcome::accepted:
                event.kind = EventKind::accepted;
                event.lease = work.lease;
                break;
            case delivery::Outcome::refused:
                event.kind = EventKind::refused;
                recorder_.count(FaultKind::settlement_refused);
                break;
            case delivery::Outcome::unknown: event.kind = EventKind::unknown; break;
        }
        recorder_.add(event);
        return true;
    });
}

// --- the silence of others -----------------------------------------------------------------------

void Process::heard(HostId remote) {
    const ActorId actor = around_.nodes[remote]->actor;
    heard_at_[actor] = node_.clock.now();
    lapsed_[actor] = false;
}

void Process::sending(HostId remote, const std::string& text) {
    if (text.empty()) return;
    recorder_.note(node_.actor,
                   "to peer " + std::to_string(around_.nodes[remote]->actor) + ": " + text);
}

void Process::lapse_the_silent() {
    if (pushes_.empty()) return;
    for (const auto& node : around_.nodes) {
        if (node->plan.pulls.empty() || node->actor == node_.actor) continue;
        const auto known = heard_at_.find(node->actor);
        const Time since = known == heard_at_.end() ? started_at_ : known->second;
        bool& lapsed = lapsed_[node->actor];
        if (lapsed || node_.clock.now() - since < base::limits::kResumeGrace) continue;
        lapsed = true;
        for (const auto& [name, stream] : streams_) {
            Event event;
            event.kind = EventKind::lapse;
            event.actor = node->actor;
            event.stream = recorder_.history().number_of(stream->config().id);
            recorder_.add(event);
            for (const ActorId later : node->later_actors) {
                event.actor = later;
                recorder_.add(event);
            }
        }
    }
}

bool Process::is_running(std::uint32_t pid) const { return around_.running.contains(pid); }

void Process::settling(const base::StreamId& stream, const wire::Settle& settle) {
    for (Pull& pull : pulls_) {
        for (Work& work : pull.asked) {
            if (work.stream != stream) continue;
            for (const wire::SettleEntry& entry : settle.entries) {
                if (entry.run.contains(work.name.seq))
                    work.lease = std::max(work.lease, entry.lease);
            }
        }
    }
}

}  // namespace peermq::sim
