/// At most once from a stored stream: what is handed out is sent only when the disk knows that it
/// is settled, so that no power cut brings it back. Messages whose consumer has gone by then are
/// lost, as the name says.

#include <map>
#include <utility>

#include "peer/engine_hand_out.hpp"

namespace peermq::detail {

void Engine::send_when_settled(Producer& producer, std::vector<delivery::Assignment> assignments) {
    if (assignments.empty()) return;
    // Once it is settled the spool may forget a record: whoever is to send it keeps it.
    HandOut source(*this, producer);
    std::vector<std::shared_ptr<const Chunk>> chunks;
    std::map<delivery::ConsumerId, std::uint32_t> handles;
    std::size_t bytes = 0;
    for (const delivery::Assignment& assignment : assignments) {
        bytes += assignment.bytes;
        handles[assignment.consumer] = producer.consumers.at(assignment.consumer).handle;
        for (base::Seq seq = assignment.run.first; seq <= assignment.run.last;) {
            const OutStream::Cached found = source.find(seq);
            if (!found.chunk) break;
            if (chunks.empty() || chunks.back() != found.chunk) chunks.push_back(found.chunk);
            seq = found.run.last + 1;
        }
    }
    producer.settling_bytes += bytes;
    store_facts(producer);
    producer.settling_ticket = commits_->add_changes({}, {}, true);
    when_stored(producer.settling_ticket, [this, &producer, assignments = std::move(assignments),
                                           chunks = std::move(chunks), handles = std::move(handles),
                                           bytes]() mutable {
        producer.settling_bytes -= bytes;
        std::erase_if(assignments, [&](const delivery::Assignment& assignment) {
            const auto binding = producer.consumers.find(assignment.consumer);
            // Over another link it would find another window.
            return binding == producer.consumers.end() ||
                   binding->second.handle != handles.at(assignment.consumer);
        });
        producer.read_back.insert(producer.read_back.begin(), chunks.begin(), chunks.end());
        send_assignments(producer, assignments);
        producer.read_back.erase(
            producer.read_back.begin(),
            producer.read_back.begin() + static_cast<std::ptrdiff_t>(chunks.size()));
        wake(producer);
    });
}

void Engine::after_settled(Producer& producer, LinkState& link,
                           std::function<void(LinkState&)> act) {
    if (producer.settling_bytes == 0) return act(link);
    when_stored(producer.settling_ticket, [this, channel = link.channel, act = std::move(act)] {
        const auto it = links_.find(channel);
        if (it != links_.end() && it->second->up()) act(*it->second);
    });
}

}  // namespace peermq::detail
