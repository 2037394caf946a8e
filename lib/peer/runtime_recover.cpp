/// Stored requests of an earlier process, and replies that it had but nobody has taken.

#include <map>

#include "peer/properties.hpp"
#include "peer/runtime.hpp"
#include "peer/stored_reply.hpp"
#include "record/headers.hpp"

namespace peermq::detail {
namespace {

constexpr std::size_t kReadBytes = 512 * base::limits::kKiB;

base::RunSet settled_of(const spool::RecoveredStream& recovered) {
    for (const spool::GroupState& group : recovered.groups) {
        if (group.group == 0) return group.settled;
    }
    return {};
}

}  // namespace

void Runtime::recover_services(const std::vector<spool::RecoveredStream>& streams) {
    for (const spool::RecoveredStream& recovered : streams) {
        const bool requests = recovered.info.kind == spool::StreamKind::service;
        if (!requests && recovered.info.kind != spool::StreamKind::reply) continue;
        auto [service, is_new] = services_.try_emplace(recovered.info.name);
        if (is_new) {
            RequesterOptions options;
            options.durability = Durability::disk;
            service->second.calls = make_calls(recovered.info.name, options);
            engine_->add_service(service->second.calls, service_group_options(options));
        }
        Calls& calls = *service->second.calls;
        const auto& stream = requests ? calls.stream() : calls.replies();
        stream->recover(recovered.end, settled_of(recovered));
        if (requests) {
            engine_->recover_producer(*stream, recovered);
            recover_requests(calls, recovered);
        } else {
            recover_replies(calls, recovered);
        }
    }
}

void Runtime::read_unsettled(const spool::RecoveredStream& recovered,
                             const std::function<void(base::ByteSpan, const base::Epoch&,
                                                      const std::shared_ptr<const void>&)>& use) {
    if (recovered.end == 0) return;
    for (const base::Run gap : settled_of(recovered).gaps({1, recovered.end})) {
        for (base::Seq seq = gap.first; seq <= gap.last;) {
            auto read = std::make_shared<const spool::ReadResult>(
                spool_->read(recovered.info.index, seq, kReadBytes));
            // What is damaged was reported when it was read.
            if (read->run.empty() || read->run.first != seq) {
                if (read->lost.empty()) break;
                seq = std::max(seq, read->lost.last) + 1;
                continue;
            }
            const base::Seq last = std::min(read->run.last, gap.last);
            for (; seq <= last; ++seq) {
                const std::size_t index = seq - read->run.first;
                const base::ByteSpan bytes(read->bytes);
                use(bytes.subspan(read->offsets[index],
                                  read->offsets[index + 1] - read->offsets[index]),
                    read->epoch, read);
            }
        }
    }
}

void Runtime::recover_requests(Calls& calls, const spool::RecoveredStream& recovered) {
    const base::Time now = clock_.now();
    const base::WallTime wall_now = clock_.wall_now();
    read_unsettled(recovered, [&](base::ByteSpan bytes, const base::Epoch& epoch, const auto&) {
        const record::Record record = record::parts(bytes);
        auto call = std::make_shared<Call>();
        call->seq = record.seq;
        call->epoch = epoch;
        if (record.expiry != base::WallTime{})
            call->deadline = base::after(now, std::max(record.expiry - wall_now, base::Duration{}));
        call->idempotent = record::find_header(record.headers, kIdempotentHeader).has_value();
        call->correlation_id = record::find_header(record.headers, kCorrelationIdHeader)
                                   .value_or(std::string_view{});
        call->name = call->correlation_id;
        if (call->name.empty()) {
            call->name = recovered.info.id.hex() + "-" + std::to_string(epoch.counter) + "-" +
                         std::to_string(record.seq);
        }
        calls.recover(call);
    });
}

void Runtime::recover_replies(Calls& calls, const spool::RecoveredStream& recovered) {
    std::map<base::Seq, std::shared_ptr<Call>> answered;
    read_unsettled(recovered, [&](base::ByteSpan bytes, const base::Epoch& epoch, const auto& pin) {
        const record::Record record = record::parts(bytes);
        std::optional<StoredPart> stored = parse_stored_part(record.topic);
        if (!stored) return;
        std::shared_ptr<Call>& call = answered[stored->request];
        if (!call) {
            call = std::make_shared<Call>();
            call->seq = stored->request;
            call->epoch = epoch;
            call->stored = {record.seq, record.seq};
        }
        call->stored.last = record.seq;
        call->correlation_id = record::find_header(record.headers, kCorrelationIdHeader)
                                   .value_or(std::string_view{});
        call->name = call->correlation_id;
        if (call->name.empty()) {
            call->name = record::find_header(record.headers, kReplyToHeader)
                             .value_or(std::string_view{});
        }
        stored->part.record = bytes;
        stored->part.pin = pin;
        call->parts.push_back(std::move(stored->part));
    });
    // Stored in one batch with what settled their requests, so that they are whole.
    for (const auto& [seq, call] : answered) calls.recover_answered(call);
}

}  // namespace peermq::detail
