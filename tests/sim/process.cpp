#include "sim/process.hpp"

#include <algorithm>

namespace peermq::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration kCommitTakesMax = 3ms;
constexpr Duration kMaintainMax = 50ms;
/// What an orderly pull does within a millisecond.
constexpr Duration kFlushWait = 300us;

}  // namespace

Duration Process::draw(Duration most) {
    return Duration(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

// --- a turn --------------------------------------------------------------------------------------

void Process::run(Time now) {
    ++turns_;
    node_.clock.advance_to(now);
    engine_->set_now(node_.clock.now(), node_.clock.wall_now());
    // Threads of the application may look before anybody has read the sockets.
    if (random_.below(4) == 0) {
        for (Pull& pull : pulls_) start(pull);
    }
    transport_.tick(node_.clock.now(), *engine_);
    take_mail();
    lapse_the_silent();
    for (Push& push : pushes_) post(push);
    for (Pull& pull : pulls_) finish(pull);
    step();
    commit_if_due();
    maintain_if_due();
    step();
    for (Pull& pull : pulls_) learn_outcomes(pull);
    for (Pull& pull : pulls_) start(pull);
}

void Process::step() {
    const Time now = node_.clock.now();
    const bool due = engine_->next_deadline() <= now;
    if (!engine_due_ && !due && flush_at_ > now) return;
    if (flush_at_ <= now) flush_at_ = base::kNever;
    engine_due_ = false;
    outcomes_due_ = true;
    engine_->step();
    for (Push& push : pushes_) collect_receipts(push);
}

void Process::take_mail() {
    while (!mailbox_.empty()) {
        NetworkEvent event = std::move(mailbox_.front());
        mailbox_.pop_front();
        engine_due_ = true;
        recorder_.mix(event.end + (static_cast<std::uint64_t>(event.kind) << 32) +
                      (event.frame.head.size() << 40));
        transport_.take(std::move(event), *engine_);
    }
}

Time Process::next_wake() {
    const Time now = node_.clock.now();
    Time next = std::min(
        {engine_->next_deadline(), transport_.next_deadline(), flush_at_, commit_at_});
    if (engine_due_) next = now;
    if (commits_) {
        if (commit_at_ == base::kNever) {
            const Time due = commits_->due();
            if (due != base::kNever) {
                commit_at_ = base::after(std::max(due, now), draw(kCommitTakesMax));
                next = std::min(next, commit_at_);
            }
        }
        next = std::min(next, maintain_at_);
    }
    for (const Push& push : pushes_) {
        if (node_.left[push.index] > 0 && !closing_) next = std::min(next, push.next_burst);
    }
    for (const Pull& pull : pulls_) {
        for (const Work& work : pull.running) next = std::min(next, work.done_at);
    }
    return std::max(next, now + 10us);
}

void Process::commit_if_due() {
    if (!commits_ || broken_ || commit_at_ > node_.clock.now()) return;
    commit_at_ = base::kNever;
    node_.wrote = true;
    (void)commits_->try_commit();
}

void Process::maintain_if_due() {
    if (!spool_ || maintain_at_ > node_.clock.now()) return;
    maintain_at_ = base::after(node_.clock.now(), kMaintainMax + draw(kMaintainMax));
    if (spool_->maintenance_due()) (void)spool_->maintain();
}

// --- what streams, committer and engine ask for --------------------------------------------------

void Process::records_pending(const std::shared_ptr<detail::OutStream>& stream) {
    if (stream->stored()) {
        commits_->add_stream(stream);
    } else {
        engine_->notifications().stream_advanced(stream);
        engine_due_ = true;
    }
}

bool Process::reserve(const detail::OutStream& stream, std::uint64_t bytes) {
    return spool_->reserve(stream.config().index, bytes);
}

void Process::unreserve(const detail::OutStream& stream, std::uint64_t bytes) {
    spool_->unreserve(stream.config().index, bytes);
}

bool Process::make_room(detail::OutStream&, std::uint64_t) { return false; }

bool Process::commit_now() { return commits_->try_commit(); }

void Process::flush_wanted(detail::InStream& stream, bool at_once) {
    if (!stream.listed.exchange(true)) {
        engine_->notifications().pull_wants_flush(stream.shared_from_this());
    }
    const Time at = at_once ? node_.clock.now() : base::after(node_.clock.now(), kFlushWait);
    flush_at_ = std::min(flush_at_, at);
}

bool Process::drive(const std::function<bool()>&, Time, Place) { return false; }

void Process::committed(const std::vector<std::shared_ptr<detail::OutStream>>& streams,
                        std::uint64_t ticket) {
    engine_->notifications().committed(streams, ticket);
    engine_due_ = true;
}

void Process::commit_failed(ErrorCode code, const std::string& text) {
    recorder_.note(node_.actor, "storing failed for good: " + text);
    recorder_.count(FaultKind::storing_failed);
    broken_ = true;
    for (const auto& [name, stream] : streams_) {
        if (stream->stored()) stream->fail(code, text);
    }
}

void Process::space_changed(bool, const std::string& text) { recorder_.note(node_.actor, text); }

void Process::emit(peermq::Event event) {
    if (recorder_.tracing()) {
        recorder_.note(node_.actor, std::string(peermq::to_string(event.kind)) + " " + event.text);
    }
    // Stored dead letters are seen on their way to the disk.
    if (event.kind == peermq::EventKind::peer_rejected &&
        event.text.find("single_producer") != std::string::npos) {
        recorder_.count(FaultKind::second_producer);
    }
    if (event.kind != peermq::EventKind::dead_letter) return;
    const auto stream = streams_.find(event.queue);
    if (stream == streams_.end() || stream->second->stored()) return;
    Event dead;
    dead.kind = EventKind::dead;
    dead.stream = recorder_.history().number_of(stream->second->config().id);
    dead.other = recorder_.history().number_of(streams_.at(event.queue + ".dead")->config().id);
    dead.epoch = recorder_.history().number_of(stream->second->config().epoch);
    dead.seq = std::stoull(event.text.substr(sizeof("message ") - 1));
    recorder_.add(dead);
    recorder_.count(FaultKind::dead_letter);
}

void Process::refused(const std::shared_ptr<detail::InStream>&, std::string) {}

// --- the end -------------------------------------------------------------------------------------

void Process::replace_pull() {
    std::erase_if(pulls_, [](const Pull& pull) {
        return pull.stream->stopped() && pull.running.empty() && pull.asked.empty();
    });
    std::vector<Pull*> open;
    for (Pull& pull : pulls_) {
        if (!pull.stream->stopped()) open.push_back(&pull);
    }
    if (closing_ || open.empty()) return;
    Pull& closed = *open[random_.below(open.size())];
    const ActorId actor = node_.actor + 2000 +
                          1000 * static_cast<ActorId>(node_.later_actors.size());
    node_.later_actors.push_back(actor);
    recorder_.note(node_.actor, "closes a pull of " + closed.plan->queue + "; consumer " +
                                    std::to_string(actor) + " takes its place");
    closed.stream->stop();
    open_pull(*closed.plan, actor);
    engine_due_ = true;
}

void Process::record_forgotten(detail::OutStream& stream, const std::function<void()>& forget) {
    const delivery::Group& group = engine_->group(stream);
    std::vector<base::Seq> open;
    for (base::Seq seq = group.settled_floor() + 1; seq <= stream.handable_end(); ++seq) {
        if (!group.settled(seq)) open.push_back(seq);
    }
    forget();
    for (const base::Seq seq : open) {
        if (!group.settled(seq) && !group.settling({seq, seq})) continue;
        Event event;
        event.kind = stream.stored() ? EventKind::forgotten : EventKind::purged;
        event.stream = recorder_.history().number_of(stream.config().id);
        event.epoch = 0;
        event.seq = seq;
        recorder_.add(event);
    }
    engine_due_ = true;
}

void Process::purge() {
    detail::OutStream& stream = *pushes_[random_.below(pushes_.size())].stream;
    record_forgotten(stream, [&] { (void)engine_->purge(stream); });
}

void Process::drop_oldest(Push& push, std::uint64_t bytes) {
    record_forgotten(*push.stream, [&] {
        if (engine_->drop_oldest(*push.stream, bytes) > 0) recorder_.count(FaultKind::drop_oldest);
    });
    // As Runtime does: the spool counts what is settled once that is stored.
    if (push.stream->stored() && !broken_) (void)commits_->try_commit();
}

void Process::begin_close() {
    closing_ = true;
    engine_->begin_close();
    engine_due_ = true;
}

bool Process::closed() { return engine_->drained() && (!commits_ || commits_->idle()); }

void Process::say_bye() { engine_->say_bye(); }

bool Process::drained() {
    if (engine_due_ || !mailbox_.empty() || (commits_ && !commits_->idle())) return false;
    for (const Push& push : pushes_) {
        if (node_.left[push.index] > 0 || engine_->group(*push.stream).stats().depth > 0)
            return false;
    }
    for (const auto& [name, stream] : streams_) {
        const bool read = std::any_of(
            around_.nodes.begin(), around_.nodes.end(), [&](const auto& node) {
                return std::any_of(
                    node->plan.pulls.begin(), node->plan.pulls.end(),
                    [&, &queue = name](const PullPlan& plan) { return plan.queue == queue; });
            });
        if (read && engine_->group(*stream).stats().depth > 0) return false;
    }
    for (const Pull& pull : pulls_) {
        if (!pull.running.empty() || !pull.asked.empty()) return false;
    }
    return engine_->drained();
}

void Process::record_remains() {
    for (const auto& [name, stream] : streams_) {
        const delivery::Group& group = engine_->group(*stream);
        for (base::Seq seq = 1; seq <= stream->handable_end(); ++seq) {
            if (group.settled(seq)) continue;
            Event event;
            event.kind = EventKind::remains;
            event.stream = recorder_.history().number_of(stream->config().id);
            event.epoch = 0;
            event.seq = seq;
            recorder_.add(event);
        }
    }
}

std::string Process::describe() {
    std::string text = "peer " + std::to_string(node_.actor) + ":";
    if (commits_ && !commits_->idle()) text += " commits wait;";
    if (broken_) text += " storing has failed;";
    for (const auto& [name, stream] : streams_) {
        const delivery::GroupStats stats = engine_->group(*stream).stats();
        text += "\n  sends " + name + ": depth " + std::to_string(stats.depth) + ", fresh " +
                std::to_string(stats.fresh) + ", in flight " + std::to_string(stats.in_flight) +
                ", waiting " + std::to_string(stats.waiting) + ", consumers " +
                std::to_string(stats.consumers) + ", oldest " +
                std::to_string(stats.oldest_unsettled) + ", handable end " +
                std::to_string(stream->handable_end());
    }
    for (const Pull& pull : pulls_) {
        const delivery::InboxStats stats = pull.stream->stats();
        text += "\n  pulls " + pull.plan->queue + ": ready " + std::to_string(stats.ready) +
                ", started " + std::to_string(stats.started) + ", unconfirmed " +
                std::to_string(stats.unconfirmed) + ", asked " + std::to_string(pull.asked.size()) +
                ", sources " + std::to_string(stats.sources) + ", prefetch " +
                std::to_string(pull.plan->inbox.prefetch);
    }
    for (const LinkStats& link : engine_->link_stats()) {
        text += "\n  link " + link.remote + " " + link.state;
    }
    return text;
}

}  // namespace peermq::sim
