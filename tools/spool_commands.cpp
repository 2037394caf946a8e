#include "spool_commands.hpp"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <ostream>
#include <string_view>

#include "base/file_system.hpp"
#include "record/headers.hpp"
#include "spool/inspect.hpp"
#include "spool/names.hpp"
#include "spool_json.hpp"
#include "text.hpp"
#include "text_table.hpp"

namespace peermq::tools {
namespace {

using Align = TextTable::Align;

spool::Inspection inspect(const SpoolArguments& arguments,
                          const std::function<void(const spool::LogEntry&)>& visit = {}) {
    base::SystemFileSystem files;
    return spool::inspect(files, arguments.directory, visit);
}

std::string_view text_of(base::ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

void tell_owner(const spool::Inspection& inspection) {
    if (inspection.owner.empty()) return;
    std::cerr << "note: the spool is open in " << inspection.owner
              << "; what is being written now may show as a torn tail\n";
}

void tell_damage(const spool::Inspection& inspection) {
    if (inspection.damage.empty()) return;
    std::cerr << "note: " << inspection.damage.size()
              << " finding(s) of damage; `peermq spool verify` lists them\n";
}

// --- ls

void print_summary(const spool::Inspection& inspection, std::ostream& out) {
    out << "spool " << inspection.id.hex() << "  format " << inspection.format_version << "  epoch "
        << inspection.epoch << "  "
        << (inspection.owner.empty() ? "not open" : "open in " + inspection.owner) << "\n\n";

    TextTable segments{{"SEGMENT"},
                       {"STATE"},
                       {"FILE_BYTES", Align::right},
                       {"USED_BYTES", Align::right},
                       {"BATCHES", Align::right},
                       {"RECORDS", Align::right},
                       {"UNSETTLED", Align::right}};
    for (const spool::SegmentSummary& segment : inspection.segments) {
        segments.add({printable(file_name(segment.path)), segment.sealed ? "sealed" : "open",
                      std::to_string(segment.file_bytes), std::to_string(segment.used_bytes),
                      std::to_string(segment.batches), std::to_string(segment.records),
                      std::to_string(segment.unsettled)});
    }
    segments.print(out);
    out << '\n';

    TextTable streams{{"STREAM"},
                      {"KIND"},
                      {"FIRST_UNSETTLED", Align::right},
                      {"END", Align::right},
                      {"UNSETTLED", Align::right},
                      {"BYTES", Align::right},
                      {"RETRIES", Align::right}};
    for (const spool::StreamSummary& stream : inspection.streams) {
        streams.add({printable(stream.info.name), std::string(spool::to_string(stream.info.kind)),
                     stream.unsettled == 0 ? "-" : std::to_string(stream.first_unsettled),
                     std::to_string(stream.end), std::to_string(stream.unsettled),
                     std::to_string(stream.unsettled_bytes), std::to_string(stream.retries)});
    }
    streams.print(out);
}

// --- dump

void print_record(const spool::LogEntry& entry, bool with_bodies, std::ostream& out) {
    const record::Record& record = *entry.record;
    out << " seq " << record.seq << (entry.settled ? "  settled" : "  unsettled") << "  epoch "
        << record.epoch << "  enqueued " << iso_time(record.enqueued);
    if (record.due != base::WallTime{}) out << "  due " << iso_time(record.due);
    if (record.expiry != base::WallTime{}) out << "  expiry " << iso_time(record.expiry);
    if (!record.key.empty()) out << "  key " << printable(record.key);
    if (!record.topic.empty()) out << "  topic " << printable(record.topic);
    if (const auto headers = record::decode_headers(record.headers)) {
        for (const auto& [name, value] : *headers) {
            out << "  " << printable(name) << '=' << printable(value);
        }
    } else {
        out << "  headers undecodable (" << record.headers.size() << " bytes)";
    }
    out << "  body " << record.body.size() << " bytes";
    if (with_bodies) out << ": " << printable(text_of(record.body));
}

void print_entry(const spool::LogEntry& entry, bool with_bodies, std::ostream& out) {
    if (entry.kind == spool::LogEntry::Kind::segment) out << printable(entry.path) << '\n';
    out << std::setw(12) << entry.offset << std::setw(10) << entry.bytes << "  " << std::left
        << std::setw(7) << spool::to_string(entry.kind) << std::right;
    if (entry.stream != nullptr) out << ' ' << printable(entry.stream->name);
    if (entry.record != nullptr) print_record(entry, with_bodies, out);
    if (!entry.text.empty()) out << ' ' << printable(entry.text);
    out << '\n';
}

// --- verify

int exit_code_of(const spool::Damage& damage) {
    switch (damage.kind) {
        case spool::Damage::Kind::torn_tail: return kExitTornTail;
        case spool::Damage::Kind::io_error: return kExitUnreadable;
        default: return kExitDamaged;
    }
}

std::string_view verdict_of(int exit_code) {
    switch (exit_code) {
        case kExitOk: return "clean";
        case kExitTornTail: return "torn_tail";
        case kExitDamaged: return "damaged";
        default: return "unreadable";
    }
}

struct Totals {
    std::uint64_t records = 0;
    std::uint64_t unsettled = 0;
    std::uint64_t bytes = 0;
    std::uint64_t records_lost = 0;
};

Totals totals_of(const spool::Inspection& inspection) {
    Totals totals;
    for (const spool::SegmentSummary& segment : inspection.segments) {
        totals.records += segment.records;
        totals.bytes += segment.used_bytes;
    }
    for (const spool::StreamSummary& stream : inspection.streams)
        totals.unsettled += stream.unsettled;
    for (const spool::Damage& damage : inspection.damage) totals.records_lost += damage.records;
    return totals;
}

void print_damage(const spool::Inspection& inspection, std::ostream& out) {
    TextTable table{{"KIND"},
                    {"PATH"},
                    {"OFFSET", Align::right},
                    {"BYTES", Align::right},
                    {"RECORDS", Align::right},
                    {"TEXT"}};
    for (const spool::Damage& damage : inspection.damage) {
        table.add({std::string(spool::to_string(damage.kind)), printable(damage.path),
                   std::to_string(damage.offset), std::to_string(damage.bytes),
                   std::to_string(damage.records), printable(damage.text)});
    }
    if (!table.empty()) table.print(out);
}

void tell_verdict(const spool::Inspection& inspection, int exit_code) {
    const Totals totals = totals_of(inspection);
    std::cerr << verdict_of(exit_code) << ": " << inspection.segments.size() << " segment(s), "
              << totals.records << " record(s), " << totals.unsettled << " unsettled, "
              << totals.bytes << " bytes checked\n";
}

Json summary_json(const spool::Inspection& inspection, int exit_code) {
    const Totals totals = totals_of(inspection);
    return {{"type", "summary"},
            {"verdict", verdict_of(exit_code)},
            {"segments", inspection.segments.size()},
            {"records", totals.records},
            {"unsettled", totals.unsettled},
            {"bytes", totals.bytes},
            {"damage", inspection.damage.size()},
            {"records_lost", totals.records_lost}};
}

}  // namespace

int spool_ls(const SpoolArguments& arguments, std::ostream& out) {
    const spool::Inspection inspection = inspect(arguments);
    if (arguments.json) {
        out << to_json(inspection) << '\n';
        for (const auto& segment : inspection.segments) out << to_json(segment) << '\n';
        for (const auto& stream : inspection.streams) out << to_json(stream) << '\n';
    } else {
        print_summary(inspection, out);
    }
    tell_damage(inspection);
    return kExitOk;
}

int spool_dump(const SpoolArguments& arguments, std::ostream& out) {
    const auto visit = [&](const spool::LogEntry& entry) {
        const bool is_wanted = arguments.stream.empty() ||
                               (entry.stream != nullptr && entry.stream->name == arguments.stream);
        if (!is_wanted) return;
        if (arguments.json) {
            out << to_json(entry, arguments.bodies) << '\n';
        } else {
            print_entry(entry, arguments.bodies, out);
        }
    };
    const spool::Inspection inspection = inspect(arguments, visit);
    tell_owner(inspection);
    tell_damage(inspection);

    const bool is_known = std::any_of(
        inspection.streams.begin(), inspection.streams.end(),
        [&](const spool::StreamSummary& stream) { return stream.info.name == arguments.stream; });
    if (arguments.stream.empty() || is_known) return kExitOk;
    std::cerr << "no stream '" << printable(arguments.stream) << "' in "
              << printable(arguments.directory) << "; `peermq spool ls` lists them\n";
    return kExitNotFound;
}

int spool_verify(const SpoolArguments& arguments, std::ostream& out) {
    const spool::Inspection inspection = inspect(arguments);
    int exit_code = kExitOk;
    for (const spool::Damage& damage : inspection.damage) {
        exit_code = std::max(exit_code, exit_code_of(damage));
    }
    if (arguments.json) {
        for (const spool::Damage& damage : inspection.damage) out << to_json(damage) << '\n';
        out << summary_json(inspection, exit_code) << '\n';
    } else {
        print_damage(inspection, out);
    }
    tell_owner(inspection);
    tell_verdict(inspection, exit_code);
    return exit_code;
}

}  // namespace peermq::tools
