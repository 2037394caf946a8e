#include "delivery/inbox.hpp"

#include "delivery/inbox_impl.hpp"

namespace peermq::delivery {

Inbox::Inbox(InboxOptions options) : impl_(std::make_unique<Impl>(options)) {}
Inbox::~Inbox() = default;
Inbox::Inbox(Inbox&&) noexcept = default;
Inbox& Inbox::operator=(Inbox&&) noexcept = default;

void Inbox::source_up(SourceId source, const base::StreamId& stream, bool persistent, bool ready,
                      Time now) {
    impl_->source_up(source, stream, persistent, ready, now);
}
void Inbox::source_ready(SourceId source, bool ready) { impl_->source_ready(source, ready); }
void Inbox::source_down(SourceId source, bool ended, Time now) {
    impl_->source_down(source, ended, now);
}
void Inbox::stream_refused(const base::StreamId& stream) { impl_->stream_refused(stream); }
void Inbox::source_ended(SourceId source, Time now) { impl_->source_ended(source, now); }
void Inbox::source_heard(SourceId source, Time heard_at) { impl_->source_heard(source, heard_at); }
void Inbox::validated(SourceId source, std::uint32_t number, std::span<const Run> revoked,
                      bool done, Time now) {
    impl_->validated(source, number, revoked, done, now);
}
void Inbox::granted(SourceId source, std::uint32_t number) { impl_->granted(source, number); }

bool Inbox::arrived(SourceId source, const Arrival& arrival, Time now) {
    return impl_->arrived(source, arrival, now);
}
std::optional<Item> Inbox::take(Time now) {
    std::optional<Item> item(std::in_place);
    if (!impl_->take_into(now, *item)) item.reset();
    return item;
}
bool Inbox::take_into(Time now, Item& item) { return impl_->take_into(now, item); }
bool Inbox::has_ready(Time now) const { return impl_->has_ready(now); }
bool Inbox::settle(SourceId source, Seq seq, SettleKind kind, std::optional<Duration> delay,
                   std::string_view reason) {
    return impl_->settle(source, seq, kind, delay, reason);
}
void Inbox::recall(SourceId source, std::uint32_t messages) { impl_->recall(source, messages); }
void Inbox::stop() { impl_->stop(); }
std::vector<RefusedSettlement> Inbox::confirmed(SourceId source, std::uint64_t number,
                                                std::span<const RefusedRun> refused) {
    return impl_->confirmed(source, number, refused);
}
Outcome Inbox::outcome(SourceId source, Seq seq) const { return impl_->outcome(source, seq); }

std::uint64_t Inbox::unsent() const { return impl_->unsent(); }
std::uint64_t Inbox::flush_threshold() const { return impl_->flush_threshold(); }
InboxActions Inbox::take_actions(Time now) { return impl_->take_actions(now); }
void Inbox::tick(Time now) { impl_->tick(now); }
Time Inbox::next_deadline() const { return impl_->next_deadline(); }
void Inbox::set_prefetch(std::uint32_t messages, std::uint64_t bytes) {
    impl_->set_prefetch(messages, bytes);
}
void Inbox::set_concurrency(std::uint32_t concurrency) { impl_->set_concurrency(concurrency); }

InboxStats Inbox::stats() const { return impl_->stats(); }
std::vector<std::pair<base::StreamId, Seq>> Inbox::taken() const { return impl_->taken(); }
bool Inbox::drained() const { return impl_->drained(); }
void Inbox::check_invariants() const { impl_->check_invariants(); }

}  // namespace peermq::delivery
