#include "spool_json.hpp"

#include <string>
#include <string_view>

#include "record/headers.hpp"
#include "spool/names.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

std::string_view text_of(base::ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void put_record_headers(Json& json, base::ByteSpan bytes) {
    if (const auto headers = record::decode_headers(bytes)) {
        put_headers(json, *headers);
    } else {
        put_text(json, "headers_undecodable", text_of(bytes));
    }
}

void put_record(Json& json, const record::Record& record, bool with_bodies) {
    json["seq"] = record.seq;
    json["epoch"] = record.epoch;
    json["priority"] = record.priority;
    json["enqueued"] = iso_time(record.enqueued);
    if (record.due != base::WallTime{}) json["due"] = iso_time(record.due);
    if (record.expiry != base::WallTime{}) json["expiry"] = iso_time(record.expiry);
    if (!record.key.empty()) put_text(json, "key", record.key);
    if (!record.topic.empty()) put_text(json, "topic", record.topic);
    put_record_headers(json, record.headers);
    json["body_bytes"] = record.body.size();
    if (with_bodies) put_text(json, "body", text_of(record.body));
}

}  // namespace

Json to_json(const spool::Inspection& inspection) {
    return {{"type", "spool"},
            {"id", inspection.id.hex()},
            {"format_version", inspection.format_version},
            {"epoch", inspection.epoch},
            {"owner", inspection.owner}};
}

Json to_json(const spool::SegmentSummary& segment) {
    Json json{{"type", "segment"}};
    put_text(json, "path", segment.path);
    json["number"] = segment.number;
    json["file_bytes"] = segment.file_bytes;
    json["used_bytes"] = segment.used_bytes;
    json["batches"] = segment.batches;
    json["records"] = segment.records;
    json["unsettled"] = segment.unsettled;
    json["sealed"] = segment.sealed;
    return json;
}

Json to_json(const spool::StreamSummary& stream) {
    Json json{{"type", "stream"}};
    put_text(json, "name", stream.info.name);
    json["kind"] = spool::to_string(stream.info.kind);
    json["id"] = stream.info.id.hex();
    json["first_unsettled"] = stream.first_unsettled;
    json["end"] = stream.end;
    json["unsettled"] = stream.unsettled;
    json["unsettled_bytes"] = stream.unsettled_bytes;
    json["retries"] = stream.retries;
    return json;
}

Json to_json(const spool::Damage& damage) {
    Json json{{"type", "damage"}, {"kind", spool::to_string(damage.kind)}};
    put_text(json, "path", damage.path);
    json["offset"] = damage.offset;
    json["bytes"] = damage.bytes;
    json["records"] = damage.records;
    put_text(json, "text", damage.text);
    return json;
}

Json to_json(const spool::LogEntry& entry, bool with_bodies) {
    Json json{{"type", spool::to_string(entry.kind)}};
    put_text(json, "path", entry.path);
    json["offset"] = entry.offset;
    json["bytes"] = entry.bytes;
    if (entry.stream != nullptr) {
        put_text(json, "stream", entry.stream->name);
        json["stream_kind"] = spool::to_string(entry.stream->kind);
    }
    if (entry.record != nullptr) {
        json["settled"] = entry.settled;
        put_record(json, *entry.record, with_bodies);
    }
    if (!entry.text.empty()) put_text(json, "text", entry.text);
    return json;
}

}  // namespace peermq::tools
