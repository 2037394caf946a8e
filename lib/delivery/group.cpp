#include "delivery/group.hpp"

#include "delivery/group_impl.hpp"

namespace peermq::delivery {

Group::Group(GroupOptions options, std::uint32_t epoch, base::Random& random)
    : impl_(std::make_unique<Impl>(options, epoch, random)) {}
Group::~Group() = default;
Group::Group(Group&&) noexcept = default;
Group& Group::operator=(Group&&) noexcept = default;

void Group::recover(base::RunSet settled, Seq end, Seq mark, std::vector<Facts::Retry> retries,
                    Time now, base::WallTime wall_now) {
    impl_->recover(std::move(settled), end, mark, std::move(retries), now, wall_now);
}
bool Group::append(Seq end) { return impl_->append(end); }
void Group::lose(Run run) { impl_->lose(run); }
void Group::skip(Run run) { impl_->skip(run); }
bool Group::ack_required() const { return impl_->ack_required(); }
void Group::configure(GroupOptions options) { impl_->configure(options); }
std::uint64_t Group::purge() { return impl_->purge(); }
std::uint64_t Group::drop_oldest(std::uint64_t count) { return impl_->drop_oldest(count); }
std::vector<Group::Held> Group::abandon(Run run) { return impl_->abandon(run); }
void Group::repeatable(Run run) { impl_->repeatable(run); }
void Group::pause() { impl_->set_paused(true); }
void Group::resume() { impl_->set_paused(false); }
bool Group::paused() const { return impl_->paused(); }

void Group::expect_holders(Time now) { impl_->expect_holders(now); }
void Group::add_consumer(ConsumerId consumer, Time /*now*/) { impl_->add_consumer(consumer); }
void Group::set_window(ConsumerId consumer, std::uint32_t messages, std::uint64_t bytes,
                       std::uint32_t concurrency) {
    impl_->set_window(consumer, messages, bytes, concurrency);
}
void Group::suspect_consumer(ConsumerId consumer, Time now) {
    impl_->suspect_consumer(consumer, now);
}
void Group::resume_consumer(ConsumerId consumer, Time /*now*/) { impl_->resume_consumer(consumer); }
void Group::close_window(ConsumerId consumer) { impl_->close_window(consumer); }
void Group::remove_consumer(ConsumerId consumer, bool crashed, Time now) {
    impl_->remove_consumer(consumer, crashed, now);
}
std::vector<Run> Group::announce(ConsumerId consumer, std::span<const HeldRun> held, bool complete,
                                 Time now) {
    return impl_->announce(consumer, held, complete, now);
}
void Group::renew(ConsumerId consumer, std::span<const Run> runs, Time now) {
    impl_->renew(consumer, runs, now);
}
bool Group::has_consumer(ConsumerId consumer) const { return impl_->has_consumer(consumer); }
bool Group::active(ConsumerId consumer) const { return impl_->active(consumer); }
std::uint64_t Group::activity() const { return impl_->activity(); }

std::vector<RefusedRun> Group::settle(ConsumerId consumer, std::uint64_t number,
                                      std::uint64_t confirmed, const SettleEntry& entry, Time now,
                                      base::WallTime wall_now) {
    return impl_->settle(consumer, number, confirmed, entry, now, wall_now);
}

bool Group::hand_out(HandOutContext& context, std::size_t bytes_max, std::size_t batch_bytes_max,
                     Time now, base::WallTime wall_now, std::vector<Assignment>& out) {
    return impl_->hand_out(context, bytes_max, batch_bytes_max, now, wall_now, out);
}
bool Group::settling(Run run) const { return impl_->settling(run); }
std::vector<Run> Group::overruled(ConsumerId consumer, Run run) const {
    return impl_->overruled(consumer, run);
}

void Group::take_back(ConsumerId consumer, Run run, LeaseId lease) {
    impl_->take_back(consumer, run, lease);
}
std::vector<Group::Recall> Group::take_recalls(Time now) { return impl_->take_recalls(now); }
bool Group::ready() const { return impl_->ready(); }

Facts Group::take_facts() { return impl_->take_facts(); }
void Group::retry_stored(Seq seq) { impl_->retry_stored(seq); }
void Group::dead_stored(Seq seq) { impl_->dead_stored(seq); }
void Group::dead_lost(Seq seq) { impl_->dead_lost(seq); }
Seq Group::mark_wanted() const { return impl_->mark_wanted(); }
void Group::mark_stored(Seq mark) { impl_->mark_stored(mark); }

void Group::tick(Time now, base::WallTime wall_now) { impl_->tick(now, wall_now); }
Time Group::next_deadline() const { return impl_->next_deadline(); }

GroupStats Group::stats() const { return impl_->stats(); }
std::uint64_t Group::fresh() const { return impl_->fresh_count(); }
bool Group::settled(Seq seq) const { return impl_->settled(seq); }
Seq Group::settled_floor() const { return impl_->settled_floor(); }
const base::RunSet& Group::settled_above_floor() const { return impl_->settled_above_floor(); }
void Group::check_invariants() const { impl_->check_invariants(); }

}  // namespace peermq::delivery
