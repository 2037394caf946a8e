// Keys of messages from before a restart. They are in no memory, so that the records must be read
// again before a keyed message is handed out: another with its key may be older, or held by
// someone.

#include "delivery/group_impl.hpp"

namespace peermq::delivery {

bool Group::Impl::scan_all(HandOutContext& context) {
    while (!unscanned_.empty()) {
        if (!scan(context, unscanned_.front())) return false;
    }
    return true;
}

/// Learns the keys of `run`; false when its records cannot be read now.
bool Group::Impl::scan(HandOutContext& context, Run run) {
    for (const Run part : unscanned_.intersection(run)) {
        Run rest = part;
        while (!rest.empty()) {
            const Slice slice = read(context, rest);
            if (slice.count() == 0) return false;
            const Run looked{rest.first, rest.first + slice.count() - 1};
            for (std::size_t i = 0; i < slice.keys.size(); ++i) {
                if (slice.keys[i] != 0) learn_key(slice.first + i, slice.keys[i]);
            }
            unscanned_.remove(looked);
            rest.first = looked.last + 1;
        }
    }
    return true;
}

void Group::Impl::learn_key(Seq seq, std::uint64_t key) {
    auto it = spans_.ending_at_or_after(seq);
    if (it == spans_.end() || it->first > seq) return;
    it = spans_.isolate(it, {seq, seq});
    message_of(it).key = key;
    keys_.insert(key, seq);
    if (it->second.state == SpanState::leased) keys_.lease(key);
    // Of the same key, one that was thought free may now have to wait.
    for (const Seq other : keys_.find(key)->seqs) {
        const SpanIt one = spans_.find(other);
        const SpanState state = one->second.state;
        if (state == SpanState::available || state == SpanState::blocked) settle_down(one);
    }
}

}  // namespace peermq::delivery
