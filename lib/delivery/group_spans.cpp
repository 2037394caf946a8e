#include "delivery/group_spans.hpp"

#include <iterator>

#include "base/assert.hpp"

namespace peermq::delivery {

SpanTable::Iterator SpanTable::ending_at_or_after(base::Seq seq) {
    auto it = spans_.upper_bound(seq);
    if (it != spans_.begin()) {
        auto previous = std::prev(it);
        if (previous->second.last >= seq) return previous;
    }
    return it;
}

SpanTable::Iterator SpanTable::insert(base::Seq first, const Span& span) {
    return spans_.emplace_hint(spans_.end(), first, span);
}

SpanTable::Iterator SpanTable::split(Iterator it, base::Seq first) {
    PEERMQ_ASSERT(it->first < first && first <= it->second.last && !it->second.special);
    Span& front = it->second;
    Span rest = front;
    // In proportion, in two factors: whole bytes per message, then what is left over.
    const std::uint64_t all = front.last - it->first + 1;
    const std::uint64_t before = first - it->first;
    front.bytes = front.bytes / all * before + front.bytes % all * before / all;
    rest.bytes -= front.bytes;
    front.last = first - 1;
    if (rest.state == SpanState::available) (rest.alone ? alone_ : ordinary_).insert(first);
    return spans_.emplace_hint(std::next(it), first, rest);
}

SpanTable::Iterator SpanTable::isolate(Iterator it, base::Run part) {
    if (it->first < part.first) it = split(it, part.first);
    if (part.last < it->second.last) split(it, part.last + 1);
    return it;
}

void SpanTable::index(Iterator it) {
    const Span& span = it->second;
    counts_[static_cast<std::size_t>(span.state)] += run(it).count();
    if (span.state == SpanState::available) (span.alone ? alone_ : ordinary_).insert(it->first);
}

void SpanTable::unindex(Iterator it) {
    const Span& span = it->second;
    counts_[static_cast<std::size_t>(span.state)] -= run(it).count();
    if (span.state == SpanState::available) (span.alone ? alone_ : ordinary_).erase(it->first);
}

}  // namespace peermq::delivery
